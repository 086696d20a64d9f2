//! Batch renormalisation.

use burn::module::{Flag, Module, Param};
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::kernels::{Kernels, batch_norm_eval, batch_norm_train};
use firecraft_core_tensor::{Buffer, Mode};
use serde::{Deserialize, Serialize};

use crate::channels::Channels;
use crate::precision::{cast, working};
use crate::running::{follow, like};
use crate::{Momentum, NormError, affine, check, error::or_panic};

const LAYER: &str = "BatchRenorm";

/// The configuration of a [`BatchRenorm`] layer; defaults are those of keras'
/// `BatchNormalization(renorm=True)`, on axis 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRenormConfig {
    /// The length of the feature axis, at least 1.
    pub num_features: usize,
    /// Added to the variance; finite and positive. Default 1e-3.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// How the statistics of evaluation follow the batches. Default: weight
    /// 0.01 of the new value.
    #[serde(default = "default_momentum")]
    pub momentum: Momentum,
    /// How the statistics that batches are corrected towards follow them.
    /// Default: weight 0.01 of the new value.
    #[serde(default = "default_momentum")]
    pub renorm_momentum: Momentum,
    /// The least `r`, between 0 and 1. Default 0.
    #[serde(default)]
    pub r_min: f64,
    /// The largest `r`, at least 1. Default: no bound.
    #[serde(default)]
    pub r_max: Option<f64>,
    /// The largest absolute `d`, at least 0. Default: no bound.
    #[serde(default)]
    pub d_max: Option<f64>,
    /// Whether to learn the factor `gamma`. Default true.
    #[serde(default = "default_true")]
    pub scale: bool,
    /// Whether to learn the offset `beta`. Default true.
    #[serde(default = "default_true")]
    pub center: bool,
    /// The feature axis; negative counts from the end. Default 1.
    #[serde(default = "default_axis")]
    pub axis: isize,
    /// Which implementation computes the batch statistics. Default the
    /// fastest.
    #[serde(default)]
    pub kernels: Kernels,
}

fn default_epsilon() -> f64 {
    1e-3
}
fn default_momentum() -> Momentum {
    Momentum::Weight(0.01)
}
fn default_true() -> bool {
    true
}
fn default_axis() -> isize {
    1
}

impl BatchRenormConfig {
    /// The layer without bounds on the correction.
    #[must_use]
    pub fn new(num_features: usize) -> Self {
        Self {
            num_features,
            epsilon: default_epsilon(),
            momentum: default_momentum(),
            renorm_momentum: default_momentum(),
            r_min: 0.0,
            r_max: None,
            d_max: None,
            scale: true,
            center: true,
            axis: default_axis(),
            kernels: Kernels::Auto,
        }
    }

    /// Sets both momenta: the weight of the new value.
    #[must_use]
    pub fn with_momenta(
        self,
        momentum: impl Into<Momentum>,
        renorm_momentum: impl Into<Momentum>,
    ) -> Self {
        Self {
            momentum: momentum.into(),
            renorm_momentum: renorm_momentum.into(),
            ..self
        }
    }

    /// Bounds the correction: `r` in `[r_min, r_max]`, `d` in
    /// `[-d_max, d_max]`.
    #[must_use]
    pub fn with_clipping(self, r_min: f64, r_max: f64, d_max: f64) -> Self {
        Self {
            r_min,
            r_max: Some(r_max),
            d_max: Some(d_max),
            ..self
        }
    }

    /// The layer on a device.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<BatchRenorm, NormError> {
        check::at_least_one(LAYER, "num_features", self.num_features)?;
        check::epsilon(LAYER, self.epsilon)?;
        check::fraction(LAYER, "r_min", self.r_min)?;
        for (field, momentum) in [
            ("momentum", self.momentum),
            ("renorm_momentum", self.renorm_momentum),
        ] {
            match momentum {
                Momentum::Weight(weight) => check::fraction(LAYER, field, weight)?,
                Momentum::Cumulative => {
                    return Err(check::config(LAYER, field, "cumulative", "a weight"));
                }
            }
        }
        if self.r_max.is_some_and(|r| r.is_nan() || r < 1.0) {
            let r = self.r_max.unwrap_or_default();
            return Err(check::config(LAYER, "r_max", r, "at least 1"));
        }
        if self.d_max.is_some_and(|d| d.is_nan() || d < 0.0) {
            let d = self.d_max.unwrap_or_default();
            return Err(check::config(LAYER, "d_max", d, "at least 0"));
        }
        let features = self.num_features;
        let zeros = || Buffer::new(Tensor::zeros([features], device));
        let ones = || Buffer::new(Tensor::ones([features], device));
        Ok(BatchRenorm {
            gamma: affine::param(self.scale, features, 1.0, device),
            beta: affine::param(self.center, features, 0.0, device),
            running_mean: zeros(),
            running_stddev: ones(),
            renorm_mean: zeros(),
            renorm_stddev: ones(),
            training: Param::from_bool(true),
            config: self.clone(),
        })
    }
}

setters!(BatchRenormConfig {
    /// Sets `epsilon`.
    with_epsilon(epsilon: f64);
    /// Sets `scale`.
    with_scale(scale: bool);
    /// Sets `center`.
    with_center(center: bool);
    /// Sets `axis`.
    with_axis(axis: isize);
    /// Sets `kernels`.
    with_kernels(kernels: Kernels);
});
init_in_burns_manner!(BatchRenormConfig => BatchRenorm);
forward_in_burns_manner!(BatchRenorm, BatchRenormConfig);

/// Batch normalisation whose training output is corrected towards running
/// statistics, so that training and evaluation agree also for small or
/// dependent batches:
///
/// ```text
/// y = ((x - mean) / stddev * r + d) * gamma + beta
/// r = clip(stddev / renorm_stddev),  d = clip((mean - renorm_mean) / renorm_stddev)
/// ```
///
/// with `stddev = sqrt(variance + epsilon)`; no gradient flows through `r` and
/// `d`, which are taken from before this batch. Evaluation uses
/// `(x - running_mean) / running_stddev`. Modes and freezing are those of
/// [`BatchNorm`](crate::BatchNorm). Ioffe, *Batch Renormalization*, NIPS 2017;
/// start with `with_clipping(1.0, 1.0, 0.0)`, which is batch normalisation, and
/// open the bounds during training.
#[derive(Module, Debug)]
pub struct BatchRenorm {
    /// The learned factor of every channel, `[C]`.
    pub gamma: Option<Param<Tensor<1>>>,
    /// The learned offset of every channel, `[C]`.
    pub beta: Option<Param<Tensor<1>>>,
    /// The mean that evaluation uses, `[C]`.
    pub running_mean: Buffer<1>,
    /// The standard deviation that evaluation uses, `[C]`; its square is the
    /// running variance plus `epsilon`.
    pub running_stddev: Buffer<1>,
    /// The mean that batches are corrected towards, `[C]`.
    pub renorm_mean: Buffer<1>,
    /// The standard deviation that batches are corrected towards, `[C]`.
    pub renorm_stddev: Buffer<1>,
    /// On in training, off in evaluation or when frozen.
    pub training: Param<Flag>,
    #[module(skip)]
    config: BatchRenormConfig,
}

impl BatchRenorm {
    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// [`NormError`] if the rank or the feature axis does not fit, or the batch
    /// is empty in training.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let train = self.training.is_enabled() && x.device().is_autodiff();
        let mode = if train { Mode::Train } else { Mode::Eval };
        self.try_forward_mode(x, mode)
    }

    /// [`forward`](Self::forward) in the given mode, whatever the device and
    /// the mode of the layer; a frozen layer stays frozen.
    ///
    /// # Panics
    /// With the message of [`try_forward_mode`](Self::try_forward_mode)'s error.
    #[must_use]
    #[track_caller]
    pub fn forward_mode<const D: usize>(&self, x: Tensor<D>, mode: Mode) -> Tensor<D> {
        or_panic(self.try_forward_mode(x, mode))
    }

    /// [`forward_mode`](Self::forward_mode) with an error instead of a panic.
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
        let frozen = !self.training.clone().train().is_enabled();
        let dtype = x.dtype();
        let view = cast(channels.flatten(x), working(dtype));
        let y = if mode == Mode::Eval || frozen {
            self.evaluate(view)
        } else if channels.count() == 0 {
            return Err(NormError::Empty {
                layer: LAYER,
                shape: channels.shape(),
            });
        } else {
            self.renormalise(view)
        };
        Ok(channels.restore(cast(y, dtype.into())))
    }

    fn evaluate(&self, x: Tensor<3>) -> Tensor<3> {
        if x.shape().num_elements() == 0 {
            return x;
        }
        let mean = like(self.running_mean.value(), &x);
        let variance = like(self.running_stddev.value(), &x).square();
        let gamma = affine::value(&self.gamma, x.dtype());
        let beta = affine::value(&self.beta, x.dtype());
        batch_norm_eval(x, gamma, beta, mean, variance, 0.0)
    }

    fn renormalise(&self, x: Tensor<3>) -> Tensor<3> {
        let config = &self.config;
        let features = config.num_features;
        let renorm_mean = like(self.renorm_mean.value(), &x);
        let renorm_stddev = like(self.renorm_stddev.value(), &x);
        let batch = batch_norm_train(x, None, None, config.epsilon, config.kernels);
        let stddev = batch.variance.add_scalar(config.epsilon).sqrt();
        let mut r = stddev.clone() / renorm_stddev.clone();
        r = r.clamp_min(config.r_min);
        if let Some(most) = config.r_max {
            r = r.clamp_max(most);
        }
        let mut d = (batch.mean.clone() - renorm_mean) / renorm_stddev;
        if let Some(most) = config.d_max {
            d = d.clamp(-most, most);
        }
        let per_channel = |t: Tensor<1>| t.detach().reshape([1, features, 1]);
        let corrected = batch.output * per_channel(r) + per_channel(d);
        for (buffer, value, momentum) in [
            (&self.running_mean, &batch.mean, config.momentum),
            (&self.running_stddev, &stddev, config.momentum),
            (&self.renorm_mean, &batch.mean, config.renorm_momentum),
            (&self.renorm_stddev, &stddev, config.renorm_momentum),
        ] {
            let weight = momentum.weight(1);
            follow(buffer, value.clone(), |step| step * weight);
        }
        affine::apply(corrected, &self.gamma, &self.beta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BatchNormConfig;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    fn batch(device: &Device) -> Tensor<2> {
        Tensor::from_floats([[1.0, 2.0], [3.0, 8.0], [5.0, -1.0]], device)
    }

    #[test]
    fn clipped_to_nothing_it_is_batch_normalisation() {
        let device = Device::flex().autodiff();
        let config = BatchRenormConfig::new(2).with_clipping(1.0, 1.0, 0.0);
        let got = values(config.init(&device).forward(batch(&device)));
        let batch_norm = BatchNormConfig::new(2).with_epsilon(1e-3).init(&device);
        for (got, want) in got.iter().zip(values(batch_norm.forward(batch(&device)))) {
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
    }

    #[test]
    fn unclipped_it_trains_as_it_evaluates() {
        let device = Device::flex().autodiff();
        let layer = BatchRenormConfig::new(2)
            .with_momenta(0.5, 0.5)
            .init(&device);
        let _ = layer.forward(batch(&device));
        let evaluated = values(layer.valid().forward(batch(&Device::flex())));
        let trained = values(layer.forward(batch(&device)));
        for (a, b) in evaluated.iter().zip(trained) {
            assert!((a - b).abs() < 1e-5, "{a} is not {b}");
        }
    }

    #[test]
    fn clones_own_their_statistics_and_frozen_layers_keep_them() {
        let device = Device::flex().autodiff();
        let layer = BatchRenormConfig::new(2)
            .with_momenta(0.5, 0.5)
            .init(&device);
        let snapshot = layer.clone();
        let _ = layer.forward(batch(&device));
        let mean = |layer: &BatchRenorm| values(layer.running_mean.value());
        assert_eq!(mean(&layer), [1.5, 1.5]);
        assert_eq!(mean(&snapshot), [0.0, 0.0]);
        let frozen = layer.freeze();
        let _ = frozen.forward_mode(batch(&device), Mode::Train);
        assert_eq!(mean(&frozen), [1.5, 1.5]);
    }

    #[test]
    fn wrong_configurations_are_errors() {
        let device = Device::flex();
        let config = BatchRenormConfig::new(2);
        for wrong in [
            config.clone().with_clipping(0.5, 0.9, 0.0),
            config.clone().with_clipping(-0.5, 2.0, 0.0),
            config.clone().with_clipping(0.5, 2.0, -1.0),
            config.clone().with_momenta(None, 0.1),
        ] {
            assert!(wrong.try_init(&device).is_err());
        }
    }
}
