//! What a model holds but doesn't learn, as it was before a batch that is left
//! out: running statistics and the counts of batches behind them.

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor, TensorData};
use firecraft_core_tensor::cells::{COUNT_CELL, reveal};

/// Values that a forward pass in training changes, shared until it does.
pub(super) struct Statistics {
    floats: GradientsParams,
    counts: Vec<(ParamId, TensorData)>,
}

impl Statistics {
    /// Those of a model; `None` for one without running statistics.
    pub(super) fn of<M: Module>(model: &M) -> Option<Self> {
        let mut still = Still(Vec::new());
        model.visit(&mut still);
        if still.0.is_empty() {
            return None;
        }
        let mut reader = Reader {
            wanted: still.0,
            in_count: false,
            statistics: Self {
                floats: GradientsParams::new(),
                counts: Vec::new(),
            },
        };
        // `valid` synchronises burn's running statistics and shares nothing
        // with them.
        let _ = model.valid().map(&mut reader);
        Some(reader.statistics)
    }

    /// Gives `model` the values that it had.
    pub(super) fn put_back<M: Module>(&self, model: M) -> M {
        // A pending update of burn's statistics would come after this one.
        drop(model.valid());
        model.map(&mut Writer {
            statistics: self,
            in_count: false,
        })
    }
}

/// The float tensors that are not learned.
struct Still(Vec<ParamId>);

impl ModuleVisitor for Still {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            self.0.push(param.id);
        }
    }
}

struct Reader {
    wanted: Vec<ParamId>,
    in_count: bool,
    statistics: Statistics,
}

impl ModuleMapper for Reader {
    fn enter_module(&mut self, _name: &str, container_type: &str) {
        self.in_count = container_type == COUNT_CELL;
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.in_count = false;
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.wanted.contains(&param.id) {
            self.statistics.floats.register(param.id, param.base());
        }
        param
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        if self.in_count {
            let data = param.val().into_data();
            self.statistics.counts.push((param.id, data));
        }
        param
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        reveal(flag)
    }
}

struct Writer<'a> {
    statistics: &'a Statistics,
    in_count: bool,
}

impl ModuleMapper for Writer<'_> {
    fn enter_module(&mut self, _name: &str, container_type: &str) {
        self.in_count = container_type == COUNT_CELL;
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.in_count = false;
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = self.statistics.floats.get::<D>(param.id) else {
            return param;
        };
        param.map(|old| {
            if old.is_autodiff() {
                Tensor::from_inner(value)
            } else {
                value
            }
        })
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let counts = &self.statistics.counts;
        match counts.iter().find(|(id, _)| *id == param.id) {
            Some((_, data)) if self.in_count => {
                let data = data.clone();
                param.map(|old| {
                    let dtype = data.dtype();
                    Tensor::from_data(data, (&old.device(), dtype))
                })
            }
            _ => param,
        }
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        reveal(flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_state::ModelState;
    use burn::nn::{BatchNorm, BatchNormConfig, LinearConfig};
    use burn::tensor::Device;
    use firecraft_core_tensor::{Buffer, CountCell};

    #[test]
    fn a_batch_that_spoilt_the_statistics_is_undone() {
        let device = Device::flex().autodiff();
        let norm: BatchNorm = BatchNormConfig::new(1).init(&device);
        let first = Tensor::<2>::from_data([[1.0f32], [3.0]], &device);
        let _ = norm.forward(first.clone());
        let before = ModelState::of(&norm).digest();
        let statistics = Statistics::of(&norm).unwrap();
        let _ = norm.forward(first * f32::NAN);
        assert_ne!(ModelState::of(&norm).digest(), before);
        let norm = statistics.put_back(norm);
        assert_eq!(ModelState::of(&norm).digest(), before);
        assert!(norm.gamma.is_require_grad());
    }

    #[derive(Module, Debug)]
    struct Counted {
        mean: Buffer<1>,
        batches: CountCell,
        hidden: CountCell,
    }

    #[test]
    fn counts_of_batches_go_back_too_recorded_or_not() {
        let device = Device::flex().autodiff();
        let layer = Counted {
            mean: Buffer::new(Tensor::zeros([1], &device)),
            batches: CountCell::new(3),
            hidden: CountCell::new(5).unrecorded(),
        };
        let statistics = Statistics::of(&layer).unwrap();
        layer.mean.update(|mean| mean + 1.0);
        layer.batches.increment();
        layer.hidden.increment();
        let layer = statistics.put_back(layer);
        assert_eq!((layer.batches.get(), layer.hidden.get()), (3, 5));
        assert_eq!(layer.mean.value().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn a_model_without_statistics_has_nothing_to_keep() {
        let device = Device::flex().autodiff();
        assert!(Statistics::of(&LinearConfig::new(2, 2).init(&device)).is_none());
    }
}
