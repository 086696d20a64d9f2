//! The firecraft plugin ABI and the kit for plugin authors.
//!
//! A plugin is a shared library that exports one function,
//! [`abi::ENTRY_SYMBOL`], which returns a table, [`abi::Entry`]. Rust has no
//! stable ABI, so everything that crosses is plain `repr(C)` written by hand:
//! tables of C functions, borrowed text and bytes, numbers. No Rust type, no
//! allocation and no panic ever crosses.
//!
//! What lives here: the tables ([`abi`]) and, behind the default feature `sdk`,
//! what makes writing a plugin in Rust pleasant: the traits [`Transform`] and
//! [`Scheduler`] and the macro [`declare_plugin!`]. What must not: anything
//! heavy, and burn above all: a plugin that links burn carries its own copy of
//! burn's device and autodiff globals. Loading and checking plugins is the work
//! of `firecraft-plugin-host`.
//!
//! Where things go: a field or function that hosts and plugins must agree on is
//! in `abi`, one file per table, with its offsets asserted; convenience for
//! authors is in `sdk` and may change with any release.
//!
//! # The versioning promise
//!
//! 1. [`abi::Head`] never changes: 16 bytes, `magic`, `size`, `major`, `minor`.
//!    Every table that crosses begins with it.
//! 2. The same major version means: every field that an older minor version
//!    had is still there, at the same offset, of the same type and meaning.
//!    Another major version is refused.
//! 3. A minor version only appends fields. `size` says how many bytes of the
//!    table its author compiled; each side reads the smaller of both sizes, so
//!    that a newer plugin works in an older host and an older plugin in a newer
//!    one. A field beyond `size` counts as zero: a function that is not there.
//! 4. What does not fit into a table comes through `get_extension("name/1")`,
//!    where the number after the slash is the extension's own version.
//!
//! The offsets and sizes are asserted at compile time beside each type, so a
//! change that breaks the promise does not build.
//!
//! # Trust
//!
//! A native plugin runs with all the rights of the process that loads it. The
//! host checks what a plugin *returns*, which catches mistakes; it cannot
//! contain malice.
// The ABI is raw pointers by nature; each use says why it holds.
#![allow(unsafe_code)]

pub mod abi;
#[cfg(feature = "sdk")]
mod sdk;

pub use firecraft_key::{Key, Rng};
#[cfg(feature = "sdk")]
pub use sdk::{
    Destination, Error, Image, ImageMut, Pixels, PixelsMut, Rows, RowsMut, Scheduler, Source, Step,
    Transform, glue,
};
