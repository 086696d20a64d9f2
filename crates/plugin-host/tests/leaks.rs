//! Nothing is leaked, neither by the host nor by the SDK nor by the examples.
//!
//! One test in a program of its own: the allocator's counters are the process's.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../examples/soak.rs"]
#[allow(dead_code, reason = "its main is not used")]
mod soak;
mod support;

use firecraft_plugin_host::{Plugin, probe};

/// For each class.
const CALLS: u64 = 100_000;

#[test]
fn a_hundred_thousand_instances_plans_steps_and_refusals_leave_no_byte_behind() {
    for path in [
        support::rust("vignette"),
        support::rust("bold-driver"),
        support::rust("faults"),
        support::c("scanlines"),
        support::c("staircase"),
    ] {
        let plugin = Plugin::load(&path, None).unwrap();
        for class in plugin.classes() {
            let spec = probe::examples(class).swap_remove(0);
            let [half, end] = soak::soak(&plugin, &spec, CALLS).unwrap();
            // One byte per refusal would be 3125.
            assert!(end <= half + 1024, "{spec}: {half} bytes became {end}");
        }
    }
}
