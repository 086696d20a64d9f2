//! Filter response normalisation and the thresholded linear unit.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::kernels::{Kernels, Moments, group_norm};
use serde::{Deserialize, Serialize};

use crate::channels::Channels;
use crate::precision::{cast, working};
use crate::{NormError, affine, check};

const LAYER: &str = "FilterResponseNorm";

/// The configuration of a [`FilterResponseNorm`] layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterResponseNormConfig {
    /// The length of the channel axis, at least 1.
    pub num_features: usize,
    /// Added to the mean square; finite and positive. Default 1e-6 (the paper;
    /// timm 1e-5).
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// Whether to end with the thresholded linear unit `max(y, tau)`. Default
    /// true.
    #[serde(default = "default_true")]
    pub threshold: bool,
    /// The channel axis; negative counts from the end. Default 1.
    #[serde(default = "default_axis")]
    pub axis: isize,
    /// Which implementation computes it. Default the fastest.
    #[serde(default)]
    pub kernels: Kernels,
}

fn default_epsilon() -> f64 {
    1e-6
}
fn default_true() -> bool {
    true
}
fn default_axis() -> isize {
    1
}

impl FilterResponseNormConfig {
    /// The layer of the paper, with its threshold.
    #[must_use]
    pub fn new(num_features: usize) -> Self {
        Self {
            num_features,
            epsilon: default_epsilon(),
            threshold: true,
            axis: default_axis(),
            kernels: Kernels::Auto,
        }
    }

    /// The layer on a device.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<FilterResponseNorm, NormError> {
        check::at_least_one(LAYER, "num_features", self.num_features)?;
        check::epsilon(LAYER, self.epsilon)?;
        let features = self.num_features;
        Ok(FilterResponseNorm {
            gamma: affine::param(true, features, 1.0, device),
            beta: affine::param(true, features, 0.0, device),
            tau: affine::param(self.threshold, features, 0.0, device),
            config: self.clone(),
        })
    }
}

setters!(FilterResponseNormConfig {
    /// Sets `epsilon`.
    with_epsilon(epsilon: f64);
    /// Sets `threshold`.
    with_threshold(threshold: bool);
    /// Sets `axis`.
    with_axis(axis: isize);
    /// Sets `kernels`.
    with_kernels(kernels: Kernels);
});
init_in_burns_manner!(FilterResponseNormConfig => FilterResponseNorm);
forward_in_burns_manner!(FilterResponseNorm, FilterResponseNormConfig);

/// Divides every channel of every sample by the root of its mean square over
/// the positions, and cuts it at a learned threshold:
/// `y = max(x / sqrt(mean(x^2) + epsilon) * gamma + beta, tau)`.
///
/// Needs no batch and subtracts no mean. The threshold takes the place of the
/// activation, which a `ReLU` at 0 would not be: without a subtracted mean the
/// output is not centred. Singh and Krishnan, *Filter Response Normalization
/// Layer*, CVPR 2020.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::FilterResponseNormConfig;
///
/// let layer = FilterResponseNormConfig::new(1).init(&Device::flex());
/// let y = layer.forward(Tensor::<3>::from_floats([[[-1.0, 7.0]]], &Device::flex()));
/// assert_eq!(y.try_into_vec_as::<f32>()?, [0.0, 1.4]);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Module, Debug)]
pub struct FilterResponseNorm {
    /// The learned factor of every channel, `[C]`.
    pub gamma: Option<Param<Tensor<1>>>,
    /// The learned offset of every channel, `[C]`.
    pub beta: Option<Param<Tensor<1>>>,
    /// The learned threshold of every channel, `[C]`; absent without
    /// `threshold`.
    pub tau: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: FilterResponseNormConfig,
}

impl FilterResponseNorm {
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
        let samples = cast(channels.to_samples(x), working(dtype));
        let [count, features, positions] = samples.dims();
        let gamma = affine::value(&self.gamma, samples.dtype());
        let beta = affine::value(&self.beta, samples.dtype());
        let tau = affine::value(&self.tau, samples.dtype());
        let y = group_norm(
            samples.reshape([count, features, 1, positions]),
            gamma,
            beta,
            Moments::MeanSquare,
            config.epsilon,
            config.kernels,
        );
        let mut y = y.output.reshape([count, features, positions]);
        if let Some(tau) = tau {
            y = y.max_pair(
                tau.reshape([1, features, 1])
                    .expand([count, features, positions]),
            );
        }
        Ok(channels.restore_samples(cast(y, dtype.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_learns() {
        let device = Device::flex().autodiff();
        let layer = FilterResponseNormConfig::new(2).init(&device);
        let x = Tensor::<3>::from_floats([[[-1.0, -7.0], [1.0, 2.0]]], &device);
        let gradients = layer.forward(x).sum().backward();
        let tau = layer.tau.as_ref().unwrap().val().grad(&gradients).unwrap();
        assert_eq!(tau.try_into_vec_as::<f32>().unwrap(), [2.0, 0.0]);
    }

    #[test]
    fn without_a_threshold_negative_values_pass() {
        let device = Device::flex();
        let layer = FilterResponseNormConfig::new(1)
            .with_threshold(false)
            .init(&device);
        let y = layer.forward(Tensor::<3>::from_floats([[[-1.0, 7.0]]], &device));
        let y = y.try_into_vec_as::<f32>().unwrap();
        assert!((y[0] + 0.2).abs() < 1e-6);
        assert!(
            layer
                .try_forward(Tensor::<3>::ones([1, 2, 3], &device))
                .is_err()
        );
    }
}
