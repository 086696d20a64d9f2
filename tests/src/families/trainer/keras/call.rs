//! A call as the golden data spells it: `SGD(0.05, momentum=.9, nesterov)`.

use crate::families::Outcome;

/// A name with arguments by position and by name. What follows the closing
/// bracket is a remark.
pub(super) struct Call<'a> {
    pub(super) name: &'a str,
    positional: Vec<&'a str>,
    named: Vec<(&'a str, &'a str)>,
}

impl<'a> Call<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Outcome> {
        let Some((name, rest)) = text.split_once('(') else {
            return Ok(Self {
                name: text.trim(),
                positional: Vec::new(),
                named: Vec::new(),
            });
        };
        let mut depth = 1;
        let mut parts = Vec::new();
        let mut start = 0;
        for (at, c) in rest.char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                parts.push(rest[start..at].trim());
                start = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
        if depth != 0 {
            return Err(Outcome::Unsupported);
        }
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((name, value)) if !name.contains('(') => {
                    named.push((name.trim(), value.trim()));
                }
                _ => positional.push(part),
            }
        }
        Ok(Self {
            name: name.trim(),
            positional,
            named,
        })
    }

    /// The first argument, unless it is a flag like those after it.
    pub(super) fn first(&self) -> Option<&'a str> {
        self.positional.first().copied()
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.named.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    /// A number; Python writes `.5` too.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Outcome> {
        match self.get(name) {
            None | Some("None") => Ok(None),
            Some(value) => value.parse().map(Some).map_err(|_| Outcome::Unsupported),
        }
    }

    /// Whether `name` stands there alone or is `True`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.positional.contains(&name) || self.get(name) == Some("True")
    }

    /// Refuses names besides these, and positions after the first that are no
    /// flag of these names.
    pub(super) fn known(&self, names: &[&str]) -> Result<(), Outcome> {
        let named = self.named.iter().all(|(name, _)| names.contains(name));
        let flags = self
            .positional
            .iter()
            .skip(1)
            .all(|flag| names.contains(flag));
        if named && flags {
            Ok(())
        } else {
            Err(Outcome::Unsupported)
        }
    }

    /// All arguments with their names.
    pub(super) fn bind(&self, names: &[&'a str]) -> Result<Vec<(&'a str, &'a str)>, Outcome> {
        if self.positional.len() > names.len() {
            return Err(Outcome::Unsupported);
        }
        if self.named.iter().any(|(name, _)| !names.contains(name)) {
            return Err(Outcome::Unsupported);
        }
        let positional = self.positional.iter().copied();
        let mut bound: Vec<_> = names.iter().copied().zip(positional).collect();
        bound.extend(&self.named);
        Ok(bound)
    }
}
