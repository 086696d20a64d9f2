//! All values of a model on the host, by parameter path.

use std::collections::BTreeMap;

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::archive::TensorArchive;
use crate::error::TrainerError;

/// A copy of everything a model holds: parameters, running statistics, key
/// cells, and what burn's records leave out, the control flags and which
/// parameters require gradients.
///
/// Values are keyed by parameter path, never by burn's `ParamId`, which is
/// drawn anew in every process. The copy is deep also for burn's own
/// `RunningState`, which a module's `clone` shares and which is one update late
/// until it is synchronised.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use firecraft_trainer::ModelState;
///
/// let model = LinearConfig::new(3, 2).init(&Device::flex());
/// let state = ModelState::of(&model);
/// assert_eq!(state.paths().collect::<Vec<_>>(), ["bias", "weight"]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct ModelState {
    tensors: BTreeMap<String, TensorData>,
    switches: Switches,
}

/// The Boolean part of a [`ModelState`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switches {
    /// Control flags by path, such as the training flag of a dropout layer.
    flags: BTreeMap<String, bool>,
    /// Paths of the float tensors that require gradients.
    require_grad: Vec<String>,
}

impl ModelState {
    /// Reads a model. On a GPU this waits for the device.
    pub fn of<M: Module>(model: &M) -> Self {
        let mut collector = Collector::default();
        // `valid` synchronises burn's running statistics; its copies of the
        // values are the ones to read. Flags and gradient requirements are
        // suspended in that copy, so they come from the original.
        model.valid().visit(&mut collector);
        collector.part = Part::Switches;
        model.visit(&mut collector);
        collector.state
    }

    /// Puts the values into a model of the same structure.
    ///
    /// The model keeps its device, its parameter ids, its control flags and
    /// which of its parameters require gradients.
    ///
    /// # Errors
    ///
    /// [`TrainerError::OtherModel`] naming the first path that is missing,
    /// superfluous or of another shape; the model is lost then.
    pub fn apply<M: Module>(&self, model: M) -> Result<M, TrainerError> {
        self.load(model, false)
    }

    /// Like [`apply`](Self::apply), and sets the control flags and gradient
    /// requirements too: the model becomes what it was, frozen parts included.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub fn restore<M: Module>(&self, model: M) -> Result<M, TrainerError> {
        self.load(model, true)
    }

    fn load<M: Module>(&self, model: M, switches: bool) -> Result<M, TrainerError> {
        // An update of burn's running statistics that is still pending would
        // overwrite the restored value later: synchronise first.
        drop(model.valid());
        let mut loader = Loader {
            state: self,
            switches,
            path: Vec::new(),
            used: 0,
            problem: None,
        };
        let model = model.map(&mut loader);
        if let Some(problem) = loader.problem {
            return Err(TrainerError::OtherModel { problem });
        }
        if loader.used != self.tensors.len() {
            let here = Self::of(&model);
            let extra = self
                .tensors
                .keys()
                .find(|path| !here.tensors.contains_key(*path));
            return Err(TrainerError::OtherModel {
                problem: format!(
                    "it holds `{}`, which this model lacks",
                    extra.map_or("", String::as_str)
                ),
            });
        }
        Ok(model)
    }

    /// Paths of all tensors, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The tensor at `path`.
    pub fn get(&self, path: &str) -> Option<&TensorData> {
        self.tensors.get(path)
    }

    /// SHA-256 over paths, types and shapes, in hexadecimal: equal for models
    /// of the same structure, whatever their values.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (path, data) in &self.tensors {
            hash.update(format!(
                "{path} {:?} {:?}\n",
                data.dtype(),
                &data.shape()[..]
            ));
        }
        hex(&hash.finalize())
    }

    /// SHA-256 over all values, in hexadecimal.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (path, data) in &self.tensors {
            hash.update(path);
            hash.update(data.as_bytes());
        }
        hex(&hash.finalize())
    }

    /// The tensors as an archive that other programs read (safetensors).
    pub fn to_archive(&self) -> TensorArchive {
        let mut archive = TensorArchive::default();
        for (path, data) in &self.tensors {
            archive.insert(path.clone(), data.clone());
        }
        archive
    }

    pub(crate) fn switches(&self) -> &Switches {
        &self.switches
    }

    pub(crate) fn from_parts(archive: &TensorArchive, switches: Switches) -> Self {
        Self {
            tensors: archive
                .iter()
                .map(|(path, data)| (path.to_owned(), data.clone()))
                .collect(),
            switches,
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Part {
    #[default]
    Values,
    Switches,
}

#[derive(Default)]
struct Collector {
    path: Vec<String>,
    part: Part,
    state: ModelState,
}

impl Collector {
    fn put(&mut self, data: impl FnOnce() -> TensorData) {
        if self.part == Part::Values {
            self.state.tensors.insert(self.path.join("."), data());
        }
    }
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.part == Part::Switches && param.is_require_grad() {
            self.state.switches.require_grad.push(self.path.join("."));
        }
        self.put(|| param.transform_for_save().val().into_data());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.put(|| param.transform_for_save().val().into_data());
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.put(|| param.transform_for_save().val().into_data());
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        if self.part == Part::Switches {
            self.state
                .switches
                .flags
                .insert(self.path.join("."), flag.is_enabled());
        }
    }
}

struct Loader<'a> {
    state: &'a ModelState,
    switches: bool,
    path: Vec<String>,
    used: usize,
    problem: Option<String>,
}

impl Loader<'_> {
    /// The values for the parameter at hand, whose stored form has `shape`.
    fn take(&mut self, shape: &[usize]) -> Option<&TensorData> {
        let path = self.path.join(".");
        match self.state.tensors.get(&path) {
            None => {
                self.problem
                    .get_or_insert_with(|| format!("it lacks `{path}`"));
                None
            }
            Some(data) if data.shape()[..] != *shape => {
                self.problem.get_or_insert_with(|| {
                    format!(
                        "`{path}` has shape {:?} there and {shape:?} here",
                        &data.shape()[..]
                    )
                });
                None
            }
            Some(data) => {
                self.used += 1;
                Some(data)
            }
        }
    }
}

/// Shape of a parameter as it is saved. An initialised parameter may be held
/// in another layout (a `Linear` with columns first), an uninitialised one
/// reports its saved shape already.
fn stored_shape<const D: usize, K: burn::tensor::kind::Basic>(
    param: &Param<Tensor<D, K>>,
) -> Vec<usize>
where
    Tensor<D, K>: burn::module::Parameter,
{
    if param.is_initialized() {
        param.transform_for_save().shape().to_vec()
    } else {
        param.lazy_shape().to_vec()
    }
}

/// The three tensor kinds differ in their type only.
macro_rules! load_kind {
    ($method:ident, $kind:ty, $finish:expr) => {
        fn $method<const D: usize>(
            &mut self,
            param: Param<Tensor<D, $kind>>,
        ) -> Param<Tensor<D, $kind>> {
            let device: Device = param.lazy_device();
            let shape = stored_shape(&param);
            let id = param.id;
            match self.take(&shape).cloned() {
                Some(data) => {
                    let dtype = data.dtype();
                    let tensor = Tensor::from_data(data, (&device, dtype));
                    let finish: fn(&Self, Param<Tensor<D, $kind>>) -> Param<Tensor<D, $kind>> =
                        $finish;
                    finish(self, param.transform_for_load(tensor, id))
                }
                None => param,
            }
        }
    };
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    load_kind!(map_float, burn::tensor::Float, |loader, param| {
        if !loader.switches {
            return param;
        }
        let path = loader.path.join(".");
        let require = loader.state.switches.require_grad.contains(&path);
        param.set_require_grad(require)
    });
    load_kind!(map_int, Int, |_, param| param);
    load_kind!(map_bool, Bool, |_, param| param);

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        match self.state.switches.flags.get(&self.path.join(".")) {
            Some(&enabled) if self.switches => flag.with_value(enabled),
            _ => flag,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, LinearLayout};

    #[derive(Module, Debug)]
    struct Net {
        linear: Linear,
        norm: BatchNorm,
    }

    fn net(seed: u64) -> Net {
        let device = Device::flex().autodiff();
        device.seed(seed);
        Net {
            linear: LinearConfig::new(3, 2)
                .with_layout(LinearLayout::Col)
                .init(&device),
            norm: BatchNormConfig::new(2).init(&device),
        }
    }

    fn input() -> Tensor<2> {
        let values = TensorData::from([[1.0f32, 2.0, 3.0], [-4.0, 0.5, 6.0]]);
        Tensor::from_data(values, &Device::flex().autodiff())
    }

    #[test]
    fn a_state_moves_between_models_bit_for_bit() {
        let source = net(1);
        let state = ModelState::of(&source);
        let target = state.apply(net(2)).unwrap();
        assert_eq!(ModelState::of(&target).digest(), state.digest());
        assert_ne!(ModelState::of(&net(2)).digest(), state.digest());
        let a = source.linear.forward(input()).into_data();
        let b = target.linear.forward(input()).into_data();
        assert_eq!(a.as_bytes(), b.as_bytes());
    }

    #[test]
    fn a_state_does_not_follow_burns_shared_running_statistics() {
        let model = net(1);
        let state = ModelState::of(&model);
        let before = state.get("norm.running_mean").unwrap().clone();
        let _ = model.norm.forward(model.linear.forward(input()));
        let after = ModelState::of(&model);
        let after = after.get("norm.running_mean").unwrap();
        assert_ne!(
            before.as_bytes(),
            after.as_bytes(),
            "the newest update is seen"
        );
        let kept = state.get("norm.running_mean").unwrap();
        assert_eq!(
            before.as_bytes(),
            kept.as_bytes(),
            "the snapshot stands still"
        );
    }

    #[test]
    fn a_pending_update_of_running_statistics_does_not_undo_a_restore() {
        let model = net(1);
        let state = ModelState::of(&model);
        let _ = model.norm.forward(model.linear.forward(input()));
        let restored = state.apply(model).unwrap();
        assert_eq!(ModelState::of(&restored).digest(), state.digest());
    }

    #[test]
    fn freezing_is_restored_and_not_applied() {
        let frozen = ModelState::of(&net(1).freeze());
        let model = frozen.restore(net(1)).unwrap();
        assert!(!model.linear.weight.is_require_grad());
        assert_eq!(ModelState::of(&model).switches(), frozen.switches());
        let thawed = ModelState::of(&net(1)).restore(net(1).freeze()).unwrap();
        assert!(thawed.linear.weight.is_require_grad());
        let values_only = frozen.apply(net(1)).unwrap();
        assert!(values_only.linear.weight.is_require_grad());
    }

    #[test]
    fn another_model_is_named_by_its_first_difference() {
        let state = ModelState::of(&net(1));
        let device = Device::flex();
        let error = state
            .apply(LinearConfig::new(3, 2).init(&device))
            .unwrap_err()
            .to_string();
        assert!(error.contains("it lacks `weight`"), "{error}");
        let wide = LinearConfig::new(3, 4).init(&device);
        let error = ModelState::of(&LinearConfig::new(3, 2).init(&device))
            .apply(wide)
            .unwrap_err()
            .to_string();
        assert!(error.contains("`weight` has shape [3, 2]"), "{error}");
    }

    #[test]
    fn the_fingerprint_ignores_values_and_sees_shapes() {
        let device = Device::flex();
        let of = |a, b| ModelState::of(&LinearConfig::new(a, b).init(&device)).fingerprint();
        assert_eq!(of(3, 2), of(3, 2));
        assert_ne!(of(3, 2), of(2, 3));
    }
}
