//! Test plugin: does the wrong thing that its parameter `fault` names, so that
//! tests can see a host survive it. Not for use.
//!
//! `careless` (a transform and a scheduler) is written with the SDK: its faults
//! are those of ordinary code. `raw_transform` and `raw_scheduler` are tables
//! written by hand, as from C: they break the rules of the ABI itself. `noop`,
//! `plugin_invert`, `plugin_hue` and `plugin_constant` do nothing wrong; they
//! are measured.
// The tables written by hand are the point.
#![allow(unsafe_code)]

mod careless;
mod hue;
mod measured;
mod raw;

use firecraft_plugin::{abi, glue};

static PLUGIN: glue::Plugin = glue::Plugin::new(
    "org.firecraft.faults",
    env!("CARGO_PKG_VERSION"),
    || {
        vec![
            glue::transform_class::<careless::Careless>(),
            glue::scheduler_class::<careless::Careless>(),
            raw::transform::class("raw_transform", abi::ClassFlags::THREAD_SHARED),
            raw::transform::class("raw_alone", abi::ClassFlags::NONE),
            raw::scheduler::class(),
            glue::transform_class::<measured::Noop>(),
            glue::transform_class::<measured::Invert>(),
            glue::transform_class::<hue::Hue>(),
            glue::scheduler_class::<measured::Constant>(),
        ]
    },
    class,
);

unsafe extern "C" fn class(index: usize) -> *const abi::Class {
    PLUGIN.class(index)
}

/// Returns the plugin's table.
///
/// # Safety
/// `host` points to the host's table, which lives as long as the process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn firecraft_plugin_entry(host: *const abi::Host) -> *const abi::Entry {
    // SAFETY: the host's table is what the caller vouches for.
    unsafe { PLUGIN.entry(host) }
}
