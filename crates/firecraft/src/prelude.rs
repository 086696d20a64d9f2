//! What a program that trains needs most, for `use firecraft::prelude::*`.

pub use crate::{
    augment::{Augment, Compose, Transform},
    core_tensor::{Mode, device},
    data::{Dataset, Loader, LoaderConfig},
    init::{Activation, InitPlan},
    key::Key,
    norm::{BatchNorm, BatchNormConfig, Norm, NormConfig},
    schedule::{Schedule, Scheduler, StepContext},
    spec::{Registries, Spec},
    trainer::{AdamW, Classification, Sgd, Supervised, Task, Trainer},
};
