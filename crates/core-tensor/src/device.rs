//! Devices by name: parse, list, open.
//!
//! | name | device | cargo feature |
//! |---|---|---|
//! | `flex` | the CPU, burn's fast pure-Rust backend | `flex` (default) |
//! | `ndarray` | the CPU, through ndarray | `ndarray` |
//! | `wgpu`, `vulkan`, `metal`, `webgpu` | the adapter that wgpu prefers on any API, or on that one | the same |
//! | `wgpu:N` | the N-th discrete GPU, from 0 | |
//! | `wgpu:integrated`, `wgpu:integrated:N` | the first or N-th integrated GPU | |
//! | `wgpu:virtual`, `wgpu:virtual:N` | the first or N-th virtual GPU | |
//! | `wgpu:cpu` | a software adapter such as Mesa lavapipe or WARP | |
//! | `cuda`, `cuda:N` | the first or N-th NVIDIA GPU | `cuda` |
//! | `rocm`, `rocm:N` | the first or N-th AMD GPU | `rocm` |
//!
//! The selectors of `wgpu` go with `vulkan`, `metal` and `webgpu` too. Names
//! are case-insensitive.
//!
//! # Default
//! [`select`] takes, in this order: the name it is given, the environment
//! variable [`VARIABLE`] (`FIRECRAFT_DEVICE`), and the first usable of `flex`,
//! `cuda`, `rocm`, `metal`, `vulkan`, `webgpu`, `wgpu`, `ndarray`. The CPU
//! comes first unless asked otherwise, so that a program gives the same
//! numbers wherever it runs and a GPU is a decision.
//!
//! ```
//! use firecraft_core_tensor::device::{self, DeviceName, TensorError};
//!
//! let name: DeviceName = "WGPU:integrated:1".parse()?;
//! assert_eq!(name.to_string(), "wgpu:integrated:1");
//! let error = device::open("tpu").unwrap_err();
//! assert!(error.to_string().starts_with("`tpu` is not a device: no backend has this name"));
//! let error = device::open("rocm").unwrap_err();
//! assert!(error.to_string().contains("build with the cargo feature `rocm`"));
//! let device = device::open("flex")?;
//! assert!(!device.is_autodiff());
//! # Ok::<(), TensorError>(())
//! ```

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

pub use crate::error::TensorError;

/// The environment variable that names the device when the caller does not.
pub const VARIABLE: &str = "FIRECRAFT_DEVICE";

/// A family of devices: one backend of burn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Backend {
    /// The CPU, in pure Rust.
    Flex,
    /// The CPU, through ndarray.
    NdArray,
    /// GPUs through whichever graphics API wgpu settles on.
    Wgpu,
    /// GPUs through Vulkan.
    Vulkan,
    /// GPUs through Metal.
    Metal,
    /// GPUs through WebGPU.
    WebGpu,
    /// NVIDIA GPUs.
    Cuda,
    /// AMD GPUs.
    Rocm,
}

impl Backend {
    /// All backends, in the order in which the default device is looked for.
    pub const ALL: [Self; 8] = [
        Self::Flex,
        Self::Cuda,
        Self::Rocm,
        Self::Metal,
        Self::Vulkan,
        Self::WebGpu,
        Self::Wgpu,
        Self::NdArray,
    ];

    /// The name of the backend, which is also the cargo feature that adds it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::WebGpu => "webgpu",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
        }
    }

    /// Whether this binary was built with the backend.
    #[must_use]
    pub const fn is_compiled(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::WebGpu => cfg!(feature = "webgpu"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Rocm => cfg!(feature = "rocm"),
        }
    }

    const fn is_wgpu(self) -> bool {
        matches!(self, Self::Wgpu | Self::Vulkan | Self::Metal | Self::WebGpu)
    }
}

/// Which of the devices of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Selector {
    /// The one that the backend prefers.
    #[default]
    Default,
    /// The N-th GPU of `cuda` and `rocm`, the N-th discrete GPU of wgpu.
    Index(usize),
    /// The N-th integrated GPU of wgpu.
    Integrated(usize),
    /// The N-th virtual GPU of wgpu.
    Virtual(usize),
    /// The software adapter of wgpu.
    Cpu,
}

/// The name of a device, parsed and checked; see the [module](self) for the
/// grammar. Serialised as that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName {
    backend: Backend,
    selector: Selector,
}

impl DeviceName {
    /// The backend part.
    #[must_use]
    pub const fn backend(self) -> Backend {
        self.backend
    }

    /// The selector part.
    #[must_use]
    pub const fn selector(self) -> Selector {
        self.selector
    }

    /// The name under which a device that is open is listed, with or without
    /// autodiff; `None` for a device that this module has no name for.
    ///
    /// ```
    /// use firecraft_core_tensor::device::{self, DeviceName};
    ///
    /// let device = device::open("flex")?.autodiff();
    /// assert_eq!(DeviceName::of(&device).unwrap().to_string(), "flex");
    /// # Ok::<(), device::TensorError>(())
    /// ```
    #[must_use]
    pub fn of(device: &Device) -> Option<Self> {
        let device = device.clone().without_autodiff();
        let mut names = available().into_iter();
        names.find(|name| construct(*name).as_ref() == Some(&device))
    }

    /// Opens the device, without autodiff; `.autodiff()` it for training.
    ///
    /// On a GPU a first tiny sum is computed and read back, so that a device
    /// which is listed but doesn't work fails here.
    ///
    /// # Errors
    /// [`TensorError::NotCompiled`] names the cargo feature to add;
    /// [`TensorError::Unusable`] says what failed and what would work.
    pub fn open(self) -> Result<Device, TensorError> {
        let Some(device) = construct(self) else {
            let compiled: Vec<&str> = compiled().map(Backend::name).collect();
            return Err(TensorError::NotCompiled {
                device: self.to_string(),
                feature: self.backend.name(),
                compiled: compiled.join(", "),
            });
        };
        let checked = match present(self, &device) {
            Ok(()) => probe(&device),
            error => error,
        };
        match checked {
            Ok(()) => Ok(device),
            Err(reason) => {
                let usable: Vec<String> = available().iter().map(Self::to_string).collect();
                Err(TensorError::Unusable {
                    device: self.to_string(),
                    reason,
                    usable: usable.join(", "),
                })
            }
        }
    }
}

impl FromStr for DeviceName {
    type Err = TensorError;

    fn from_str(text: &str) -> Result<Self, TensorError> {
        let error = |reason: &str| TensorError::UnknownDevice {
            given: text.to_owned(),
            reason: reason.to_owned(),
        };
        let lower = text.trim().to_ascii_lowercase();
        let mut parts = lower.split(':');
        let head = parts.next().unwrap_or_default();
        let parts: Vec<&str> = parts.collect();
        let Some(backend) = Backend::ALL.into_iter().find(|b| b.name() == head) else {
            return Err(error("no backend has this name"));
        };
        let index = |digits: &str| match digits.parse::<usize>() {
            Ok(index) if digits.bytes().all(|b| b.is_ascii_digit()) => Ok(index),
            _ => Err(error("the index is not a number")),
        };
        let selector = match parts.as_slice() {
            [] => Selector::Default,
            _ if matches!(backend, Backend::Flex | Backend::NdArray) => {
                return Err(error(
                    "the CPU backends have one device, without a selector",
                ));
            }
            ["integrated"] if backend.is_wgpu() => Selector::Integrated(0),
            ["integrated", n] if backend.is_wgpu() => Selector::Integrated(index(n)?),
            ["virtual"] if backend.is_wgpu() => Selector::Virtual(0),
            ["virtual", n] if backend.is_wgpu() => Selector::Virtual(index(n)?),
            ["cpu"] if backend.is_wgpu() => Selector::Cpu,
            [n] => Selector::Index(index(n)?),
            _ => return Err(error("too many parts after the backend")),
        };
        Ok(Self { backend, selector })
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.backend.name())?;
        match self.selector {
            Selector::Default => Ok(()),
            Selector::Index(n) => write!(f, ":{n}"),
            Selector::Integrated(n) => write!(f, ":integrated:{n}"),
            Selector::Virtual(n) => write!(f, ":virtual:{n}"),
            Selector::Cpu => f.write_str(":cpu"),
        }
    }
}

impl TryFrom<String> for DeviceName {
    type Error = TensorError;

    fn try_from(text: String) -> Result<Self, TensorError> {
        text.parse()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

/// Parses a name and opens the device; see [`DeviceName::open`].
///
/// # Errors
/// [`TensorError`] when the name is unknown, its backend isn't compiled in or
/// the machine has no such device.
pub fn open(name: &str) -> Result<Device, TensorError> {
    name.parse::<DeviceName>()?.open()
}

/// Opens the named device, else the one in [`VARIABLE`], else the default of
/// the [module](self#default) documentation.
///
/// # Errors
/// Those of [`open`]; a name that was given or set is never replaced by
/// another device in silence.
pub fn select(name: Option<&str>) -> Result<Device, TensorError> {
    if let Some(name) = name {
        return open(name);
    }
    match std::env::var(VARIABLE) {
        Ok(name) if !name.trim().is_empty() => return open(&name),
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(TensorError::Environment { variable: VARIABLE });
        }
        _ => {}
    }
    let mut last = None;
    for backend in compiled() {
        let name = DeviceName {
            backend,
            selector: Selector::Default,
        };
        match name.open() {
            Ok(device) => return Ok(device),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| TensorError::NotCompiled {
        device: "default".to_owned(),
        feature: "flex",
        compiled: "none".to_owned(),
    }))
}

/// The backends of this binary, in the order of [`Backend::ALL`].
pub fn compiled() -> impl Iterator<Item = Backend> {
    Backend::ALL.into_iter().filter(|b| b.is_compiled())
}

/// The devices that are compiled in and that the machine has: for GPUs, those
/// that the driver lists. Opens none of them.
#[must_use]
pub fn available() -> Vec<DeviceName> {
    // More than a machine has; the drivers list what is there without gaps.
    const MOST: usize = 16;
    let mut found = Vec::new();
    for backend in compiled() {
        let mut selectors = vec![Selector::Default];
        if backend.is_wgpu() {
            selectors.push(Selector::Cpu);
            selectors.extend((0..MOST).map(Selector::Index));
            selectors.extend((0..MOST).map(Selector::Integrated));
            selectors.extend((0..MOST).map(Selector::Virtual));
        } else if !matches!(backend, Backend::Flex | Backend::NdArray) {
            selectors.extend((0..MOST).map(Selector::Index));
        }
        let listed = enumerate(backend);
        found.extend(selectors.into_iter().filter_map(|selector| {
            let name = DeviceName { backend, selector };
            let device = construct(name)?;
            let usable = match selector {
                Selector::Default => !listed.is_empty(),
                _ => listed.contains(&device),
            };
            usable.then_some(name)
        }));
    }
    found
}

/// Whether the driver lists the device.
fn present(name: DeviceName, device: &Device) -> Result<(), String> {
    let listed = enumerate(name.backend);
    let found = match name.selector {
        Selector::Default => !listed.is_empty(),
        _ => listed.contains(device),
    };
    if found {
        Ok(())
    } else if listed.is_empty() {
        Err(format!("{} finds no device", name.backend.name()))
    } else {
        Err(format!(
            "{} finds {} device(s), but not this one",
            name.backend.name(),
            listed.len()
        ))
    }
}

/// Computes and reads back one sum, where a broken driver would show.
fn probe(device: &Device) -> Result<(), String> {
    let device = device.clone();
    let sum = catch_unwind(AssertUnwindSafe(move || {
        let ones = Tensor::<1>::ones([2], &device);
        ones.sum().try_into_vec_as::<f32>()
    }));
    match sum {
        Ok(Ok(sum)) if sum == [2.0] => Ok(()),
        Ok(Ok(sum)) => Err(format!("1 + 1 gave {sum:?} on it")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(message(panic.as_ref())),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("the driver failed without a message");
    text.lines().next().unwrap_or_default().to_owned()
}

fn enumerate(backend: Backend) -> Vec<Device> {
    let list = || match backend {
        #[cfg(feature = "flex")]
        Backend::Flex => vec![Device::flex()],
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)]
        Backend::NdArray => vec![Device::ndarray()],
        #[cfg(feature = "wgpu")]
        Backend::Wgpu => Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec(),
        #[cfg(feature = "vulkan")]
        Backend::Vulkan => Device::enumerate(burn::tensor::DeviceType::Vulkan).into_vec(),
        #[cfg(feature = "metal")]
        Backend::Metal => Device::enumerate(burn::tensor::DeviceType::Metal).into_vec(),
        #[cfg(feature = "webgpu")]
        Backend::WebGpu => Device::enumerate(burn::tensor::DeviceType::WebGpu).into_vec(),
        #[cfg(feature = "cuda")]
        Backend::Cuda => Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec(),
        #[cfg(feature = "rocm")]
        Backend::Rocm => Device::enumerate(burn::tensor::DeviceType::Rocm).into_vec(),
        #[allow(unreachable_patterns)]
        _ => Vec::new(),
    };
    // A driver that fails while it is asked has no devices to offer.
    catch_unwind(AssertUnwindSafe(list)).unwrap_or_default()
}

/// The handle of a device, without touching the driver; `None` when its
/// backend isn't compiled in.
fn construct(name: DeviceName) -> Option<Device> {
    #[cfg(any(feature = "cuda", feature = "rocm"))]
    let index = match name.selector {
        Selector::Index(n) => n,
        _ => 0,
    };
    #[cfg(feature = "wgpu")]
    let kind = {
        use burn::tensor::DeviceKind;
        match name.selector {
            Selector::Default => DeviceKind::DefaultDevice,
            Selector::Index(n) => DeviceKind::DiscreteGpu(n),
            Selector::Integrated(n) => DeviceKind::IntegratedGpu(n),
            Selector::Virtual(n) => DeviceKind::VirtualGpu(n),
            Selector::Cpu => DeviceKind::Cpu,
        }
    };
    match name.backend {
        #[cfg(feature = "flex")]
        Backend::Flex => Some(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)]
        Backend::NdArray => Some(Device::ndarray()),
        #[cfg(feature = "wgpu")]
        Backend::Wgpu => Some(Device::wgpu(kind)),
        #[cfg(feature = "vulkan")]
        Backend::Vulkan => Some(Device::vulkan(kind)),
        #[cfg(feature = "metal")]
        Backend::Metal => Some(Device::metal(kind)),
        #[cfg(feature = "webgpu")]
        Backend::WebGpu => Some(Device::webgpu(kind)),
        #[cfg(feature = "cuda")]
        Backend::Cuda => Some(Device::cuda(index)),
        #[cfg(feature = "rocm")]
        Backend::Rocm => Some(Device::rocm(index)),
        #[allow(unreachable_patterns)]
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<DeviceName, String> {
        text.parse().map_err(|error: TensorError| error.to_string())
    }

    #[test]
    fn every_documented_form_is_read_and_written() {
        for text in [
            "flex",
            "ndarray",
            "wgpu",
            "wgpu:0",
            "wgpu:cpu",
            "wgpu:integrated:2",
            "wgpu:virtual:1",
            "vulkan:cpu",
            "metal",
            "webgpu:3",
            "cuda",
            "cuda:1",
            "rocm:0",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse(" CUDA:1 ").unwrap().to_string(), "cuda:1");
        assert_eq!(
            parse("wgpu:integrated").unwrap(),
            parse("wgpu:integrated:0").unwrap()
        );
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said() {
        for (text, reason) in [
            ("", "no backend has this name"),
            ("gpu", "no backend has this name"),
            ("flex:0", "without a selector"),
            ("cuda:x", "the index is not a number"),
            ("cuda:+1", "the index is not a number"),
            ("cuda:", "the index is not a number"),
            ("cuda:cpu", "the index is not a number"),
            ("wgpu:-1", "the index is not a number"),
            ("wgpu:integrated:0:1", "too many parts"),
            ("cuda:99999999999999999999", "the index is not a number"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(reason), "{text}: {message}");
            assert!(message.contains("write `flex`"), "{text}: {message}");
        }
    }

    #[test]
    fn a_backend_that_is_not_compiled_in_names_its_feature() {
        for backend in Backend::ALL.into_iter().filter(|b| !b.is_compiled()) {
            let message = open(backend.name()).unwrap_err().to_string();
            let feature = format!("build with the cargo feature `{}`", backend.name());
            assert!(message.contains(&feature), "{message}");
        }
    }

    #[test]
    fn what_is_listed_is_compiled_in_and_the_cpu_devices_of_it_open() {
        let listed = available();
        assert!(listed.contains(&parse("flex").unwrap()));
        for name in listed {
            assert!(name.backend().is_compiled());
            if matches!(name.backend(), Backend::Flex | Backend::NdArray) {
                assert_eq!(Some(name.open().unwrap()), construct(name));
            }
        }
    }

    #[test]
    fn the_default_is_flex_and_a_name_wins_over_it() {
        if std::env::var_os(VARIABLE).is_none() {
            assert_eq!(select(None).unwrap(), Device::flex());
        }
        assert_eq!(select(Some("flex")).unwrap(), Device::flex());
        assert!(select(Some("nothing")).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_device_or_an_error(text in "[a-z:0-9 ]{0,20}") {
            if let Ok(name) = text.parse::<DeviceName>() {
                prop_assert_eq!(name.to_string().parse::<DeviceName>().unwrap(), name);
            }
        }
    }
}
