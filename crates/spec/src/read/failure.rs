//! The error while reading, of one word.

use crate::SpecError;
use serde_core::de;
use std::fmt;

/// A [`SpecError`] that is cheap to hand on: every field of every configuration
/// does so, and what serde writes for them is a tenth smaller.
#[derive(Debug)]
pub(crate) struct Failure(Box<SpecError>);

impl Failure {
    pub(super) fn under(self, name: &str) -> Self {
        self.0.under(name).into()
    }

    pub(super) fn at(self, index: usize) -> Self {
        self.0.at(index).into()
    }
}

impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        Self(Box::new(error))
    }
}

impl From<Failure> for SpecError {
    fn from(failure: Failure) -> Self {
        *failure.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        SpecError::invalid(message).into()
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        SpecError::unknown_field(field, expected).into()
    }

    fn missing_field(field: &'static str) -> Self {
        SpecError::missing_field(field).into()
    }
}
