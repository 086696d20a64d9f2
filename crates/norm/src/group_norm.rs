//! Group normalisation.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::kernels::{Kernels, Moments, group_norm};
use serde::{Deserialize, Serialize};

use crate::channels::Channels;
use crate::precision::{cast, working};
use crate::{NormError, SingleValue, affine, check, error::or_panic};

const LAYER: &str = "GroupNorm";

/// The configuration of a [`GroupNorm`] layer.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::GroupNormConfig;
///
/// let device = Device::flex();
/// let layer = GroupNormConfig::new(8, 32).init(&device);
/// let y = layer.forward(Tensor::<4>::ones([2, 32, 7, 7], &device));
/// assert_eq!(GroupNormConfig::by_size(16, 32)?.num_groups, 2);
/// let error = GroupNormConfig::new(5, 32).try_init(&device).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "GroupNorm: `num_groups` is 5 for 32 channels, but must be a divisor of the channels"
/// );
/// # Ok::<(), firecraft_norm::NormError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNormConfig {
    /// The number of groups: a divisor of `num_channels`. 1 normalises all
    /// channels together; `num_channels` is instance normalisation.
    pub num_groups: usize,
    /// The length of the feature axis, at least 1.
    pub num_channels: usize,
    /// Added to the variance; finite and positive. Default 1e-5 (torch; keras
    /// 1e-3, flax 1e-6).
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// Whether to learn the factor `gamma`. Default true.
    #[serde(default = "default_true")]
    pub scale: bool,
    /// Whether to learn the offset `beta`. Default true.
    #[serde(default = "default_true")]
    pub center: bool,
    /// The feature axis; negative counts from the end. Default 1.
    #[serde(default = "default_axis")]
    pub axis: isize,
    /// What to do when a group is a single value, so that the output would be
    /// `beta` whatever the input. Default an error.
    #[serde(default)]
    pub single_value: SingleValue,
    /// Which implementation computes it. Default the fastest.
    #[serde(default)]
    pub kernels: Kernels,
}

fn default_epsilon() -> f64 {
    1e-5
}
fn default_true() -> bool {
    true
}
fn default_axis() -> isize {
    1
}

impl GroupNormConfig {
    /// torch's `GroupNorm`: features on axis 1, epsilon 1e-5.
    #[must_use]
    pub fn new(num_groups: usize, num_channels: usize) -> Self {
        Self {
            num_groups,
            num_channels,
            epsilon: default_epsilon(),
            scale: true,
            center: true,
            axis: default_axis(),
            single_value: SingleValue::Error,
            kernels: Kernels::Auto,
        }
    }

    /// Groups of `group_size` channels each.
    ///
    /// # Errors
    /// [`NormError::Config`] if `group_size` does not divide `num_channels`.
    pub fn by_size(group_size: usize, num_channels: usize) -> Result<Self, NormError> {
        if group_size == 0 || !num_channels.is_multiple_of(group_size) {
            return Err(check::config(
                LAYER,
                "group_size",
                format_args!("{group_size} for {num_channels} channels"),
                "a divisor of the channels",
            ));
        }
        Ok(Self::new(num_channels / group_size, num_channels))
    }

    /// keras' `GroupNormalization`: features on the last axis, epsilon 1e-3, a
    /// group of one value gives `beta`. keras' default is 32 groups; its
    /// `groups = -1` is `num_groups = num_channels`.
    #[must_use]
    pub fn keras(num_groups: usize, num_channels: usize) -> Self {
        Self {
            epsilon: 1e-3,
            axis: -1,
            single_value: SingleValue::Zero,
            ..Self::new(num_groups, num_channels)
        }
    }

    /// Sets `epsilon`.
    #[must_use]
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
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
    pub fn try_init(&self, device: &Device) -> Result<GroupNorm, NormError> {
        check::at_least_one(LAYER, "num_channels", self.num_channels)?;
        check::epsilon(LAYER, self.epsilon)?;
        if self.num_groups == 0 || !self.num_channels.is_multiple_of(self.num_groups) {
            return Err(check::config(
                LAYER,
                "num_groups",
                format_args!("{} for {} channels", self.num_groups, self.num_channels),
                "a divisor of the channels",
            ));
        }
        Ok(GroupNorm {
            gamma: affine::param(self.scale, self.num_channels, 1.0, device),
            beta: affine::param(self.center, self.num_channels, 0.0, device),
            config: self.clone(),
        })
    }

    /// The layer on a device, in burn's manner.
    ///
    /// # Panics
    /// With the message of [`try_init`](Self::try_init)'s error.
    #[must_use]
    #[track_caller]
    pub fn init(&self, device: &Device) -> GroupNorm {
        or_panic(self.try_init(device))
    }
}

/// Normalises groups of channels of every sample, over all positions, by their
/// own mean and biased variance:
/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`.
///
/// Independent of the batch, the same in training and evaluation: the choice
/// where batches are too small for batch normalisation. Half precision is
/// computed in `f32`. Records load from burn's `GroupNorm` and back. Wu and He,
/// *Group Normalization*, ECCV 2018.
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// The learned factor of every channel, `[C]`.
    pub gamma: Option<Param<Tensor<1>>>,
    /// The learned offset of every channel, `[C]`.
    pub beta: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: GroupNormConfig,
}

impl GroupNorm {
    /// The layer with given parameters, of the lengths that `config` says.
    pub(crate) fn from_parts(
        config: GroupNormConfig,
        gamma: affine::Affine,
        beta: affine::Affine,
    ) -> Self {
        Self {
            gamma,
            beta,
            config,
        }
    }

    /// The configuration that the layer was made from.
    #[must_use]
    pub fn config(&self) -> &GroupNormConfig {
        &self.config
    }

    /// Normalises `x`; the output has the same shape. The first axis counts the
    /// samples.
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
    /// [`NormError`] if the rank or the feature axis does not fit, or a group
    /// has one value and the policy is [`SingleValue::Error`].
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let config = &self.config;
        let channels = Channels::new(LAYER, x.dims(), config.axis, config.num_channels)?;
        let per_group = channels.per_sample(LAYER)? / config.num_groups;
        if x.shape().num_elements() == 0 {
            return Ok(x);
        }
        if per_group == 1 && config.single_value == SingleValue::Error {
            return Err(NormError::SingleValue {
                layer: LAYER,
                shape: channels.shape(),
            });
        }
        let dtype = x.dtype();
        let samples = cast(channels.to_samples(x), working(dtype));
        let [count, _, positions] = samples.dims();
        let gamma = affine::value(&self.gamma, samples.dtype());
        let beta = affine::value(&self.beta, samples.dtype());
        let size = config.num_channels / config.num_groups;
        let y = group_norm(
            samples.reshape([count, config.num_groups, size, positions]),
            gamma,
            beta,
            Moments::MeanAndVariance,
            config.epsilon,
            config.kernels,
        );
        let y = y.output.reshape([count, config.num_channels, positions]);
        Ok(channels.restore_samples(cast(y, dtype.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    #[test]
    fn channels_last_gives_what_channels_first_does() {
        let device = Device::flex();
        let x = Tensor::<1, burn::tensor::Int>::arange(0..48, &device).float();
        let x = (x.clone() * x).reshape([2, 4, 2, 3]);
        let config = GroupNormConfig::new(2, 4);
        let first = config.init(&device).forward(x.clone());
        let last = config.with_axis(-1).init(&device);
        let last = last.forward(x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2]);
        for (a, b) in values(first).iter().zip(values(last)) {
            assert!((a - b).abs() < 1e-6);
        }
    }

    #[test]
    fn a_sample_does_not_depend_on_its_batch() {
        let device = Device::flex();
        let layer = GroupNormConfig::new(1, 2).init(&device);
        let alone = Tensor::<3>::from_floats([[[1.0, 5.0], [2.0, 7.0]]], &device);
        let other = alone.clone() * 100.0 - 3.0;
        let both = Tensor::cat(vec![alone.clone(), other], 0);
        assert_eq!(
            values(layer.forward(alone)),
            values(layer.forward(both))[..4]
        );
    }

    #[test]
    fn a_group_of_one_value_is_an_error_or_beta() {
        let device = Device::flex();
        let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &device);
        let config = GroupNormConfig::new(2, 2);
        let error = config.init(&device).try_forward(x.clone()).unwrap_err();
        assert!(matches!(error, NormError::SingleValue { .. }));
        let zero = config.with_single_value(SingleValue::Zero).init(&device);
        assert_eq!(values(zero.forward(x)), [0.0; 4]);
    }

    #[test]
    fn records_load_from_burns_layer() {
        let device = Device::flex();
        let burns = burn::nn::GroupNormConfig::new(2, 4).init(&device);
        let x =
            Tensor::<3>::from_floats([[[1.0, 2.0], [4.0, 9.0], [0.0, 1.0], [5.0, 5.0]]], &device);
        let want = values(burns.forward(x.clone()));
        let layer = GroupNormConfig::new(2, 4).init(&device);
        let got = values(layer.load_record(burns.into_record()).forward(x));
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-5);
        }
    }
}
