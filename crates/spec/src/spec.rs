//! The description of one object: a type name and its parameters.

use crate::SpecError;
use crate::value::{Table, Value, from_table, to_value};
use serde_core::de::{DeserializeOwned, Error as _};
use serde_core::ser::SerializeMap;
use serde_core::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The name of a registered type and its parameters.
///
/// Written inline, in any serde format: `{ type = "cosine", updates = 1000 }`.
/// A bare string is read as a spec without parameters.
///
/// ```
/// use firecraft_spec::Spec;
/// let spec = Spec::new("cosine").with("updates", 1000).with("floor", 0.01);
/// let text = serde_json::to_string(&spec)?;
/// assert_eq!(text, r#"{"type":"cosine","updates":1000,"floor":0.01}"#);
/// assert_eq!(serde_json::from_str::<Spec>(&text)?, spec);
/// assert_eq!(serde_json::from_str::<Spec>("\"cosine\"")?, Spec::new("cosine"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The registered name: the value of the key `type`.
    pub type_name: String,
    /// All other keys.
    pub params: Table,
}

impl Spec {
    /// A spec without parameters.
    pub fn new(type_name: impl Into<String>) -> Self {
        Self {
            type_name: type_name.into(),
            params: Table::new(),
        }
    }

    /// The same spec with the parameter `name` set.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.params.insert(name, value);
        self
    }

    /// The spec whose parameters are the fields of `config`.
    ///
    /// # Errors
    /// [`SpecError::Field`] if `config` is not a struct or map, or holds what a
    /// [`Value`] can't (integers beyond 64 bits, keys that aren't strings).
    pub fn from_config(
        type_name: impl Into<String>,
        config: &impl Serialize,
    ) -> Result<Self, SpecError> {
        let type_name = type_name.into();
        match to_value(config).map_err(|error| error.of_type(&type_name))? {
            Value::Table(params) => Ok(Self { type_name, params }),
            Value::Null => Ok(Self::new(type_name)),
            other => Err(SpecError::invalid(format_args!(
                "expected a configuration with named fields, got {}",
                other.describe()
            ))
            .of_type(&type_name)),
        }
    }

    /// The parameters as a typed configuration.
    ///
    /// # Errors
    /// [`SpecError::Field`] with the type's name and the path of the field.
    ///
    /// ```
    /// # use firecraft_spec::Spec;
    /// #[derive(serde::Deserialize, Debug)]
    /// #[serde(deny_unknown_fields)]
    /// struct Cosine {
    ///     updates: u64,
    /// }
    /// let spec = Spec::new("cosine").with("updates", -5);
    /// assert_eq!(
    ///     spec.parse::<Cosine>().unwrap_err().to_string(),
    ///     "cosine: `updates`: invalid value: integer `-5`, expected u64",
    /// );
    /// let spec = Spec::new("cosine").with("update", 5);
    /// assert_eq!(
    ///     spec.parse::<Cosine>().unwrap_err().to_string(),
    ///     "cosine: `update`: unknown field: did you mean `updates`?; expected one of: updates",
    /// );
    /// ```
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, SpecError> {
        from_table(&self.params).map_err(|error| error.of_type(&self.type_name))
    }
}

impl fmt::Display for Spec {
    /// As a TOML inline table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Value::from(self.clone()).fmt(f)
    }
}

impl From<Spec> for Value {
    fn from(spec: Spec) -> Self {
        let mut table = Table::new();
        table.insert("type", spec.type_name);
        table.extend(spec.params);
        Value::Table(table)
    }
}

impl Serialize for Spec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.params.len() + 1))?;
        map.serialize_entry("type", &self.type_name)?;
        for (name, value) in &self.params {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut params = match Value::deserialize(deserializer)? {
            Value::String(type_name) => return Ok(Self::new(type_name)),
            Value::Table(table) => table,
            other => {
                return Err(D::Error::custom(format_args!(
                    "expected a table with the key `type`, got {}",
                    other.describe()
                )));
            }
        };
        match params.remove("type") {
            Some(Value::String(type_name)) => Ok(Self { type_name, params }),
            Some(other) => Err(D::Error::custom(format_args!(
                "the key `type` must be a string, got {}",
                other.describe()
            ))),
            None => Err(D::Error::custom(
                "the key `type` is missing: a spec is { type = \"name\", … }",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    fn nested() -> Spec {
        Spec::new("warmup")
            .with("updates", 5)
            .with("inner", Spec::new("cosine").with("floor", 0.5))
            .with("parts", vec![Value::from(Spec::new("a")), Value::from(2)])
    }

    #[test]
    fn specs_round_trip_through_toml_and_json() {
        let spec = nested();
        let toml = toml::to_string(&spec).unwrap();
        assert_eq!(toml::from_str::<Spec>(&toml).unwrap(), spec);
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
        let value = Value::from(spec.clone());
        assert_eq!(crate::from_value::<Spec>(&value).unwrap(), spec);
    }

    #[test]
    fn a_spec_without_a_type_says_what_a_spec_looks_like() {
        let error = serde_json::from_str::<Spec>(r#"{"updates": 3}"#).unwrap_err();
        assert!(error.to_string().contains("`type` is missing"), "{error}");
        let error = serde_json::from_str::<Spec>(r#"{"type": 3}"#).unwrap_err();
        assert!(error.to_string().contains("must be a string"), "{error}");
        assert!(serde_json::from_str::<Spec>("3").is_err());
    }

    #[test]
    fn configurations_become_specs_and_back() {
        #[derive(Serialize, Deserialize, PartialEq, Debug)]
        struct Step {
            every: u64,
            factor: f64,
            at: Option<Vec<u64>>,
        }
        let step = Step {
            every: 3,
            factor: 0.5,
            at: None,
        };
        let spec = Spec::from_config("step", &step).unwrap();
        assert_eq!(spec.parse::<Step>().unwrap(), step);
        assert!(Spec::from_config("step", &3).is_err());
    }

    #[test]
    fn display_is_a_toml_inline_table() {
        let text = nested().to_string();
        let line: Table = toml::from_str(&format!("spec = {text}")).unwrap();
        assert_eq!(line.get("spec"), Some(&Value::from(nested())));
    }
}
