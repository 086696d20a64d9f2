//! The open table from names to constructors of one kind of object.

use crate::{Spec, SpecError, nearest};
use std::collections::BTreeMap;
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
        let name = name.into();
        if self.entries.contains_key(&name) {
            return Err(SpecError::Duplicate {
                kind: K::NAME,
                name,
            });
        }
        self.entries.insert(
            name,
            Entry {
                summary: summary.into(),
                constructor: Box::new(constructor),
            },
        );
        Ok(())
    }

    /// The object that `spec` describes.
    ///
    /// # Errors
    /// [`SpecError::UnknownType`] with the nearest names, [`SpecError::TooDeep`],
    /// or what the constructor reports, with the type's name added.
    pub fn build(&self, spec: &Spec) -> Result<Box<K::Object>, SpecError> {
        let Some(entry) = self.entries.get(&spec.type_name) else {
            return Err(SpecError::UnknownType {
                kind: K::NAME,
                name: spec.type_name.clone(),
                near: nearest(&spec.type_name, self.names()),
                known: self.names().map(str::to_owned).collect(),
            });
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
    fn debug_lists_the_names() {
        let text = format!("{:?}", registry());
        assert!(text.contains("letter") && text.contains("word"), "{text}");
        assert_ne!(Value::Null, Value::Int(0));
    }
}
