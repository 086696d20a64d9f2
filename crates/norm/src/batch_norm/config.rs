//! The configuration of batch normalisation.

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::kernels::Kernels;
use firecraft_core_tensor::{Buffer, CountCell};
use serde::{Deserialize, Serialize};

use super::{BatchNorm, LAYER};
use crate::{Momentum, NormError, check, error::or_panic};

/// Which variance of a batch the running variance follows. The normalisation
/// itself always divides by the biased one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunningVariance {
    /// `sum / (n - 1)`: an unbiased estimate for the population (torch).
    #[default]
    Unbiased,
    /// `sum / n` (keras, flax, burn).
    Biased,
}

/// What to do in training when a channel has a single value, so that its
/// variance is 0 and the layer would output `beta` whatever the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SingleValue {
    /// Refuse, as torch does: no gradient would flow.
    #[default]
    Error,
    /// Compute with variance 0, as keras does.
    Zero,
}

/// The configuration of a [`BatchNorm`] layer; defaults are those of torch.
///
/// ```
/// use burn::tensor::Device;
/// use firecraft_norm::BatchNormConfig;
///
/// let config = BatchNormConfig::new(16).with_momentum(0.05).with_center(false);
/// let layer = config.init(&Device::flex());
/// assert!(layer.gamma.is_some() && layer.beta.is_none());
///
/// let error = BatchNormConfig::new(16).with_epsilon(-1.0).try_init(&Device::flex());
/// assert_eq!(
///     error.unwrap_err().to_string(),
///     "BatchNorm: `epsilon` is -1, but must be finite and greater than 0"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNormConfig {
    /// The length of the feature axis, at least 1.
    pub num_features: usize,
    /// Added to the variance; finite and positive. Default 1e-5.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// How the running statistics follow the batches. Default: weight 0.1 of
    /// the new value.
    #[serde(default = "default_momentum")]
    pub momentum: Momentum,
    /// Whether to learn the factor `gamma`. Default true.
    #[serde(default = "default_true")]
    pub scale: bool,
    /// Whether to learn the offset `beta`. Default true.
    #[serde(default = "default_true")]
    pub center: bool,
    /// Whether to keep running statistics; without them evaluation uses those
    /// of the batch. Default true.
    #[serde(default = "default_true")]
    pub track_running_stats: bool,
    /// Which variance the running one follows. Default unbiased.
    #[serde(default)]
    pub running_variance: RunningVariance,
    /// What to do with one value per channel in training. Default an error.
    #[serde(default)]
    pub single_value: SingleValue,
    /// The feature axis; negative counts from the end. Default 1.
    #[serde(default = "default_axis")]
    pub axis: isize,
    /// What `gamma` starts from; 0 makes a residual branch start as nothing.
    /// Default 1.
    #[serde(default = "one")]
    pub initial_gamma: f64,
    /// What `beta` starts from. Default 0.
    #[serde(default)]
    pub initial_beta: f64,
    /// What the running mean starts from. Default 0.
    #[serde(default)]
    pub initial_mean: f64,
    /// What the running variance starts from, not negative. Default 1.
    #[serde(default = "one")]
    pub initial_variance: f64,
    /// Ghost batch normalisation: in training a larger batch is normalised in
    /// parts of at most this many rows, as if the layer was called on each, so
    /// that large batches keep the noise of small ones (Hoffer et al., *Train
    /// longer, generalize better*, NIPS 2017). Not for masked input. Default:
    /// whole batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_batch_size: Option<usize>,
    /// Which implementation computes the training step. Default the fastest.
    #[serde(default)]
    pub kernels: Kernels,
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
fn one() -> f64 {
    1.0
}

impl BatchNormConfig {
    /// torch's `BatchNorm1d`, `BatchNorm2d`, `BatchNorm3d`: features on axis 1,
    /// epsilon 1e-5, momentum 0.1 (weight of the new value), unbiased running
    /// variance, one value per channel is an error.
    #[must_use]
    pub fn new(num_features: usize) -> Self {
        Self {
            num_features,
            epsilon: default_epsilon(),
            momentum: default_momentum(),
            scale: true,
            center: true,
            track_running_stats: true,
            running_variance: RunningVariance::Unbiased,
            single_value: SingleValue::Error,
            axis: default_axis(),
            initial_gamma: 1.0,
            initial_beta: 0.0,
            initial_mean: 0.0,
            initial_variance: 1.0,
            virtual_batch_size: None,
            kernels: Kernels::Auto,
        }
    }

    /// keras' `BatchNormalization`: features on the last axis, epsilon 1e-3,
    /// momentum 0.99 of the old value, biased running variance, one value per
    /// channel gives `beta`. In burn's layout `[N, C, H, W]`, add
    /// `.with_axis(1)`.
    #[must_use]
    pub fn keras(num_features: usize) -> Self {
        Self {
            epsilon: 1e-3,
            momentum: Momentum::of_old(0.99),
            running_variance: RunningVariance::Biased,
            single_value: SingleValue::Zero,
            axis: -1,
            ..Self::new(num_features)
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

    /// Sets `running_variance`.
    #[must_use]
    pub fn with_running_variance(self, running_variance: RunningVariance) -> Self {
        Self {
            running_variance,
            ..self
        }
    }

    /// Sets `single_value`.
    #[must_use]
    pub fn with_single_value(self, single_value: SingleValue) -> Self {
        Self {
            single_value,
            ..self
        }
    }

    /// Sets `axis`.
    #[must_use]
    pub fn with_axis(self, axis: isize) -> Self {
        Self { axis, ..self }
    }

    /// Sets what `gamma` and `beta` start from.
    #[must_use]
    pub fn with_initial_affine(self, gamma: f64, beta: f64) -> Self {
        Self {
            initial_gamma: gamma,
            initial_beta: beta,
            ..self
        }
    }

    /// Sets what the running mean and variance start from.
    #[must_use]
    pub fn with_initial_statistics(self, mean: f64, variance: f64) -> Self {
        Self {
            initial_mean: mean,
            initial_variance: variance,
            ..self
        }
    }

    /// Sets `virtual_batch_size`.
    #[must_use]
    pub fn with_virtual_batch_size(self, size: impl Into<Option<usize>>) -> Self {
        Self {
            virtual_batch_size: size.into(),
            ..self
        }
    }

    /// Sets `kernels`.
    #[must_use]
    pub fn with_kernels(self, kernels: Kernels) -> Self {
        Self { kernels, ..self }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`NormError::Config`] with the field, its value and the allowed range.
    pub fn validate(&self) -> Result<(), NormError> {
        check::at_least_one(LAYER, "num_features", self.num_features)?;
        check::epsilon(LAYER, self.epsilon)?;
        self.momentum.check(LAYER)?;
        if let Some(size) = self.virtual_batch_size {
            check::at_least_one(LAYER, "virtual_batch_size", size)?;
        }
        check::finite(LAYER, "initial_gamma", self.initial_gamma)?;
        check::finite(LAYER, "initial_beta", self.initial_beta)?;
        check::finite(LAYER, "initial_mean", self.initial_mean)?;
        if !(self.initial_variance.is_finite() && self.initial_variance >= 0.0) {
            return Err(check::config(
                LAYER,
                "initial_variance",
                self.initial_variance,
                "finite and not negative",
            ));
        }
        Ok(())
    }

    /// The layer on a device.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<BatchNorm, NormError> {
        self.validate()?;
        let full = |value: f64| Tensor::<1>::full([self.num_features], value, device);
        let track = self.track_running_stats;
        let batches = match self.momentum {
            Momentum::Cumulative if track => CountCell::default(),
            // Records of burn's layer have no such count.
            _ => CountCell::default().unrecorded(),
        };
        Ok(BatchNorm {
            gamma: (self.scale).then(|| Param::from_tensor(full(self.initial_gamma))),
            beta: (self.center).then(|| Param::from_tensor(full(self.initial_beta))),
            running_mean: track.then(|| Buffer::new(full(self.initial_mean))),
            running_var: track.then(|| Buffer::new(full(self.initial_variance))),
            num_batches_tracked: batches,
            training: Param::from_bool(true),
            recalibration: CountCell::default().unrecorded(),
            recalibrated: CountCell::default().unrecorded(),
            config: self.clone(),
        })
    }

    /// The layer on a device, in burn's manner.
    ///
    /// # Panics
    /// With the message of [`try_init`](Self::try_init)'s error.
    #[must_use]
    #[track_caller]
    pub fn init(&self, device: &Device) -> BatchNorm {
        or_panic(self.try_init(device))
    }
}
