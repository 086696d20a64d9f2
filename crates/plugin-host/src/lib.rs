//! Loads and verifies firecraft plugins, and makes what they bring look like
//! what is built in.
//!
//! What lives here: everything that looks at a plugin from outside: opening the
//! library ([`Plugin::load`]), checking its tables before a byte of them is
//! believed ([`Plugin::from_entry`], [`ClassInfo`]), adapting its classes
//! ([`PluginScheduler`]), registering them ([`Plugin::register`]), and the
//! errors ([`PluginError`]). What must not: the ABI itself (`firecraft-plugin`,
//! which plugins link too), and burn.
//!
//! The host trusts nothing that it gets back: status, lengths, text and
//! numbers are checked, which catches mistakes early and by name. It cannot
//! contain malice: a library runs code of its own from the moment it is opened,
//! with all the rights of the process.
// Loading a library and reading its tables can't be done in safe Rust; each use
// says why it holds.
#![allow(unsafe_code)]

mod class;
mod error;
mod instance;
mod library;
mod plugin;
mod read;
mod scheduler;
mod sink;

pub use class::ClassInfo;
pub use error::PluginError;
pub use plugin::Plugin;
pub use scheduler::PluginScheduler;
