//! Batch normalisation over the batches of all workers.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;
use firecraft_core_tensor::Mode;

use crate::precision::{cast, working};
use crate::running::follow;
use crate::{AllReduce, BatchNorm, NormError, RunningVariance, affine, error::or_panic};

const LAYER: &str = "SyncBatchNorm";

/// A [`BatchNorm`] whose statistics in training are those of the batches of all
/// workers of a data-parallel run together, each weighing by its values, so
/// that small batches per device don't hurt. In evaluation, and frozen, it is
/// the layer inside.
///
/// Workers reach each other through an [`AllReduce`]: burn's collectives
/// ([`DeviceAllReduce`](crate::DeviceAllReduce)) or any transport of host
/// memory ([`HostAllReduce`](crate::HostAllReduce)). A forward pass in training
/// adds up three vectors of about one number per channel, a backward pass two.
/// All workers must run the same layers in the same order, each with a batch
/// that is not empty; the sizes may differ. One value per channel in all is
/// normalised to 0, and `virtual_batch_size` has no effect. The gradient is that of the sum of
/// all losses; those of `gamma` and `beta` are of the own batch, for the
/// optimiser's synchronisation to average as any other.
///
/// Made from a layer, or for a whole model by
/// [`replace_batch_norms`](crate::replace_batch_norms) with
/// [`BatchNorm::to_sync`].
///
/// ```
/// use std::sync::Arc;
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::{BatchNormConfig, HostAllReduce, SyncBatchNorm};
///
/// let device = Device::flex().autodiff();
/// // Two threads, whose batches have the values 1 and 3, 5 and 7.
/// let batches = [[[1.0], [3.0]], [[5.0], [7.0]]];
/// let workers = HostAllReduce::threads(2).into_iter().zip(batches);
/// let device = &device;
/// let means = std::thread::scope(|scope| {
///     let running = workers.map(|(reduce, batch)| scope.spawn(move || {
///         let layer = BatchNormConfig::new(1).with_momentum(1.0).init(device);
///         let layer = SyncBatchNorm::new(layer, Arc::new(reduce));
///         let _ = layer.forward(Tensor::<2>::from_floats(batch, device));
///         layer.norm.running_mean.as_ref().unwrap().value().into_scalar::<f32>()
///     }));
///     running.collect::<Vec<_>>().into_iter().map(|w| w.join().unwrap()).collect::<Vec<_>>()
/// });
/// assert_eq!(means, [4.0, 4.0]);
/// ```
#[derive(Module, Debug)]
pub struct SyncBatchNorm {
    /// The layer; its running statistics follow those of all batches.
    pub norm: BatchNorm,
    #[module(skip)]
    all_reduce: Arc<dyn AllReduce>,
}

impl SyncBatchNorm {
    /// The layer with statistics over all workers.
    #[must_use]
    pub fn new(norm: BatchNorm, all_reduce: Arc<dyn AllReduce>) -> Self {
        Self { norm, all_reduce }
    }

    /// Normalises `x`; the output has the same shape.
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
    /// [`NormError`] if the rank or the feature axis does not fit, or the batch
    /// is empty in training. The other workers then wait: end the run.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let mode = self.norm.mode_for(&x);
        self.try_forward_mode(x, mode)
    }

    /// [`try_forward`](Self::try_forward) in the given mode; a frozen layer
    /// stays frozen.
    ///
    /// # Errors
    /// Those of [`try_forward`](Self::try_forward).
    pub fn try_forward_mode<const D: usize>(
        &self,
        x: Tensor<D>,
        mode: Mode,
    ) -> Result<Tensor<D>, NormError> {
        if mode == Mode::Eval || self.norm.running(mode).is_some() {
            return self.norm.try_forward_mode(x, mode);
        }
        let channels = self.norm.channels(&x)?;
        if channels.count() == 0 {
            return Err(NormError::Empty {
                layer: LAYER,
                shape: channels.shape(),
            });
        }
        let dtype = x.dtype();
        let view = cast(channels.flatten(x), working(dtype));
        let y = self.normalise(view, channels.count());
        Ok(channels.restore(cast(y, dtype.into())))
    }

    fn normalise(&self, x: Tensor<3>, count: usize) -> Tensor<3> {
        let features = x.dims()[1];
        let per_channel = |t: Tensor<1>| t.reshape([1, features, 1]);
        let total_of = |t: Tensor<3>| {
            let own = t.sum_dim(2).sum_dim(0).reshape([features]);
            self.all_reduce.sum(own)
        };

        // What all subtract first, so that a large mean costs no digits: the
        // mean of the means of the workers.
        let plain = x.clone().without_autodiff();
        let mean = plain.mean_dim(2).mean_dim(0).reshape([features]);
        let counts = Tensor::from_floats([1.0, count as f32], &mean.device());
        let counts = cast(counts, mean.dtype().into());
        let shared = self.all_reduce.sum(Tensor::cat(vec![counts, mean], 0));
        let workers = shared.clone().narrow(0, 0, 1);
        let total = shared.clone().narrow(0, 1, 1);
        let shift = shared.narrow(0, 2, features) / workers;

        let shifted = x - per_channel(shift.clone());
        let rest = total_of(shifted.clone()) / total.clone();
        let centred = shifted - per_channel(rest.clone());
        let variance = total_of(centred.clone().square()) / total.clone();
        let config = self.norm.config();
        let inverse = variance.clone().add_scalar(config.epsilon).sqrt().recip();
        let y = centred * per_channel(inverse);

        let weight = config
            .momentum
            .weight(self.norm.num_batches_tracked.increment());
        if let Some((running_mean, running_variance)) = self.norm.statistics() {
            let correction = match config.running_variance {
                RunningVariance::Unbiased => total.clone() / total.sub_scalar(1.0).clamp_min(1.0),
                RunningVariance::Biased => total.ones_like(),
            };
            let mean = shift + rest.without_autodiff();
            let variance = variance.without_autodiff() * correction;
            follow(running_mean, mean, |step| step * weight);
            follow(running_variance, variance, |step| step * weight);
        }
        affine::apply(y, &self.norm.gamma, &self.norm.beta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use crate::{BatchNormConfig, HostAllReduce, Momentum};
    use burn::module::Param;
    use burn::tensor::Device;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    /// Output, gradient of the input, gradient of gamma, running statistics.
    struct Step([Vec<f32>; 5]);

    fn layer(momentum: Momentum) -> BatchNorm {
        let device = Device::flex().autodiff();
        let mut layer = BatchNormConfig::new(3)
            .with_momentum(momentum_of(momentum))
            .init(&device);
        layer.gamma = Some(Param::from_tensor((random([3], 5) + 1.0).autodiff()));
        layer
    }

    fn momentum_of(momentum: Momentum) -> Option<f64> {
        match momentum {
            Momentum::Weight(weight) => Some(weight),
            Momentum::Cumulative => None,
        }
    }

    fn step(
        norm: &BatchNorm,
        forward: impl Fn(Tensor<3>) -> Tensor<3>,
        x: Tensor<3>,
        cotangent: Tensor<3>,
    ) -> Step {
        let x = x.autodiff().require_grad();
        let y = forward(x.clone());
        let gradients = (y.clone() * cotangent.autodiff()).sum().backward();
        let gamma = norm.gamma.as_ref().unwrap().val().grad(&gradients).unwrap();
        let (mean, variance) = norm.statistics().unwrap();
        Step([
            values(y),
            values(x.grad(&gradients).unwrap()),
            values(gamma),
            values(mean.value()),
            values(variance.value()),
        ])
    }

    fn close(got: &[f32], want: &[f32], tolerance: f32) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!(
                (got - want).abs() <= tolerance * want.abs().max(1.0),
                "{got} is not {want}"
            );
        }
    }

    /// One batch in unequal parts must give what it gives as a whole.
    fn splits(offset: f32, tolerance: f32, momentum: Momentum) {
        let parts = [2, 1, 4];
        let rows: usize = parts.iter().sum();
        let x = random([rows, 3, 5], 1) * 2.0 + offset;
        let cotangent = random([rows, 3, 5], 2);
        let whole = layer(momentum);
        let want = step(&whole, |x| whole.forward(x), x.clone(), cotangent.clone());

        let group = HostAllReduce::threads(parts.len());
        let starts = parts.iter().scan(0, |start, rows| {
            *start += rows;
            Some(*start - rows)
        });
        let steps: Vec<Step> = std::thread::scope(|scope| {
            let workers: Vec<_> = group
                .into_iter()
                .zip(starts.zip(parts))
                .map(|(reduce, (start, rows))| {
                    let x = x.clone().narrow(0, start, rows);
                    let cotangent = cotangent.clone().narrow(0, start, rows);
                    scope.spawn(move || {
                        let sync = SyncBatchNorm::new(layer(momentum), Arc::new(reduce));
                        step(&sync.norm, |x| sync.forward(x), x, cotangent)
                    })
                })
                .collect();
            workers.into_iter().map(|w| w.join().unwrap()).collect()
        });
        let joined = |part: usize| -> Vec<f32> {
            steps.iter().flat_map(|step| step.0[part].clone()).collect()
        };
        close(&joined(0), &want.0[0], tolerance);
        close(&joined(1), &want.0[1], tolerance);
        let gamma: Vec<f32> = (0..3)
            .map(|c| steps.iter().map(|step| step.0[2][c]).sum())
            .collect();
        close(&gamma, &want.0[2], tolerance * 10.0);
        for step in &steps {
            close(&step.0[3], &want.0[3], 1e-6);
            close(&step.0[4], &want.0[4], 1e-5);
        }
    }

    #[test]
    fn a_split_batch_gives_what_the_whole_batch_does() {
        splits(0.0, 2e-6, Momentum::Weight(0.1));
        splits(1.0, 2e-6, Momentum::Cumulative);
    }

    #[test]
    fn a_large_mean_costs_no_digits() {
        splits(1e4, 2e-3, Momentum::Weight(1.0));
    }

    #[test]
    fn evaluation_and_freezing_need_no_other_worker() {
        // A transport that never returns would hang the test.
        let reduce = HostAllReduce::new(|_| panic!("nobody is to be asked"));
        let sync = SyncBatchNorm::new(layer(Momentum::Weight(0.1)), Arc::new(reduce));
        let x = random([4, 3], 1);
        let want = values(sync.norm.valid().forward(x.clone()));
        assert_eq!(values(sync.valid().forward(x.clone())), want);
        let frozen = sync.clone().freeze();
        let _ = frozen.try_forward_mode(x.autodiff(), Mode::Train).unwrap();
        let empty = Tensor::<2>::zeros([0, 3], &Device::flex().autodiff());
        assert!(matches!(
            sync.try_forward(empty),
            Err(NormError::Empty { .. })
        ));
    }
}
