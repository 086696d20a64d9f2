//! What can go wrong between a written spec and the object it describes.

use std::fmt;

/// The way from the root of a spec to one of its fields: `inner.values[2]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Innermost segment first: errors learn their path on the way out.
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Field(String),
    Index(usize),
}

impl Path {
    /// The path of the root.
    #[must_use]
    pub const fn root() -> Self {
        Self {
            segments: Vec::new(),
        }
    }

    /// The path of a field of the root.
    #[must_use]
    pub fn field(name: impl Into<String>) -> Self {
        let mut path = Self::root();
        path.push_outer_field(name);
        path
    }

    /// Whether this is the root.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.segments.is_empty()
    }

    pub(crate) fn push_outer_field(&mut self, name: impl Into<String>) {
        self.segments.push(Segment::Field(name.into()));
    }

    pub(crate) fn push_outer_index(&mut self, index: usize) {
        self.segments.push(Segment::Index(index));
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, segment) in self.segments.iter().rev().enumerate() {
            match segment {
                Segment::Field(name) if nth == 0 => write!(f, "{name}")?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The error of this crate. Every message is one line that says what was
/// given, where, and what would be accepted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A parameter is missing, unknown, of the wrong type or out of its range.
    #[error("{}", display_field(type_name.as_deref(), path, message))]
    Field {
        /// The `type` of the spec, if known where the error arose.
        type_name: Option<String>,
        /// Where in the spec; the root if the table itself is at fault.
        path: Path,
        /// What was expected and what was there.
        message: String,
    },
    /// No constructor has this name.
    #[error("unknown {kind} `{name}`{}; known: {}", display_nearest(near), known.join(", "))]
    UnknownType {
        /// [`Kind::NAME`](crate::Kind::NAME).
        kind: &'static str,
        /// The `type` that was asked for.
        name: String,
        /// Registered names that differ by a slip, best first.
        near: Vec<String>,
        /// Every registered name.
        known: Vec<String>,
    },
    /// A name was registered twice.
    #[error("{kind} `{name}` is registered already; register yours under another name")]
    Duplicate {
        /// [`Kind::NAME`](crate::Kind::NAME).
        kind: &'static str,
        /// The name in question.
        name: String,
    },
    /// [`Registries::get`](crate::Registries::get) for a kind nobody registered.
    #[error("no {kind} is registered; call the `register` function of its crate first")]
    NoRegistry {
        /// [`Kind::NAME`](crate::Kind::NAME).
        kind: &'static str,
    },
    /// Specs are nested deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
    #[error("specs are nested deeper than {limit} levels; flatten the configuration")]
    TooDeep {
        /// The greatest depth that is accepted.
        limit: usize,
    },
}

impl SpecError {
    /// The parameter `field` of the spec at hand is wrong in itself or in
    /// combination with others.
    ///
    /// ```
    /// use firecraft_spec::SpecError;
    /// let error = SpecError::field("factor", "must be in (0, 1), got 1.5");
    /// assert_eq!(error.to_string(), "`factor`: must be in (0, 1), got 1.5");
    /// assert_eq!(
    ///     error.of_type("reduce_on_plateau").to_string(),
    ///     "reduce_on_plateau: `factor`: must be in (0, 1), got 1.5",
    /// );
    /// ```
    #[must_use]
    pub fn field(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::Field {
            type_name: None,
            path: Path::field(field),
            message: message.to_string(),
        }
    }

    /// The spec at hand is wrong as a whole.
    #[must_use]
    pub fn invalid(message: impl fmt::Display) -> Self {
        Self::Field {
            type_name: None,
            path: Path::root(),
            message: message.to_string(),
        }
    }

    /// The same error, seen from the spec that holds it in `field`.
    #[must_use]
    pub fn under(mut self, field: impl Into<String>) -> Self {
        if let Self::Field { path, .. } = &mut self {
            path.push_outer_field(field);
        }
        self
    }

    /// The same error, seen from the list that holds it at `index`.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        if let Self::Field { path, .. } = &mut self {
            path.push_outer_index(index);
        }
        self
    }

    /// The same error with the `type` it belongs to, unless a nested spec has
    /// named its own before.
    #[must_use]
    pub fn of_type(mut self, name: &str) -> Self {
        if let Self::Field { type_name, .. } = &mut self {
            type_name.get_or_insert_with(|| name.to_owned());
        }
        self
    }
}

impl serde_core::de::Error for SpecError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::invalid(message)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let near = crate::nearest(field, expected.iter().copied());
        let known = if expected.is_empty() {
            "there are none".to_owned()
        } else {
            format!("expected one of: {}", expected.join(", "))
        };
        Self::field(
            field,
            format_args!("unknown field{}; {known}", display_nearest(&near)),
        )
    }

    fn missing_field(field: &'static str) -> Self {
        Self::field(field, "missing; this parameter is required")
    }
}

impl serde_core::ser::Error for SpecError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::invalid(message)
    }
}

fn display_field(type_name: Option<&str>, path: &Path, message: &str) -> String {
    let owner = type_name
        .map(|name| format!("{name}: "))
        .unwrap_or_default();
    if path.is_root() {
        format!("{owner}{message}")
    } else {
        format!("{owner}`{path}`: {message}")
    }
}

fn display_nearest(near: &[String]) -> String {
    match near {
        [] => String::new(),
        [first, rest @ ..] => {
            let mut text = format!(": did you mean `{first}`");
            for name in rest {
                text.push_str(&format!(" or `{name}`"));
            }
            text.push('?');
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_from_the_outside_in() {
        let error = SpecError::field("factor", "must be positive, got -1")
            .of_type("constant")
            .at(2)
            .under("parts")
            .of_type("sequence");
        assert_eq!(
            error.to_string(),
            "constant: `parts[2].factor`: must be positive, got -1"
        );
    }

    #[test]
    fn errors_of_the_whole_spec_have_no_path() {
        let error = SpecError::invalid("min > max").of_type("clamp");
        assert_eq!(error.to_string(), "clamp: min > max");
    }

    #[test]
    fn other_errors_pass_through_unchanged() {
        let error = SpecError::NoRegistry { kind: "transform" };
        assert_eq!(error.clone().under("inner").at(0).of_type("x"), error);
    }
}
