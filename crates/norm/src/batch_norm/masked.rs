//! Batch normalisation of sequences with padding.

use burn::tensor::{Bool, Tensor};

use super::{BatchNorm, LAYER, RunningVariance};
use crate::precision::{cast, working};
use crate::running::{follow, like};
use crate::{Momentum, NormError, error::or_panic};

impl BatchNorm {
    /// Normalises `x` by statistics of the positions where `mask` is true, as
    /// keras does for padded sequences. Masked positions do not enter the
    /// statistics, whatever they hold, but are normalised in the output too.
    ///
    /// `mask` has the rank of `x`; every axis has the length of `x` or 1, and
    /// the feature axis 1: for `x` `[N, C, L]` it is `[N, 1, L]`. Where the
    /// layer uses running statistics the mask changes nothing. A mask that is
    /// false everywhere gives no statistics: the running ones are used (mean
    /// 0 and variance 1 without them) and are not moved.
    ///
    /// In training fill what is masked with finite values: the gradients of
    /// `gamma` and of `x` sum over masked outputs as well, and zero times NaN
    /// is NaN even where the loss leaves them out.
    ///
    /// The single-value policy is not applied here: how many values a mask
    /// leaves is not known without waiting for the device.
    ///
    /// ```
    /// use burn::tensor::{Bool, Device, Tensor, TensorData};
    /// use firecraft_norm::BatchNormConfig;
    ///
    /// let device = Device::flex().autodiff();
    /// let layer = BatchNormConfig::new(1).init(&device);
    /// let x = Tensor::<3>::from_floats([[[1.0, 3.0, f32::NAN]]], &device);
    /// let mask = TensorData::from([[[true, true, false]]]);
    /// let y = layer.forward_masked(x, Tensor::<3, Bool>::from_data(mask, &device));
    /// let y = y.try_into_vec_as::<f32>()?;
    /// assert_eq!(y[..2], [-0.999995, 0.999995]);
    /// # Ok::<(), burn::tensor::TensorReadError>(())
    /// ```
    ///
    /// # Panics
    /// With the message of [`try_forward_masked`](Self::try_forward_masked)'s
    /// error.
    #[must_use]
    #[track_caller]
    pub fn forward_masked<const D: usize>(&self, x: Tensor<D>, mask: Tensor<D, Bool>) -> Tensor<D> {
        or_panic(self.try_forward_masked(x, mask))
    }

    /// [`forward_masked`](Self::forward_masked) with an error instead of a
    /// panic.
    ///
    /// # Errors
    /// [`NormError`] if the rank, the feature axis or the mask does not fit,
    /// or the input is empty in training.
    pub fn try_forward_masked<const D: usize>(
        &self,
        x: Tensor<D>,
        mask: Tensor<D, Bool>,
    ) -> Result<Tensor<D>, NormError> {
        let channels = self.channels(&x)?;
        let mut positions = x.dims();
        positions[channels.axis()] = 1;
        let fits = |(&got, &full): (&usize, &usize)| got == full || got == 1;
        if !mask.dims().iter().zip(&positions).all(fits) {
            return Err(NormError::Mask {
                layer: LAYER,
                mask: mask.dims().to_vec(),
                shape: channels.shape(),
            });
        }
        let mode = self.mode_for(&x);
        if self.running(mode).is_some() {
            return self.try_forward_mode(x, mode);
        }
        if channels.count() == 0 {
            return Err(NormError::Empty {
                layer: LAYER,
                shape: channels.shape(),
            });
        }
        let dtype = x.dtype();
        let [before, _, after] = channels.view();
        let mask = mask.expand(positions).reshape([before, 1, after]);
        let view = cast(channels.flatten(x), working(dtype));
        let y = self.normalise_by_mask(view, mask);
        Ok(channels.restore(cast(y, dtype.into())))
    }

    fn normalise_by_mask(&self, x: Tensor<3>, mask: Tensor<3, Bool>) -> Tensor<3> {
        let [_, features, _] = x.dims();
        let dtype = x.dtype();
        let hidden = mask.clone().bool_not().expand(x.dims());
        let total = cast(mask.float(), dtype.into()).sum().reshape([1, 1, 1]);
        let count = total.clone().clamp_min(1.0);
        // 1 where there are statistics at all, else 0.
        let any = total.clamp_max(1.0);
        let mean =
            |x: Tensor<3>| x.mask_fill(hidden.clone(), 0.0).sum_dim(2).sum_dim(0) / count.clone();

        let shift = mean(x.clone().without_autodiff());
        let shifted = x - shift.clone();
        let rest = mean(shifted.clone());
        let centred = shifted - rest.clone();
        let variance = mean(centred.clone().square());

        let batch_mean = (shift + rest.without_autodiff()).reshape([features]);
        let batch_variance = variance.clone().without_autodiff().reshape([features]);
        let correction = match self.config().running_variance {
            RunningVariance::Unbiased => {
                count.clone() / count.clone().sub_scalar(1.0).clamp_min(1.0)
            }
            RunningVariance::Biased => count.ones_like(),
        };
        let (running_mean, running_variance) = match self.statistics() {
            Some((mean, variance)) => (mean.value(), variance.value()),
            None => (batch_mean.zeros_like(), batch_mean.ones_like()),
        };
        let running_mean = like(running_mean, &centred).reshape([1, features, 1]);
        let running_variance = like(running_variance, &centred).reshape([1, features, 1]);

        // Without statistics `centred` is the input itself, so both fallbacks
        // are a blend.
        let none = any.clone().neg().add_scalar(1.0);
        let centred = centred - running_mean * none.clone();
        let variance = variance * any.clone() + running_variance * none;
        let (gamma, beta) = self.affine(dtype);
        let per_channel = |t: Tensor<1>| t.reshape([1, features, 1]);
        let mut y = centred * variance.add_scalar(self.config().epsilon).sqrt().recip();
        if let Some(gamma) = gamma {
            y = y * per_channel(gamma);
        }
        if let Some(beta) = beta {
            y = y + per_channel(beta);
        }

        let weight = self.mask_weight(&any);
        let part = any.reshape([1]) * weight;
        let part = move |step: Tensor<1>| {
            let dtype = step.dtype().into();
            step * cast(part.clone(), dtype)
        };
        if let Some((mean, variance)) = self.statistics() {
            follow(mean, batch_mean, part.clone());
            follow(variance, batch_variance * correction.reshape([1]), part);
        }
        y
    }

    /// The weight of this batch. A cumulative average must not count a batch
    /// without statistics, which it has to read back.
    fn mask_weight(&self, any: &Tensor<3>) -> f64 {
        let momentum = self.config().momentum;
        if momentum == Momentum::Cumulative {
            let any = any.clone().try_into_vec_as::<f32>().unwrap_or_default();
            if any == [0.0] {
                return 0.0;
            }
        }
        momentum.weight(self.num_batches_tracked.increment())
    }
}
