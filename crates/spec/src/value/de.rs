//! Reading a [`Value`], and any deserialisable type from a [`Value`].

use super::ser::FLOAT_KEY;
use super::{MAX_DEPTH, Table, Value};
use crate::SpecError;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
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
    T::deserialize(ValueDeserializer(value))
}

pub(crate) fn from_table<T: DeserializeOwned>(table: &Table) -> Result<T, SpecError> {
    T::deserialize(TableDeserializer(table))
}

#[derive(Clone, Copy)]
struct ValueDeserializer<'de>(&'de Value);

impl<'de> ValueDeserializer<'de> {
    fn float<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        match self.0.as_str().and_then(non_finite) {
            Some(number) => visitor.visit_f64(number),
            None => self.deserialize_any(visitor),
        }
    }
}

impl<'de> Deserializer<'de> for ValueDeserializer<'de> {
    type Error = SpecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(v) => visitor.visit_bool(*v),
            Value::Int(v) => visitor.visit_i64(*v),
            Value::Float(v) => visitor.visit_f64(*v),
            Value::String(v) => visitor.visit_borrowed_str(v),
            Value::List(values) => {
                let mut access = ListAccess { values, next: 0 };
                let result = visitor.visit_seq(&mut access)?;
                let left = access.values.len() - access.next;
                if left > 0 {
                    return Err(SpecError::custom(format_args!(
                        "{left} elements too many in a list of {}",
                        values.len()
                    )));
                }
                Ok(result)
            }
            Value::Table(table) => TableDeserializer(table).deserialize_any(visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.float(visitor)
    }
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.float(visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, SpecError> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SpecError> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant { name, value: None }),
            Value::Table(table) if table.len() == 1 => match table.entries().next() {
                Some((name, value)) => visitor.visit_enum(Variant {
                    name,
                    value: Some(value),
                }),
                None => visitor.visit_unit(),
            },
            other => Err(SpecError::custom(format_args!(
                "expected the name of a variant, or a table with that name as its only key, got {}",
                other.describe()
            ))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, SpecError> for ValueDeserializer<'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

struct TableDeserializer<'de>(&'de Table);

impl<'de> Deserializer<'de> for TableDeserializer<'de> {
    type Error = SpecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        visitor.visit_map(TableAccess {
            entries: self.0.entries(),
            current: None,
        })
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        if self.0.is_empty() {
            visitor.visit_unit()
        } else {
            self.deserialize_any(visitor)
        }
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, SpecError> {
        self.deserialize_unit(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct ListAccess<'de> {
    values: &'de [Value],
    next: usize,
}

impl<'de> SeqAccess<'de> for ListAccess<'de> {
    type Error = SpecError;
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, SpecError> {
        let Some(value) = self.values.get(self.next) else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        seed.deserialize(ValueDeserializer(value))
            .map(Some)
            .map_err(|error| error.at(index))
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len() - self.next)
    }
}

struct TableAccess<'de> {
    entries: std::slice::Iter<'de, (String, Value)>,
    current: Option<&'de (String, Value)>,
}

impl<'de> MapAccess<'de> for TableAccess<'de> {
    type Error = SpecError;
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, SpecError> {
        self.current = self.entries.next();
        let Some((name, _)) = self.current else {
            return Ok(None);
        };
        let name: de::value::BorrowedStrDeserializer<'_, SpecError> =
            de::value::BorrowedStrDeserializer::new(name);
        seed.deserialize(name).map(Some)
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, SpecError> {
        let Some((name, value)) = self.current else {
            return Err(SpecError::custom("a value was asked for before its key"));
        };
        seed.deserialize(ValueDeserializer(value))
            .map_err(|error| error.under(name))
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

struct Variant<'de> {
    name: &'de str,
    value: Option<&'de Value>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = SpecError;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), SpecError> {
        let name: de::value::BorrowedStrDeserializer<'_, SpecError> =
            de::value::BorrowedStrDeserializer::new(self.name);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> Variant<'de> {
    fn content(&self) -> Result<ValueDeserializer<'de>, SpecError> {
        self.value.map(ValueDeserializer).ok_or_else(|| {
            SpecError::custom(format_args!(
                "the variant `{}` needs its content: {{ {} = … }}",
                self.name, self.name
            ))
        })
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = SpecError;
    fn unit_variant(self) -> Result<(), SpecError> {
        match self.value {
            None | Some(Value::Null) => Ok(()),
            Some(other) => Err(SpecError::custom(format_args!(
                "the variant `{}` takes no content, got {}",
                self.name,
                other.describe()
            ))),
        }
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, SpecError> {
        seed.deserialize(self.content()?)
            .map_err(|error| error.under(self.name))
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, SpecError> {
        self.content()?
            .deserialize_any(visitor)
            .map_err(|error| error.under(self.name))
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SpecError> {
        self.content()?
            .deserialize_any(visitor)
            .map_err(|error| error.under(self.name))
    }
}
