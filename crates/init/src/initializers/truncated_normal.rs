//! Normal values cut to an interval.

use crate::fill::Truncated;
use crate::initializer::same_length;
use crate::{InitError, Initializer, Target, fill};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};

/// The unit of the bounds of a [`TruncatedNormal`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bounds {
    /// Multiples of `std` away from `mean`: Keras, JAX, timm's `trunc_normal_tf_`.
    #[default]
    Std,
    /// Absolute values in the unit of the parameter: torch's `trunc_normal_`.
    Absolute,
}

/// `N(mean, std²)` restricted to an interval. `std` is that of the uncut
/// ("parent") distribution; the values spread less: 0.88 `std` at ±2 `std`.
///
/// ```
/// use firecraft_init::{Initializer, Layout, Target, TruncatedNormal};
/// use firecraft_key::Key;
/// let target = Target::new(&[100, 10], Layout::LINEAR);
/// let init = TruncatedNormal::new(0.0, 0.02);
/// assert!((init.moments(&target).unwrap().1 - 0.0175925).abs() < 1e-6);
/// let values = init.values(&target, Key::from_seed(3))?;
/// assert!(values.iter().all(|x| x.abs() <= 0.04));
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TruncatedNormal {
    /// Mean of the parent; 0 by default.
    pub mean: f64,
    /// Standard deviation of the parent; 1 by default.
    pub std: f64,
    /// Lower bound; -2 by default.
    pub low: f64,
    /// Upper bound; 2 by default.
    pub high: f64,
    /// Unit of `low` and `high`.
    pub bounds: Bounds,
}

impl Default for TruncatedNormal {
    fn default() -> Self {
        Self::new(0.0, 1.0)
    }
}

impl TruncatedNormal {
    /// Cut at two standard deviations.
    #[must_use]
    pub const fn new(mean: f64, std: f64) -> Self {
        Self {
            mean,
            std,
            low: -2.0,
            high: 2.0,
            bounds: Bounds::Std,
        }
    }

    /// Cut at these bounds, in the given unit.
    #[must_use]
    pub const fn with_bounds(mut self, low: f64, high: f64, bounds: Bounds) -> Self {
        self.low = low;
        self.high = high;
        self.bounds = bounds;
        self
    }

    fn distribution(&self) -> Result<Truncated, InitError> {
        let (low, high) = match self.bounds {
            Bounds::Absolute => (self.low, self.high),
            Bounds::Std => (
                self.mean + self.std * self.low,
                self.mean + self.std * self.high,
            ),
        };
        Truncated::new(self.mean, self.std, low, high)
    }
}

impl Initializer for TruncatedNormal {
    fn name(&self) -> &str {
        "truncated_normal"
    }

    fn validate(&self) -> Result<(), InitError> {
        self.distribution().map(drop)
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("truncated_normal", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], key: Key) -> Result<(), InitError> {
        let distribution = self.distribution()?;
        same_length(target, out)?;
        fill::truncated_normal(out, &distribution, key);
        Ok(())
    }

    fn moments(&self, _: &Target) -> Option<(f64, f64)> {
        self.distribution().ok().map(|d| d.moments())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;
    use crate::initializers::testing::drawn;

    #[test]
    fn absolute_bounds_and_bounds_in_std_differ() {
        let target = Target::new(&[200, 200], Layout::LINEAR);
        for (bounds, expected) in [
            (Bounds::Absolute, (0.751_625_354, 0.295_689_485)),
            (Bounds::Std, (1.265_965_31, 0.167_096_56)),
        ] {
            let init = TruncatedNormal::new(1.0, 0.5).with_bounds(0.0, 1.2, bounds);
            let (mean, std) = init.moments(&target).unwrap();
            assert!((mean - expected.0).abs() < 1e-8 && (std - expected.1).abs() < 1e-8);
            let (mean, std) = drawn(&init, &target);
            assert!((mean - expected.0).abs() < 0.005, "{mean}");
            assert!((std - expected.1).abs() < 0.005, "{std}");
        }
    }

    #[test]
    fn zero_deviation_is_an_error() {
        let target = Target::new(&[2], Layout::Elementwise);
        assert!(TruncatedNormal::new(0.0, 0.0).check(&target).is_err());
    }
}
