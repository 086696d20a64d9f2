//! The open table from names to constructors of one kind of object.

use crate::schema::{Described, Reading, describe, reading};
use crate::{Spec, SpecError, Table, Value, nearest};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::collections::{BTreeMap, btree_map};
use std::fmt;

/// A kind of object that specs describe: schedulers, transforms, …
///
/// Implemented by an empty type in the crate that owns the trait.
pub trait Kind: 'static {
    /// What a constructor makes, usually `dyn Trait`.
    type Object: ?Sized + 'static;
    /// The word for it in messages: `"scheduler"`.
    const NAME: &'static str;
}

/// Makes an object from its spec. The registry is the one that is building, so
/// that nested specs can be built with it.
pub type Constructor<K> =
    Box<dyn Fn(&Spec, &Registry<K>) -> Result<Box<<K as Kind>::Object>, SpecError> + Send + Sync>;

struct Entry<K: Kind> {
    summary: String,
    constructor: Constructor<K>,
    /// The configurations that the parameters are read as.
    configs: Vec<Reading>,
}

/// Constructors of one [`Kind`] by `type` name.
///
/// Adding one:
///
/// ```
/// # use firecraft_spec::{Kind, Registry, SpecError};
/// # struct Names;
/// # impl Kind for Names { type Object = str; const NAME: &'static str = "name"; }
/// let mut names = Registry::<Names>::new();
/// names.register("fixed", "always the same", |_, _| Ok("fixed".into()))?;
/// assert_eq!(names.names().collect::<Vec<_>>(), ["fixed"]);
/// assert_eq!(names.summary("fixed"), Some("always the same"));
/// assert!(names.register("fixed", "again", |_, _| Ok("x".into())).is_err());
/// # Ok::<(), SpecError>(())
/// ```
pub struct Registry<K: Kind> {
    entries: BTreeMap<String, Entry<K>>,
}

impl<K: Kind> Registry<K> {
    /// An empty registry.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
        }
    }

    /// Adds a constructor under `name`, with a summary of one line for lists.
    ///
    /// # Errors
    /// [`SpecError::Duplicate`] if the name is taken; the old entry stays.
    pub fn register<F>(
        &mut self,
        name: impl Into<String>,
        summary: impl Into<String>,
        constructor: F,
    ) -> Result<(), SpecError>
    where
        F: Fn(&Spec, &Registry<K>) -> Result<Box<K::Object>, SpecError> + Send + Sync + 'static,
    {
        self.add(name.into(), summary.into(), Box::new(constructor))
    }

    /// Compiled once, not once per constructor.
    fn add(
        &mut self,
        name: String,
        summary: String,
        constructor: Constructor<K>,
    ) -> Result<(), SpecError> {
        match self.entries.entry(name) {
            btree_map::Entry::Occupied(entry) => Err(SpecError::Duplicate {
                kind: K::NAME,
                name: entry.key().clone(),
            }),
            btree_map::Entry::Vacant(entry) => {
                entry.insert(Entry {
                    summary,
                    constructor,
                    configs: Vec::new(),
                });
                Ok(())
            }
        }
    }

    /// Says that the constructor of `name` reads its parameters as a `C`, for
    /// [`Registry::schema`]. One that reads them in parts says so for each.
    ///
    /// # Errors
    /// [`SpecError::UnknownType`] if the name isn't registered.
    pub fn describe<C: DeserializeOwned + Serialize>(
        &mut self,
        name: &str,
    ) -> Result<(), SpecError> {
        if cfg!(feature = "schema") {
            self.read_as(name, Some(reading::<C>))
        } else {
            self.read_as(name, None)
        }
    }

    fn read_as(&mut self, name: &str, reading: Option<Reading>) -> Result<(), SpecError> {
        match self.entries.get_mut(name) {
            Some(entry) => {
                entry.configs.extend(reading);
                Ok(())
            }
            None => Err(self.unknown(name)),
        }
    }

    /// The JSON Schema of the specs that name `name`: fields, types, defaults,
    /// and the ranges that the constructor names when it refuses what is far
    /// outside. `None` if the name isn't registered, nobody described it, or the
    /// feature `schema` is off.
    ///
    /// ```
    /// # use firecraft_spec::{Kind, Registry, SpecError};
    /// # struct Names;
    /// # impl Kind for Names { type Object = str; const NAME: &'static str = "name"; }
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// #[serde(deny_unknown_fields)]
    /// struct Times {
    ///     #[serde(default)]
    ///     times: u8,
    /// }
    /// let mut names = Registry::<Names>::new();
    /// names.register("na", "na, again and again", |spec, _| {
    ///     Ok("na".repeat(spec.parse::<Times>()?.times.into()).into())
    /// })?;
    /// assert_eq!(names.schema("na"), None);
    /// names.describe::<Times>("na")?;
    /// assert_eq!(
    ///     names.schema("na").unwrap().to_string(),
    ///     "{ title = \"na\", description = \"na, again and again\", type = \"object\", \
    ///      properties = { type = { const = \"na\" }, times = { type = \"integer\", \
    ///      minimum = 0, maximum = 255, default = 0 } }, \
    ///      required = [\"type\"], additionalProperties = false }"
    /// );
    /// # Ok::<(), SpecError>(())
    /// ```
    #[must_use]
    pub fn schema(&self, name: &str) -> Option<Value> {
        let entry = self.entries.get(name)?;
        if entry.configs.is_empty() {
            return None;
        }
        let mut properties = Table::from_iter([("type", Table::from_iter([("const", name)]))]);
        let mut required = vec![Value::from("type")];
        let mut example = Spec::new(name);
        let mut closed = true;
        for config in &entry.configs {
            let Described {
                schema,
                example: part,
            } = describe(*config);
            if let Some(Value::Table(part)) = schema.get("properties") {
                properties.extend(part.clone());
            }
            if let Some(Value::List(part)) = schema.get("required") {
                required.extend(part.iter().cloned());
            }
            closed &= schema.get("additionalProperties") == Some(&Value::Bool(false));
            example.params.extend(part);
        }
        let fields: Vec<String> = properties.keys().skip(1).map(str::to_owned).collect();
        for field in fields {
            if let Some(Value::Table(property)) = properties.get_mut(&field)
                && let Some(range) = self.range(entry, &example, &field, property)
            {
                property.insert("description", range);
            }
        }
        let mut schema = Table::new();
        schema.insert("title", name);
        schema.insert("description", entry.summary.as_str());
        schema.insert("type", "object");
        schema.insert("properties", properties);
        schema.insert("required", Value::List(required));
        if closed {
            schema.insert("additionalProperties", false);
        }
        Some(Value::Table(schema))
    }

    /// What the constructor says is allowed in a field of numbers, when it gets
    /// one that never is.
    fn range(&self, entry: &Entry<K>, from: &Spec, field: &str, of: &Table) -> Option<String> {
        let is = |table: &Table, name: &str| table.get("type") == Some(&Value::from(name));
        let any = |name: &str| {
            let parts = of.get("anyOf").and_then(Value::as_list).unwrap_or_default();
            let parts = parts.iter().filter_map(Value::as_table);
            std::iter::once(of)
                .chain(parts)
                .any(|table| is(table, name))
        };
        let far = if any("number") {
            vec![Value::from(1e300), Value::from(-1e300)]
        } else if is(of, "array") {
            let far = vec![1e300, -1e300];
            vec![Value::from(far)]
        } else {
            return None;
        };
        far.into_iter().find_map(|value| {
            let spec = from.clone().with(field, value);
            match (entry.constructor)(&spec, self).err()? {
                SpecError::Field { path, message, .. } if path.to_string() == field => {
                    allowed(&message).map(str::to_owned)
                }
                _ => None,
            }
        })
    }

    fn unknown(&self, name: &str) -> SpecError {
        SpecError::UnknownType {
            kind: K::NAME,
            name: name.to_owned(),
            near: nearest(name, self.names()),
            known: self.names().map(str::to_owned).collect(),
        }
    }

    /// The object that `spec` describes.
    ///
    /// # Errors
    /// [`SpecError::UnknownType`] with the nearest names, [`SpecError::TooDeep`],
    /// or what the constructor reports, with the type's name added.
    pub fn build(&self, spec: &Spec) -> Result<Box<K::Object>, SpecError> {
        let Some(entry) = self.entries.get(&spec.type_name) else {
            return Err(self.unknown(&spec.type_name));
        };
        spec.params.check_depth()?;
        (entry.constructor)(spec, self).map_err(|error| error.of_type(&spec.type_name))
    }

    /// The registered names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The summary given at registration.
    #[must_use]
    pub fn summary(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|entry| entry.summary.as_str())
    }

    /// Whether `name` is registered.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The range in a message of this workspace's form: `… is not allowed; use …`,
/// or `must be …, got …`.
fn allowed(message: &str) -> Option<&str> {
    if let Some((_, range)) = message.split_once("is not allowed; use ") {
        return Some(range);
    }
    let (range, _) = message.strip_prefix("must be ")?.split_once(", got")?;
    Some(range)
}

impl<K: Kind> Default for Registry<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kind> fmt::Debug for Registry<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("kind", &K::NAME)
            .field("names", &self.names().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAX_DEPTH, Value};
    use serde::Deserialize;

    struct Words;
    impl Kind for Words {
        type Object = str;
        const NAME: &'static str = "word";
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Twice {
        inner: Spec,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Letter {
        letter: char,
    }

    fn registry() -> Registry<Words> {
        let mut registry = Registry::new();
        registry
            .register("letter", "one letter", |spec, _| {
                Ok(spec.parse::<Letter>()?.letter.to_string().into())
            })
            .unwrap();
        registry
            .register("twice", "the inner word two times", |spec, registry| {
                let twice: Twice = spec.parse()?;
                let word = registry
                    .build(&twice.inner)
                    .map_err(|error| error.under("inner"))?;
                Ok(format!("{word}{word}").into())
            })
            .unwrap();
        registry
    }

    fn twice(inner: Spec) -> Spec {
        Spec::new("twice").with("inner", inner)
    }

    #[test]
    fn nested_specs_build_through_the_same_registry() {
        let spec = twice(twice(Spec::new("letter").with("letter", "a")));
        assert_eq!(&*registry().build(&spec).unwrap(), "aaaa");
    }

    #[test]
    fn errors_of_nested_specs_carry_the_whole_path() {
        let spec = twice(twice(Spec::new("letter").with("letter", 3)));
        assert_eq!(
            registry().build(&spec).unwrap_err().to_string(),
            "letter: `inner.inner.letter`: invalid type: integer `3`, expected a character"
        );
        let spec = twice(Spec::new("leter"));
        assert_eq!(
            registry().build(&spec).unwrap_err().to_string(),
            "unknown word `leter`: did you mean `letter`?; known: letter, twice"
        );
    }

    #[test]
    fn a_bottomless_spec_is_refused_instead_of_overflowing_the_stack() {
        let mut spec = Spec::new("letter").with("letter", "a");
        for _ in 0..MAX_DEPTH {
            spec = twice(spec);
        }
        assert_eq!(
            registry().build(&spec).unwrap_err(),
            SpecError::TooDeep { limit: MAX_DEPTH }
        );
    }

    #[test]
    fn a_failed_registration_leaves_the_first_one() {
        let mut registry = registry();
        let error = registry.register("twice", "", |_, _| Ok("".into()));
        assert!(matches!(error, Err(SpecError::Duplicate { .. })));
        assert_eq!(registry.summary("twice"), Some("the inner word two times"));
        assert_eq!(registry.len(), 2);
    }

    #[test]
    fn a_schema_has_the_ranges_that_the_constructor_names() {
        #[derive(serde::Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Rate {
            rate: f64,
        }
        #[derive(serde::Serialize, Deserialize)]
        struct Inner {
            inner: Spec,
        }
        let mut registry = registry();
        registry
            .register("rated", "a word at a rate", |spec, _| {
                let Rate { rate } = Spec {
                    params: [("rate", spec.params.get("rate").cloned().unwrap_or_default())]
                        .into_iter()
                        .collect(),
                    ..spec.clone()
                }
                .parse()?;
                if rate > 1.0 {
                    let message = format!("must be at most 1, got {rate}");
                    return Err(SpecError::field("rate", message));
                }
                Ok("a".into())
            })
            .unwrap();
        registry.describe::<Rate>("rated").unwrap();
        registry.describe::<Inner>("rated").unwrap();
        let schema = registry.schema("rated").unwrap().to_string();
        let rate = r#"rate = { type = "number", description = "at most 1" }"#;
        assert!(schema.contains(rate), "{schema}");
        assert!(
            schema.contains(r#"required = ["type", "rate", "inner"]"#),
            "{schema}"
        );
        assert!(registry.describe::<Rate>("rate").is_err());
    }

    #[test]
    fn debug_lists_the_names() {
        let text = format!("{:?}", registry());
        assert!(text.contains("letter") && text.contains("word"), "{text}");
        assert_ne!(Value::Null, Value::Int(0));
    }
}
