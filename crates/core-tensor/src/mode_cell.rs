//! Whether a layer trains or evaluates, as a leaf of the module tree.

use burn::module::{
    Content, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// What a layer does that behaves differently in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Draw, drop, augment, use batch statistics and update the running ones.
    #[default]
    Train,
    /// Behave deterministically: identity, or running statistics.
    Eval,
}

/// The mode of a layer, held as a leaf so that it follows the model:
/// [`Module::valid`] turns it to [`Mode::Eval`], [`Module::train`] to
/// [`Mode::Train`].
///
/// `freeze()` and `unfreeze()` leave it alone: freezing a backbone stops its
/// learning and must not switch augmentation or stochastic depth off. Layers
/// whose behaviour must follow `freeze()` (batch normalisation) hold burn's
/// `Param<Flag>` instead. The mode isn't recorded.
///
/// # The rule of every layer
/// A layer acts in training iff its mode is `Train` *and* its input is on an
/// autodiff device; [`ModeCell::resolve`] is that rule. So a training-mode
/// model on a plain device evaluates, and a layer that draws never does so in
/// inference by accident. `forward_mode(x, Mode::Train)` of the layers is the
/// explicit way around it.
///
/// ```
/// use firecraft_core_tensor::{Mode, ModeCell};
/// use burn::{module::Module, tensor::{Device, Tensor}};
///
/// let cell = ModeCell::default();
/// let plain = Tensor::<1>::zeros([1], &Device::flex());
/// let training = Tensor::<1>::zeros([1], &Device::flex().autodiff());
/// assert_eq!(cell.resolve(&plain), Mode::Eval);
/// assert_eq!(cell.resolve(&training), Mode::Train);
/// assert_eq!(cell.freeze().resolve(&training), Mode::Train);
/// assert_eq!(cell.valid().resolve(&training), Mode::Eval);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ModeCell {
    mode: Mode,
}

impl ModeCell {
    /// A cell in the given mode.
    #[must_use]
    pub const fn new(mode: Mode) -> Self {
        Self { mode }
    }

    /// The mode that was set, whatever the device.
    #[must_use]
    pub const fn get(&self) -> Mode {
        self.mode
    }

    /// The mode in force for this input: `Train` only on an autodiff device.
    #[must_use]
    pub fn resolve<const D: usize>(&self, input: &Tensor<D>) -> Mode {
        if self.mode == Mode::Train && input.device().is_autodiff() {
            Mode::Train
        } else {
            Mode::Eval
        }
    }
}

impl Module for ModeCell {
    fn visit<V: ModuleVisitor>(&self, _visitor: &mut V) {}

    fn map<M: ModuleMapper>(self, _mapper: &mut M) -> Self {
        self
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
        Self::new(Mode::Eval)
    }

    fn train(self) -> Self {
        Self::new(Mode::Train)
    }
}

impl ModuleDisplayDefault for ModeCell {
    fn content(&self, content: Content) -> Option<Content> {
        content
            .add_formatted(&format!("{:?}", self.mode))
            .optional()
    }
}

impl ModuleDisplay for ModeCell {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_and_train_set_the_mode() {
        let cell = ModeCell::default();
        assert_eq!(cell.valid().get(), Mode::Eval);
        assert_eq!(cell.valid().train().get(), Mode::Train);
    }

    #[test]
    fn freezing_does_not_touch_the_mode() {
        assert_eq!(ModeCell::new(Mode::Train).freeze().get(), Mode::Train);
        assert_eq!(ModeCell::new(Mode::Eval).unfreeze().get(), Mode::Eval);
    }

    #[test]
    fn training_mode_on_a_plain_device_evaluates() {
        let input = Tensor::<2>::zeros([1, 1], &Device::flex());
        assert_eq!(ModeCell::default().resolve(&input), Mode::Eval);
    }
}
