//! What can be wrong with a plugin.

use std::{io, path::PathBuf};

use firecraft_plugin::{ENTRY_SYMBOL, Mismatch};

/// Why a plugin can't be used. The host is unharmed and nothing is registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The path depends on the working directory, or on the system's search.
    #[error("plugin path `{path}` is relative; write it out from the root", path = path.display())]
    NotAbsolute {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The file can't be examined.
    #[error("cannot open plugin `{path}`: {source}", path = path.display())]
    Io {
        /// The path as it was given.
        path: PathBuf,
        /// The reason the system gave.
        source: io::Error,
    },
    /// The path leads to a directory, a device, a pipe, …
    #[error("plugin `{path}` is not a regular file; name the shared library itself", path = path.display())]
    NotAFile {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The dynamic loader refuses the file: truncated, of another architecture,
    /// missing a library it needs, …
    #[error("plugin `{path}` is not a library that can be loaded here: {reason}", path = path.display())]
    NotALibrary {
        /// The path as it was given.
        path: PathBuf,
        /// The reason the loader gave.
        reason: String,
    },
    /// The library is not a firecraft plugin.
    #[error("`{path}` exports no `{ENTRY_SYMBOL}`; it is not a firecraft plugin", path = path.display())]
    MissingSymbol {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The entry function returned null: the plugin needs more than this host
    /// offers.
    #[error("the plugin declines this host; it may need a newer firecraft")]
    Declined,
    /// The entry function returned a pointer that no table can have.
    #[error("the plugin's entry table is at {address:#x}, not aligned to {alignment} bytes")]
    Misaligned {
        /// Where the table claims to be.
        address: usize,
        /// What the table needs.
        alignment: usize,
    },
    /// The table is of another format or version.
    #[error("the plugin's entry table does not fit this host: {0}; rebuild the plugin")]
    Head(#[from] Mismatch),
    /// A text of the table is missing, too long, or not UTF-8.
    #[error("the plugin's `{field}` is {found}, expected 1 to {limit} bytes of UTF-8")]
    Text {
        /// The field of the table.
        field: &'static str,
        /// What is wrong with it.
        found: String,
        /// The longest text that is accepted.
        limit: usize,
    },
    /// The table counts classes but has no function that returns them.
    #[error("the plugin counts {classes} classes but its `class` function is NULL")]
    NoClassFunction {
        /// How many classes the table counts.
        classes: usize,
    },
}
