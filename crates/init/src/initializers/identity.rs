//! The identity matrix.

use crate::error::finite;
use crate::initializer::same_length;
use crate::{InitError, Initializer, Target};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};

/// `gain` on the diagonal of a matrix of any shape, 0 elsewhere: a linear layer
/// that passes its input through. For convolutions see [`Dirac`](crate::Dirac).
///
/// ```
/// use firecraft_init::{Identity, Initializer, Layout, Target};
/// use firecraft_key::Key;
/// let target = Target::new(&[2, 3], Layout::LINEAR);
/// let values = Identity::new(0.5).values(&target, Key::from_seed(0))?;
/// assert_eq!(values, [0.5, 0.0, 0.0, 0.0, 0.5, 0.0]);
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// The value on the diagonal; 1 by default.
    pub gain: f64,
}

impl Default for Identity {
    fn default() -> Self {
        Self::new(1.0)
    }
}

impl Identity {
    /// `gain` on the diagonal.
    #[must_use]
    pub const fn new(gain: f64) -> Self {
        Self { gain }
    }
}

impl Initializer for Identity {
    fn name(&self) -> &str {
        "identity"
    }

    fn validate(&self) -> Result<(), InitError> {
        finite("identity", "gain", self.gain).map(drop)
    }

    fn check(&self, target: &Target) -> Result<(), InitError> {
        self.validate()?;
        match target.shape.len() {
            2 => Ok(()),
            _ => Err(InitError::shape("identity", "a matrix", &target.shape)),
        }
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("identity", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], _: Key) -> Result<(), InitError> {
        self.check(target)?;
        same_length(target, out)?;
        out.fill(0.0);
        for i in 0..target.shape[0].min(target.shape[1]) {
            out[i * target.shape[1] + i] = self.gain as f32;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    #[test]
    fn tall_matrices_have_zero_rows_below() {
        let target = Target::new(&[3, 2], Layout::LINEAR);
        let values = Identity::default()
            .values(&target, Key::from_seed(0))
            .unwrap();
        assert_eq!(values, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn only_matrices_have_an_identity() {
        for shape in [&[3][..], &[3, 3, 3]] {
            let error = Identity::default()
                .check(&Target::new(shape, Layout::CONV))
                .unwrap_err();
            assert!(error.to_string().contains("expects a matrix"), "{error}");
        }
    }
}
