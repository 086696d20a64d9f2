//! EvoNorm: normalisation and activation in one searched expression.

use burn::module::{Flag, Module, Param};
use burn::tensor::activation::{sigmoid, silu};
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::{Buffer, Mode};
use serde::{Deserialize, Serialize};

use crate::channels::Channels;
use crate::precision::{cast, working};
use crate::running::{follow, like};
use crate::{Momentum, NormError, affine, check};

const LAYER: &str = "EvoNorm";

/// Which expression an [`EvoNorm`] layer computes. `std` and `rms` are taken
/// over the positions of a channel (B) or over the positions of a group of
/// channels (S) of one sample; `batch_std` over the batch and positions, in
/// evaluation from the running variance. All of them with `epsilon` under the
/// root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvoNormVariant {
    /// `x / max(batch_std, v * x + std)`.
    B0,
    /// `x / max(batch_std, (x + 1) * rms)`.
    B1,
    /// `x / max(batch_std, rms - x)`.
    B2,
    /// `x * sigmoid(v * x) / std`.
    S0,
    /// `x * sigmoid(x) / std`.
    S1,
    /// `x * sigmoid(x) / rms`.
    S2,
}

impl EvoNormVariant {
    const fn uses_batch(self) -> bool {
        matches!(self, Self::B0 | Self::B1 | Self::B2)
    }

    const fn learns_v(self) -> bool {
        matches!(self, Self::B0 | Self::S0)
    }
}

/// The configuration of an [`EvoNorm`] layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvoNormConfig {
    /// The expression.
    pub variant: EvoNormVariant,
    /// The length of the channel axis, at least 1.
    pub num_features: usize,
    /// The number of groups of the S variants: a divisor of `num_features`.
    /// Default 32.
    #[serde(default = "default_groups")]
    pub num_groups: usize,
    /// Added to variances and mean squares; finite and positive. Default 1e-5
    /// (timm: 1e-3 for B0 and its S0a, S1a, S2a).
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// How the running variance of the B variants follows. Default: weight 0.1
    /// of the new value.
    #[serde(default = "default_momentum")]
    pub momentum: Momentum,
    /// Whether to apply the expression; without it the layer is the affine map
    /// alone. Default true.
    #[serde(default = "default_true")]
    pub nonlinear: bool,
    /// The channel axis; negative counts from the end. Default 1.
    #[serde(default = "default_axis")]
    pub axis: isize,
}

fn default_groups() -> usize {
    32
}
fn default_epsilon() -> f64 {
    1e-5
}
fn default_momentum() -> Momentum {
    Momentum::Weight(0.1)
}
fn default_true() -> bool {
    true
}
fn default_axis() -> isize {
    1
}

impl EvoNormConfig {
    /// The layer of the paper.
    #[must_use]
    pub fn new(variant: EvoNormVariant, num_features: usize) -> Self {
        Self {
            variant,
            num_features,
            num_groups: default_groups(),
            epsilon: default_epsilon(),
            momentum: default_momentum(),
            nonlinear: true,
            axis: default_axis(),
        }
    }

    /// The layer on a device.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<EvoNorm, NormError> {
        check::at_least_one(LAYER, "num_features", self.num_features)?;
        check::epsilon(LAYER, self.epsilon)?;
        if !self.variant.uses_batch()
            && (self.num_groups == 0 || !self.num_features.is_multiple_of(self.num_groups))
        {
            return Err(check::config(
                LAYER,
                "num_groups",
                format_args!("{} for {} channels", self.num_groups, self.num_features),
                "a divisor of the channels",
            ));
        }
        match self.momentum {
            Momentum::Weight(weight) => check::fraction(LAYER, "momentum", weight)?,
            Momentum::Cumulative => {
                return Err(check::config(LAYER, "momentum", "cumulative", "a weight"));
            }
        }
        let features = self.num_features;
        let learns_v = self.nonlinear && self.variant.learns_v();
        let running = self.variant.uses_batch();
        Ok(EvoNorm {
            gamma: affine::param(true, features, 1.0, device),
            beta: affine::param(true, features, 0.0, device),
            v: affine::param(learns_v, features, 1.0, device),
            running_var: running.then(|| Buffer::new(Tensor::ones([features], device))),
            training: Param::from_bool(true),
            config: self.clone(),
        })
    }
}

setters!(EvoNormConfig {
    /// Sets `num_groups`.
    with_num_groups(num_groups: usize);
    /// Sets `epsilon`.
    with_epsilon(epsilon: f64);
    /// Sets `momentum`: the weight of the new value.
    with_momentum(momentum: impl Into<Momentum>);
    /// Sets `nonlinear`.
    with_nonlinear(nonlinear: bool);
    /// Sets `axis`.
    with_axis(axis: isize);
});
init_in_burns_manner!(EvoNormConfig => EvoNorm);
forward_in_burns_manner!(EvoNorm, EvoNormConfig);

/// Takes the place of a normalisation and the activation after it:
/// `y = expression(x) * gamma + beta`, the expression by [`EvoNormVariant`].
///
/// The B variants use the batch in training and a running variance in
/// evaluation, under the rules of [`BatchNorm`](crate::BatchNorm); the S
/// variants need no batch. Liu et al., *Evolving Normalization-Activation
/// Layers*, NeurIPS 2020.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::{EvoNormConfig, EvoNormVariant};
///
/// let layer = EvoNormConfig::new(EvoNormVariant::S0, 64).init(&Device::flex());
/// let y = layer.forward(Tensor::<4>::ones([2, 64, 7, 7], &Device::flex()));
/// assert_eq!(y.dims(), [2, 64, 7, 7]);
/// ```
#[derive(Module, Debug)]
pub struct EvoNorm {
    /// The learned factor of every channel, `[C]`.
    pub gamma: Option<Param<Tensor<1>>>,
    /// The learned offset of every channel, `[C]`.
    pub beta: Option<Param<Tensor<1>>>,
    /// The learned slope of every channel in B0 and S0, `[C]`.
    pub v: Option<Param<Tensor<1>>>,
    /// The running variance of the B variants, `[C]`.
    pub running_var: Option<Buffer<1>>,
    /// On in training, off in evaluation or when frozen.
    pub training: Param<Flag>,
    #[module(skip)]
    config: EvoNormConfig,
}

impl EvoNorm {
    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// [`NormError`] if the rank or the channel axis does not fit.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let train = self.training.is_enabled() && x.device().is_autodiff();
        let mode = if train { Mode::Train } else { Mode::Eval };
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
        channels.per_sample(LAYER)?;
        if x.shape().num_elements() == 0 {
            return Ok(x);
        }
        let dtype = x.dtype();
        let samples = cast(channels.to_samples(x), working(dtype));
        let y = if config.variant.uses_batch() {
            self.batch(samples, mode)
        } else {
            self.sample(samples)
        };
        let y = affine::apply(y, &self.gamma, &self.beta);
        Ok(channels.restore_samples(cast(y, dtype.into())))
    }

    /// The B variants: `x` over the larger of a batch and an instance term.
    fn batch(&self, x: Tensor<3>, mode: Mode) -> Tensor<3> {
        let EvoNormConfig {
            variant, epsilon, ..
        } = self.config;
        if !self.config.nonlinear {
            return x;
        }
        let batch_std = self.batch_variance(&x, mode).add_scalar(epsilon).sqrt();
        let instance = match variant {
            EvoNormVariant::B0 => self.slope(x.clone()) + std(x.clone(), epsilon),
            EvoNormVariant::B1 => x.clone().add_scalar(1.0) * rms(x.clone(), epsilon),
            _ => rms(x.clone(), epsilon) - x.clone(),
        };
        let batch_std = batch_std.expand(x.dims());
        x / batch_std.max_pair(instance)
    }

    /// The S variants: an activation over the deviation of a group.
    fn sample(&self, x: Tensor<3>) -> Tensor<3> {
        let EvoNormConfig {
            variant,
            epsilon,
            num_groups,
            nonlinear,
            ..
        } = self.config;
        let dims = x.dims();
        if !nonlinear {
            return x;
        }
        let group = [dims[0], num_groups, dims[1] / num_groups * dims[2]];
        let grouped = x.clone().reshape(group);
        let deviation = match variant {
            EvoNormVariant::S2 => rms(grouped, epsilon),
            _ => std(grouped, epsilon),
        };
        let activated = match variant {
            EvoNormVariant::S0 => x.clone() * sigmoid(self.slope(x)),
            _ => silu(x),
        };
        (activated.reshape(group) / deviation).reshape(dims)
    }

    /// `v * x`.
    fn slope(&self, x: Tensor<3>) -> Tensor<3> {
        affine::apply(x, &self.v, &None)
    }

    /// The variance of every channel, `[1, C, 1]`, of the batch in training.
    fn batch_variance(&self, x: &Tensor<3>, mode: Mode) -> Tensor<3> {
        let [samples, features, positions] = x.dims();
        let frozen = !self.training.clone().train().is_enabled();
        let Some(running) = &self.running_var else {
            return Tensor::ones([1, features, 1], (&x.device(), x.dtype()));
        };
        if mode == Mode::Eval || frozen {
            return like(running.value(), x).reshape([1, features, 1]);
        }
        let mean = |x: Tensor<3>| x.mean_dim(2).mean_dim(0);
        let shifted = x.clone() - mean(x.clone().without_autodiff());
        let centred = shifted.clone() - mean(shifted);
        let variance = mean(centred.square());
        let count = samples * positions;
        let unbiased = count as f64 / (count.max(2) - 1) as f64;
        let step = variance.clone().without_autodiff() * unbiased;
        let weight = self.config.momentum.weight(1);
        follow(running, step.reshape([features]), |step| step * weight);
        variance
    }
}

/// The root of the biased variance along the last axis, plus `epsilon`.
fn std(x: Tensor<3>, epsilon: f64) -> Tensor<3> {
    let shifted = x.clone() - x.without_autodiff().mean_dim(2);
    let centred = shifted.clone() - shifted.mean_dim(2);
    centred.square().mean_dim(2).add_scalar(epsilon).sqrt()
}

/// The root of the mean square along the last axis, plus `epsilon`.
fn rms(x: Tensor<3>, epsilon: f64) -> Tensor<3> {
    x.square().mean_dim(2).add_scalar(epsilon).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    #[test]
    fn b_variants_keep_a_running_variance_that_freezing_stops() {
        let device = Device::flex().autodiff();
        let layer = EvoNormConfig::new(EvoNormVariant::B0, 1).init(&device);
        let x = Tensor::<3>::from_floats([[[1.0, 3.0]], [[5.0, 7.0]]], &device);
        let variance = |layer: &EvoNorm| values(layer.running_var.as_ref().unwrap().value())[0];
        let _ = layer.forward(x.clone());
        assert!((variance(&layer) - (0.9 + 0.1 * 20.0 / 3.0)).abs() < 1e-6);
        let frozen = layer.clone().freeze();
        let before = variance(&frozen);
        let _ = frozen.forward(x.clone());
        let _ = layer.valid().forward(x.without_autodiff());
        assert_eq!((variance(&frozen), variance(&layer)), (before, before));
    }

    #[test]
    fn without_the_expression_no_statistics_move() {
        let device = Device::flex().autodiff();
        let config = EvoNormConfig::new(EvoNormVariant::B1, 1).with_nonlinear(false);
        let layer = config.init(&device);
        let x = Tensor::<3>::from_floats([[[1.0, 3.0]]], &device);
        assert_eq!(values(layer.forward(x)), [1.0, 3.0]);
        let variance = layer.running_var.as_ref().unwrap().value();
        assert_eq!(values(variance), [1.0]);
    }

    #[test]
    fn s_variants_do_not_depend_on_the_batch() {
        let device = Device::flex();
        for variant in [EvoNormVariant::S0, EvoNormVariant::S1, EvoNormVariant::S2] {
            let layer = EvoNormConfig::new(variant, 4)
                .with_num_groups(2)
                .init(&device);
            let x = Tensor::<1, burn::tensor::Int>::arange(0..24, &device).float();
            let x = x.reshape([2, 4, 3]);
            let alone = values(layer.forward(x.clone().narrow(0, 0, 1)));
            assert_eq!(alone, values(layer.forward(x))[..12]);
        }
    }

    #[test]
    fn wrong_configurations_are_errors() {
        let config = EvoNormConfig::new(EvoNormVariant::S0, 48);
        assert!(config.try_init(&Device::flex()).is_err());
        let b = EvoNormConfig::new(EvoNormVariant::B0, 48).with_momentum(None);
        assert!(b.try_init(&Device::flex()).is_err());
    }
}
