//! Checks shared by the configurations and inputs of the layers.

use crate::NormError;

/// `epsilon` must be finite and positive; zero would divide by zero.
pub(crate) fn epsilon(layer: &'static str, value: f64) -> Result<(), NormError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(config(layer, "epsilon", value, "finite and greater than 0"))
}

/// A number of features, channels, groups, … that must not be zero.
pub(crate) fn at_least_one(
    layer: &'static str,
    field: &'static str,
    value: usize,
) -> Result<(), NormError> {
    if value > 0 {
        return Ok(());
    }
    Err(config(layer, field, value, "at least 1"))
}

/// A number that must be finite.
pub(crate) fn finite(
    layer: &'static str,
    field: &'static str,
    value: f64,
) -> Result<(), NormError> {
    if value.is_finite() {
        return Ok(());
    }
    Err(config(layer, field, value, "finite"))
}

/// A weight or probability.
pub(crate) fn fraction(
    layer: &'static str,
    field: &'static str,
    value: f64,
) -> Result<(), NormError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(config(layer, field, value, "between 0 and 1"))
}

pub(crate) fn config(
    layer: &'static str,
    field: &'static str,
    value: impl std::fmt::Display,
    allowed: &'static str,
) -> NormError {
    NormError::Config {
        layer,
        field,
        value: value.to_string(),
        allowed,
    }
}

/// The lengths of the axes that a layer normalises together.
pub(crate) fn axes(layer: &'static str, lengths: &[usize]) -> Result<(), NormError> {
    if !lengths.is_empty() && lengths.iter().all(|length| *length > 0) {
        return Ok(());
    }
    Err(config(
        layer,
        "normalized_shape",
        format_args!("{lengths:?}"),
        "one or more lengths, each at least 1",
    ))
}
