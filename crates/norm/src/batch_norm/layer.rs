//! The layer of batch normalisation.

use burn::module::{Content, DisplaySettings, Flag, Module, ModuleDisplay, Param};
use burn::tensor::{DType, Tensor, activation::relu};
use firecraft_core_tensor::kernels::{Activation, batch_norm_act_train, batch_norm_eval};
use firecraft_core_tensor::{Buffer, CountCell, Mode};

use super::{BatchNormConfig, LAYER, RunningVariance, SingleValue, Weighting};
use crate::channels::Channels;
use crate::precision::{cast, working};
use crate::running::{follow, like};
use crate::{NormError, error::or_panic};

/// Normalises every channel by statistics of the batch in training and by
/// running statistics in evaluation; made by [`BatchNormConfig`].
///
/// # Which statistics
/// | the layer is | in training (`forward` of a plain model) | `forward_mode(x, Train)` |
/// |---|---|---|
/// | training | batch, if `x` is on an autodiff device; else running | batch |
/// | `valid()` | running | batch |
/// | frozen by `freeze()` | running | running |
///
/// Whenever batch statistics are used the running ones follow them. A frozen
/// layer uses and keeps its running statistics whatever it is asked, so
/// fine-tuning a frozen backbone can't move them. Without running statistics
/// (`track_running_stats = false`) the batch is used always.
///
/// # Ownership and records
/// A clone has its own running statistics: a snapshot of the best model keeps
/// those of its moment. `gamma`, `beta`, `running_mean` and `running_var` have
/// the record paths of burn's `BatchNorm`, so records load both ways.
///
/// # Precision
/// Input in half precision is normalised in `f32` and given back in its own
/// format; running statistics are never kept in half precision. A mean that
/// is large against the spread costs no digits
/// ([`batch_norm_train`](firecraft_core_tensor::kernels::batch_norm_train)).
/// Non-finite input gives non-finite output for its channel, and in training
/// makes the running statistics of that channel non-finite until they are
/// reset: guard the loss or the input where that can happen.
///
/// ```
/// use burn::{module::Module, tensor::{Device, Tensor}};
/// use firecraft_norm::{BatchNormConfig, BatchNormMode};
///
/// let device = Device::flex().autodiff();
/// let layer = BatchNormConfig::new(1).init(&device);
/// let y = layer.forward(Tensor::<2>::from_floats([[1.0], [3.0]], &device));
/// assert_eq!(y.try_into_vec_as::<f32>()?, [-0.999995, 0.999995]);
/// let mean = layer.running_mean.as_ref().unwrap().value();
/// assert_eq!(mean.try_into_vec_as::<f32>()?, [0.2]); // 0 + 0.1 * (2 - 0)
/// assert_eq!(layer.mode(), BatchNormMode::Train);
/// assert_eq!(layer.valid().mode(), BatchNormMode::Eval);
/// assert_eq!(layer.freeze().mode(), BatchNormMode::Frozen);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct BatchNorm {
    /// The learned factor of every channel, `[C]`; absent without `scale`.
    pub gamma: Option<Param<Tensor<1>>>,
    /// The learned offset of every channel, `[C]`; absent without `center`.
    pub beta: Option<Param<Tensor<1>>>,
    /// The running mean, `[C]`; absent without `track_running_stats`.
    pub running_mean: Option<Buffer<1>>,
    /// The running variance, `[C]`; absent without `track_running_stats`.
    pub running_var: Option<Buffer<1>>,
    /// Batches that moved the running statistics. Recorded only where they
    /// depend on it, with [`Momentum::Cumulative`](crate::Momentum).
    pub num_batches_tracked: CountCell,
    /// On in training, off in evaluation or when frozen; see [`Self::mode`].
    pub training: Param<Flag>,
    /// How the statistics are being recalibrated, 0 when they are not.
    pub(super) recalibration: CountCell,
    /// Values per channel that the recalibration has seen.
    pub(super) recalibrated: CountCell,
    #[module(skip)]
    pub(super) config: BatchNormConfig,
}

/// What a [`BatchNorm`] layer is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchNormMode {
    /// Batch statistics on autodiff devices, followed by the running ones.
    Train,
    /// Running statistics, until the model is set to train again.
    Eval,
    /// Running statistics, also in training, until the model is unfrozen.
    Frozen,
}

impl BatchNorm {
    /// The configuration that the layer was made from.
    #[must_use]
    pub fn config(&self) -> &BatchNormConfig {
        &self.config
    }

    /// What the layer is set to by `valid()`, `train()`, `freeze()` and
    /// `unfreeze()`.
    #[must_use]
    pub fn mode(&self) -> BatchNormMode {
        if self.training.is_enabled() {
            BatchNormMode::Train
        } else if self.training.clone().train().is_enabled() {
            BatchNormMode::Eval
        } else {
            BatchNormMode::Frozen
        }
    }

    /// Normalises `x`, of any rank from 2 with the features on the configured
    /// axis; the output has the same shape.
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
    /// [`NormError`] if the rank or the feature axis does not fit, and in
    /// training if the batch is empty or has one value per channel.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let mode = self.mode_for(&x);
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
        self.run(x, mode, Activation::Identity)
    }

    /// `relu(forward(x))`. In training on burn's CPU backend the activation
    /// costs no pass over memory of its own, forward or backward.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use firecraft_norm::BatchNormConfig;
    ///
    /// let device = Device::flex().autodiff();
    /// let layer = BatchNormConfig::new(1).init(&device);
    /// let y = layer.forward_relu(Tensor::<2>::from_floats([[1.0], [3.0]], &device));
    /// assert_eq!(y.try_into_vec_as::<f32>()?, [0.0, 0.999995]);
    /// # Ok::<(), burn::tensor::TensorReadError>(())
    /// ```
    ///
    /// # Panics
    /// With the message of [`try_forward_relu`](Self::try_forward_relu)'s error.
    #[must_use]
    #[track_caller]
    pub fn forward_relu<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        or_panic(self.try_forward_relu(x))
    }

    /// [`forward_relu`](Self::forward_relu) with an error instead of a panic.
    ///
    /// # Errors
    /// Those of [`try_forward`](Self::try_forward).
    pub fn try_forward_relu<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let mode = self.mode_for(&x);
        self.run(x, mode, Activation::Relu)
    }

    /// The layer and then the activation, in one pass where there is one.
    pub(crate) fn run<const D: usize>(
        &self,
        x: Tensor<D>,
        mode: Mode,
        activation: Activation,
    ) -> Result<Tensor<D>, NormError> {
        let channels = self.channels(&x)?;
        if let Some(output) = self.forward_in_parts(&x, mode, activation) {
            return output;
        }
        let dtype = x.dtype();
        let view = cast(channels.flatten(x), working(dtype));
        let recalibration = self.recalibration();
        let y = match self.running(mode) {
            Some((mean, variance)) if recalibration.is_none() => {
                let y = self.evaluate(view, mean, variance);
                match activation {
                    Activation::Identity => y,
                    Activation::Relu => relu(y),
                }
            }
            _ => {
                self.check_count(&channels)?;
                self.normalise_by_batch(view, channels.count(), activation, recalibration)
            }
        };
        Ok(channels.restore(cast(y, dtype.into())))
    }

    /// The mode of `forward` for this input.
    pub(crate) fn mode_for<const D: usize>(&self, x: &Tensor<D>) -> Mode {
        if self.training.is_enabled() && x.device().is_autodiff() {
            Mode::Train
        } else {
            Mode::Eval
        }
    }

    /// The running mean and variance, where `mode` makes the layer use them.
    pub(crate) fn running(&self, mode: Mode) -> Option<(Tensor<1>, Tensor<1>)> {
        if mode == Mode::Train && self.mode() != BatchNormMode::Frozen {
            return None;
        }
        let (mean, variance) = self.statistics()?;
        Some((mean.value(), variance.value()))
    }

    /// The running mean and variance, where the layer keeps them.
    pub(crate) fn statistics(&self) -> Option<(&Buffer<1>, &Buffer<1>)> {
        self.running_mean.as_ref().zip(self.running_var.as_ref())
    }

    pub(crate) fn channels<const D: usize>(&self, x: &Tensor<D>) -> Result<Channels<D>, NormError> {
        Channels::new(LAYER, x.dims(), self.config.axis, self.config.num_features)
    }

    fn check_count<const D: usize>(&self, channels: &Channels<D>) -> Result<(), NormError> {
        let shape = channels.shape();
        match channels.count() {
            0 => Err(NormError::Empty {
                layer: LAYER,
                shape,
            }),
            1 if self.config.single_value == SingleValue::Error => Err(NormError::SingleValue {
                layer: LAYER,
                shape,
            }),
            _ => Ok(()),
        }
    }

    fn evaluate(&self, x: Tensor<3>, mean: Tensor<1>, variance: Tensor<1>) -> Tensor<3> {
        if x.shape().num_elements() == 0 {
            return x;
        }
        let mean = like(mean, &x);
        let variance = like(variance, &x);
        let (gamma, beta) = self.affine(x.dtype());
        batch_norm_eval(x, gamma, beta, mean, variance, self.config.epsilon)
    }

    fn normalise_by_batch(
        &self,
        x: Tensor<3>,
        count: usize,
        activation: Activation,
        recalibration: Option<Weighting>,
    ) -> Tensor<3> {
        let (gamma, beta) = self.affine(x.dtype());
        let config = &self.config;
        let batch =
            batch_norm_act_train(x, gamma, beta, config.epsilon, activation, config.kernels);
        if let Some(weighting) = recalibration {
            self.recalibrate_by(batch.mean, batch.variance, count, weighting);
            return batch.output;
        }
        let correction = match config.running_variance {
            RunningVariance::Unbiased => count as f64 / (count.max(2) - 1) as f64,
            RunningVariance::Biased => 1.0,
        };
        let weight = config.momentum.weight(self.num_batches_tracked.increment());
        if let Some((mean, variance)) = self.statistics() {
            follow(mean, batch.mean, |step| step * weight);
            follow(variance, batch.variance * correction, |step| step * weight);
        }
        batch.output
    }

    /// `gamma` and `beta` in the format of the statistics.
    pub(crate) fn affine(&self, dtype: DType) -> (Option<Tensor<1>>, Option<Tensor<1>>) {
        let value = |param: &Param<Tensor<1>>| cast(param.val(), dtype.into());
        (
            self.gamma.as_ref().map(value),
            self.beta.as_ref().map(value),
        )
    }
}

impl ModuleDisplay for BatchNorm {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content
            .add("num_features", &self.config.num_features)
            .add("epsilon", &self.config.epsilon)
            .add_formatted(&format!("{:?}", self.mode()))
            .optional()
    }
}
