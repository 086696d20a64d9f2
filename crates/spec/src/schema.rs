//! JSON Schemas of configurations, found by watching them being read.
//!
//! A configuration tells serde which fields it wants, and of which types. A
//! deserialiser that writes this down and hands out small values learns the
//! schema without a derive of its own, for any type that can be read. Enums are
//! read once per variant, and each field is left out once, to see whether it
//! may be.

use crate::{SpecError, Table, Value, to_value};
use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde::{Serialize, forward_to_deserialize_any};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a configuration.
pub(crate) struct Described {
    /// Its JSON Schema.
    pub(crate) schema: Table,
    /// Its required fields, with some values of the right types.
    pub(crate) example: Table,
}

/// The JSON Schema of a configuration, as a value: its fields, their types and
/// names of variants, which of them are required, and the defaults of the
/// others.
///
/// ```
/// use firecraft_spec::schema_of;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Step {
///     every: u32,
///     #[serde(default)]
///     factor: f64,
/// }
/// assert_eq!(
///     schema_of::<Step>().to_string(),
///     "{ type = \"object\", properties = { \
///      every = { type = \"integer\", minimum = 0, maximum = 4294967295 }, \
///      factor = { type = \"number\", default = 0.0 } }, \
///      required = [\"every\"], additionalProperties = false }"
/// );
/// ```
#[must_use]
pub fn schema_of<T: DeserializeOwned + Serialize>() -> Value {
    Value::Table(describe(reading::<T>).schema)
}

/// Reads a configuration while it is watched, and writes it down again (null
/// if it can't be written). All that a type is asked: the rest of this file is
/// compiled once, not once per configuration.
pub(crate) type Reading = fn(&RefCell<Watch>) -> Result<Value, SpecError>;

pub(crate) fn reading<T: DeserializeOwned + Serialize>(
    watch: &RefCell<Watch>,
) -> Result<Value, SpecError> {
    let read = T::deserialize(Tracer::root(watch))?;
    Ok(to_value(&read).unwrap_or_default())
}

pub(crate) fn describe(reading: Reading) -> Described {
    let mut study = Study {
        reading,
        shapes: BTreeMap::new(),
        good: BTreeMap::new(),
        empty: BTreeSet::new(),
    };
    study.explore();
    let mut schema = match study.schema("") {
        Value::Table(schema) => schema,
        _ => Table::new(),
    };
    let mut example = Table::new();
    let fields = study.fields("");
    let optional = fields.iter().filter(|field| !study.required("", field));
    let optional: BTreeSet<&str> = optional.copied().collect();
    let left_out = optional.iter().map(|f| (String::new(), (*f).to_owned()));
    let read = study.read("", &[], left_out.collect(), None);
    if let Ok(Value::Table(values)) = read {
        for (name, value) in values.iter() {
            if !optional.contains(name) {
                example.insert(name, value.clone());
            } else if *value != Value::Null {
                set_default(&mut schema, name, tidy(value));
            }
        }
    }
    Described { schema, example }
}

fn set_default(schema: &mut Table, field: &str, value: Value) {
    if let Some(Value::Table(properties)) = schema.get_mut("properties")
        && let Some(Value::Table(property)) = properties.get_mut(field)
        // Some types are written in another form than they are read.
        && (property.get("type") != Some(&"object".into()) || value.as_table().is_some())
    {
        property.insert("default", value);
    }
}

/// The shortest text of a number that had 32 bits, instead of its 64 bits.
fn tidy(value: &Value) -> Value {
    match value {
        Value::Float(v) if f64::from(*v as f32) == *v => {
            Value::Float((*v as f32).to_string().parse().unwrap_or(*v))
        }
        Value::List(values) => Value::List(values.iter().map(tidy).collect()),
        Value::Table(table) => Value::Table(
            table
                .iter()
                .map(|(name, value)| (name.to_owned(), tidy(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// What was asked for in one place.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
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
enum Sample {
    Number,
    Whole,
    Pair,
    Three,
    Text,
    Table,
    Bool,
}

const SAMPLES: [Sample; 7] = [
    Sample::Number,
    Sample::Whole,
    Sample::Pair,
    Sample::Three,
    Sample::Text,
    Sample::Table,
    Sample::Bool,
];

impl Shape {
    const fn alternatives(&self) -> usize {
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
const MOST_READINGS: usize = 4000;

/// What one reading does and finds. Paths are `.field`, `[]`, `[2]`, `?` (of an
/// option), `#2` (of the second variant) one after the other.
#[derive(Default)]
pub(crate) struct Watch {
    shapes: BTreeMap<String, Shape>,
    /// Which alternative is read.
    picks: BTreeMap<String, usize>,
    left_out: BTreeSet<(String, String)>,
    /// The struct that is given a field it doesn't know.
    surplus: Option<String>,
    /// Lists of what no sample suits.
    empty: BTreeSet<String>,
    /// The innermost place that was not content.
    failed: Option<String>,
}

struct Study {
    reading: Reading,
    shapes: BTreeMap<String, Shape>,
    /// Alternatives that can be read.
    good: BTreeMap<String, Vec<usize>>,
    empty: BTreeSet<String>,
}

impl Study {
    fn explore(&mut self) {
        let _ = self.look("", &[]);
        let mut tried: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..MOST_READINGS {
            let open = |(path, shape): &(&String, &Shape)| {
                shape.alternatives() > tried.get(*path).copied().unwrap_or(0)
            };
            let Some((path, _)) = self.shapes.iter().find(open) else {
                return;
            };
            let path = path.clone();
            let pick = tried.entry(path.clone()).or_insert(0);
            let nth = *pick;
            *pick += 1;
            let last = self.shapes.get(&path).map_or(0, Shape::alternatives);
            if self.look(&path, &[(path.clone(), nth)]) {
                self.good.entry(path).or_default().push(nth);
            } else if nth + 1 == last
                && !self.good.contains_key(&path)
                && let Some(list) = path.strip_suffix("[]")
            {
                // What comes after it can be read when it is empty.
                self.empty.insert(list.to_owned());
                self.look("", &[]);
            }
        }
    }

    /// Reads once and keeps what was found; whether the place was content.
    fn look(&mut self, path: &str, picks: &[(String, usize)]) -> bool {
        let watch = RefCell::new(self.watch(path, picks));
        let done = (self.reading)(&watch).is_ok();
        let watch = watch.into_inner();
        let elsewhere = |failed: &String| !failed.starts_with(path);
        let content = done || (!path.is_empty() && watch.failed.as_ref().is_some_and(elsewhere));
        for (path, shape) in watch.shapes {
            self.shapes.entry(path).or_insert(shape);
        }
        content
    }

    fn read(
        &self,
        path: &str,
        picks: &[(String, usize)],
        left_out: BTreeSet<(String, String)>,
        surplus: Option<&str>,
    ) -> Result<Value, SpecError> {
        let mut watch = self.watch(path, picks);
        watch.left_out = left_out;
        watch.surplus = surplus.map(str::to_owned);
        (self.reading)(&RefCell::new(watch))
    }

    /// A reading that comes by `path`.
    fn watch(&self, path: &str, picks: &[(String, usize)]) -> Watch {
        let first = |(path, good): (&String, &Vec<usize>)| Some((path.clone(), *good.first()?));
        let mut watch = Watch {
            picks: self.good.iter().filter_map(first).collect(),
            empty: self.empty.clone(),
            ..Watch::default()
        };
        for (at, _) in path.match_indices('#') {
            let digits = path[at + 1..].chars().take_while(char::is_ascii_digit);
            if let Ok(nth) = digits.collect::<String>().parse() {
                watch.picks.insert(path[..at].to_owned(), nth);
            }
        }
        watch.picks.extend(picks.iter().cloned());
        watch
    }

    fn fields(&self, path: &str) -> &'static [&'static str] {
        match self.shapes.get(path) {
            Some(Shape::Struct(fields)) => fields,
            _ => &[],
        }
    }

    fn required(&self, path: &str, field: &str) -> bool {
        let left_out = BTreeSet::from([(path.to_owned(), field.to_owned())]);
        let read = self.read(path, &[], left_out, None);
        read.is_err_and(|error| error.to_string().contains("parameter is required"))
    }

    fn closed(&self, path: &str) -> bool {
        let read = self.read(path, &[], BTreeSet::new(), Some(path));
        read.is_err_and(|error| error.to_string().contains("unknown field"))
    }

    fn schema(&self, path: &str) -> Value {
        let inner = |end: &str| self.schema(&format!("{path}{end}"));
        let of_type = |name: &str| Table::from_iter([("type", Value::from(name))]);
        let mut table = match self.shapes.get(path) {
            None => Table::new(),
            Some(Shape::Bool) => of_type("boolean"),
            Some(Shape::Number) => of_type("number"),
            Some(Shape::Text) => of_type("string"),
            Some(Shape::Nothing) => of_type("null"),
            Some(Shape::Whole { low, high }) => {
                let mut table = of_type("integer");
                for (name, bound) in [("minimum", low), ("maximum", high)] {
                    if let Some(bound) = bound {
                        table.insert(name, *bound);
                    }
                }
                table
            }
            Some(Shape::Optional) => any_of(vec![inner("?"), Value::Table(of_type("null"))]),
            Some(Shape::List) => {
                let mut table = of_type("array");
                table.insert("items", inner("[]"));
                table
            }
            Some(Shape::Tuple(n)) => {
                let parts: Vec<Value> = (0..*n).map(|i| inner(&format!("[{i}]"))).collect();
                let n = i64::try_from(*n).unwrap_or(i64::MAX);
                let mut table = of_type("array");
                match parts.first() {
                    Some(first) if parts.iter().all(|part| part == first) => {
                        table.insert("items", first.clone());
                    }
                    _ => {
                        table.insert("prefixItems", parts);
                    }
                }
                table.insert("minItems", n);
                table.insert("maxItems", n);
                table
            }
            Some(Shape::Map) => {
                let mut table = of_type("object");
                table.insert("additionalProperties", inner("{}"));
                table
            }
            Some(Shape::Struct(fields)) => {
                let mut table = of_type("object");
                let properties = fields
                    .iter()
                    .map(|f| ((*f).to_owned(), inner(&format!(".{f}"))));
                table.insert("properties", properties.collect::<Table>());
                let required = fields.iter().filter(|field| self.required(path, field));
                let required: Vec<&str> = required.copied().collect();
                if !required.is_empty() {
                    table.insert("required", required);
                }
                table
            }
            Some(Shape::Enum(variants)) => {
                let mut units = Vec::new();
                let mut others = Vec::new();
                for (i, name) in variants.iter().enumerate() {
                    if self.shapes.get(&format!("{path}#{i}")) == Some(&Shape::Nothing) {
                        units.push(Value::from(*name));
                        continue;
                    }
                    let mut table = of_type("object");
                    let content = Table::from_iter([(*name, inner(&format!("#{i}")))]);
                    table.insert("properties", content);
                    table.insert("required", vec![*name]);
                    table.insert("additionalProperties", false);
                    others.push(Value::Table(table));
                }
                if !units.is_empty() {
                    let units = Table::from_iter([("enum", Value::List(units))]);
                    others.insert(0, Value::Table(units));
                }
                any_of(others)
            }
            Some(Shape::Any) => self.any(path),
        };
        if matches!(self.shapes.get(path), Some(Shape::Struct(_))) && self.closed(path) {
            table.insert("additionalProperties", false);
        }
        Value::Table(table)
    }

    /// What may stand where the type asks for anything.
    fn any(&self, path: &str) -> Table {
        let good = self.good.get(path).map_or(&[][..], Vec::as_slice);
        let has = |sample: Sample| good.iter().any(|&nth| SAMPLES[nth] == sample);
        if good.len() == SAMPLES.len() {
            return Table::new();
        }
        let of_type = |name: &str| Table::from_iter([("type", Value::from(name))]);
        let mut parts = Vec::new();
        if has(Sample::Number) {
            parts.push(of_type("number"));
        } else if has(Sample::Whole) {
            parts.push(of_type("integer"));
        }
        if has(Sample::Pair) || has(Sample::Three) {
            let mut list = of_type("array");
            list.insert("items", of_type("number"));
            if !has(Sample::Three) {
                list.insert("minItems", 2);
                list.insert("maxItems", 2);
            }
            parts.push(list);
        }
        if has(Sample::Text) {
            parts.push(of_type("string"));
        }
        if has(Sample::Table) {
            let mut table = of_type("object");
            if has(Sample::Text) {
                // A spec: its name alone, or with parameters.
                table.insert("required", vec!["type"]);
            }
            parts.push(table);
        }
        if has(Sample::Bool) {
            parts.push(of_type("boolean"));
        }
        any_of(parts.into_iter().map(Value::Table).collect())
    }
}

fn any_of(mut parts: Vec<Value>) -> Table {
    match parts.pop() {
        Some(Value::Table(only)) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            Table::from_iter([("anyOf", Value::List(parts))])
        }
        None => Table::new(),
    }
}

/// Hands out small values and writes down what it is asked for.
struct Tracer<'a> {
    watch: &'a RefCell<Watch>,
    path: String,
}

impl<'a> Tracer<'a> {
    const fn root(watch: &'a RefCell<Watch>) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spec;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Fill {
        Edge,
        Constant(Vec<f32>),
        Twice { value: u8 },
    }

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Range {
        One(f64),
        Two(f64, f64),
    }

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        inner: Spec,
        range: Range,
        #[serde(default)]
        fill: Option<Fill>,
        #[serde(default = "tenth")]
        rate: f32,
        pairs: Vec<(String, [i64; 2])>,
        #[serde(default)]
        table: BTreeMap<String, bool>,
        children: Vec<Inner>,
        tagged: Vec<Tagged>,
        after: bool,
    }

    /// No sample has its tag.
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Tagged {
        Only { a: f64 },
    }

    fn tenth() -> f32 {
        0.1
    }

    fn schema() -> Table {
        match schema_of::<Inner>() {
            Value::Table(table) => table,
            other => panic!("{other}"),
        }
    }

    fn property(name: &str) -> String {
        let schema = schema();
        let properties = schema.get("properties").and_then(Value::as_table);
        properties.and_then(|p| p.get(name)).unwrap().to_string()
    }

    #[test]
    fn fields_are_found_with_what_they_take() {
        let required = schema().get("required").unwrap().to_string();
        assert_eq!(
            required,
            r#"["inner", "range", "pairs", "children", "tagged", "after"]"#
        );
        assert_eq!(property("rate"), r#"{ type = "number", default = 0.1 }"#);
        assert_eq!(
            property("table"),
            r#"{ type = "object", additionalProperties = { type = "boolean" }, default = { } }"#
        );
        assert_eq!(
            property("pairs"),
            "{ type = \"array\", items = { type = \"array\", prefixItems = [\
             { type = \"string\" }, { type = \"array\", items = { type = \"integer\" }, \
             minItems = 2, maxItems = 2 }], minItems = 2, maxItems = 2 } }"
        );
    }

    #[test]
    fn alternatives_are_tried_one_by_one() {
        assert_eq!(
            property("range"),
            "{ anyOf = [{ type = \"number\" }, { type = \"array\", items = { type = \"number\" }, \
             minItems = 2, maxItems = 2 }] }"
        );
        assert_eq!(
            property("inner"),
            "{ anyOf = [{ type = \"string\" }, { type = \"object\", required = [\"type\"] }] }"
        );
        let fill = property("fill");
        for part in [
            r#"{ enum = ["edge"] }"#,
            r#"constant = { type = "array", items = { type = "number" } }"#,
            r#"value = { type = "integer", minimum = 0, maximum = 255 }"#,
            r#"{ type = "null" }"#,
        ] {
            assert!(fill.contains(part), "{part} in {fill}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused_where_the_type_refuses_it() {
        #[derive(Serialize, Deserialize)]
        struct Open {
            a: bool,
        }
        assert_eq!(schema().get("additionalProperties"), Some(&false.into()));
        let Value::Table(open) = schema_of::<Open>() else {
            panic!("a table")
        };
        assert_eq!(open.get("additionalProperties"), None);
    }
}
