//! The parameters of a module: paths, layers, roles, shapes.

use super::groups::groups_of;
use super::select::{Role, is_weighted, role_of};
use crate::{Fans, Layout, Target};
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use std::collections::HashMap;

/// One float parameter of a module.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: String,
    /// Type name of the layer it is a field of.
    pub(super) kind: String,
    pub(super) role: Role,
    pub(super) target: Target,
    /// The stored tensor is the transpose of what the forward pass uses
    /// (burn's `LinearLayout::Col`).
    pub(super) transposed: bool,
    /// Path of an earlier parameter with the same identity.
    pub(super) tied_to: Option<String>,
}

/// Where a walk through a module stands.
#[derive(Default)]
pub(super) struct Stack(Vec<(String, String)>);

impl Stack {
    pub(super) fn enter(&mut self, name: &str, container: &str) {
        self.0.push((name.to_owned(), container.to_owned()));
    }

    pub(super) fn exit(&mut self) {
        self.0.pop();
    }

    pub(super) fn path(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.join(".")
    }

    /// Type and field of the innermost struct.
    fn owner(&self) -> (&str, &str) {
        (self.0.iter().rev())
            .find_map(|(name, container)| {
                let kind = container
                    .strip_prefix("Struct:")
                    .or_else(|| container.strip_prefix("Enum:"))?;
                Some((kind, name.as_str()))
            })
            .unwrap_or(("", ""))
    }
}

/// All float parameters of `module`, in the order of its fields.
pub(super) fn walk<M: Module>(module: &M) -> Vec<Found> {
    let mut walker = Walker::default();
    module.visit(&mut walker);
    let Walker { mut found, ids, .. } = walker;
    if found.iter().any(|found| found.kind.contains("Conv")) {
        let groups = groups_of(module);
        for (found, id) in found.iter_mut().zip(&ids) {
            if let Some(&groups) = groups.get(&id.to_string()) {
                found.target.layout = found.target.layout.with_groups(groups);
            }
        }
    }
    found
}

/// Gives every bias the fans of its layer's weight.
pub(super) fn set_weight_fans(found: &mut [Found]) {
    let weights: HashMap<String, Fans> = (found.iter())
        .filter_map(|found| {
            let layer = found.path.strip_suffix("weight")?;
            let target = &found.target;
            let fans = Fans::semantic(&target.shape, target.layout).ok()?;
            Some((layer.to_owned(), fans))
        })
        .collect();
    for found in found {
        if let Some(layer) = found.path.strip_suffix("bias") {
            found.target.weight_fans = weights.get(layer).copied();
        }
    }
}

#[derive(Default)]
struct Walker {
    stack: Stack,
    found: Vec<Found>,
    ids: Vec<ParamId>,
    first: HashMap<ParamId, String>,
}

impl ModuleVisitor for Walker {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.stack.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.stack.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.stack.path();
        let (kind, field) = self.stack.owner();
        let mut role = role_of(kind, field, &self.stack.0);
        // Only layers whose construction is known may stay lazy: elsewhere an
        // `init_mapper` could change the shape.
        let lazy = (is_weighted(kind) || kind == "Embedding") && !param.is_initialized();
        if role == Role::Other && !trains(param) {
            role = Role::Statistic;
        }
        let transposed = D == 2 && kind == "Linear" && field == "weight" && transposes(param);
        let mut shape = if lazy {
            param.lazy_shape().to_vec()
        } else {
            param.val().shape().to_vec()
        };
        if lazy && transposed {
            shape.reverse();
        }
        let layout = layout_of(kind, field, D);
        let tied_to = self.first.get(&param.id).cloned();
        if tied_to.is_none() {
            self.first.insert(param.id, path.clone());
        }
        self.ids.push(param.id);
        self.found.push(Found {
            path,
            kind: kind.to_owned(),
            role,
            target: Target::new(&shape, layout),
            transposed,
            tied_to,
        });
    }
}

fn layout_of(kind: &str, field: &str, rank: usize) -> Layout {
    match kind {
        "Embedding" => Layout::Embedding,
        _ if rank < 2 || field != "weight" => Layout::Elementwise,
        "Linear" => Layout::LINEAR,
        kind if kind.starts_with("ConvTranspose") => Layout::CONV_TRANSPOSE,
        kind if is_weighted(kind) => Layout::CONV,
        _ => Layout::Elementwise,
    }
}

/// Whether an optimiser would update it. Materialises the parameter.
fn trains<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    let value = param.val();
    if value.is_autodiff() {
        value.is_require_grad()
    } else {
        // The setting is private on a plain device; `train` brings it out.
        param.clone().train().val().is_require_grad()
    }
}

/// Whether loading a record transposes it, which is how `LinearLayout::Col`
/// shows from outside.
fn transposes<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    let mut shape = [1; D];
    shape[D - 1] = 2;
    let probe = Tensor::<D>::zeros(shape, &param.lazy_device());
    let loaded = param.clone().transform_for_load(probe, param.id);
    loaded.shape()[0] == 2
}
