//! Running statistics that belong to one module only.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{
    Content, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
    ParamId,
};
use burn::tensor::{Device, Tensor};

/// A float tensor that a layer updates during its forward pass and that no
/// optimiser sees: the running mean of a normalisation, for example.
///
/// It is recorded under the same path as burn's `RunningState`, so records
/// load both ways, and differs from it in one respect: **a clone owns its
/// value**. `best = model.clone()` keeps the statistics of that moment while
/// `model` goes on training.
///
/// Visitors and mappers meet it as a float parameter that requires no
/// gradient; whatever a mapper sets, it never starts to require one.
/// Updates are made under a lock, in the order in which they arrive; a model
/// that is forked to several devices has one value per fork, which the
/// multi-device path has to merge.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_core_tensor::Buffer;
///
/// let device = Device::flex();
/// let mean = Buffer::new(Tensor::<1>::from_floats([1.0], &device));
/// let snapshot = mean.clone();
/// mean.set(Tensor::from_floats([2.0], &device));
/// assert_eq!(mean.value().into_scalar::<f32>(), 2.0);
/// assert_eq!(snapshot.value().into_scalar::<f32>(), 1.0);
/// ```
pub struct Buffer<const D: usize> {
    id: ParamId,
    value: Mutex<Tensor<D>>,
}

impl<const D: usize> Buffer<D> {
    /// A buffer with its initial value, under a new id.
    #[must_use]
    pub fn new(value: Tensor<D>) -> Self {
        Self::with_id(ParamId::new(), value)
    }

    /// A buffer under a given id.
    #[must_use]
    pub fn with_id(id: ParamId, value: Tensor<D>) -> Self {
        Self {
            id,
            value: Mutex::new(value.detach()),
        }
    }

    /// The identity under which the value is recorded.
    #[must_use]
    pub fn id(&self) -> ParamId {
        self.id
    }

    /// The current value. Cheap: tensors share their storage until written.
    #[must_use]
    pub fn value(&self) -> Tensor<D> {
        self.lock().clone()
    }

    /// Replaces the value; the graph that led to it is cut.
    pub fn set(&self, value: Tensor<D>) {
        *self.lock() = value.detach();
    }

    /// Replaces the value by a function of it, under one lock, so that two
    /// threads never lose an update. The graph that led to it is cut.
    pub fn update(&self, function: impl FnOnce(Tensor<D>) -> Tensor<D>) {
        let mut value = self.lock();
        *value = function(value.clone()).detach();
    }

    fn lock(&self) -> MutexGuard<'_, Tensor<D>> {
        // The value is replaced as a whole, so a poisoned lock still holds a
        // complete one.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_value(self) -> (ParamId, Tensor<D>) {
        let value = self.value.into_inner();
        (self.id, value.unwrap_or_else(PoisonError::into_inner))
    }
}

impl<const D: usize> Clone for Buffer<D> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            value: Mutex::new(self.value()),
        }
    }
}

impl<const D: usize> fmt::Debug for Buffer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({}, {:?})", self.id, self.lock().dims())
    }
}

impl<const D: usize> Module for Buffer<D> {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_float(&Param::initialized(self.id, self.value()));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let (id, value) = self.into_value();
        let (id, value, _) = mapper.map_float(Param::initialized(id, value)).consume();
        Self {
            id,
            value: Mutex::new(value.set_require_grad(false)),
        }
    }

    fn to_device(self, device: &Device) -> Self {
        let (id, value) = self.into_value();
        Self::with_id(id, value.to_device(device))
    }

    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }

    fn collect_devices(&self, mut devices: Vec<Device>) -> Vec<Device> {
        let device = self.lock().device();
        if !devices.contains(&device) {
            devices.push(device);
        }
        devices
    }

    fn materialize(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        Self {
            id: self.id,
            value: Mutex::new(self.value().without_autodiff()),
        }
    }

    fn train(self) -> Self {
        let (id, value) = self.into_value();
        Self {
            id,
            value: Mutex::new(value.autodiff()),
        }
    }
}

impl<const D: usize> ModuleDisplayDefault for Buffer<D> {
    fn content(&self, content: Content) -> Option<Content> {
        content
            .add_formatted(&format!(
                "Buffer {{rank: {D}, shape: {:?}}}",
                self.lock().dims()
            ))
            .optional()
    }
}

impl<const D: usize> ModuleDisplay for Buffer<D> {}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::RunningState;

    #[derive(Module, Debug)]
    struct Ours {
        mean: Buffer<1>,
    }

    #[derive(Module, Debug)]
    struct Burns {
        mean: RunningState<Tensor<1>>,
    }

    fn ours(value: f32, device: &Device) -> Ours {
        Ours {
            mean: Buffer::new(Tensor::from_floats([value, value], device)),
        }
    }

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    #[test]
    fn a_clone_and_a_validation_snapshot_own_their_values() {
        let device = Device::flex().autodiff();
        let model = ours(1.0, &device);
        let (clone, valid) = (model.clone(), model.valid());
        model.mean.update(|mean| mean + 1.0);
        assert_eq!(values(model.mean.value()), [2.0, 2.0]);
        assert_eq!(values(clone.mean.value()), [1.0, 1.0]);
        assert_eq!(values(valid.mean.value()), [1.0, 1.0]);
    }

    #[test]
    fn loading_a_record_into_a_clone_leaves_the_original() {
        let device = Device::flex();
        let model = ours(1.0, &device);
        let record = ours(5.0, &device).into_record();
        let loaded = model.clone().load_record(record);
        assert_eq!(values(model.mean.value()), [1.0, 1.0]);
        assert_eq!(values(loaded.mean.value()), [5.0, 5.0]);
    }

    #[test]
    fn records_are_exchanged_with_burns_running_state() {
        let device = Device::flex();
        let burns = Burns {
            mean: RunningState::new(Tensor::from_floats([3.0, 4.0], &device)),
        };
        let id = burns.clone().into_record();
        let loaded = ours(0.0, &device).load_record(id);
        assert_eq!(values(loaded.mean.value()), [3.0, 4.0]);

        let back = burns.load_record(ours(7.0, &device).into_record());
        assert_eq!(values(back.mean.value_sync()), [7.0, 7.0]);
    }

    #[test]
    fn unfreezing_does_not_make_it_require_gradients() {
        let model = ours(1.0, &Device::flex().autodiff()).unfreeze();
        assert!(!model.mean.value().is_require_grad());
    }

    #[test]
    fn validation_removes_autodiff_and_train_brings_it_back() {
        let model = ours(1.0, &Device::flex().autodiff());
        let valid = model.valid();
        assert!(!valid.mean.value().is_autodiff());
        assert!(valid.train().mean.value().is_autodiff());
    }

    #[test]
    fn a_value_with_a_history_is_cut_from_its_graph() {
        let device = Device::flex().autodiff();
        let buffer = Buffer::new(Tensor::<1>::zeros([2], &device));
        let input = Tensor::<1>::from_floats([1.0, 2.0], &device).require_grad();
        buffer.set(input * 2.0);
        assert!(!buffer.value().is_tracked());
    }
}
