//! Independent uniform values.

use crate::error::finite;
use crate::initializer::same_length;
use crate::{InitError, Initializer, Target, fill};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};

/// Uniform on `[low, high]`, whatever the fans.
///
/// ```
/// use firecraft_init::{Initializer, Layout, Target, Uniform};
/// use firecraft_key::Key;
/// let target = Target::new(&[1000], Layout::Elementwise);
/// let values = Uniform::new(-0.05, 0.05).values(&target, Key::from_seed(3))?;
/// assert!(values.iter().all(|x| x.abs() <= 0.05));
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uniform {
    /// Lower bound; 0 by default.
    pub low: f64,
    /// Upper bound; 1 by default.
    pub high: f64,
}

impl Default for Uniform {
    fn default() -> Self {
        Self::new(0.0, 1.0)
    }
}

impl Uniform {
    /// Uniform on `[low, high]`.
    #[must_use]
    pub const fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }
}

impl Initializer for Uniform {
    fn name(&self) -> &str {
        "uniform"
    }

    fn validate(&self) -> Result<(), InitError> {
        finite("uniform", "low", self.low)?;
        finite("uniform", "high", self.high)?;
        finite("uniform", "high - low", self.high - self.low)?;
        if self.low > self.high {
            let expected = format!("a number >= `low` = {}", self.low);
            return Err(InitError::setting("uniform", "high", self.high, expected));
        }
        Ok(())
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("uniform", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], key: Key) -> Result<(), InitError> {
        self.check(target)?;
        same_length(target, out)?;
        fill::uniform(out, self.low as f32, self.high as f32, key);
        Ok(())
    }

    fn moments(&self, _: &Target) -> Option<(f64, f64)> {
        let mean = (self.low + self.high) / 2.0;
        Some((mean, (self.high - self.low) / 12_f64.sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;
    use crate::initializers::testing::drawn;

    #[test]
    fn draws_have_the_moments_of_the_distribution() {
        let uniform = Uniform::new(-1.0, 3.0);
        let target = Target::new(&[200, 200], Layout::LINEAR);
        let (mean, std) = drawn(&uniform, &target);
        let (expected_mean, expected_std) = uniform.moments(&target).unwrap();
        assert!((mean - expected_mean).abs() < 0.02, "{mean}");
        assert!((std - expected_std).abs() < 0.02, "{std}");
    }

    #[test]
    fn bounds_must_be_ordered_and_finite() {
        let target = Target::new(&[2], Layout::Elementwise);
        for (low, high) in [(1.0, 0.0), (f64::NAN, 1.0), (-3e38, 3e38)] {
            assert!(Uniform::new(low, high).check(&target).is_err());
        }
    }
}
