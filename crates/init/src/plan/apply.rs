//! Writing the values into the module.

use super::walk::Stack;
use crate::{InitError, Initializer, Target};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor, TensorData};
use firecraft_key::Key;
use std::collections::HashMap;
use std::sync::Arc;

/// What one parameter gets.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) initializer: Arc<dyn Initializer>,
    pub(super) target: Target,
    /// Path whose key is used: its own, or that of the parameter it is tied to.
    pub(super) key_path: String,
    pub(super) transposed: bool,
}

pub(super) fn apply<M: Module>(
    module: M,
    assignments: HashMap<String, Assignment>,
    key: Key,
) -> Result<M, InitError> {
    let mut writer = Writer {
        stack: Stack::default(),
        assignments,
        key,
        error: None,
    };
    let module = module.map(&mut writer);
    match writer.error {
        None => Ok(module),
        Some(error) => Err(error),
    }
}

struct Writer {
    stack: Stack,
    assignments: HashMap<String, Assignment>,
    key: Key,
    error: Option<InitError>,
}

impl ModuleMapper for Writer {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.stack.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.stack.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.stack.path();
        let Some(assignment) = self.assignments.get(&path) else {
            return param;
        };
        if self.error.is_some() {
            return param;
        }
        let key = self.key.named(&assignment.key_path);
        match assignment.initializer.values(&assignment.target, key) {
            Ok(values) => replace(param, assignment, values),
            Err(error) => {
                self.error = Some(error.at(&path));
                param
            }
        }
    }
}

/// The parameter with new values; device, precision, mappers, gradient
/// setting and memory order stay as they were.
fn replace<const D: usize>(
    param: Param<Tensor<D>>,
    assignment: &Assignment,
    values: Vec<f32>,
) -> Param<Tensor<D>> {
    let device = param.lazy_device();
    let dtype = param.is_initialized().then(|| param.val().dtype());
    let shape = &assignment.target.shape;
    let data = if assignment.transposed {
        TensorData::new(transpose(&values, shape), [shape[1], shape[0]])
    } else {
        TensorData::new(values, shape.clone())
    };
    let stored: Tensor<D> = device.memory_persistent_allocations(data, |data| match dtype {
        Some(dtype) if dtype != DType::F32 => Tensor::from_data(data, (&device, dtype)),
        _ => Tensor::from_data(data, &device),
    });
    if param.is_initialized() {
        let value = if assignment.transposed {
            stored.transpose()
        } else {
            stored
        };
        param.map(|old| {
            if old.is_autodiff() {
                value.detach().set_require_grad(old.is_require_grad())
            } else {
                value
            }
        })
    } else {
        // Never runs burn's own initialisation, and applies the mapper that
        // turns the stored order into the used one.
        let id = param.id;
        param.transform_for_load(stored, id)
    }
}

/// Row-major transpose of a matrix `[rows, columns]`.
fn transpose(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let (rows, columns) = (shape[0], shape[1]);
    (0..columns * rows)
        .map(|i| values[(i % rows) * columns + i / rows])
        .collect()
}
