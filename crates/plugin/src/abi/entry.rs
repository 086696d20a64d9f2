//! The tables that host and plugin hand each other first.

use core::{ffi::c_void, mem};

use super::{Class, Head, Str, WORD};

/// The one symbol that a plugin exports; of the type [`EntryFn`].
pub const ENTRY_SYMBOL: &str = "firecraft_plugin_entry";

/// What [`ENTRY_SYMBOL`] is: it takes the host's table and returns the
/// plugin's, or null if the host does not offer what the plugin needs.
///
/// Called once per load, from one thread. The returned table lives as long as
/// the process; libraries are never unloaded. `host` lives as long too.
pub type EntryFn = unsafe extern "C" fn(host: *const Host) -> *const Entry;

/// Finds an optional table by its name and version, such as `"self-test/1"`:
/// a pointer to a table that begins with a [`Head`] and lives as long as the
/// process, or null. May be called from any thread.
pub type ExtensionFn = unsafe extern "C" fn(id: Str) -> *const c_void;

/// What a plugin tells about itself.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Frozen; `size` is that of the whole `Entry`.
    pub head: Head,
    /// A name that no other plugin has, in reverse domain order:
    /// `"org.example.film-grain"`. 1 to 256 bytes.
    pub id: Str,
    /// The plugin's own version, such as `"1.2.0"`. 1 to 256 bytes.
    pub version: Str,
    /// How many classes `class_at` knows.
    pub classes: usize,
    /// The class at an index below `classes`; it lives as long as the process.
    /// May be called from any thread. NULL only where `classes` is 0.
    pub class_at: Option<unsafe extern "C" fn(index: usize) -> *const Class>,
    /// The plugin's optional tables; NULL if it has none.
    pub get_extension: Option<ExtensionFn>,
}

/// What the host tells about itself.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// Frozen; `size` is that of the whole `Host`.
    pub head: Head,
    /// The host's optional tables; NULL if it has none.
    pub get_extension: Option<ExtensionFn>,
}

impl Entry {
    /// The bytes that every reader needs: the head, the id and the version.
    pub const LEAST: usize = mem::offset_of!(Entry, classes);
}

super::layout!(
    Entry, size 16 + 7 * WORD,
    head 0, id 16, version 16 + 2 * WORD, classes 16 + 4 * WORD, class_at 16 + 5 * WORD,
    get_extension 16 + 6 * WORD,
);
super::layout!(Host, size 16 + WORD, head 0, get_extension 16);
// NULL is how C says that a function is missing.
const _: () = assert!(size_of::<Option<EntryFn>>() == WORD);
