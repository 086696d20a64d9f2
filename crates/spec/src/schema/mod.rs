//! JSON Schemas of configurations, found by watching them being read.
//!
//! A configuration tells serde which fields it wants, and of which types. A
//! source that writes this down and hands out small values learns the schema
//! without a derive of its own, for any type that can be read. Enums are
//! read once per variant, and each field is left out once, to see whether it
//! may be.

mod place;
mod study;

pub(crate) use place::{Elements, Entries, Place, Watch};

use crate::read::{Source, read};
use crate::{SpecError, Table, Value, to_value};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::BTreeSet;
use study::Study;

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
    let config: T = read(Source::Place(Place::root(watch)))?;
    Ok(to_value(&config).unwrap_or_default())
}

pub(crate) fn describe(reading: Reading) -> Described {
    let study = Study::of(reading);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spec;
    use serde::{Deserialize, Serialize};
    use std::collections::BTreeMap;

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
