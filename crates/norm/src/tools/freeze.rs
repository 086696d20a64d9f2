//! Freezing the normalisations of a model.

use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use super::Stack;

/// Freezes the normalisations whose path is selected: they use and keep their
/// running statistics, and their factors and offsets don't learn. The usual
/// choice for fine-tuning on few or small batches.
///
/// Paths are those of the layers, as in `backbone.blocks.0.norm1`; layers of
/// burn are frozen too. Everything else, linear layers, dropout and layer
/// scales included, stays as it is.
///
/// ```
/// use burn::tensor::Device;
/// use firecraft_norm::{BatchNormConfig, BatchNormMode, freeze_norms, unfreeze_norms};
///
/// let model = vec![BatchNormConfig::new(3).init(&Device::flex()); 2];
/// let model = freeze_norms(model, |path| path == "0");
/// assert_eq!(model[0].mode(), BatchNormMode::Frozen);
/// assert_eq!(model[1].mode(), BatchNormMode::Train);
/// let model = unfreeze_norms(model, |_| true);
/// assert_eq!(model[0].mode(), BatchNormMode::Train);
/// ```
#[must_use]
pub fn freeze_norms<M: Module>(model: M, select: impl FnMut(&str) -> bool) -> M {
    set(model, false, select)
}

/// Undoes [`freeze_norms`] for the normalisations whose path is selected.
#[must_use]
pub fn unfreeze_norms<M: Module>(model: M, select: impl FnMut(&str) -> bool) -> M {
    set(model, true, select)
}

fn set<M: Module>(model: M, trains: bool, select: impl FnMut(&str) -> bool) -> M {
    model.map(&mut Set {
        stack: Stack::default(),
        trains,
        select,
    })
}

struct Set<F> {
    stack: Stack,
    trains: bool,
    select: F,
}

impl<F: FnMut(&str) -> bool> Set<F> {
    fn selected(&mut self) -> bool {
        self.stack.norm().is_some_and(|path| (self.select)(&path))
    }
}

impl<F: FnMut(&str) -> bool> ModuleMapper for Set<F> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.stack.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.stack.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.selected() {
            param.set_require_grad(self.trains)
        } else {
            param
        }
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        if self.selected() {
            flag.with_value(self.trains)
        } else {
            flag
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use crate::{BatchNormConfig, BatchNormMode, Norm, NormConfig};
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Model {
        linear: Linear,
        norm: Norm,
        burns: burn::nn::BatchNorm,
    }

    fn model(device: &Device) -> Model {
        Model {
            linear: LinearConfig::new(2, 2).init(device),
            norm: NormConfig::Batch(BatchNormConfig::new(1)).init(2, device),
            burns: burn::nn::BatchNormConfig::new(2).init(device),
        }
    }

    fn mode(norm: &Norm) -> BatchNormMode {
        match norm {
            Norm::Batch(norm) => norm.mode(),
            _ => panic!("another norm"),
        }
    }

    #[test]
    fn only_selected_norms_freeze_and_stay_so_across_validation() {
        let device = Device::flex().autodiff();
        let frozen = freeze_norms(model(&device), |path| path == "norm");
        assert_eq!(mode(&frozen.norm), BatchNormMode::Frozen);
        assert_eq!(mode(&frozen.valid().train().norm), BatchNormMode::Frozen);
        assert!(frozen.linear.weight.val().is_require_grad());
        assert!(frozen.burns.gamma.val().is_require_grad());
        let thawed = unfreeze_norms(frozen, |_| true);
        assert_eq!(mode(&thawed.norm), BatchNormMode::Train);
    }

    #[test]
    fn a_norm_of_burn_stops_following_its_batches() {
        let device = Device::flex().autodiff();
        let frozen = freeze_norms(model(&device), |path| path == "burns");
        let x = random([4, 2], 1).autodiff();
        let _ = frozen.burns.forward(x);
        let mean = frozen.burns.running_mean.value_sync();
        assert_eq!(mean.try_into_vec_as::<f32>().unwrap(), [0.0, 0.0]);
        assert!(!frozen.burns.gamma.val().is_require_grad());
    }
}
