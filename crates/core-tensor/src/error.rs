//! Everything that can go wrong in this crate.

/// An error of this crate: what was asked, what was found, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The text is not the name of a device.
    #[error(
        "`{given}` is not a device: {reason}; write `flex`, `ndarray`, `wgpu`, `vulkan`, \
         `metal`, `webgpu`, `cuda` or `rocm`, the last six optionally with a selector, \
         as in `wgpu:0`, `wgpu:cpu` or `cuda:1`"
    )]
    UnknownDevice {
        /// The text that was given.
        given: String,
        /// Which part of it is wrong.
        reason: String,
    },
    /// The backend exists, but this binary was built without it.
    #[error(
        "device `{device}` is not compiled in; build with the cargo feature `{feature}` \
         (compiled in: {compiled})"
    )]
    NotCompiled {
        /// The device that was asked for.
        device: String,
        /// The cargo feature that adds its backend.
        feature: &'static str,
        /// The backends of this binary, separated by commas.
        compiled: String,
    },
    /// The backend is compiled in, but the machine has no such device.
    #[error("device `{device}` can't be used on this machine: {reason} (usable: {usable})")]
    Unusable {
        /// The device that was asked for.
        device: String,
        /// What failed.
        reason: String,
        /// The devices that could be opened, separated by commas.
        usable: String,
    },
    /// The environment variable of the device is not valid Unicode.
    #[error(
        "the environment variable `{variable}` is not valid Unicode; unset it or name a device"
    )]
    Environment {
        /// The name of the variable.
        variable: &'static str,
    },
}
