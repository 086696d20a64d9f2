//! Running statistics averaged over the workers of a run.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use super::Stack;
use crate::AllReduce;

/// Replaces the running statistics of every normalisation by their average
/// over all workers, as timm's `distribute_bn` does: where every worker trains
/// a copy of the model with batch statistics of its own, the statistics drift
/// apart, and evaluation would depend on whose are saved.
///
/// Every worker calls it with its copy and gets the same statistics. Factors
/// and offsets are left to the optimiser's synchronisation.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::{BatchNormConfig, HostAllReduce, average_statistics};
///
/// let layer = BatchNormConfig::new(1).with_initial_statistics(3.0, 1.0);
/// // A transport that pretends there is a second worker with the same values.
/// let twice = HostAllReduce::new(|values| values.iter_mut().for_each(|v| *v *= 2.0));
/// let layer = average_statistics(layer.init(&Device::flex()), &twice);
/// assert_eq!(layer.running_mean.unwrap().value().into_scalar::<f32>(), 3.0);
/// ```
#[must_use]
pub fn average_statistics<M: Module>(model: M, all_reduce: &dyn AllReduce) -> M {
    model.map(&mut Average {
        stack: Stack::default(),
        all_reduce,
    })
}

struct Average<'a> {
    stack: Stack,
    all_reduce: &'a dyn AllReduce,
}

impl ModuleMapper for Average<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.stack.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.stack.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.stack.is_statistic() || self.stack.norm().is_none() {
            return param;
        }
        param.map(|old| {
            let dims = old.dims();
            let tracked = old.is_autodiff();
            let length = dims.iter().product::<usize>();
            let own = old.without_autodiff().reshape([length]);
            // How many there are is counted with them.
            let one = Tensor::ones([1], (&own.device(), own.dtype()));
            let sum = self.all_reduce.sum(Tensor::cat(vec![own, one], 0));
            let workers = sum.clone().narrow(0, length, 1);
            let average = (sum.narrow(0, 0, length) / workers).reshape(dims);
            if tracked { average.autodiff() } else { average }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchNorm, BatchNormConfig, HostAllReduce};
    use burn::tensor::Device;

    #[test]
    fn every_worker_gets_the_average() {
        let device = Device::flex().autodiff();
        let run = |reduce: HostAllReduce, mean: f64| -> (f32, f32) {
            let config = BatchNormConfig::new(2).with_initial_statistics(mean, mean * 2.0);
            let model: Vec<BatchNorm> = vec![config.init(&device)];
            let model = average_statistics(model, &reduce);
            let (mean, variance) = model[0].statistics().unwrap();
            let first = |t: Tensor<1>| t.try_into_vec_as::<f32>().unwrap()[0];
            (first(mean.value()), first(variance.value()))
        };
        let [a, b]: [HostAllReduce; 2] = HostAllReduce::threads(2).try_into().unwrap();
        let (one, two) = std::thread::scope(|scope| {
            let other = scope.spawn(|| run(b, 5.0));
            (run(a, 1.0), other.join().unwrap())
        });
        assert_eq!(one, (3.0, 6.0));
        assert_eq!(two, one);
    }
}
