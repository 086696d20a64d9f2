//! The parameters that weight decay should leave alone.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::tensor::Tensor;

use super::{Stack, is_norm};

/// The parameters of a model without weight decay, by path; made by
/// [`no_weight_decay`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoWeightDecay {
    paths: BTreeSet<String>,
}

/// The factors and offsets of all normalisations and layer scales, the lengths and gains of
/// reparametrised weights, and all biases: numbers that don't make a function
/// larger or smaller, so that shrinking them is no regularisation.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use firecraft_norm::{Norm, NormConfig, BatchNormConfig, no_weight_decay};
///
/// #[derive(Module, Debug)]
/// struct Model {
///     linear: Linear,
///     norm: Norm,
/// }
/// let device = Device::flex();
/// let model = Model {
///     linear: LinearConfig::new(2, 3).init(&device),
///     norm: NormConfig::Batch(BatchNormConfig::new(1)).init(3, &device),
/// };
/// let spared = no_weight_decay(&model);
/// assert!(spared.contains("linear.bias") && !spared.contains("linear.weight"));
/// assert_eq!(spared.paths().count(), 3);
/// // A group of one of burn's optimisers, or one group rule per path:
/// assert!(spared.group().matches(&model.linear.bias.unwrap().id, Some("linear.bias")));
/// ```
#[must_use]
pub fn no_weight_decay<M: Module>(model: &M) -> NoWeightDecay {
    let mut finder = Finder::default();
    model.visit(&mut finder);
    NoWeightDecay {
        paths: finder.found,
    }
}

impl NoWeightDecay {
    /// Whether the parameter at `path` is to be spared.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// The paths, sorted. Each is a pattern that matches itself alone where a
    /// parameter group is given by a glob.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// The parameters as a group of burn's `ModuleOptimizer::with_group`.
    #[must_use]
    pub fn group(&self) -> ParamGroup {
        ParamGroup::from_paths(self.paths.iter().cloned().collect())
    }
}

#[derive(Default)]
struct Finder {
    stack: Stack,
    reparametrization: usize,
    found: BTreeSet<String>,
}

impl ModuleVisitor for Finder {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.stack.enter(name, container_type);
        self.reparametrization += usize::from(container_type == "Reparameterization");
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.stack.exit();
        self.reparametrization -= usize::from(container_type == "Reparameterization");
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        let layer = self.stack.layer();
        // Running statistics are no parameters.
        let affine = is_norm(layer) && !self.stack.is_statistic();
        let bias = D == 1 && self.stack.leaf() == "bias";
        let gain = layer == "LayerScale" || (D == 1 && self.reparametrization > 0);
        if affine || bias || gain {
            self.found.insert(self.stack.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BatchNormConfig, BatchRenormConfig, LayerNormConfig, LayerScale, LayerScaleConfig, Norm,
        NormConfig, WeightNormConfig,
    };
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Model {
        head: Linear,
        norms: Vec<Norm>,
        burns: burn::nn::LayerNorm,
        scale: LayerScale,
    }

    #[test]
    fn norms_biases_and_gains_are_spared_and_nothing_else() {
        let device = Device::flex();
        let head = LinearConfig::new(2, 3).init(&device);
        let model = Model {
            head: WeightNormConfig::new().apply(head).unwrap(),
            norms: vec![
                NormConfig::Batch(BatchNormConfig::new(1)).init(3, &device),
                NormConfig::Layer(LayerNormConfig::new([1])).init(3, &device),
                NormConfig::BatchRenorm(BatchRenormConfig::new(1)).init(3, &device),
            ],
            burns: burn::nn::LayerNormConfig::new(3).init(&device),
            scale: LayerScaleConfig::new(3).init(&device),
        };
        let spared = no_weight_decay(&model);
        let found: Vec<_> = spared.paths().collect();
        let want = [
            "burns.beta",
            "burns.gamma",
            "head.bias",
            "head.weight.weight_norm.g",
            "norms.0.Batch.beta",
            "norms.0.Batch.gamma",
            "norms.1.Layer.beta",
            "norms.1.Layer.gamma",
            "norms.2.BatchRenorm.beta",
            "norms.2.BatchRenorm.gamma",
            "scale.gamma",
        ];
        assert_eq!(found, want);
    }
}
