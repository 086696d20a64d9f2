//! Independent normal values.

use crate::error::{finite, non_negative};
use crate::initializer::same_length;
use crate::{InitError, Initializer, Target, fill};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};

/// `N(mean, std²)`, whatever the fans.
///
/// ```
/// use firecraft_init::{Initializer, Layout, Normal, Target};
/// use firecraft_key::{Key, convert};
/// let key = Key::from_seed(3);
/// let values = Normal::new(0.0, 0.02).values(&Target::new(&[4, 4], Layout::LINEAR), key)?;
/// assert_eq!(values[5], 0.02 * convert::normal(key.word(5)));
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Normal {
    /// Mean; 0 by default.
    pub mean: f64,
    /// Standard deviation; 1 by default.
    pub std: f64,
}

impl Default for Normal {
    fn default() -> Self {
        Self::new(0.0, 1.0)
    }
}

impl Normal {
    /// `N(mean, std²)`.
    #[must_use]
    pub const fn new(mean: f64, std: f64) -> Self {
        Self { mean, std }
    }
}

impl Initializer for Normal {
    fn name(&self) -> &str {
        "normal"
    }

    fn validate(&self) -> Result<(), InitError> {
        finite("normal", "mean", self.mean)?;
        non_negative("normal", "std", self.std).map(drop)
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("normal", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], key: Key) -> Result<(), InitError> {
        self.check(target)?;
        same_length(target, out)?;
        fill::normal(out, self.mean as f32, self.std as f32, key);
        Ok(())
    }

    fn moments(&self, _: &Target) -> Option<(f64, f64)> {
        Some((self.mean, self.std))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;
    use crate::initializers::testing::drawn;

    #[test]
    fn draws_have_the_moments_asked_for() {
        let normal = Normal::new(0.5, 0.1);
        let (mean, std) = drawn(&normal, &Target::new(&[200, 200], Layout::LINEAR));
        assert!(
            (mean - 0.5).abs() < 0.002 && (std - 0.1).abs() < 0.002,
            "{mean} {std}"
        );
    }

    #[test]
    fn a_negative_deviation_is_an_error() {
        let target = Target::new(&[2], Layout::Elementwise);
        let error = Normal::new(0.0, -1.0).check(&target).unwrap_err();
        assert_eq!(
            error.to_string(),
            "normal: `std` is -1, expected a finite number >= 0"
        );
    }
}
