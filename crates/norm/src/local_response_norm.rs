//! Local response normalisation.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::precision::{cast, working};
use crate::{NormError, check};

const LAYER: &str = "LocalResponseNorm";

/// The configuration of a [`LocalResponseNorm`] layer; defaults are those of
/// torch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalResponseNormConfig {
    /// The number of neighbouring channels, at least 1.
    pub size: usize,
    /// The weight of their mean square. Default 1e-4.
    #[serde(default = "default_alpha")]
    pub alpha: f64,
    /// The exponent. Default 0.75.
    #[serde(default = "default_beta")]
    pub beta: f64,
    /// Added to the weighted mean square, greater than 0. Default 1.
    #[serde(default = "default_k")]
    pub k: f64,
}

fn default_alpha() -> f64 {
    1e-4
}
fn default_beta() -> f64 {
    0.75
}
fn default_k() -> f64 {
    1.0
}

impl LocalResponseNormConfig {
    /// torch's `LocalResponseNorm` over `size` channels.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self {
            size,
            alpha: default_alpha(),
            beta: default_beta(),
            k: default_k(),
        }
    }

    /// The layer. It has no parameters; the device is not used.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, _device: &Device) -> Result<LocalResponseNorm, NormError> {
        check::at_least_one(LAYER, "size", self.size)?;
        check::finite(LAYER, "beta", self.beta)?;
        if !(self.alpha.is_finite() && self.alpha >= 0.0) {
            return Err(check::config(
                LAYER,
                "alpha",
                self.alpha,
                "finite and not negative",
            ));
        }
        if !(self.k.is_finite() && self.k > 0.0) {
            return Err(check::config(
                LAYER,
                "k",
                self.k,
                "finite and greater than 0",
            ));
        }
        Ok(LocalResponseNorm {
            config: self.clone(),
        })
    }
}

setters!(LocalResponseNormConfig {
    /// Sets `alpha`.
    with_alpha(alpha: f64);
    /// Sets `beta`.
    with_beta(beta: f64);
    /// Sets `k`.
    with_k(k: f64);
});
init_in_burns_manner!(LocalResponseNormConfig => LocalResponseNorm);
forward_in_burns_manner!(LocalResponseNorm, LocalResponseNormConfig);

/// Divides every channel by the activity of its neighbours at the same
/// position: `y_c = x_c / (k + alpha / size * sum x_i^2)^beta`, the sum over
/// the `size` channels from `c - size / 2` on, those outside counting as zero.
///
/// The channels are axis 1. Krizhevsky, Sutskever and Hinton, *ImageNet
/// Classification with Deep Convolutional Neural Networks*, NIPS 2012 (whose
/// `alpha` is not divided by the size).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::LocalResponseNormConfig;
///
/// let config = LocalResponseNormConfig::new(2).with_alpha(2.0).with_beta(1.0);
/// let x = Tensor::<3>::from_floats([[[1.0], [2.0], [3.0]]], &Device::flex());
/// let y = config.init(&Device::flex()).forward(x);
/// // 1 / (1 + 1), 2 / (1 + 1 + 4), 3 / (1 + 4 + 9)
/// assert_eq!(y.try_into_vec_as::<f32>()?, [0.5, 1.0 / 3.0, 3.0 / 14.0]);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Module, Debug)]
pub struct LocalResponseNorm {
    #[module(skip)]
    config: LocalResponseNormConfig,
}

impl LocalResponseNorm {
    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// [`NormError::Rank`] if `x` has no channel axis.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let dims = x.dims();
        if D < 2 {
            return Err(NormError::Rank {
                layer: LAYER,
                shape: dims.to_vec(),
                expected: "a batch axis and a channel axis, as in [N, C, H, W]",
            });
        }
        if x.shape().num_elements() == 0 {
            return Ok(x);
        }
        let config = &self.config;
        let dtype = x.dtype();
        let positions = dims[2..].iter().product();
        let x = cast(x, working(dtype)).reshape([dims[0], dims[1], positions]);
        let sum = self.windows(x.clone().square());
        let scale = sum
            .mul_scalar(config.alpha / config.size as f64)
            .add_scalar(config.k);
        let y = x / scale.powf_scalar(config.beta);
        Ok(cast(y, dtype.into()).reshape(dims))
    }

    /// The sum of every window of channels.
    fn windows(&self, x: Tensor<3>) -> Tensor<3> {
        let [samples, channels, positions] = x.dims();
        let size = self.config.size;
        // Windows beyond the channels add zeros only.
        let before = (size / 2).min(channels);
        let after = (size - 1 - size / 2).min(channels);
        let zeros = |n: usize| {
            let options = (&x.device(), x.dtype());
            (n > 0).then(|| Tensor::zeros([samples, n, positions], options))
        };
        let parts = [zeros(before), Some(x.clone()), zeros(after)];
        let padded = Tensor::cat(parts.into_iter().flatten().collect(), 1);
        let mut sum = padded.clone().narrow(1, 0, channels);
        for start in 1..=before + after {
            sum = sum + padded.clone().narrow(1, start, channels);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_wider_than_the_channels_takes_them_all() {
        let config = LocalResponseNormConfig::new(99)
            .with_alpha(99.0)
            .with_beta(1.0);
        let x = Tensor::<2>::from_floats([[1.0, 2.0]], &Device::flex());
        let y = config.init(&Device::flex()).forward(x);
        let y = y.try_into_vec_as::<f32>().unwrap();
        assert!((y[0] - 1.0 / 6.0).abs() < 1e-6 && (y[1] - 2.0 / 6.0).abs() < 1e-6);
    }

    #[test]
    fn agrees_with_burns_layer() {
        let device = Device::flex();
        let x = Tensor::<1, burn::tensor::Int>::arange(0..36, &device).float();
        let x = x.reshape([2, 6, 1, 3]) - 17.0;
        let burns = burn::nn::LocalResponseNormConfig::new(5).init();
        let ours = LocalResponseNormConfig::new(5).init(&device);
        let want = burns.forward(x.clone()).try_into_vec_as::<f32>().unwrap();
        let got = ours.forward(x).try_into_vec_as::<f32>().unwrap();
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-5, "{got} is not {want}");
        }
    }

    #[test]
    fn wrong_configurations_and_ranks_are_errors() {
        let device = Device::flex();
        let config = LocalResponseNormConfig::new(3);
        assert!(LocalResponseNormConfig::new(0).try_init(&device).is_err());
        assert!(config.clone().with_k(0.0).try_init(&device).is_err());
        assert!(config.clone().with_alpha(-1.0).try_init(&device).is_err());
        let x = Tensor::<1>::ones([3], &device);
        assert!(config.init(&device).try_forward(x).is_err());
    }
}
