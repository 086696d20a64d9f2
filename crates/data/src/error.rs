//! What can go wrong between a file and a batch.

use std::path::PathBuf;

/// An error of code that the loader calls without knowing it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Errors of data sets and loaders: operation, what was expected, what was
/// found, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file that belongs to a data set is not there.
    #[error("{set}: {} is missing; {remedy}", path.display())]
    Missing {
        /// Name of the data set.
        set: String,
        /// The file that was looked for.
        path: PathBuf,
        /// Where to get it.
        remedy: String,
    },
    /// The operating system refused to open or read a file.
    #[error("reading {file}: {source}; check that the path exists and can be read")]
    Read {
        /// The file.
        file: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The content of a file is not what its format asks for.
    #[error("{file}: {what} is {got}, expected {expected}; {remedy}")]
    Format {
        /// The file.
        file: String,
        /// Which part of it.
        what: String,
        /// What the format asks for.
        expected: String,
        /// What is there.
        got: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A file declares more data than the reader is willing to hold.
    #[error(
        "{file}: declares {declared} bytes of content, the limit is {limit}; \
         the file is corrupt, or raise the limit if you trust it"
    )]
    TooLarge {
        /// The file.
        file: String,
        /// Bytes declared.
        declared: u128,
        /// Bytes allowed.
        limit: u64,
    },
    /// The SHA-256 of a file's content is not the published one.
    #[error(
        "{file}: SHA-256 is {got}, expected {expected}; the file is corrupt or another version, fetch it again"
    )]
    Checksum {
        /// The file.
        file: String,
        /// The published digest.
        expected: String,
        /// The digest found.
        got: String,
    },
    /// An image can't be decoded.
    #[error("{file}: {reason}; replace the file, or let the loader skip what it can't read")]
    Decode {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Parts of a data set contradict each other.
    #[error("{what}: got {got}, expected {expected}; {remedy}")]
    Mismatch {
        /// Which quantity.
        what: String,
        /// The value that would agree.
        expected: String,
        /// The value found.
        got: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A setting is out of its range.
    #[error("{field} = {value} is not allowed, expected {expected}")]
    Config {
        /// The setting.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// A data set without samples can't be used here.
    #[error("{what} has no samples; check the path, the split and the filters that made it")]
    Empty {
        /// The data set.
        what: String,
    },
    /// The map of the loader failed on a sample.
    #[error("mapping sample {id} in epoch {epoch}: {source}")]
    Map {
        /// Id of the sample in its data set.
        id: u64,
        /// The epoch.
        epoch: u64,
        /// The error of the map.
        source: BoxError,
    },
    /// Reading or mapping a sample panicked.
    #[error("sample {id} in epoch {epoch}: the data set or its map panicked: {message}")]
    Panic {
        /// Id of the sample in its data set.
        id: u64,
        /// The epoch.
        epoch: u64,
        /// The message of the panic.
        message: String,
    },
    /// A worker thread could not be started.
    #[error("starting worker {worker}: {source}; use fewer workers")]
    Spawn {
        /// Number of the worker.
        worker: usize,
        /// The cause.
        source: std::io::Error,
    },
    /// A cursor was saved by a loader over other data or with other settings.
    #[error(
        "continuing an epoch: {what} is {got} here and {expected} in the cursor; continue with the data and settings that the run began with"
    )]
    Cursor {
        /// What differs.
        what: &'static str,
        /// The value in the cursor.
        expected: String,
        /// The value of the loader.
        got: String,
    },
}

impl DataError {
    pub(crate) fn config(
        field: &'static str,
        value: impl ToString,
        expected: impl ToString,
    ) -> Self {
        Self::Config {
            field,
            value: value.to_string(),
            expected: expected.to_string(),
        }
    }
}
