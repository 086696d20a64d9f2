//! burn's optimisers, with parameter groups and a state that is keyed by path.
//!
//! burn's own `ModuleOptimizer` keys its state by `ParamId`, which is another
//! one in every process, records it in random order and puts a loaded state on
//! the default device. [`Optimizer`] drives the same update rules and has none
//! of that.

mod groups;
mod presets;

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::{DynOptimizer, DynState, GradientsParams, StateSink, StateSource};
use burn::tensor::{Device, Tensor};
use burn_pack::Scalar;
use firecraft_spec::{Table, Value};

use crate::archive::TensorArchive;
use crate::error::TrainerError;

pub use groups::{GroupRule, Select, layer_decay};
pub use presets::{Adam, AdamW, OptimizerConfig, Sgd};

/// Updates the parameters of a model from their gradients.
///
/// It is made of burn's update rules, one per parameter group; a parameter
/// belongs to the last group that selects it, and the first group selects
/// every parameter. The learning rate is given at every step.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use firecraft_trainer::{Optimizer, Sgd};
///
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(2, 1).with_bias(false).init(&device);
/// let before = model.weight.val().into_data().try_to_vec::<f32>().unwrap();
/// let loss = model.forward(Tensor::<2>::ones([1, 2], &device)).sum();
/// let gradients = GradientsParams::from_grads(loss.backward(), &model);
///
/// let mut optimizer = Optimizer::from(Sgd::torch());
/// let model = optimizer.step(0.5, model, gradients);
/// let after = model.weight.val().into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(after, [before[0] - 0.5, before[1] - 0.5]);
/// ```
#[derive(Clone)]
pub struct Optimizer {
    groups: Vec<Group>,
    states: BTreeMap<String, ParamState>,
}

#[derive(Clone)]
struct Group {
    select: Select,
    scale: f64,
    rule: Arc<dyn DynOptimizer>,
}

#[derive(Clone)]
struct ParamState {
    group: usize,
    state: DynState,
}

/// The state of an [`Optimizer`]: tensors by `path:field` and scalars by path
/// and field.
#[derive(Debug, Clone, Default)]
pub(crate) struct OptimizerState {
    pub(crate) tensors: TensorArchive,
    pub(crate) scalars: Value,
}

impl std::fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let selects: Vec<_> = self.groups.iter().map(|group| &group.select).collect();
        f.debug_struct("Optimizer")
            .field("groups", &selects)
            .field("states", &self.states.len())
            .finish()
    }
}

impl<O: burn::optim::Optimizer> From<O> for Optimizer {
    fn from(rule: O) -> Self {
        Self {
            groups: vec![Group {
                select: Select::All,
                scale: 1.0,
                rule: Arc::new(rule),
            }],
            states: BTreeMap::new(),
        }
    }
}

impl Optimizer {
    /// Adds a group with its own update rule, for example one without weight
    /// decay; its learning rate is `scale` times the one given to
    /// [`step`](Self::step).
    #[must_use]
    pub fn with_group<O: burn::optim::Optimizer>(
        mut self,
        select: Select,
        rule: O,
        scale: f64,
    ) -> Self {
        self.groups.push(Group {
            select,
            scale,
            rule: Arc::new(rule),
        });
        self
    }

    /// Number of groups, the first one included.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Updates every parameter that has a gradient; the others stay as they
    /// are, and so do their states.
    pub fn step<M: Module>(
        &mut self,
        learning_rate: f64,
        model: M,
        gradients: GradientsParams,
    ) -> M {
        model.map(&mut Stepper {
            optimizer: self,
            gradients,
            learning_rate,
            path: Vec::new(),
        })
    }

    fn group_of(&self, path: &str, rank: usize) -> usize {
        self.groups
            .iter()
            .rposition(|group| group.select.matches(path, rank))
            .unwrap_or(0)
    }

    pub(crate) fn state(&self) -> OptimizerState {
        let mut tensors = TensorArchive::default();
        let mut scalars = Table::new();
        for (path, param) in &self.states {
            let mut sink = StateSink::default();
            self.groups[param.group]
                .rule
                .state_flatten("", &param.state, &mut sink);
            for (field, data) in sink.tensors {
                tensors.insert(format!("{path}:{field}"), data);
            }
            let mut fields = Table::new();
            fields.insert(RANK, param.state.rank() as i64);
            for (field, value) in sink.scalars {
                fields.insert(field, spell(value));
            }
            scalars.insert(path.clone(), fields);
        }
        OptimizerState {
            tensors,
            scalars: Value::Table(scalars),
        }
    }

    /// Takes over a state; `device` is that of the parameters.
    pub(crate) fn restore(
        &mut self,
        state: &OptimizerState,
        device: &Device,
    ) -> Result<(), TrainerError> {
        let other = |problem: String| TrainerError::OtherModel {
            problem: format!("the state of its optimiser {problem}"),
        };
        let device = device.clone().inner();
        let scalars = state
            .scalars
            .as_table()
            .ok_or_else(|| other("has no table of scalars".into()))?;
        self.states.clear();
        for (path, fields) in scalars {
            let fields = fields
                .as_table()
                .ok_or_else(|| other(format!("has no fields for `{path}`")))?;
            let rank = fields
                .get(RANK)
                .and_then(Value::as_int)
                .and_then(|rank| usize::try_from(rank).ok())
                .filter(|rank| (0..=8).contains(rank))
                .ok_or_else(|| other(format!("has no rank for `{path}`")))?;
            let mut known = BTreeMap::new();
            for (field, value) in fields {
                if field != RANK {
                    let value = unspell(value)
                        .ok_or_else(|| other(format!("has an odd `{field}` for `{path}`")))?;
                    known.insert(field.to_owned(), value);
                }
            }
            let mut source = StateSource::new(known);
            let prefix = format!("{path}:");
            for (name, data) in state.tensors.iter() {
                if let Some(field) = name.strip_prefix(&prefix) {
                    source.insert_tensor(field.to_owned(), data.clone());
                }
            }
            let group = self.group_of(path, rank);
            let state = self.groups[group]
                .rule
                .state_unflatten(rank, "", &mut source, &device)
                .ok_or_else(|| other(format!("is of another optimiser for `{path}`")))?;
            self.states
                .insert(path.to_owned(), ParamState { group, state });
        }
        Ok(())
    }
}

const RANK: &str = "rank";

fn spell(value: Scalar) -> Value {
    match value {
        Scalar::Int(value) => Value::Int(value),
        // A step counter never gets near the sign bit.
        Scalar::UInt(value) => {
            let mut table = Table::new();
            table.insert("u64", value.to_string());
            Value::Table(table)
        }
        Scalar::Float(value) => Value::Float(value),
        Scalar::Bool(value) => Value::Bool(value),
    }
}

fn unspell(value: &Value) -> Option<Scalar> {
    match value {
        Value::Int(value) => Some(Scalar::Int(*value)),
        Value::Float(value) => Some(Scalar::Float(*value)),
        Value::Bool(value) => Some(Scalar::Bool(*value)),
        Value::Table(table) => table.get("u64")?.as_str()?.parse().ok().map(Scalar::UInt),
        _ => None,
    }
}

struct Stepper<'a> {
    optimizer: &'a mut Optimizer,
    gradients: GradientsParams,
    learning_rate: f64,
    path: Vec<String>,
}

impl ModuleMapper for Stepper<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else {
            return param;
        };
        let path = self.path.join(".");
        let (id, tensor, mapper) = param.consume();
        // The update leaves the tape; the parameter must come back with the
        // checkpointing strategy and the requirement it had.
        let strategy = tensor.gradient_checkpointing_strategy();
        let require_grad = tensor.is_require_grad();
        let old = self.optimizer.states.remove(&path);
        let group = match &old {
            Some(param) => param.group,
            None => self.optimizer.group_of(&path, D),
        };
        let Group { rule, scale, .. } = &self.optimizer.groups[group];
        let (updated, state) = rule.step_dyn(
            D,
            self.learning_rate * scale,
            tensor.inner().into_bridge(),
            gradient.into_bridge(),
            old.map(|param| param.state),
        );
        if let Some(state) = state {
            self.optimizer
                .states
                .insert(path, ParamState { group, state });
        }
        let mut tensor = Tensor::<D>::from_inner(Tensor::from_bridge(updated));
        if let Some(strategy) = strategy {
            tensor = tensor.with_gradient_checkpointing_strategy(strategy);
        }
        if require_grad {
            tensor = tensor.require_grad();
        }
        Param::from_mapped_value(id, tensor, mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_state::ModelState;
    use burn::nn::{Linear, LinearConfig};

    fn model(seed: u64) -> Linear {
        let device = Device::flex().autodiff();
        device.seed(seed);
        LinearConfig::new(3, 2).init(&device)
    }

    fn gradients(model: &Linear, scale: f32) -> GradientsParams {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_data([[1.0f32, -2.0, 0.5]], &device);
        let loss = model.forward(x).powi_scalar(2).sum() * scale;
        GradientsParams::from_grads(loss.backward(), model)
    }

    fn rules() -> Vec<(&'static str, Optimizer)> {
        vec![
            ("sgd", Optimizer::from(Sgd::torch())),
            (
                "momentum",
                Optimizer::from(Sgd::torch().with_momentum(0.9).with_nesterov(true)),
            ),
            ("adam", Optimizer::from(Adam::torch())),
            ("adamw", AdamW::torch().without_decay_of_vectors().build()),
        ]
    }

    #[test]
    fn a_restored_state_goes_on_bit_for_bit_in_another_model_instance() {
        for (name, fresh) in rules() {
            let mut straight = fresh.clone();
            let mut a = model(1);
            for step in 0..3 {
                a = straight.step(0.1, a.clone(), gradients(&a, 1.0 + step as f32));
            }
            let saved_model = ModelState::of(&a);
            let saved = straight.state();
            let a = straight.step(0.1, a.clone(), gradients(&a, -0.3));

            let mut resumed = fresh.clone();
            resumed.restore(&saved, &Device::flex().autodiff()).unwrap();
            let b = saved_model.apply(model(2)).unwrap();
            let b = resumed.step(0.1, b.clone(), gradients(&b, -0.3));
            assert_eq!(
                ModelState::of(&a).digest(),
                ModelState::of(&b).digest(),
                "{name}"
            );
            let bytes = |optimizer: &Optimizer| optimizer.state().tensors.to_bytes().unwrap();
            assert_eq!(bytes(&straight), bytes(&resumed), "{name}");
        }
    }

    #[test]
    fn the_state_of_another_optimiser_is_refused() {
        let mut adam = Optimizer::from(Adam::torch());
        let a = model(1);
        let a = adam.step(0.1, a.clone(), gradients(&a, 1.0));
        drop(a);
        let mut saved = adam.state();
        saved.tensors.remove("weight:momentum.moment_2");
        let mut other = Optimizer::from(Adam::torch());
        let error = other.restore(&saved, &Device::flex()).unwrap_err();
        assert!(error.to_string().contains("weight"), "{error}");
    }

    #[test]
    fn vectors_escape_weight_decay_in_their_own_group() {
        let with_bias = |optimizer: &mut Optimizer| {
            let before = model(1);
            let zero = GradientsParams::from_grads(
                before
                    .forward(Tensor::<2>::zeros([1, 3], &Device::flex().autodiff()))
                    .sum()
                    .mul_scalar(0.0)
                    .backward(),
                &before,
            );
            let after = optimizer.step(0.1, before.clone(), zero);
            let changed = |a: Vec<f32>, b: Vec<f32>| a != b;
            let vec1 = |m: &Linear| {
                m.bias
                    .as_ref()
                    .unwrap()
                    .val()
                    .into_data()
                    .try_to_vec::<f32>()
                    .unwrap()
            };
            let vec2 = |m: &Linear| m.weight.val().into_data().try_to_vec::<f32>().unwrap();
            (
                changed(vec2(&before), vec2(&after)),
                changed(vec1(&before), vec1(&after)),
            )
        };
        let all = &mut AdamW::torch().with_weight_decay(0.5).build();
        assert_eq!(with_bias(all), (true, true));
        let some = &mut AdamW::torch()
            .with_weight_decay(0.5)
            .without_decay_of_vectors()
            .build();
        assert_eq!(with_bias(some), (true, false));
    }

    #[test]
    fn a_parameter_without_gradient_stays_as_it_is() {
        let mut optimizer = Optimizer::from(Adam::torch());
        let before = model(1);
        let after = optimizer.step(0.1, before.clone(), GradientsParams::new());
        assert_eq!(
            ModelState::of(&before).digest(),
            ModelState::of(&after).digest()
        );
        assert!(optimizer.states.is_empty());
    }
}
