//! A learned factor per channel that starts small.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::channels::Channels;
use crate::precision::cast;
use crate::{NormError, check};

const LAYER: &str = "LayerScale";

/// The configuration of a [`LayerScale`] layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerScaleConfig {
    /// The length of the feature axis, at least 1.
    pub num_features: usize,
    /// What the factors start from. Default 1e-5 (timm; the paper: 0.1 up to 18
    /// blocks, 1e-5 up to 24, 1e-6 beyond).
    #[serde(default = "default_initial")]
    pub initial: f64,
    /// The feature axis; negative counts from the end. Default the last.
    #[serde(default = "default_axis")]
    pub axis: isize,
}

fn default_initial() -> f64 {
    1e-5
}
fn default_axis() -> isize {
    -1
}

impl LayerScaleConfig {
    /// Factors of 1e-5 on the last axis.
    #[must_use]
    pub fn new(num_features: usize) -> Self {
        Self {
            num_features,
            initial: default_initial(),
            axis: default_axis(),
        }
    }

    /// The layer on a device.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<LayerScale, NormError> {
        check::at_least_one(LAYER, "num_features", self.num_features)?;
        check::finite(LAYER, "initial", self.initial)?;
        let gamma = Tensor::full([self.num_features], self.initial, device);
        Ok(LayerScale {
            gamma: Param::from_tensor(gamma),
            config: self.clone(),
        })
    }
}

setters!(LayerScaleConfig {
    /// Sets `initial`.
    with_initial(initial: f64);
    /// Sets `axis`.
    with_axis(axis: isize);
});
init_in_burns_manner!(LayerScaleConfig => LayerScale);
forward_in_burns_manner!(LayerScale, LayerScaleConfig);

/// Multiplies every channel by a learned factor, `y = gamma * x`, at the end of
/// a residual branch: small factors let deep networks start as the identity.
///
/// Touvron et al., *Going deeper with Image Transformers*, ICCV 2021.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::LayerScaleConfig;
///
/// let layer = LayerScaleConfig::new(2).with_initial(0.1).init(&Device::flex());
/// let y = layer.forward(Tensor::<2>::from_floats([[1.0, 5.0]], &Device::flex()));
/// assert_eq!(y.try_into_vec_as::<f32>()?, [0.1, 0.5]);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Module, Debug)]
pub struct LayerScale {
    /// The learned factor of every channel, `[C]`.
    pub gamma: Param<Tensor<1>>,
    #[module(skip)]
    config: LayerScaleConfig,
}

impl LayerScale {
    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// [`NormError`] if the rank or the feature axis does not fit.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let config = &self.config;
        let channels = Channels::new(LAYER, x.dims(), config.axis, config.num_features)?;
        let gamma = cast(self.gamma.val(), x.dtype().into());
        let gamma = gamma.reshape([1, config.num_features, 1]);
        Ok(channels.restore(channels.flatten(x) * gamma))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_axis_is_scaled() {
        let device = Device::flex();
        let config = LayerScaleConfig::new(2).with_initial(3.0).with_axis(1);
        let y = config
            .init(&device)
            .forward(Tensor::<4>::ones([1, 2, 2, 1], &device));
        assert_eq!(y.try_into_vec_as::<f32>().unwrap(), [3.0; 4]);
        assert!(
            config
                .init(&device)
                .try_forward(Tensor::<2>::ones([1, 3], &device))
                .is_err()
        );
        assert!(config.with_initial(f64::NAN).try_init(&device).is_err());
    }
}
