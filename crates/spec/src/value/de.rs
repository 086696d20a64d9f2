//! Reading a [`Value`], and any deserialisable type from a [`Value`].

use super::ser::FLOAT_KEY;
use super::{MAX_DEPTH, Table, Value};
use crate::SpecError;
use crate::read::{Answer, Asked, Elements, Entries, Member, Source, Variant, read};
use serde_core::de::{
    self, DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde_core::{Deserialize, Deserializer};
use std::fmt;

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ValueSeed { left: MAX_DEPTH }.deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Table(table) => Ok(table),
            other => Err(D::Error::custom(format_args!(
                "expected a table, got {}",
                other.describe()
            ))),
        }
    }
}

/// Reads a value of limited depth, whatever limits the format itself has.
#[derive(Clone, Copy)]
struct ValueSeed {
    left: usize,
}

impl ValueSeed {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1);
        left.map(|left| Self { left })
            .ok_or_else(|| E::custom(SpecError::TooDeep { limit: MAX_DEPTH }))
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean, a number, text, a list or a table")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Int(v))
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Value, E> {
        i64::try_from(v)
            .map(Value::Int)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(v), &"a 64-bit signed integer"))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::Float(v))
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = access.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut table = Table::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(inner)?;
            if table.contains_key(&key) {
                return Err(A::Error::custom(format_args!(
                    "the key `{key}` is there twice"
                )));
            }
            table.insert(key, value);
        }
        Ok(unspell(table))
    }
}

/// Undoes the spelling of non-finite numbers as `{"$float": "…"}`.
pub(super) fn unspell(table: Table) -> Value {
    match table
        .get(FLOAT_KEY)
        .and_then(Value::as_str)
        .and_then(non_finite)
    {
        Some(number) if table.len() == 1 => Value::Float(number),
        _ => Value::Table(table),
    }
}

fn non_finite(text: &str) -> Option<f64> {
    match text {
        "nan" | "NaN" => Some(f64::NAN),
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// A typed value from a [`Value`].
///
/// Integers are accepted where floats are expected, and the strings `nan`,
/// `inf` and `-inf` too (JSON has no other way to write them).
///
/// # Errors
/// [`SpecError::Field`] with the path of the offending field.
///
/// ```
/// use firecraft_spec::{Value, from_value};
/// let value = Value::from(vec![Value::from(1), Value::from("x")]);
/// assert_eq!(
///     from_value::<Vec<f64>>(&value).unwrap_err().to_string(),
///     "`[1]`: invalid type: string \"x\", expected f64",
/// );
/// ```
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, SpecError> {
    read(Source::Value(value))
}

pub(crate) fn from_table<T: DeserializeOwned>(table: &Table) -> Result<T, SpecError> {
    read(Source::Table(table))
}

impl Value {
    /// What a type that asks for `asked` finds here.
    pub(crate) fn answer(&self, asked: &Asked) -> Result<Answer<'_>, SpecError> {
        match (asked, self) {
            (Asked::Enum(_), Self::String(name)) => Ok(Answer::Variant(Variant::new(name, None))),
            (Asked::Enum(_), Self::Table(table)) if table.len() == 1 => table.answer(asked),
            (Asked::Enum(_), other) => Err(SpecError::custom(format_args!(
                "expected the name of a variant, or a table with that name as its only key, got {}",
                other.describe()
            ))),
            (_, Self::Null) => Ok(Answer::Null),
            (Asked::Optional, some) => Ok(Answer::Some(Source::Value(some))),
            (Asked::Number, Self::String(text)) => Ok(match non_finite(text) {
                Some(number) => Answer::Float(number),
                None => Answer::Text(text),
            }),
            (_, Self::Bool(v)) => Ok(Answer::Bool(*v)),
            (_, Self::Int(v)) => Ok(Answer::Int(*v)),
            (_, Self::Float(v)) => Ok(Answer::Float(*v)),
            (_, Self::String(v)) => Ok(Answer::Text(v)),
            (_, Self::List(values)) => Ok(Answer::List(Elements::Values { values, next: 0 })),
            (_, Self::Table(table)) => Ok(table.entries_read()),
        }
    }
}

impl Table {
    /// What a type that asks for `asked` finds in the parameters of a spec.
    pub(crate) fn answer(&self, asked: &Asked) -> Result<Answer<'_>, SpecError> {
        match (asked, self.entries().as_slice()) {
            (Asked::Enum(_), [(name, value)]) => {
                let content = Some(Member::named(name, value));
                Ok(Answer::Variant(Variant::new(name, content)))
            }
            (Asked::Nothing, []) => Ok(Answer::Null),
            (Asked::Optional, _) => Ok(Answer::Some(Source::Table(self))),
            _ => Ok(self.entries_read()),
        }
    }

    fn entries_read(&self) -> Answer<'_> {
        Answer::Table(Entries::Values {
            entries: self.entries(),
            current: None,
        })
    }
}
