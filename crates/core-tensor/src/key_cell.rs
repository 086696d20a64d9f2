//! Where a layer inside a model gets its randomness from.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{
    Content, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
    ParamId,
};
use burn::tensor::{Device, Int, Tensor};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

use crate::host_words;

const CONTAINER: &str = "Struct:KeyCell";
const WORDS: usize = 7;

/// Which step of which run a forward pass belongs to. Equal steps give equal
/// draws in every layer, so a resumed run repeats what the killed one did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepKey {
    /// The seed of the run.
    pub seed: u64,
    /// Optimiser updates made before this one, from 0.
    pub update: u64,
    /// Micro-batch of a gradient accumulation, from 0.
    pub micro_batch: u64,
    /// Worker of a multi-device run, from 0.
    pub rank: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    step: StepKey,
    slot: u64,
    place: u64,
    calls: u64,
}

impl State {
    fn words(self) -> [u64; WORDS] {
        [
            self.step.seed,
            self.step.update,
            self.step.micro_batch,
            self.step.rank,
            self.slot,
            self.place,
            self.calls,
        ]
    }

    fn from_words(words: [u64; WORDS]) -> Self {
        let [seed, update, micro_batch, rank, slot, place, calls] = words;
        Self {
            step: StepKey {
                seed,
                update,
                micro_batch,
                rank,
            },
            slot,
            place,
            calls,
        }
    }

    fn key(self) -> Key {
        Key::from_seed(self.step.seed)
            .named("layer")
            .fold(self.place)
            .fold(self.slot)
            .fold(self.step.rank)
            .fold(self.step.update)
            .fold(self.step.micro_batch)
            .fold(self.calls)
    }
}

/// The source of keys of one layer: a leaf that a layer which draws in its
/// forward pass (stochastic depth, augmentation, …) holds as a field.
///
/// [`KeyCell::next`] gives the key of
/// `(seed, place, slot, rank, update, micro_batch, call)`, folded in that
/// order into `Key::from_seed(seed).named("layer")`. The layer folds the row
/// index into it for per-sample draws. The trainer sets the step of all cells
/// of a model by [`set_step_key`] before each forward pass, which also resets
/// the call counter and tells the cell its place in the model; alone, a cell
/// counts its calls and needs no trainer.
///
/// `slot` keeps two draws of one layer, or two layers used without
/// `set_step_key`, apart.
///
/// # Ownership, records, devices
/// A clone owns its counter: drawing from one never moves the other. The
/// state is recorded with the model as an int tensor that lives on a host
/// backend (flex, else ndarray, else the default device); `to_device` and
/// `fork` leave it where it is.
///
/// ```
/// use firecraft_core_tensor::{KeyCell, StepKey};
///
/// let cell = KeyCell::new(0);
/// let again = cell.clone();
/// let (first, second) = (cell.next(), cell.next());
/// assert_ne!(first, second);
/// assert_eq!([again.next(), again.next()], [first, second]);
///
/// cell.set_step(StepKey { seed: 1, update: 10, micro_batch: 0, rank: 0 });
/// assert_eq!(cell.calls(), 0);
/// ```
pub struct KeyCell {
    id: ParamId,
    state: Mutex<State>,
}

impl KeyCell {
    /// A cell for the given slot, at step 0 of seed 0.
    #[must_use]
    pub fn new(slot: u64) -> Self {
        Self::from_state(
            ParamId::new(),
            State {
                step: StepKey::default(),
                slot,
                place: 0,
                calls: 0,
            },
        )
    }

    /// The same cell with another seed, for use without a trainer.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        self.lock().step.seed = seed;
        self
    }

    /// The key of the next draw. Every call gives another one.
    #[must_use]
    pub fn next(&self) -> Key {
        let mut state = self.lock();
        let key = state.key();
        state.calls += 1;
        key
    }

    /// The step in force.
    #[must_use]
    pub fn step(&self) -> StepKey {
        self.lock().step
    }

    /// The slot this cell was made for.
    #[must_use]
    pub fn slot(&self) -> u64 {
        self.lock().slot
    }

    /// Draws made since the step was set.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Sets the step and resets the call counter. [`set_step_key`] does so for
    /// a whole model.
    pub fn set_step(&self, step: StepKey) {
        let mut state = self.lock();
        state.step = step;
        state.calls = 0;
    }

    fn from_state(id: ParamId, state: State) -> Self {
        Self {
            id,
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is plain numbers, complete after every single write.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for KeyCell {
    fn clone(&self) -> Self {
        Self::from_state(self.id, *self.lock())
    }
}

impl fmt::Debug for KeyCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("KeyCell")
            .field("slot", &state.slot)
            .field("step", &state.step)
            .field("calls", &state.calls)
            .finish()
    }
}

impl Module for KeyCell {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        host_words::visit(visitor, CONTAINER, self.id, self.lock().words());
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let (id, words) = host_words::map(mapper, CONTAINER, self.id, self.lock().words());
        Self::from_state(id, State::from_words(words))
    }

    fn to_device(self, _device: &Device) -> Self {
        self
    }

    fn fork(self, _device: &Device) -> Self {
        self
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        devices
    }

    fn materialize(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn train(self) -> Self {
        self
    }
}

impl ModuleDisplayDefault for KeyCell {
    fn content(&self, content: Content) -> Option<Content> {
        content
            .add_formatted(&format!("KeyCell {{slot: {}}}", self.slot()))
            .optional()
    }
}

impl ModuleDisplay for KeyCell {}

/// Sets the step of every [`KeyCell`] in a model and resets their call
/// counters, before a forward pass.
///
/// Each cell also learns its place, a hash of its path in the model, so that
/// two layers with equal slots draw differently.
///
/// ```
/// use burn::module::Module;
/// use firecraft_core_tensor::{KeyCell, StepKey, set_step_key};
///
/// #[derive(Module, Debug)]
/// struct Model { first: KeyCell, second: KeyCell }
///
/// let model = Model { first: KeyCell::new(0), second: KeyCell::new(0) };
/// let model = set_step_key(model, &StepKey { seed: 7, ..StepKey::default() });
/// assert_eq!(model.first.step().seed, 7);
/// assert_ne!(model.first.next(), model.second.next());
/// ```
#[must_use]
pub fn set_step_key<M: Module>(model: M, step: &StepKey) -> M {
    struct Setter {
        step: StepKey,
        path: Vec<String>,
        inside: bool,
    }

    impl ModuleMapper for Setter {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.inside = container_type == CONTAINER;
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.inside = false;
            self.path.pop();
        }

        fn map_int<const D: usize>(
            &mut self,
            param: Param<Tensor<D, Int>>,
        ) -> Param<Tensor<D, Int>> {
            if !self.inside || param.lazy_shape().num_elements() != 2 * WORDS {
                return param;
            }
            let place = Key::from_seed(0).named(&self.path.join(".")).words()[0];
            let step = self.step;
            param.map(|tensor| {
                let device = tensor.device();
                let seen = host_words::to_words::<WORDS>(tensor.clone().reshape([2 * WORDS]));
                let Some(words) = seen else {
                    return tensor;
                };
                let state = State {
                    step,
                    place,
                    calls: 0,
                    ..State::from_words(words)
                };
                host_words::to_tensor(state.words(), &device).reshape(tensor.shape())
            })
        }
    }

    model.map(&mut Setter {
        step: *step,
        path: Vec::new(),
        inside: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::store::ModuleRecord;

    #[derive(Module, Debug)]
    struct Model {
        first: KeyCell,
        layers: Vec<KeyCell>,
        weight: Param<Tensor<1>>,
    }

    fn model() -> Model {
        Model {
            first: KeyCell::new(0),
            layers: vec![KeyCell::new(0), KeyCell::new(0)],
            weight: Param::from_tensor(Tensor::zeros([2], &Device::flex())),
        }
    }

    fn step(update: u64) -> StepKey {
        StepKey {
            seed: u64::MAX - 3,
            update,
            micro_batch: 1,
            rank: 2,
        }
    }

    fn draws(model: &Model) -> Vec<Key> {
        let cells = std::iter::once(&model.first).chain(&model.layers);
        cells.map(KeyCell::next).collect()
    }

    #[test]
    fn the_key_is_the_documented_fold() {
        let cell = KeyCell::new(3);
        cell.set_step(step(9));
        let _ = cell.next();
        let expected = Key::from_seed(u64::MAX - 3)
            .named("layer")
            .fold(0)
            .fold(3)
            .fold(2)
            .fold(9)
            .fold(1)
            .fold(1);
        assert_eq!(cell.next(), expected);
    }

    #[test]
    fn the_same_step_repeats_the_draws_of_every_layer_and_no_two_layers_agree() {
        let model = set_step_key(model(), &step(5));
        let first = draws(&model);
        assert_ne!(first, draws(&model));
        let model = set_step_key(model, &step(5));
        assert_eq!(first, draws(&model));
        let model = set_step_key(model, &step(6));
        let other = draws(&model);
        for i in 0..3 {
            for j in 0..3 {
                assert!(i == j || first[i] != first[j]);
                assert_ne!(first[i], other[j]);
            }
        }
    }

    #[test]
    fn a_clone_draws_for_itself() {
        let model = set_step_key(model(), &step(1));
        let clone = model.clone();
        let drawn = draws(&model);
        assert_eq!(drawn, draws(&clone));
        assert_eq!(drawn.len(), 3);
    }

    #[test]
    fn a_record_restores_step_and_counter() {
        let saved = set_step_key(model(), &step(u64::from(u32::MAX) + 8));
        let _ = draws(&saved);
        let bytes = saved.clone().into_record().into_bytes().unwrap();
        let loaded = model().load_record(ModuleRecord::from_bytes(bytes).unwrap());
        assert_eq!(loaded.first.step(), saved.first.step());
        assert_eq!(loaded.first.calls(), 1);
        assert_eq!(draws(&loaded), draws(&saved));
    }

    #[test]
    fn freezing_mapping_and_validation_leave_the_state() {
        let model = set_step_key(model(), &step(2));
        let expected = draws(&model.clone());
        assert_eq!(expected, draws(&model.valid()));
        assert_eq!(expected, draws(&model.clone().freeze().train()));
        assert_eq!(expected, draws(&model.fork(&Device::flex())));
    }

    #[test]
    fn cells_add_no_device_and_no_parameter() {
        let model = model();
        assert_eq!(model.devices(), vec![Device::flex()]);
        assert_eq!(Module::num_params(&model), 2);
        assert!(model.first.devices().is_empty());
    }
}
