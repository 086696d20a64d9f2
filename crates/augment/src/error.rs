//! The error of the crate.

use crate::Size;

/// What can go wrong when a transform is configured, planned or applied.
///
/// Every variant names the operation, what it expected and what it got.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// A parameter of a configuration is outside its range.
    #[error("{operation}: {field} = {got} is not allowed; use {expected}")]
    Parameter {
        /// Registry name of the operation.
        operation: &'static str,
        /// The field of its configuration.
        field: &'static str,
        /// The offending value.
        got: String,
        /// The allowed range, in words.
        expected: &'static str,
    },
    /// The image doesn't suit the operation.
    #[error("{operation}: got {got}, needs {expected}")]
    Image {
        /// Registry name of the operation.
        operation: &'static str,
        /// What is there.
        got: String,
        /// What it needs.
        expected: String,
    },
    /// Several images don't fit together, or a buffer doesn't fit its shape.
    #[error("{operation}: a buffer of {got} values can't hold what needs {expected}")]
    Length {
        /// What was being done.
        operation: &'static str,
        /// Number of values given.
        got: usize,
        /// Number of values needed.
        expected: usize,
    },
    /// The images of one batch would get different sizes.
    #[error(
        "{operation}: the image would become {got}, but the batch needs {expected}; \
         resize or crop to one size first"
    )]
    BatchSize {
        /// What was being done.
        operation: &'static str,
        /// Size of this image.
        got: Size,
        /// Size of the batch.
        expected: Size,
    },
    /// Code outside this crate failed: a plugin.
    #[error("{operation}: {message}")]
    External {
        /// Registry name of the operation.
        operation: String,
        /// What was wrong, in one line.
        message: String,
    },
}

impl AugmentError {
    pub(crate) fn parameter(
        operation: &'static str,
        field: &'static str,
        got: impl std::fmt::Display,
        expected: &'static str,
    ) -> Self {
        Self::Parameter {
            operation,
            field,
            got: got.to_string(),
            expected,
        }
    }
}
