//! Writing a [`Value`], and any serialisable type as a [`Value`].

use super::{Table, Value};
use crate::SpecError;
use serde_core::ser::{self, Error as _, SerializeMap};
use serde_core::{Serialize, Serializer};

/// The key of the table that stands for a number JSON can't write.
pub(super) const FLOAT_KEY: &str = "$float";

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Self::Float(_) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(FLOAT_KEY, &self.to_string())?;
                map.end()
            }
            Self::String(value) => serializer.serialize_str(value),
            Self::List(values) => serializer.collect_seq(values),
            Self::Table(table) => table.serialize(serializer),
        }
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Any serialisable value as a [`Value`].
///
/// # Errors
/// [`SpecError::Field`] for integers that don't fit 64 signed bits and for maps
/// whose keys aren't strings.
///
/// ```
/// use firecraft_spec::{Value, to_value};
/// assert_eq!(to_value(&(1, "a", None::<f64>))?.to_string(), "[1, \"a\", null]");
/// assert!(to_value(&u64::MAX).is_err());
/// # Ok::<(), firecraft_spec::SpecError>(())
/// ```
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, SpecError> {
    value.serialize(ValueSerializer)
}

struct ValueSerializer;

fn int<T: TryInto<i64> + Copy + std::fmt::Display>(value: T) -> Result<Value, SpecError> {
    value.try_into().map(Value::Int).map_err(|_| {
        SpecError::custom(format_args!(
            "the integer {value} does not fit 64 signed bits; write it as text"
        ))
    })
}

fn variant(name: &'static str, value: Value) -> Value {
    Value::Table([(name, value)].into_iter().collect())
}

impl Serializer for ValueSerializer {
    type Ok = Value;
    type Error = SpecError;
    type SerializeSeq = ListBuilder;
    type SerializeTuple = ListBuilder;
    type SerializeTupleStruct = ListBuilder;
    type SerializeTupleVariant = ListBuilder;
    type SerializeMap = TableBuilder;
    type SerializeStruct = TableBuilder;
    type SerializeStructVariant = TableBuilder;

    fn serialize_bool(self, v: bool) -> Result<Value, SpecError> {
        Ok(Value::Bool(v))
    }
    fn serialize_i8(self, v: i8) -> Result<Value, SpecError> {
        int(v)
    }
    fn serialize_i16(self, v: i16) -> Result<Value, SpecError> {
        int(v)
    }
    fn serialize_i32(self, v: i32) -> Result<Value, SpecError> {
        int(v)
    }
    fn serialize_i64(self, v: i64) -> Result<Value, SpecError> {
        int(v)
    }
    fn serialize_i128(self, v: i128) -> Result<Value, SpecError> {
        int(v)
    }
    fn serialize_u8(self, v: u8) -> Result<Value, SpecError> {
        int(v)
    }
    fn serialize_u16(self, v: u16) -> Result<Value, SpecError> {
        int(v)
    }
    fn serialize_u32(self, v: u32) -> Result<Value, SpecError> {
        int(v)
    }
    fn serialize_u64(self, v: u64) -> Result<Value, SpecError> {
        int(v)
    }
    fn serialize_u128(self, v: u128) -> Result<Value, SpecError> {
        int(v)
    }
    fn serialize_f32(self, v: f32) -> Result<Value, SpecError> {
        Ok(Value::Float(v.into()))
    }
    fn serialize_f64(self, v: f64) -> Result<Value, SpecError> {
        Ok(Value::Float(v))
    }
    fn serialize_char(self, v: char) -> Result<Value, SpecError> {
        Ok(Value::String(v.into()))
    }
    fn serialize_str(self, v: &str) -> Result<Value, SpecError> {
        Ok(v.into())
    }
    fn serialize_bytes(self, v: &[u8]) -> Result<Value, SpecError> {
        Ok(Value::List(
            v.iter().map(|&b| Value::Int(b.into())).collect(),
        ))
    }
    fn serialize_none(self) -> Result<Value, SpecError> {
        Ok(Value::Null)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, SpecError> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Value, SpecError> {
        Ok(Value::Null)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, SpecError> {
        Ok(Value::Null)
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, SpecError> {
        Ok(variant.into())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, SpecError> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<Value, SpecError> {
        let value = to_value(value).map_err(|error| error.under(name))?;
        Ok(variant(name, value))
    }
    fn serialize_seq(self, len: Option<usize>) -> Result<ListBuilder, SpecError> {
        Ok(ListBuilder::new(None, len.unwrap_or(0)))
    }
    fn serialize_tuple(self, len: usize) -> Result<ListBuilder, SpecError> {
        Ok(ListBuilder::new(None, len))
    }
    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<ListBuilder, SpecError> {
        Ok(ListBuilder::new(None, len))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        len: usize,
    ) -> Result<ListBuilder, SpecError> {
        Ok(ListBuilder::new(Some(name), len))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<TableBuilder, SpecError> {
        Ok(TableBuilder::new(None))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<TableBuilder, SpecError> {
        Ok(TableBuilder::new(None))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<TableBuilder, SpecError> {
        Ok(TableBuilder::new(Some(name)))
    }
}

struct ListBuilder {
    variant: Option<&'static str>,
    values: Vec<Value>,
}

impl ListBuilder {
    fn new(variant: Option<&'static str>, len: usize) -> Self {
        Self {
            variant,
            values: Vec::with_capacity(len.min(1 << 16)),
        }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SpecError> {
        let value = to_value(value).map_err(|error| error.at(self.values.len()))?;
        self.values.push(value);
        Ok(())
    }

    fn finish(self) -> Value {
        let list = Value::List(self.values);
        match self.variant {
            Some(name) => variant(name, list),
            None => list,
        }
    }
}

macro_rules! list_builder {
    ($($trait:ident :: $push:ident),*) => {$(
        impl ser::$trait for ListBuilder {
            type Ok = Value;
            type Error = SpecError;
            fn $push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SpecError> {
                self.push(value)
            }
            fn end(self) -> Result<Value, SpecError> {
                Ok(self.finish())
            }
        }
    )*};
}
list_builder! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
}

struct TableBuilder {
    variant: Option<&'static str>,
    table: Table,
    key: Option<String>,
}

impl TableBuilder {
    fn new(variant: Option<&'static str>) -> Self {
        Self {
            variant,
            table: Table::new(),
            key: None,
        }
    }

    fn insert<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), SpecError> {
        match to_value(value) {
            Ok(value) => {
                self.table.insert(key, value);
                Ok(())
            }
            Err(error) => Err(error.under(key)),
        }
    }

    fn finish(self) -> Value {
        let table = super::de::unspell(self.table);
        match self.variant {
            Some(name) => variant(name, table),
            None => table,
        }
    }
}

impl SerializeMap for TableBuilder {
    type Ok = Value;
    type Error = SpecError;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), SpecError> {
        self.key = Some(match to_value(key)? {
            Value::String(key) => key,
            Value::Int(key) => key.to_string(),
            other => {
                return Err(SpecError::custom(format_args!(
                    "the keys of a table must be text, got {}",
                    other.describe()
                )));
            }
        });
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SpecError> {
        let key = self.key.take().unwrap_or_default();
        self.insert(key, value)
    }
    fn end(self) -> Result<Value, SpecError> {
        Ok(self.finish())
    }
}

macro_rules! struct_builder {
    ($($trait:ident),*) => {$(
        impl ser::$trait for TableBuilder {
            type Ok = Value;
            type Error = SpecError;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), SpecError> {
                self.insert(key.to_owned(), value)
            }
            fn end(self) -> Result<Value, SpecError> {
                Ok(self.finish())
            }
        }
    )*};
}
struct_builder!(SerializeStruct, SerializeStructVariant);
