//! The one error type of the crate.

use std::fmt;

/// What went wrong while an initialiser was configured or a plan applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// A parameter could not be given its values; `source` says why.
    #[error("parameter `{path}`: {source}")]
    Parameter {
        /// Dotted path of the parameter in the module.
        path: String,
        /// The reason.
        source: Box<InitError>,
    },
    /// A setting is outside its range.
    #[error("{of}: `{field}` is {value}, expected {expected}")]
    Setting {
        /// The initialiser or plan that has the setting.
        of: &'static str,
        /// Name of the setting.
        field: &'static str,
        /// The value it was given.
        value: String,
        /// The values it allows.
        expected: String,
    },
    /// The shape doesn't suit the initialiser.
    #[error("{of} expects {expected}, got shape {shape:?}; choose another initialiser for it")]
    Shape {
        /// The initialiser.
        of: &'static str,
        /// What it can fill.
        expected: String,
        /// What it was given.
        shape: Vec<usize>,
    },
    /// A fan is zero, so no variance can be derived from it.
    #[error(
        "{mode} of shape {shape:?} is 0: the layer has no inputs or no outputs, check its sizes"
    )]
    ZeroFan {
        /// The fan asked for.
        mode: crate::FanMode,
        /// Shape of the parameter.
        shape: Vec<usize>,
    },
    /// A buffer and a shape disagree.
    #[error("shape {shape:?} has {expected} elements, the buffer {got}")]
    Length {
        /// Shape of the parameter.
        shape: Vec<usize>,
        /// Elements of the shape.
        expected: usize,
        /// Elements of the buffer.
        got: usize,
    },
    /// No rule says what to do with a parameter.
    #[error(
        "no rule matches this {kind} parameter of shape {shape:?}; add one, e.g. \
         `.path(\"{path}\", Normal::new(0.0, 0.02))`, or `.keep_unmatched()`"
    )]
    Unmatched {
        /// Type of the layer it belongs to.
        kind: String,
        /// Its path.
        path: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A rule of the user matches no parameter of the model.
    #[error("rule {rule} matches no parameter of the model; its paths are: {paths}")]
    Unused {
        /// The rule, as a selector.
        rule: String,
        /// The first paths of the model.
        paths: String,
    },
    /// Two rules of the user have the same selector.
    #[error(
        "rules {first} and {second} both select {select}; the later one would silently win, \
         remove one of them"
    )]
    Conflict {
        /// Index of the earlier rule.
        first: usize,
        /// Index of the later rule.
        second: usize,
        /// The selector they share.
        select: String,
    },
    /// A name is not in the registry or enumeration.
    #[error("unknown {what} `{name}`; known: {known}")]
    Unknown {
        /// What was looked up.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A tensor could not be read or made.
    #[error("tensor: {0}")]
    Tensor(String),
}

impl InitError {
    /// Adds the path of the parameter, once.
    #[must_use]
    pub fn at(self, path: &str) -> Self {
        match self {
            already @ Self::Parameter { .. } => already,
            source => Self::Parameter {
                path: path.to_owned(),
                source: Box::new(source),
            },
        }
    }

    pub(crate) fn setting(
        of: &'static str,
        field: &'static str,
        value: impl fmt::Display,
        expected: impl fmt::Display,
    ) -> Self {
        Self::Setting {
            of,
            field,
            value: value.to_string(),
            expected: expected.to_string(),
        }
    }

    pub(crate) fn shape(of: &'static str, expected: impl fmt::Display, shape: &[usize]) -> Self {
        Self::Shape {
            of,
            expected: expected.to_string(),
            shape: shape.to_vec(),
        }
    }
}

/// `value` if it is finite.
pub(crate) fn finite(of: &'static str, field: &'static str, value: f64) -> Result<f64, InitError> {
    if value.is_finite() && (value as f32).is_finite() {
        Ok(value)
    } else {
        Err(InitError::setting(of, field, value, "a finite f32 number"))
    }
}

/// `value` if it is finite and not negative.
pub(crate) fn non_negative(
    of: &'static str,
    field: &'static str,
    value: f64,
) -> Result<f64, InitError> {
    if value.is_finite() && value >= 0.0 {
        finite(of, field, value)
    } else {
        Err(InitError::setting(of, field, value, "a finite number >= 0"))
    }
}

/// `value` if it is finite and positive.
pub(crate) fn positive(
    of: &'static str,
    field: &'static str,
    value: f64,
) -> Result<f64, InitError> {
    if value.is_finite() && value > 0.0 {
        finite(of, field, value)
    } else {
        Err(InitError::setting(of, field, value, "a finite number > 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_added_once() {
        let error = InitError::Tensor("x".into()).at("a.b").at("a");
        assert_eq!(error.to_string(), "parameter `a.b`: tensor: x");
    }

    #[test]
    fn settings_name_the_field_the_value_and_the_range() {
        let error = positive("normal", "std", f64::NAN).unwrap_err();
        assert_eq!(
            error.to_string(),
            "normal: `std` is NaN, expected a finite number > 0"
        );
    }
}
