//! What a plugin says when it can't.

use std::fmt;

/// A message for the person who runs the host: what was expected, what was
/// found, what to do.
///
/// ```
/// use firecraft_plugin::Error;
///
/// let error = Error::new(format!("`strength` is {}, expected 0 to 1", 3.0));
/// assert_eq!(error.to_string(), "`strength` is 3, expected 0 to 1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// With this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
