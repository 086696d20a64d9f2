//! Attaching a reparametrisation to chosen weights of a model.

use std::collections::BTreeMap;

use burn::module::{Module, Param, Reparameterization, Reparameterizer};
use burn::tensor::Tensor;

use crate::NormError;
use crate::weights::{Weight, weights};

/// A configuration that makes a reparametrisation for a weight.
pub(super) trait Prepare: Clone {
    const LAYER: &'static str;
    type Reparam: Reparameterization;

    /// Checks the configuration for a weight, before any is changed.
    fn check(&self, weight: &Weight) -> Result<(), NormError>;

    /// The parameter to store and what computes the weight from it, for a
    /// weight that was checked.
    fn prepare<const D: usize>(
        &self,
        weight: &Weight,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Self::Reparam>);
}

pub(super) fn attach<P: Prepare, M: Module>(
    prepare: &P,
    model: M,
    mut select: impl FnMut(&Weight) -> bool,
) -> Result<M, NormError> {
    let mut selected = BTreeMap::new();
    for weight in weights(&model) {
        if !select(&weight) {
            continue;
        }
        if weight.reparametrized {
            return Err(NormError::Reparametrized { path: weight.path });
        }
        prepare.check(&weight)?;
        selected.insert(weight.path.clone(), weight);
    }
    if selected.is_empty() {
        return Err(NormError::NothingSelected { tool: P::LAYER });
    }
    Ok(model.apply_reparameterization(Attach {
        prepare: prepare.clone(),
        selected,
    }))
}

struct Attach<P> {
    prepare: P,
    selected: BTreeMap<String, Weight>,
}

impl<P: Prepare> Reparameterizer for Attach<P> {
    type Reparam = P::Reparam;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Self::Reparam>) {
        match self.selected.get(path) {
            Some(weight) => self.prepare.prepare(weight, param),
            None => (param, None),
        }
    }
}
