//! Freezing and thawing parts of the model by path.

use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use super::requests::Switch;
use crate::optimizer::Select;

impl Switch {
    pub(super) fn apply<M: Module>(&self, model: M) -> M {
        model.map(&mut Mapper {
            switch: self,
            path: Vec::new(),
            kind: String::new(),
        })
    }
}

struct Mapper<'a> {
    switch: &'a Switch,
    path: Vec<String>,
    /// The kind of the module that holds what is visited, such as
    /// `Struct:BatchNorm`.
    kind: String,
}

impl ModuleMapper for Mapper<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_owned());
        self.kind.clear();
        self.kind.push_str(container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.switch {
            Switch::Trainable(select, trainable)
                if select.matches(&self.path.join("."), D) && is_parameter(&self.path) =>
            {
                param.set_require_grad(*trainable)
            }
            _ => param,
        }
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        match self.switch {
            // Dropout has such a flag too, and keeps it.
            Switch::Statistics(select, follow) if self.kind.contains("Norm") => {
                // The flag lies in the module: its parent's path counts.
                let module = &self.path[..self.path.len().saturating_sub(1)];
                let selected = match select {
                    Select::RankAtMost { .. } => false,
                    select => select.matches(&module.join("."), 0),
                };
                if selected {
                    flag.with_value(*follow)
                } else {
                    flag
                }
            }
            Switch::Statistics(..) => flag,
            Switch::Trainable(..) => flag,
        }
    }
}

/// Running statistics are float tensors too, and never trained.
fn is_parameter(path: &[String]) -> bool {
    path.last().is_none_or(|name| !name.starts_with("running_"))
}
