//! A deserialiser that hands out small values and writes down what was asked.

use crate::SpecError;
use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What was asked for in one place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
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

/// What is handed out where anything may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sample {
    Number,
    Whole,
    Pair,
    Three,
    Text,
    Table,
    Bool,
}

pub(super) const SAMPLES: [Sample; 7] = [
    Sample::Number,
    Sample::Whole,
    Sample::Pair,
    Sample::Three,
    Sample::Text,
    Sample::Table,
    Sample::Bool,
];

impl Shape {
    pub(super) const fn alternatives(&self) -> usize {
        match self {
            Self::Enum(variants) => variants.len(),
            Self::Any => SAMPLES.len(),
            _ => 0,
        }
    }
}

/// Lists in lists in lists are left empty: types may hold themselves.
const LISTS: usize = 2;
const LONGEST_PATH: usize = 300;

/// What one reading does and finds. Paths are `.field`, `[]`, `[2]`, `?` (of an
/// option), `#2` (of the second variant) one after the other.
#[derive(Default)]
pub(crate) struct Watch {
    pub(super) shapes: BTreeMap<String, Shape>,
    /// Which alternative is read.
    pub(super) picks: BTreeMap<String, usize>,
    pub(super) left_out: BTreeSet<(String, String)>,
    /// The struct that is given a field it doesn't know.
    pub(super) surplus: Option<String>,
    /// Lists of what no sample suits.
    pub(super) empty: BTreeSet<String>,
    /// The innermost place that was not content.
    pub(super) failed: Option<String>,
}

/// Hands out small values and writes down what it is asked for.
pub(super) struct Tracer<'a> {
    watch: &'a RefCell<Watch>,
    path: String,
}

impl<'a> Tracer<'a> {
    pub(super) const fn root(watch: &'a RefCell<Watch>) -> Self {
        Self {
            watch,
            path: String::new(),
        }
    }

    fn found(&self, shape: Shape) {
        let mut watch = self.watch.borrow_mut();
        watch.shapes.entry(self.path.clone()).or_insert(shape);
    }

    fn pick(&self) -> usize {
        let watch = self.watch.borrow();
        watch.picks.get(&self.path).copied().unwrap_or(0)
    }

    /// The place inside this one.
    fn at(&self, end: &str) -> Self {
        Self {
            watch: self.watch,
            path: format!("{}{end}", self.path),
        }
    }

    /// Reads what `seed` reads here, and remembers where that failed.
    fn give<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, SpecError> {
        let here = self.at("");
        seed.deserialize(self).inspect_err(|_| here.failed())
    }

    fn failed(self) {
        self.watch.borrow_mut().failed.get_or_insert(self.path);
    }

    fn whole<'de, V: Visitor<'de>>(
        self,
        low: Option<i64>,
        high: Option<i64>,
        visitor: V,
    ) -> Result<V::Value, SpecError> {
        self.found(Shape::Whole { low, high });
        visitor.visit_u64(1)
    }
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = SpecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.found(Shape::Any);
        let list = |n| SeqDeserializer::<_, SpecError>::new(vec![0.5_f64; n].into_iter());
        match SAMPLES[self.pick() % SAMPLES.len()] {
            Sample::Number => visitor.visit_f64(0.5),
            Sample::Whole => visitor.visit_i64(1),
            Sample::Pair => visitor.visit_seq(list(2)),
            Sample::Three => {
                let mut list = list(3);
                let value = visitor.visit_seq(&mut list)?;
                list.end()?;
                Ok(value)
            }
            Sample::Text => visitor.visit_str("a"),
            Sample::Table => {
                let entries = std::iter::once(("type", "a"));
                visitor.visit_map(MapDeserializer::<_, SpecError>::new(entries))
            }
            Sample::Bool => visitor.visit_bool(false),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.found(Shape::Bool);
        visitor.visit_bool(false)
    }
    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.whole(Some(i8::MIN.into()), Some(i8::MAX.into()), visitor)
    }
    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.whole(Some(i16::MIN.into()), Some(i16::MAX.into()), visitor)
    }
    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.whole(Some(i32::MIN.into()), Some(i32::MAX.into()), visitor)
    }
    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.whole(None, None, visitor)
    }
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.whole(Some(0), Some(u8::MAX.into()), visitor)
    }
    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.whole(Some(0), Some(u16::MAX.into()), visitor)
    }
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.whole(Some(0), Some(u32::MAX.into()), visitor)
    }
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.whole(Some(0), None, visitor)
    }
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.deserialize_f64(visitor)
    }
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.found(Shape::Number);
        visitor.visit_f64(0.5)
    }
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.deserialize_str(visitor)
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.found(Shape::Text);
        visitor.visit_str("a")
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.deserialize_str(visitor)
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.found(Shape::Nothing);
        visitor.visit_unit()
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, SpecError> {
        self.deserialize_unit(visitor)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, SpecError> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.found(Shape::Optional);
        if self.path.len() > LONGEST_PATH {
            visitor.visit_none()
        } else {
            visitor.visit_some(self.at("?"))
        }
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        visitor.visit_seq(Elements::of_list(self))
    }
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, SpecError> {
        self.found(Shape::Tuple(len));
        visitor.visit_seq(Elements {
            place: self,
            next: 0,
            left: len,
            numbered: true,
        })
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, SpecError> {
        self.deserialize_tuple(len, visitor)
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SpecError> {
        self.found(Shape::Map);
        visitor.visit_map(Entry {
            place: self,
            given: false,
        })
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SpecError> {
        visitor.visit_map(Fields::of(self, fields))
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SpecError> {
        self.found(Shape::Enum(variants));
        if variants.is_empty() || self.path.len() > LONGEST_PATH {
            return Err(SpecError::invalid("nested too deeply"));
        }
        let nth = self.pick() % variants.len();
        visitor.visit_enum(Variant {
            name: variants[nth],
            content: self.at(&format!("#{nth}")),
        })
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf identifier ignored_any }
}

struct Elements<'a> {
    place: Tracer<'a>,
    next: usize,
    left: usize,
    numbered: bool,
}

impl<'a> Elements<'a> {
    fn of_list(place: Tracer<'a>) -> Self {
        place.found(Shape::List);
        let deep = place.path.matches("[]").count() >= LISTS;
        let empty = place.watch.borrow().empty.contains(&place.path);
        Self {
            place,
            next: 0,
            left: usize::from(!deep && !empty),
            numbered: false,
        }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = SpecError;
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, SpecError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let end = if self.numbered {
            format!("[{}]", self.next)
        } else {
            "[]".to_owned()
        };
        self.next += 1;
        self.place.at(&end).give(seed).map(Some)
    }
}

/// The one entry of a map.
struct Entry<'a> {
    place: Tracer<'a>,
    given: bool,
}

impl<'de> MapAccess<'de> for Entry<'_> {
    type Error = SpecError;
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, SpecError> {
        if std::mem::replace(&mut self.given, true) {
            return Ok(None);
        }
        // A name that is a number, too, for tables whose keys are read as such.
        let name: StrDeserializer<'_, SpecError> = "1".into_deserializer();
        seed.deserialize(name).map(Some)
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, SpecError> {
        self.place.at("{}").give(seed)
    }
}

struct Fields<'a> {
    place: Tracer<'a>,
    fields: &'static [&'static str],
    surplus: bool,
}

/// A name that no field has.
const SURPLUS: &str = "\u{1}";

impl<'a> Fields<'a> {
    fn of(place: Tracer<'a>, fields: &'static [&'static str]) -> Self {
        place.found(Shape::Struct(fields));
        let surplus = place.watch.borrow().surplus.as_ref() == Some(&place.path);
        Self {
            place,
            fields,
            surplus,
        }
    }

    /// The name of the next field, past those that are left out.
    fn name(&mut self) -> Option<&'static str> {
        let left_out = |field: &str| {
            let watch = self.place.watch.borrow();
            let place = (self.place.path.clone(), field.to_owned());
            watch.left_out.contains(&place)
        };
        let skipped = self.fields.iter().take_while(|field| left_out(field));
        self.fields = &self.fields[skipped.count()..];
        match self.fields.first() {
            _ if self.surplus => Some(SURPLUS),
            name => name.copied(),
        }
    }

    /// The place of its value.
    fn value(&mut self) -> Result<Tracer<'a>, SpecError> {
        let Some((name, rest)) = self.fields.split_first() else {
            return Err(SpecError::invalid("a value was asked for before its key"));
        };
        self.fields = rest;
        Ok(self.place.at(&format!(".{name}")))
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = SpecError;
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, SpecError> {
        let Some(name) = self.name() else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, SpecError> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, SpecError> {
        if std::mem::take(&mut self.surplus) {
            return seed.deserialize(().into_deserializer());
        }
        self.value()?.give(seed)
    }
}

struct Variant<'a> {
    name: &'static str,
    content: Tracer<'a>,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = SpecError;
    type Variant = Tracer<'a>;
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Tracer<'a>), SpecError> {
        let name: StrDeserializer<'_, SpecError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self.content))
    }
}

impl<'de> VariantAccess<'de> for Tracer<'_> {
    type Error = SpecError;
    fn unit_variant(self) -> Result<(), SpecError> {
        self.found(Shape::Nothing);
        Ok(())
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, SpecError> {
        self.give(seed)
    }
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, SpecError> {
        self.deserialize_tuple(len, visitor)
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SpecError> {
        self.deserialize_struct("", fields, visitor)
    }
}
