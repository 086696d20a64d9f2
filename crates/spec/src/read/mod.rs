//! The one deserialiser of this crate.
//!
//! serde compiles what reads a type once per deserialiser. There are two things
//! to read from, values and the places of a schema that is being found, so they
//! share one: it says what the type asked for, gets an [`Answer`] (which is
//! compiled once, not once per type) and hands it on.
//!
//! What lives here: how an answer reaches serde. What must not: what there is
//! to read, which `value/de.rs` and `schema/place.rs` know.

mod access;
mod failure;

pub(crate) use access::{Elements, Entries, Member, Variant};
use failure::Failure;

use crate::schema::Place;
use crate::{SpecError, Table, Value};
use serde_core::de::{DeserializeOwned, Deserializer, Error as _, Expected, Unexpected, Visitor};
use serde_core::forward_to_deserialize_any;

/// A typed value from what there is to read.
pub(crate) fn read<T: DeserializeOwned>(source: Source<'_>) -> Result<T, SpecError> {
    T::deserialize(source).map_err(SpecError::from)
}

/// What a type wants to read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Asked {
    Bool,
    Whole { low: Option<i64>, high: Option<i64> },
    Number,
    Text,
    Nothing,
    Optional,
    List,
    Tuple(usize),
    Map,
    Struct(&'static [&'static str]),
    Enum(&'static [&'static str]),
    Any,
}

/// What is there to read.
pub(crate) enum Answer<'de> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'de str),
    List(Elements<'de>),
    Table(Entries<'de>),
    Some(Source<'de>),
    Variant(Variant<'de>),
}

/// What is read from.
pub(crate) enum Source<'de> {
    Value(&'de Value),
    /// The parameters of a spec.
    Table(&'de Table),
    /// A place of a configuration whose schema is being found.
    Place(Place<'de>),
}

impl<'de> Source<'de> {
    fn answer(self, asked: Asked) -> Result<Answer<'de>, SpecError> {
        match self {
            Self::Value(value) => value.answer(&asked),
            Self::Table(table) => table.answer(&asked),
            Self::Place(place) => place.answer(asked),
        }
    }

    fn entries(
        self,
        fields: &'static [&'static str],
        expected: &dyn Expected,
    ) -> Result<Entries<'de>, Failure> {
        match self.answer(Asked::Struct(fields))? {
            Answer::Table(entries) => Ok(entries),
            other => Err(Failure::invalid_type(other.unexpected(), expected)),
        }
    }

    fn variant(
        self,
        variants: &'static [&'static str],
        expected: &dyn Expected,
    ) -> Result<Variant<'de>, Failure> {
        match self.answer(Asked::Enum(variants))? {
            Answer::Variant(variant) => Ok(variant),
            other => Err(Failure::invalid_type(other.unexpected(), expected)),
        }
    }

    fn give<V: Visitor<'de>>(self, asked: Asked, visitor: V) -> Result<V::Value, Failure> {
        match self.answer(asked)? {
            Answer::Null => visitor.visit_unit(),
            Answer::Bool(v) => visitor.visit_bool(v),
            Answer::Int(v) => visitor.visit_i64(v),
            Answer::Float(v) => visitor.visit_f64(v),
            Answer::Text(v) => visitor.visit_borrowed_str(v),
            Answer::List(mut elements) => {
                let read = visitor.visit_seq(&mut elements)?;
                elements.end()?;
                Ok(read)
            }
            Answer::Table(entries) => visitor.visit_map(entries),
            Answer::Some(source) => visitor.visit_some(source),
            Answer::Variant(variant) => visitor.visit_enum(variant),
        }
    }

    fn whole<V: Visitor<'de>>(
        self,
        low: Option<i64>,
        high: Option<i64>,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.give(Asked::Whole { low, high }, visitor)
    }
}

impl Answer<'_> {
    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::Null => Unexpected::Unit,
            Self::Bool(v) => Unexpected::Bool(*v),
            Self::Int(v) => Unexpected::Signed(*v),
            Self::Float(v) => Unexpected::Float(*v),
            Self::Text(v) => Unexpected::Str(v),
            Self::List(_) => Unexpected::Seq,
            Self::Table(_) => Unexpected::Map,
            Self::Some(_) => Unexpected::Option,
            Self::Variant(_) => Unexpected::Enum,
        }
    }
}

impl<'de> Deserializer<'de> for Source<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.give(Asked::Any, visitor)
    }
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.give(Asked::Bool, visitor)
    }
    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.whole(Some(i8::MIN.into()), Some(i8::MAX.into()), visitor)
    }
    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.whole(Some(i16::MIN.into()), Some(i16::MAX.into()), visitor)
    }
    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.whole(Some(i32::MIN.into()), Some(i32::MAX.into()), visitor)
    }
    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.whole(None, None, visitor)
    }
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.whole(Some(0), Some(u8::MAX.into()), visitor)
    }
    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.whole(Some(0), Some(u16::MAX.into()), visitor)
    }
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.whole(Some(0), Some(u32::MAX.into()), visitor)
    }
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.whole(Some(0), None, visitor)
    }
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.give(Asked::Number, visitor)
    }
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.give(Asked::Number, visitor)
    }
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.give(Asked::Text, visitor)
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.give(Asked::Text, visitor)
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.give(Asked::Text, visitor)
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.give(Asked::Nothing, visitor)
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.give(Asked::Nothing, visitor)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.answer(Asked::Optional)? {
            Answer::Some(source) => visitor.visit_some(source),
            _ => visitor.visit_none(),
        }
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.give(Asked::List, visitor)
    }
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.give(Asked::Tuple(len), visitor)
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.give(Asked::Tuple(len), visitor)
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.give(Asked::Map, visitor)
    }
    /// From a table only: fields have names.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let entries = self.entries(fields, &visitor)?;
        visitor.visit_map(entries)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let variant = self.variant(variants, &visitor)?;
        visitor.visit_enum(variant)
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf identifier ignored_any }
}
