//! The same value everywhere.

use crate::error::finite;
use crate::initializer::same_length;
use crate::{InitError, Initializer, Target};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};

/// Fills with one value: biases with 0, scales with 1.
///
/// ```
/// use firecraft_init::{Constant, Initializer, Layout, Target};
/// use firecraft_key::Key;
/// let target = Target::new(&[2], Layout::Elementwise);
/// assert_eq!(Constant::new(0.5).values(&target, Key::from_seed(0))?, [0.5, 0.5]);
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constant {
    /// The value; 0 by default.
    pub value: f64,
}

impl Constant {
    /// Every element is 0.
    pub const ZEROS: Self = Self::new(0.0);
    /// Every element is 1.
    pub const ONES: Self = Self::new(1.0);

    /// Every element is `value`.
    #[must_use]
    pub const fn new(value: f64) -> Self {
        Self { value }
    }
}

impl Initializer for Constant {
    fn name(&self) -> &str {
        "constant"
    }

    fn validate(&self) -> Result<(), InitError> {
        finite("constant", "value", self.value).map(drop)
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("constant", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], _: Key) -> Result<(), InitError> {
        self.check(target)?;
        same_length(target, out)?;
        out.fill(self.value as f32);
        Ok(())
    }

    fn moments(&self, _: &Target) -> Option<(f64, f64)> {
        Some((self.value, 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    #[test]
    fn a_value_that_is_not_finite_is_an_error() {
        let target = Target::new(&[2], Layout::Elementwise);
        assert!(Constant::new(f64::NAN).check(&target).is_err());
        assert!(Constant::new(1e300).check(&target).is_err());
    }

    #[test]
    fn a_buffer_of_another_length_is_an_error() {
        let target = Target::new(&[2], Layout::Elementwise);
        let error = Constant::ONES.fill(&target, &mut [0.0; 3], Key::from_seed(0));
        assert!(matches!(
            error,
            Err(InitError::Length {
                expected: 2,
                got: 3,
                ..
            })
        ));
    }
}
