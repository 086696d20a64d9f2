//! Convolutions that are orthogonal at their centre tap.

use super::orthogonal::orthogonal_matrix;
use crate::error::finite;
use crate::initializer::same_length;
use crate::kernel::Kernel;
use crate::{InitError, Initializer, Layout, Target};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};

/// A convolution that is zero but for its centre tap `(k − 1) / 2`, which maps
/// the input channels isometrically into the outputs, times `gain`: very deep
/// convolutional networks without normalisation train from it (Xiao et al.
/// 2018). Needs at least as many outputs as inputs, per group.
///
/// ```
/// use firecraft_init::{DeltaOrthogonal, Initializer, Layout, Target};
/// use firecraft_key::Key;
/// let target = Target::new(&[2, 1, 3], Layout::CONV);
/// let w = DeltaOrthogonal::default().values(&target, Key::from_seed(0))?;
/// assert!((w[1] * w[1] + w[4] * w[4] - 1.0).abs() < 1e-6);
/// assert_eq!([w[0], w[2], w[3], w[5]], [0.0; 4]);
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeltaOrthogonal {
    /// All singular values of the centre tap; 1 by default.
    pub gain: f64,
}

impl Default for DeltaOrthogonal {
    fn default() -> Self {
        Self::new(1.0)
    }
}

impl DeltaOrthogonal {
    /// Singular values `gain`.
    #[must_use]
    pub const fn new(gain: f64) -> Self {
        Self { gain }
    }

    fn kernel(&self, target: &Target) -> Result<Kernel, InitError> {
        const OF: &str = "delta_orthogonal";
        finite(OF, "gain", self.gain)?;
        let kernel = Kernel::new(OF, target)?;
        if kernel.spatial_rank() == 0 || kernel.taps() == 0 {
            let expected = "a convolution (for matrices: `orthogonal`)";
            return Err(InitError::shape(OF, expected, &target.shape));
        }
        let (inputs, outputs) = match target.layout {
            Layout::ChannelsFirstTranspose { .. } | Layout::ChannelsLastTranspose => {
                (kernel.rows, kernel.columns)
            }
            _ => (kernel.columns, kernel.rows),
        };
        if inputs > outputs {
            let expected = format!(
                "at least as many outputs as inputs per group, it has {outputs} and {inputs}"
            );
            return Err(InitError::shape(OF, expected, &target.shape));
        }
        Ok(kernel)
    }
}

impl Initializer for DeltaOrthogonal {
    fn name(&self) -> &str {
        "delta_orthogonal"
    }

    fn validate(&self) -> Result<(), InitError> {
        finite("delta_orthogonal", "gain", self.gain).map(drop)
    }

    fn check(&self, target: &Target) -> Result<(), InitError> {
        self.kernel(target).map(drop)
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("delta_orthogonal", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], key: Key) -> Result<(), InitError> {
        let kernel = self.kernel(target)?;
        same_length(target, out)?;
        out.fill(0.0);
        let centre = kernel.tap(|size| (size - 1) / 2);
        for group in 0..kernel.groups {
            let key = if kernel.groups == 1 {
                key
            } else {
                key.fold(group as u64)
            };
            let w = orthogonal_matrix(kernel.rows, kernel.columns, self.gain, key);
            for (i, &w) in w.iter().enumerate() {
                let (row, column) = (i / kernel.columns, i % kernel.columns);
                out[kernel.offset(group, row, column, centre)] = w;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_tap_of_the_layout_of_jax_has_orthonormal_rows() {
        let target = Target::new(&[3, 3, 2, 4], Layout::LINEAR);
        let w = DeltaOrthogonal::new(2.0)
            .values(&target, Key::from_seed(1))
            .unwrap();
        let centre = &w[4 * 8..5 * 8];
        let rest: f32 =
            w.iter().map(|x| x.abs()).sum::<f32>() - centre.iter().map(|x| x.abs()).sum::<f32>();
        assert_eq!(rest, 0.0);
        for a in 0..2 {
            for b in 0..2 {
                let sum: f32 = (0..4).map(|i| centre[a * 4 + i] * centre[b * 4 + i]).sum();
                assert!((sum - if a == b { 4.0 } else { 0.0 }).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn more_inputs_than_outputs_are_an_error() {
        let init = DeltaOrthogonal::default();
        assert!(init.check(&Target::new(&[2, 3, 3], Layout::CONV)).is_err());
        assert!(init.check(&Target::new(&[3, 2, 3], Layout::CONV)).is_ok());
        assert!(
            init.check(&Target::new(&[3, 2, 3], Layout::CONV_TRANSPOSE))
                .is_err()
        );
        assert!(init.check(&Target::new(&[3, 3], Layout::CONV)).is_err());
    }
}
