//! Running statistics as they were before a batch that is left out.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// The values of a model, shared until one of the two changes.
pub(super) struct Statistics<M>(M);

impl<M: Module> Statistics<M> {
    /// `valid` synchronises burn's running statistics and shares nothing with
    /// them.
    pub(super) fn of(model: &M) -> Self {
        Self(model.valid())
    }

    /// Gives `model` the values that it doesn't learn.
    pub(super) fn put_back(&self, model: M) -> M {
        // A pending update of burn's statistics would come after this one.
        drop(model.valid());
        let mut values = Values(GradientsParams::new());
        self.0.visit(&mut values);
        model.map(&mut values)
    }
}

struct Values(GradientsParams);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.base());
    }
}

impl ModuleMapper for Values {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.is_require_grad() {
            return param;
        }
        let Some(value) = self.0.remove::<D>(param.id) else {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_state::ModelState;
    use burn::nn::{BatchNorm, BatchNormConfig};
    use burn::tensor::Device;

    #[test]
    fn a_batch_that_spoilt_the_statistics_is_undone() {
        let device = Device::flex().autodiff();
        let norm: BatchNorm = BatchNormConfig::new(1).init(&device);
        let first = Tensor::<2>::from_data([[1.0f32], [3.0]], &device);
        let _ = norm.forward(first.clone());
        let before = ModelState::of(&norm).digest();
        let statistics = Statistics::of(&norm);
        let _ = norm.forward(first * f32::NAN);
        assert_ne!(ModelState::of(&norm).digest(), before);
        let norm = statistics.put_back(norm);
        assert_eq!(ModelState::of(&norm).digest(), before);
        assert!(norm.gamma.is_require_grad());
    }
}
