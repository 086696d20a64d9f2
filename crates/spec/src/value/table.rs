//! A map from names to values that remembers the order of insertion.

use super::{MAX_DEPTH, Value};
use crate::SpecError;
use std::fmt;

/// Values by name, in the order of insertion. Looking up is linear: tables are
/// parameters of one spec, a handful of entries.
///
/// ```
/// use firecraft_spec::{Table, Value};
/// let mut table = Table::new();
/// table.insert("updates", 10);
/// table.insert("floor", 0.5);
/// table.insert("updates", 20);
/// assert_eq!(table.get("updates"), Some(&Value::Int(20)));
/// assert_eq!(table.to_string(), "{ updates = 20, floor = 0.5 }");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Table {
    entries: Vec<(String, Value)>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.entries
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// The value of `name`, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.entries
            .iter_mut()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Sets `name`, in its old place if it is there already, and returns the
    /// value it had.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (name, value) = (name.into(), value.into());
        if let Some(slot) = self.get_mut(&name) {
            return Some(std::mem::replace(slot, value));
        }
        self.entries.push((name, value));
        None
    }

    /// Takes `name` out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let place = self.entries.iter().position(|(key, _)| key == name)?;
        Some(self.entries.remove(place).1)
    }

    /// Whether `name` is there.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// The number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entries(&self) -> std::slice::Iter<'_, (String, Value)> {
        self.entries.iter()
    }

    pub(crate) fn check_depth(&self) -> Result<(), SpecError> {
        self.values()
            .try_for_each(|value| value.check_depth(MAX_DEPTH - 1))
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(name, value)| other.get(name) == Some(value))
    }
}

impl fmt::Display for Table {
    /// As a TOML inline table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (nth, (name, value)) in self.iter().enumerate() {
            f.write_str(if nth == 0 { " " } else { ", " })?;
            let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if !name.is_empty() && name.chars().all(bare) {
                write!(f, "{name} = {value}")?;
            } else {
                write!(f, "{name:?} = {value}")?;
            }
        }
        f.write_str(" }")
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Table {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut table = Self::new();
        table.extend(entries);
        table
    }
}

impl<K: Into<String>, V: Into<Value>> Extend<(K, V)> for Table {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (name, value) in entries {
            self.insert(name, value);
        }
    }
}

impl IntoIterator for Table {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a> IntoIterator for &'a Table {
    type Item = &'a (String, Value);
    type IntoIter = std::slice::Iter<'a, (String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserting_again_replaces_in_place() {
        let mut table: Table = [("a", 1), ("b", 2)].into_iter().collect();
        assert_eq!(table.insert("a", 3), Some(Value::Int(1)));
        assert_eq!(table.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(table.remove("a"), Some(Value::Int(3)));
        assert_eq!(table.remove("a"), None);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn odd_keys_are_quoted() {
        let table: Table = [("a b", 1)].into_iter().collect();
        assert_eq!(table.to_string(), "{ \"a b\" = 1 }");
    }
}
