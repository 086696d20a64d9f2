//! Loads and verifies firecraft plugins, and makes what they bring look like
//! what is built in.
//!
//! What lives here: everything that looks at a plugin from outside: checking
//! and opening the library ([`Plugin::load`]), checking its tables before a byte
//! of them is believed ([`Plugin::from_entry`], [`ClassInfo`]), adapting its
//! classes ([`PluginTransform`], [`PluginScheduler`]), registering them
//! ([`Plugin::register`], [`register_all`]), probing a plugin
//! ([`probe`]), and the errors ([`PluginError`]). What must not: the ABI itself
//! (`firecraft-plugin`, which plugins link too), and burn.
//!
//! The host trusts nothing that it gets back: status, lengths, text, sizes and
//! numbers are checked, which catches mistakes early and by name. It cannot
//! contain malice: a library runs code of its own from the moment it is opened,
//! with all the rights of the process.
// Loading a library and reading its tables can't be done in safe Rust; each use
// says why it holds.
#![allow(unsafe_code)]

mod class;
#[cfg(all(unix, not(target_vendor = "apple")))]
mod elf;
mod error;
mod file;
mod instance;
mod library;
mod output;
mod plugin;
pub mod probe;
mod read;
mod scheduler;
mod search;
mod sink;
mod transform;

pub use class::ClassInfo;
pub use error::PluginError;
pub use file::sha256;
pub use plugin::{Plugin, register_all};
pub use scheduler::PluginScheduler;
pub use search::{PATH_VARIABLE, find, search_folders};
pub use transform::PluginTransform;
