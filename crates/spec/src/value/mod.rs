//! The self-describing value that specs and states are made of.

mod de;
mod ser;
mod table;

pub(crate) use de::from_table;
pub use de::from_value;
pub use ser::to_value;
pub use table::Table;

use crate::{Spec, SpecError};
use std::fmt;

/// The greatest nesting of lists and tables that is read or built.
pub const MAX_DEPTH: usize = 64;

/// What JSON and TOML have in common, with integers and floats kept apart.
///
/// Serde reads and writes it in any self-describing format. Numbers survive
/// bit for bit where the format does; the non-finite ones are written as
/// `{"$float": "nan" | "inf" | "-inf"}`, because JSON has no word for them.
/// `Null` entries of a table are dropped by TOML, which has no null.
///
/// Equality is that of the content: tables don't care about order, and NaN
/// equals NaN, so that a state compares equal to its copy.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Nothing: an absent optional parameter.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number written with a point or an exponent.
    Float(f64),
    /// Text.
    String(String),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name, in the order of insertion.
    Table(Table),
}

impl Value {
    /// The boolean, if it is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer, if it is one.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, whole or not.
    #[must_use]
    pub const fn as_number(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// The text, if it is text.
    #[must_use]
    pub const fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value.as_str()),
            _ => None,
        }
    }

    /// The elements, if it is a list.
    #[must_use]
    pub const fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(values) => Some(values.as_slice()),
            _ => None,
        }
    }

    /// The table, if it is one.
    #[must_use]
    pub const fn as_table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Type and content for error messages: ``integer `3` ``.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => format!("boolean `{value}`"),
            Self::Int(value) => format!("integer `{value}`"),
            Self::Float(value) => format!("number `{value}`"),
            Self::String(value) => format!("string {value:?}"),
            Self::List(values) => format!("a list of {}", values.len()),
            Self::Table(table) => format!("a table of {}", table.len()),
        }
    }

    pub(crate) fn check_depth(&self, left: usize) -> Result<(), SpecError> {
        let mut inner: Box<dyn Iterator<Item = &Value>> = match self {
            Self::List(values) => Box::new(values.iter()),
            Self::Table(table) => Box::new(table.values()),
            _ => return Ok(()),
        };
        if left == 0 {
            return Err(SpecError::TooDeep { limit: MAX_DEPTH });
        }
        inner.try_for_each(|value| value.check_depth(left - 1))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Table(a), Self::Table(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Value {
    /// As TOML would write it inline (`null` for null).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) if value.is_finite() => write!(f, "{value:?}"),
            Self::Float(value) if value.is_nan() => f.write_str("nan"),
            Self::Float(value) => f.write_str(if *value > 0.0 { "inf" } else { "-inf" }),
            Self::String(value) => write!(f, "{value:?}"),
            Self::List(values) => {
                f.write_str("[")?;
                for (nth, value) in values.iter().enumerate() {
                    let comma = if nth == 0 { "" } else { ", " };
                    write!(f, "{comma}{value}")?;
                }
                f.write_str("]")
            }
            Self::Table(table) => table.fmt(f),
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident as $as:ty),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(<$as>::from(value))
            }
        }
    )*};
}
from! {
    bool => Bool as bool,
    i64 => Int as i64,
    i32 => Int as i64,
    u32 => Int as i64,
    f64 => Float as f64,
    f32 => Float as f64,
    String => String as String,
    &str => String as String,
    Table => Table as Table,
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl From<&Spec> for Value {
    fn from(spec: &Spec) -> Self {
        spec.clone().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_ignores_the_order_of_a_table_but_not_of_a_list() {
        let ab: Table = [("a", 1), ("b", 2)].into_iter().collect();
        let ba: Table = [("b", 2), ("a", 1)].into_iter().collect();
        assert_eq!(ab, ba);
        assert_ne!(Value::from(vec![1, 2]), Value::from(vec![2, 1]));
        assert_eq!(Value::from(f64::NAN), Value::from(f64::NAN));
        assert_ne!(Value::from(1), Value::from(1.0));
    }

    #[test]
    fn accessors_answer_for_their_own_type_only() {
        assert_eq!(Value::from(2).as_number(), Some(2.0));
        assert_eq!(Value::from(2.0).as_int(), None);
        assert_eq!(Value::from("x").as_str(), Some("x"));
        assert_eq!(Value::Null.as_bool(), None);
        assert_eq!(Value::from(vec![1]).as_list().map(<[_]>::len), Some(1));
    }
}
