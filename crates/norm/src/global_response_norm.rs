//! Global response normalisation.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::channels::Channels;
use crate::precision::{cast, working};
use crate::{NormError, affine, check};

const LAYER: &str = "GlobalResponseNorm";

/// The configuration of a [`GlobalResponseNorm`] layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalResponseNormConfig {
    /// The length of the channel axis, at least 1.
    pub num_features: usize,
    /// Added to the mean response; finite and positive. Default 1e-6.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// The channel axis; negative counts from the end. Default 1; the layers of
    /// ConvNeXt V2 have it last.
    #[serde(default = "default_axis")]
    pub axis: isize,
}

fn default_epsilon() -> f64 {
    1e-6
}
fn default_axis() -> isize {
    1
}

impl GlobalResponseNormConfig {
    /// The layer of the paper, channels on axis 1.
    #[must_use]
    pub fn new(num_features: usize) -> Self {
        Self {
            num_features,
            epsilon: default_epsilon(),
            axis: default_axis(),
        }
    }

    /// The layer on a device.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<GlobalResponseNorm, NormError> {
        check::at_least_one(LAYER, "num_features", self.num_features)?;
        check::epsilon(LAYER, self.epsilon)?;
        Ok(GlobalResponseNorm {
            gamma: affine::param(true, self.num_features, 0.0, device),
            beta: affine::param(true, self.num_features, 0.0, device),
            config: self.clone(),
        })
    }
}

setters!(GlobalResponseNormConfig {
    /// Sets `epsilon`.
    with_epsilon(epsilon: f64);
    /// Sets `axis`.
    with_axis(axis: isize);
});
init_in_burns_manner!(GlobalResponseNormConfig => GlobalResponseNorm);
forward_in_burns_manner!(GlobalResponseNorm, GlobalResponseNormConfig);

/// Lets the channels of a sample compete: each is scaled by its response
/// against the mean response of all, `g_c = |x_c|_2 over the positions`,
/// `y = x + gamma * x * g_c / (mean(g) + epsilon) + beta`.
///
/// `gamma` and `beta` start from 0, so the layer starts as the identity. Woo et
/// al., *ConvNeXt V2*, CVPR 2023.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::GlobalResponseNormConfig;
///
/// let layer = GlobalResponseNormConfig::new(2).init(&Device::flex());
/// let y = layer.forward(Tensor::<3>::from_floats([[[3.0, 4.0], [1.0, 0.0]]], &Device::flex()));
/// assert_eq!(y.try_into_vec_as::<f32>()?, [3.0, 4.0, 1.0, 0.0]);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Module, Debug)]
pub struct GlobalResponseNorm {
    /// The learned factor of every channel, `[C]`.
    pub gamma: Option<Param<Tensor<1>>>,
    /// The learned offset of every channel, `[C]`.
    pub beta: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: GlobalResponseNormConfig,
}

impl GlobalResponseNorm {
    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// [`NormError`] if the rank or the channel axis does not fit.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let config = &self.config;
        let channels = Channels::new(LAYER, x.dims(), config.axis, config.num_features)?;
        channels.per_sample(LAYER)?;
        if x.shape().num_elements() == 0 {
            return Ok(x);
        }
        let dtype = x.dtype();
        let x = cast(channels.to_samples(x), working(dtype));
        // Bounded before the root, whose slope at zero is infinite.
        let square = x.clone().square().sum_dim(2);
        let response = square.clamp_min(f32::MIN_POSITIVE).sqrt();
        let mean = response.clone().mean_dim(1).add_scalar(config.epsilon);
        let scaled = affine::apply(x.clone() * (response / mean), &self.gamma, &self.beta);
        Ok(channels.restore_samples(cast(x + scaled, dtype.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::ModuleMapper;

    struct Ones;
    impl ModuleMapper for Ones {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|t| t.ones_like())
        }
    }

    #[test]
    fn a_channel_is_scaled_by_its_share_of_the_response() {
        let device = Device::flex();
        let layer = GlobalResponseNormConfig::new(2)
            .init(&device)
            .map(&mut Ones);
        let x = Tensor::<3>::from_floats([[[3.0, 4.0], [1.0, 0.0]]], &device);
        let y = layer.forward(x).try_into_vec_as::<f32>().unwrap();
        // Responses 5 and 1, mean 3.
        for (got, want) in y.iter().zip([9.0, 4.0 + 20.0 / 3.0 + 1.0, 7.0 / 3.0, 1.0]) {
            assert!((got - want).abs() < 1e-5, "{got} is not {want}");
        }
    }

    #[test]
    fn zeros_have_finite_gradients() {
        let device = Device::flex().autodiff();
        let layer = GlobalResponseNormConfig::new(2).init(&device);
        let x = Tensor::<3>::zeros([1, 2, 2], &device).require_grad();
        let gradients = layer.forward(x.clone()).sum().backward();
        let gradient = x
            .grad(&gradients)
            .unwrap()
            .try_into_vec_as::<f32>()
            .unwrap();
        assert!(gradient.iter().all(|g| g.is_finite()));
    }
}
