//! Training techniques for burn: normalisation, initialisation, schedules,
//! augmentation, and a trainer that joins them.
//!
//! What lives here: one name for every crate of the toolkit, the feature flags
//! that pick a backend, the [`prelude`], and [`registries`], filled with every
//! built-in. What must not: any technique; each has its own crate.
//!
//! ```
//! use firecraft::prelude::*;
//! use firecraft::schedule::Schedulers;
//!
//! let registries = firecraft::registries()?;
//! let spec = Spec::new("cosine").with("start", 0.1).with("length", 100.0);
//! let mut cosine = registries.build::<Schedulers>(&spec)?;
//! let mut rate = [0.0];
//! cosine.step(&StepContext::at(50), &mut rate);
//! assert!((rate[0] - 0.05).abs() < 1e-12);
//! # Ok::<(), firecraft::spec::SpecError>(())
//! ```
//!
//! # Features
//!
//! A backend is a feature, and one binary may hold several:
//!
//! | feature | backend |
//! |---|---|
//! | `flex` (default) | CPU, pure Rust |
//! | `ndarray` | CPU, through ndarray |
//! | `wgpu`, `vulkan`, `metal`, `webgpu` | GPU, through wgpu |
//! | `cuda`, `rocm` | NVIDIA and AMD GPUs |
//! | `images` (default) | none: decoding of JPEG and PNG files |
//! | `fusion`, `autotune` | kernels that are fused, or chosen by measurement, on GPUs |
//! | `pytorch` | none: weights from files of `torch.save` |
//! | `burn-train` | none: models, metrics and renderers of burn-train |
//!
//! `plugins` (default) loads transforms and schedulers from shared libraries that
//! a recipe lists; see `load_plugins`.
//!
//! [`core_tensor::device`] opens the one that is asked for by name.

pub use firecraft_augment as augment;
pub use firecraft_core_tensor as core_tensor;
pub use firecraft_data as data;
pub use firecraft_init as init;
pub use firecraft_key as key;
pub use firecraft_norm as norm;
pub use firecraft_plot as plot;
#[cfg(feature = "plugins")]
pub use firecraft_plugin_host as plugin_host;
pub use firecraft_schedule as schedule;
pub use firecraft_spec as spec;
pub use firecraft_trainer as trainer;

#[cfg(feature = "plugins")]
mod plugins;
pub mod prelude;

#[cfg(feature = "plugins")]
pub use plugins::{load_plugins, pin_plugins};

use std::path::PathBuf;

use firecraft_spec::{Registries, SpecError};

/// A registry for each kind of object, filled with every built-in. The caller
/// owns it and may add its own types before a recipe is built from it.
///
/// # Errors
/// [`SpecError::Duplicate`] if two crates gave one name to two types of a kind.
pub fn registries() -> Result<Registries, SpecError> {
    registries_in("")
}

/// [`registries`] for a run folder: the callbacks that a recipe names write
/// below it.
///
/// # Errors
/// As [`registries`].
pub fn registries_in(folder: impl Into<PathBuf>) -> Result<Registries, SpecError> {
    let mut registries = Registries::new();
    augment::register(&mut registries)?;
    init::register(&mut registries)?;
    norm::register(&mut registries)?;
    schedule::register(&mut registries)?;
    trainer::register_in(&mut registries, folder)?;
    Ok(registries)
}

/// The program in the project's README runs.
#[cfg(all(doctest, feature = "flex"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The guide's Rust code is compiled.
#[cfg(all(doctest, feature = "plugins"))]
#[doc = include_str!("../../../docs/plugins.md")]
struct PluginGuide;
