//! What can be wrong with a plugin.

use std::{io, path::PathBuf};

use firecraft_plugin::abi::{ENTRY_SYMBOL, Mismatch, Status};
use firecraft_spec::SpecError;

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
    /// Someone else could have written the file, or put another in its place.
    #[error("`{path}` {problem}, so a plugin is not loaded from there; {remedy}", path = path.display())]
    Untrusted {
        /// The file or a folder above it.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The content is not the one that was asked for.
    #[error(
        "plugin `{path}` has SHA-256 {found}, expected {expected}; put the pinned file back, or pin the new one",
        path = path.display()
    )]
    Pin {
        /// The path as it was given.
        path: PathBuf,
        /// The digest that was asked for.
        expected: String,
        /// The digest of the file.
        found: String,
    },
    /// The private copy that is loaded can't be made.
    #[error(
        "cannot copy plugin `{path}` to {folder}: {source}; point TMPDIR to a folder of your own with some space",
        path = path.display(),
        folder = folder.display()
    )]
    Copy {
        /// The path as it was given.
        path: PathBuf,
        /// Where the copy was to be.
        folder: PathBuf,
        /// The reason the system gave.
        source: io::Error,
    },
    /// Two files of a list are the same plugin.
    #[error("plugin `{id}` is loaded twice, as versions {first} and {second}; keep one of them")]
    Twice {
        /// The plugin's id.
        id: String,
        /// The version that came first.
        first: String,
        /// The version that came second.
        second: String,
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
    /// A pointer to a table is null.
    #[error("the plugin's {table} table is missing; rebuild the plugin")]
    NoTable {
        /// Which table.
        table: &'static str,
    },
    /// A pointer that no table can have.
    #[error("the plugin's {table} table is at {address:#x}, not aligned to {alignment} bytes")]
    Misaligned {
        /// Which table.
        table: &'static str,
        /// Where the table claims to be.
        address: usize,
        /// What the table needs.
        alignment: usize,
    },
    /// A table is of another format or version.
    #[error("the plugin's {table} table does not fit this host: {mismatch}; rebuild the plugin")]
    Head {
        /// Which table.
        table: &'static str,
        /// What does not fit.
        mismatch: Mismatch,
    },
    /// A text of the table is missing, too long, or not UTF-8.
    #[error(
        "the plugin's `{field}` is {found}, expected 1 to {limit} bytes of UTF-8; rebuild the plugin"
    )]
    Text {
        /// The field of the table.
        field: &'static str,
        /// What is wrong with it.
        found: String,
        /// The longest text that is accepted.
        limit: usize,
    },
    /// The table counts classes but has no function that returns them.
    #[error("the plugin counts {classes} classes but its `class_at` function is NULL")]
    NoClassFunction {
        /// How many classes the table counts.
        classes: usize,
    },
    /// More classes than any plugin has.
    #[error("the plugin counts {classes} classes, at most {limit} are taken")]
    TooManyClasses {
        /// How many classes the table counts.
        classes: usize,
        /// How many are taken.
        limit: usize,
    },
    /// A class, or what it gave back, is not as the ABI has it.
    #[error("plugin class `{name}`: {problem}")]
    Class {
        /// The name of the class.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A function of a class did not do what it should.
    #[error("plugin class `{class}`: `{function}` {status}: {message}")]
    Call {
        /// The name of the class.
        class: String,
        /// The function of the ABI.
        function: &'static str,
        /// How it ended.
        status: Status,
        /// The reason that the plugin gave.
        message: String,
    },
    /// A type of the plugin has the name of one that is there already.
    #[error("plugin `{id}` can't be registered: {source}")]
    Taken {
        /// The plugin's id.
        id: String,
        /// Which name.
        source: SpecError,
    },
    /// Two plugins bring types of one kind and name.
    #[error("plugins `{first}` and `{second}` both bring `{name}`; load one of them")]
    SameName {
        /// The name of both.
        name: String,
        /// The plugin that came first.
        first: String,
        /// The plugin that came second.
        second: String,
    },
    /// A class can't be registered.
    #[error(transparent)]
    Register(#[from] SpecError),
}
