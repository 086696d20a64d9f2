//! Instance normalisation.

use burn::module::{Flag, Module, Param};
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::kernels::{Kernels, Moments, batch_norm_eval, group_norm};
use firecraft_core_tensor::{Buffer, CountCell, Mode};
use serde::{Deserialize, Serialize};

use crate::channels::Channels;
use crate::precision::{cast, working};
use crate::running::{follow, like};
use crate::{Momentum, NormError, SingleValue, affine, check, error::or_panic};

const LAYER: &str = "InstanceNorm";

/// The configuration of an [`InstanceNorm`] layer; defaults are those of torch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceNormConfig {
    /// The length of the feature axis, at least 1.
    pub num_features: usize,
    /// Added to the variance; finite and positive. Default 1e-5.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// How the running statistics follow. Default: weight 0.1 of the new value.
    #[serde(default = "default_momentum")]
    pub momentum: Momentum,
    /// Whether to learn the factor `gamma`. Default false.
    #[serde(default)]
    pub scale: bool,
    /// Whether to learn the offset `beta`. Default false.
    #[serde(default)]
    pub center: bool,
    /// Whether to keep running statistics and evaluate with them. Default
    /// false: an instance is normalised by itself always.
    #[serde(default)]
    pub track_running_stats: bool,
    /// The feature axis; negative counts from the end. Default 1.
    #[serde(default = "default_axis")]
    pub axis: isize,
    /// What to do when an instance has one position only, so that the output
    /// would be `beta` whatever the input. Default an error.
    #[serde(default)]
    pub single_value: SingleValue,
    /// Which implementation computes it. Default the fastest.
    #[serde(default)]
    pub kernels: Kernels,
}

fn default_epsilon() -> f64 {
    1e-5
}
fn default_momentum() -> Momentum {
    Momentum::Weight(0.1)
}
fn default_axis() -> isize {
    1
}

impl InstanceNormConfig {
    /// torch's `InstanceNorm1d`, `2d` and `3d`: no factor, no offset, no
    /// running statistics.
    #[must_use]
    pub fn new(num_features: usize) -> Self {
        Self {
            num_features,
            epsilon: default_epsilon(),
            momentum: default_momentum(),
            scale: false,
            center: false,
            track_running_stats: false,
            axis: default_axis(),
            single_value: SingleValue::Error,
            kernels: Kernels::Auto,
        }
    }

    /// Sets `epsilon`.
    #[must_use]
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// Sets `momentum`: the weight of the new value, `None` or
    /// [`Momentum::Cumulative`] for the average over all batches.
    #[must_use]
    pub fn with_momentum(self, momentum: impl Into<Momentum>) -> Self {
        let momentum = momentum.into();
        Self { momentum, ..self }
    }

    /// Sets `scale` and `center` together, torch's `affine`.
    #[must_use]
    pub fn with_affine(self, affine: bool) -> Self {
        self.with_scale(affine).with_center(affine)
    }

    /// Sets `scale`.
    #[must_use]
    pub fn with_scale(self, scale: bool) -> Self {
        Self { scale, ..self }
    }

    /// Sets `center`.
    #[must_use]
    pub fn with_center(self, center: bool) -> Self {
        Self { center, ..self }
    }

    /// Sets `track_running_stats`.
    #[must_use]
    pub fn with_track_running_stats(self, track_running_stats: bool) -> Self {
        Self {
            track_running_stats,
            ..self
        }
    }

    /// Sets `axis`.
    #[must_use]
    pub fn with_axis(self, axis: isize) -> Self {
        Self { axis, ..self }
    }

    /// Sets `single_value`.
    #[must_use]
    pub fn with_single_value(self, single_value: SingleValue) -> Self {
        Self {
            single_value,
            ..self
        }
    }

    /// Sets `kernels`.
    #[must_use]
    pub fn with_kernels(self, kernels: Kernels) -> Self {
        Self { kernels, ..self }
    }

    /// The layer on a device.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<InstanceNorm, NormError> {
        check::at_least_one(LAYER, "num_features", self.num_features)?;
        check::epsilon(LAYER, self.epsilon)?;
        self.momentum.check(LAYER)?;
        let features = self.num_features;
        let track = self.track_running_stats;
        let batches = match self.momentum {
            Momentum::Cumulative if track => CountCell::default(),
            Momentum::Cumulative | Momentum::Weight(_) => CountCell::default().unrecorded(),
        };
        Ok(InstanceNorm {
            gamma: affine::param(self.scale, features, 1.0, device),
            beta: affine::param(self.center, features, 0.0, device),
            running_mean: track.then(|| Buffer::new(Tensor::zeros([features], device))),
            running_var: track.then(|| Buffer::new(Tensor::ones([features], device))),
            num_batches_tracked: batches,
            training: Param::from_bool(true),
            config: self.clone(),
        })
    }

    /// The layer on a device, in burn's manner.
    ///
    /// # Panics
    /// With the message of [`try_init`](Self::try_init)'s error.
    #[must_use]
    #[track_caller]
    pub fn init(&self, device: &Device) -> InstanceNorm {
        or_panic(self.try_init(device))
    }
}

/// Normalises every channel of every sample, over its positions, by its own
/// mean and biased variance:
/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`.
///
/// With `track_running_stats`, running statistics follow the mean over the
/// batch of the instances' means and unbiased variances, and evaluation uses
/// them, under the same rules as [`BatchNorm`](crate::BatchNorm). Ulyanov,
/// Vedaldi and Lempitsky, *Instance Normalization: The Missing Ingredient for
/// Fast Stylization*, 2016.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::InstanceNormConfig;
///
/// let layer = InstanceNormConfig::new(1).init(&Device::flex());
/// let y = layer.forward(Tensor::<3>::from_floats([[[1.0, 3.0]]], &Device::flex()));
/// assert_eq!(y.try_into_vec_as::<f32>()?, [-0.999995, 0.999995]);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Module, Debug)]
pub struct InstanceNorm {
    /// The learned factor of every channel, `[C]`.
    pub gamma: Option<Param<Tensor<1>>>,
    /// The learned offset of every channel, `[C]`.
    pub beta: Option<Param<Tensor<1>>>,
    /// The running mean, `[C]`.
    pub running_mean: Option<Buffer<1>>,
    /// The running variance, `[C]`.
    pub running_var: Option<Buffer<1>>,
    /// Batches that moved the running statistics.
    pub num_batches_tracked: CountCell,
    /// On in training, off in evaluation or when frozen.
    pub training: Param<Flag>,
    #[module(skip)]
    config: InstanceNormConfig,
}

impl InstanceNorm {
    /// The configuration that the layer was made from.
    #[must_use]
    pub fn config(&self) -> &InstanceNormConfig {
        &self.config
    }

    /// Normalises `x`, `[N, C, ...]`; the output has the same shape.
    ///
    /// # Panics
    /// With the message of [`try_forward`](Self::try_forward)'s error.
    #[must_use]
    #[track_caller]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        or_panic(self.try_forward(x))
    }

    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// [`NormError`] if the rank or the feature axis does not fit, or an
    /// instance has one position and the policy is [`SingleValue::Error`].
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let mode = if self.training.is_enabled() && x.device().is_autodiff() {
            Mode::Train
        } else {
            Mode::Eval
        };
        self.try_forward_mode(x, mode)
    }

    /// [`try_forward`](Self::try_forward) in the given mode, whatever the
    /// device and the mode of the layer; a frozen layer stays frozen.
    ///
    /// # Errors
    /// Those of [`try_forward`](Self::try_forward).
    pub fn try_forward_mode<const D: usize>(
        &self,
        x: Tensor<D>,
        mode: Mode,
    ) -> Result<Tensor<D>, NormError> {
        let config = &self.config;
        let channels = Channels::new(LAYER, x.dims(), config.axis, config.num_features)?;
        let positions = channels.per_sample(LAYER)? / config.num_features;
        if x.shape().num_elements() == 0 {
            return Ok(x);
        }
        let dtype = x.dtype();
        let samples = cast(channels.to_samples(x), working(dtype));
        let gamma = affine::value(&self.gamma, samples.dtype());
        let beta = affine::value(&self.beta, samples.dtype());
        let frozen = !self.training.clone().train().is_enabled();
        let running = self.running_mean.as_ref().zip(self.running_var.as_ref());
        let y = match running {
            Some((mean, variance)) if mode == Mode::Eval || frozen => {
                let mean = like(mean.value(), &samples);
                let variance = like(variance.value(), &samples);
                batch_norm_eval(samples, gamma, beta, mean, variance, config.epsilon)
            }
            _ if positions == 1 && config.single_value == SingleValue::Error => {
                return Err(NormError::SingleValue {
                    layer: LAYER,
                    shape: channels.shape(),
                });
            }
            _ => {
                let [count, features, positions] = samples.dims();
                let y = group_norm(
                    samples.reshape([count, features, 1, positions]),
                    gamma,
                    beta,
                    Moments::MeanAndVariance,
                    config.epsilon,
                    config.kernels,
                );
                let unbiased = positions as f64 / (positions.max(2) - 1) as f64;
                let mean = y.mean.mean_dim(0).reshape([features]);
                let variance = y.variance.mean_dim(0).reshape([features]) * unbiased;
                self.track(mean, variance);
                y.output.reshape([count, features, positions])
            }
        };
        Ok(channels.restore_samples(cast(y, dtype.into())))
    }

    fn track(&self, mean: Tensor<1>, variance: Tensor<1>) {
        let running = self.running_mean.as_ref().zip(self.running_var.as_ref());
        let Some((running_mean, running_variance)) = running else {
            return;
        };
        let batches = self.num_batches_tracked.increment();
        let weight = self.config.momentum.weight(batches);
        follow(running_mean, mean, |step| step * weight);
        follow(running_variance, variance, |step| step * weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    #[test]
    fn running_statistics_are_means_over_the_instances() {
        let device = Device::flex().autodiff();
        let config = InstanceNormConfig::new(1).with_track_running_stats(true);
        let layer = config.init(&device);
        let x = Tensor::<3>::from_floats([[[1.0, 3.0]], [[10.0, 16.0]]], &device);
        let _ = layer.forward(x.clone());
        let mean = values(layer.running_mean.as_ref().unwrap().value());
        let variance = values(layer.running_var.as_ref().unwrap().value());
        assert!((mean[0] - 0.75).abs() < 1e-6);
        assert!((variance[0] - (0.9 + 0.1 * 10.0)).abs() < 1e-6);

        let frozen = layer.clone().freeze();
        let _ = frozen.forward(x.clone());
        assert_eq!(values(frozen.running_mean.as_ref().unwrap().value()), mean);
        let y = values(layer.valid().forward(x.without_autodiff()));
        assert!((y[0] - 0.25 / 1.90001_f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn one_position_is_an_error() {
        let layer = InstanceNormConfig::new(2).init(&Device::flex());
        let x = Tensor::<4>::ones([3, 2, 1, 1], &Device::flex());
        let error = layer.try_forward(x).unwrap_err();
        assert!(matches!(error, NormError::SingleValue { .. }));
    }
}
