//! The schedules of other libraries under their own names, with their own
//! arguments, defaults and conventions.
//!
//! Each type is a configuration with the peer's argument names (`base_lr`, the
//! optimiser's learning rate, is added where the peer takes it from there). All
//! of them are in the registry as `torch.CosineAnnealingLR`,
//! `keras.CosineDecay`, `timm.CosineLRScheduler`, `transformers.cosine`,
//! `optax.cosine_decay_schedule`, `fastai.SchedCos`, `pytorch_optimizer.rex`.
//!
//! A step of ours is a step of theirs: position `t` gives the learning rate in
//! force at update `t`, which torch has after `t` calls of `step()`. Use
//! `unit = "epochs"` for a scheduler that was stepped per epoch.

pub mod fastai;
pub mod keras;
pub mod optax;
pub mod pytorch_optimizer;
pub mod timm;
pub mod torch;
pub mod transformers;

use crate::{Schedule, Schedulers};
use firecraft_spec::{Registry, SpecError};
use std::fmt;

pub(crate) fn register(registry: &mut Registry<Schedulers>) -> Result<(), SpecError> {
    fastai::register(registry)?;
    keras::register(registry)?;
    optax::register(registry)?;
    pytorch_optimizer::register(registry)?;
    timm::register(registry)?;
    torch::register(registry)?;
    transformers::register(registry)
}

/// A closed form of a peer that is none of ours.
pub struct Formula {
    name: &'static str,
    function: Box<dyn Fn(f64) -> f64 + Send>,
    warmup: Option<(&'static str, f64)>,
}

impl Formula {
    fn new(name: &'static str, function: impl Fn(f64) -> f64 + Send + 'static) -> Self {
        Self {
            name,
            function: Box::new(function),
            warmup: None,
        }
    }

    /// With a warm-up of `length`, which the parameter `field` sets.
    fn warming(mut self, field: &'static str, length: f64) -> Self {
        self.warmup = Some((field, length)).filter(|_| length > 0.0);
        self
    }
}

impl Schedule for Formula {
    fn value(&self, at: f64) -> f64 {
        (self.function)(at)
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn warmup(&self) -> Option<(&'static str, f64)> {
        self.warmup
    }
}

impl fmt::Debug for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Formula({})", self.name)
    }
}

/// Defaults that several peers share.
pub(crate) mod default {
    pub(crate) const fn tenth() -> f64 {
        0.1
    }
    pub(crate) const fn third() -> f64 {
        1.0 / 3.0
    }
    pub(crate) const fn half() -> f64 {
        0.5
    }
    pub(crate) const fn one() -> f64 {
        1.0
    }
    pub(crate) const fn two() -> f64 {
        2.0
    }
    /// As a peer that computes in `f32` has it.
    pub(crate) const fn rounded(value: f64) -> f64 {
        value as f32 as f64
    }
    pub(crate) const fn yes() -> bool {
        true
    }
}
