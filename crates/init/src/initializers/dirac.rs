//! The convolution that passes its input through.

use crate::error::finite;
use crate::initializer::same_length;
use crate::kernel::Kernel;
use crate::{InitError, Initializer, Target};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};

/// A kernel with `gain` at its centre tap `k / 2` where input and output
/// channel agree, 0 elsewhere: channel `d` of each group passes through, as
/// many as both sides have (Zagoruyko & Komodakis 2017).
///
/// ```
/// use firecraft_init::{Dirac, Initializer, Layout, Target};
/// use firecraft_key::Key;
/// let target = Target::new(&[2, 2, 3], Layout::CONV);
/// let values = Dirac::default().values(&target, Key::from_seed(0))?;
/// assert_eq!(values, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dirac {
    /// The value at the centre; 1 by default.
    pub gain: f64,
    /// Number of groups; that of the layer by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
}

impl Default for Dirac {
    fn default() -> Self {
        Self {
            gain: 1.0,
            groups: None,
        }
    }
}

impl Dirac {
    /// As if the layer had `groups` groups, whatever it has.
    #[must_use]
    pub const fn with_groups(mut self, groups: usize) -> Self {
        self.groups = Some(groups);
        self
    }

    fn kernel(&self, target: &Target) -> Result<Kernel, InitError> {
        finite("dirac", "gain", self.gain)?;
        let mut target = target.clone();
        if let Some(to) = self.groups {
            target.layout = target.layout.with_groups(to);
        }
        let kernel = Kernel::new("dirac", &target)?;
        if kernel.spatial_rank() == 0 || kernel.taps() == 0 {
            let expected = "a convolution with at least one tap (for matrices: `identity`)";
            return Err(InitError::shape("dirac", expected, &target.shape));
        }
        Ok(kernel)
    }
}

impl Initializer for Dirac {
    fn name(&self) -> &str {
        "dirac"
    }

    fn validate(&self) -> Result<(), InitError> {
        finite("dirac", "gain", self.gain).map(drop)
    }

    fn check(&self, target: &Target) -> Result<(), InitError> {
        self.kernel(target).map(drop)
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("dirac", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], _: Key) -> Result<(), InitError> {
        let kernel = self.kernel(target)?;
        same_length(target, out)?;
        out.fill(0.0);
        let centre = kernel.tap(|size| size / 2);
        for group in 0..kernel.groups {
            for channel in 0..kernel.rows.min(kernel.columns) {
                out[kernel.offset(group, channel, channel, centre)] = self.gain as f32;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;
    use burn::module::Param;
    use burn::nn::PaddingConfig2d;
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::{Device, Tensor, TensorData};

    #[test]
    fn a_grouped_convolution_passes_its_input_through() {
        let device = Device::flex();
        let mut conv = Conv2dConfig::new([6, 6], [3, 3])
            .with_groups(3)
            .with_padding(PaddingConfig2d::Same)
            .with_bias(false)
            .init(&device);
        let target = Target::new(&[6, 2, 3, 3], Layout::ChannelsFirst { groups: 3 });
        let values = Dirac::default().values(&target, Key::from_seed(0)).unwrap();
        let data = TensorData::new(values, [6, 2, 3, 3]);
        conv.weight = Param::from_tensor(Tensor::from_data(data, &device));
        let data = TensorData::new((0..96).map(|i| i as f32).collect(), [1, 6, 4, 4]);
        let x = Tensor::<4>::from_data(data, &device);
        assert_eq!(conv.forward(x.clone()).into_data(), x.into_data());
    }

    #[test]
    fn the_layout_of_keras_gets_the_same_kernel_transposed() {
        let first =
            Dirac::default().values(&Target::new(&[2, 3, 3], Layout::CONV), Key::from_seed(0));
        let last =
            Dirac::default().values(&Target::new(&[3, 3, 2], Layout::LINEAR), Key::from_seed(0));
        let (first, last) = (first.unwrap(), last.unwrap());
        for out in 0..2 {
            for input in 0..3 {
                for tap in 0..3 {
                    assert_eq!(
                        first[out * 9 + input * 3 + tap],
                        last[tap * 6 + input * 2 + out]
                    );
                }
            }
        }
    }

    #[test]
    fn matrices_and_indivisible_groups_are_errors() {
        assert!(
            Dirac::default()
                .check(&Target::new(&[3, 3], Layout::CONV))
                .is_err()
        );
        let target = Target::new(&[4, 4, 3], Layout::CONV);
        let error = Dirac::default().with_groups(3).check(&target).unwrap_err();
        assert!(
            error.to_string().contains("divisible by 3 groups"),
            "{error}"
        );
    }
}
