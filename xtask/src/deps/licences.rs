//! The licences of the whole tree, after the lists in deny.toml.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::metadata::Graph;
use crate::Result;

/// What deny.toml allows.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    allow: Vec<String>,
    exceptions: BTreeMap<String, Vec<String>>,
    clarified: BTreeMap<String, String>,
}

impl Policy {
    /// Reads `[licenses]`: `allow`, `exceptions` and `clarify`.
    pub(crate) fn parse(deny: &Table) -> Result<Self> {
        let licences = deny.get("licenses").ok_or("deny.toml has no [licenses]")?;
        let mut policy = Self {
            allow: strings(licences.get("allow"))?,
            ..Self::default()
        };
        for exception in tables(licences.get("exceptions")) {
            let name = text(exception.get("crate"))?;
            policy
                .exceptions
                .insert(name, strings(exception.get("allow"))?);
        }
        for clarify in tables(licences.get("clarify")) {
            let name = text(clarify.get("crate"))?;
            policy
                .clarified
                .insert(name, text(clarify.get("expression"))?);
        }
        Ok(policy)
    }

    fn allows(&self, name: &str, licence: &str) -> bool {
        let exceptions = self.exceptions.get(name).map_or(&[][..], Vec::as_slice);
        self.allow
            .iter()
            .chain(exceptions)
            .any(|allowed| allowed == licence)
    }
}

/// Packages whose licence is not stated or not allowed.
pub(crate) fn check(graph: &Graph, policy: &Policy) -> Vec<String> {
    let mut violations = Vec::new();
    for package in graph.packages.values() {
        let stated = package
            .licence
            .as_ref()
            .or_else(|| policy.clarified.get(&package.name));
        let Some(expression) = stated else {
            violations.push(format!(
                "{} {} states no licence",
                package.name, package.version
            ));
            continue;
        };
        match satisfied(expression, &|licence| policy.allows(&package.name, licence)) {
            Ok(true) => {}
            Ok(false) => violations.push(format!(
                "{} {} is licensed under {expression}",
                package.name, package.version
            )),
            Err(reason) => violations.push(format!(
                "{} {}: `{expression}` is not a licence expression: {reason}",
                package.name, package.version
            )),
        }
    }
    violations
}

/// Whether an SPDX expression can be met with the licences that are allowed.
/// `/` is the old way to write OR.
fn satisfied(
    expression: &str,
    allowed: &dyn Fn(&str) -> bool,
) -> std::result::Result<bool, String> {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser {
        tokens: &tokens,
        allowed,
    };
    let met = parser.any()?;
    match parser.tokens.first() {
        None => Ok(met),
        Some(token) => Err(format!("unexpected `{token}`")),
    }
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    allowed: &'a dyn Fn(&str) -> bool,
}

impl Parser<'_> {
    fn any(&mut self) -> std::result::Result<bool, String> {
        let mut met = self.all()?;
        while self.take("OR") {
            met |= self.all()?;
        }
        Ok(met)
    }

    fn all(&mut self) -> std::result::Result<bool, String> {
        let mut met = self.one()?;
        while self.take("AND") {
            met &= self.one()?;
        }
        Ok(met)
    }

    fn one(&mut self) -> std::result::Result<bool, String> {
        if self.take("(") {
            let met = self.any()?;
            return if self.take(")") {
                Ok(met)
            } else {
                Err("`)` is missing".to_owned())
            };
        }
        let mut licence = self.word()?.to_owned();
        if self.take("WITH") {
            licence = format!("{licence} WITH {}", self.word()?);
        }
        Ok((self.allowed)(&licence))
    }

    fn word(&mut self) -> std::result::Result<&str, String> {
        match self.tokens.split_first() {
            Some((word, rest)) if !["AND", "OR", "WITH", "(", ")"].contains(word) => {
                self.tokens = rest;
                Ok(word)
            }
            found => Err(format!(
                "expected a licence, found {:?}",
                found.map(|(word, _)| word)
            )),
        }
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.tokens.first() == Some(&token);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }
}

fn tables(value: Option<&Value>) -> impl Iterator<Item = &Table> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_table)
}

fn text(value: Option<&Value>) -> Result<String> {
    let text = value.and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| format!("deny.toml: expected text, got {value:?}").into())
}

fn strings(value: Option<&Value>) -> Result<Vec<String>> {
    let list = value.and_then(Value::as_array);
    let list = list.ok_or_else(|| format!("deny.toml: expected a list, got {value:?}"))?;
    list.iter().map(|value| text(Some(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::metadata::made_up::{external, graph};
    use super::*;

    fn met(expression: &str) -> std::result::Result<bool, String> {
        satisfied(expression, &|l| {
            ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].contains(&l)
        })
    }

    #[test]
    fn one_side_of_an_or_is_enough_and_both_of_an_and_are_needed() {
        assert_eq!(met("MIT OR GPL-3.0"), Ok(true));
        assert_eq!(met("GPL-3.0/MIT"), Ok(true));
        assert_eq!(met("MIT AND GPL-3.0"), Ok(false));
        assert_eq!(met("MIT AND Zlib"), Ok(true));
        assert_eq!(met("GPL-3.0 OR MIT AND GPL-3.0"), Ok(false));
        assert_eq!(met("(GPL-3.0 OR MIT) AND Zlib"), Ok(true));
        assert_eq!(met("Apache-2.0 WITH LLVM-exception"), Ok(true));
        assert_eq!(met("Apache-2.0"), Ok(false));
    }

    #[test]
    fn a_broken_expression_is_an_error_and_not_a_pass() {
        for broken in ["", "MIT OR", "(MIT", "MIT)", "MIT Zlib", "AND", "MIT WITH"] {
            assert!(met(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_licence_that_is_not_allowed_or_not_stated_is_found() {
        let policy = Policy::parse(
            &"[licenses]
              allow = [\"MIT OR\", \"MIT\"]
              exceptions = [{ crate = \"one\", allow = [\"MPL-2.0\"] }]
              [[licenses.clarify]]
              crate = \"two\"
              expression = \"MIT\""
                .parse()
                .unwrap(),
        )
        .unwrap();
        let graph = graph(vec![
            external("fine").licence(Some("MIT")),
            external("one").licence(Some("MPL-2.0")),
            external("two").licence(None),
            external("three").licence(Some("MPL-2.0")),
            external("four").licence(None),
        ]);
        assert_eq!(
            check(&graph, &policy),
            [
                "four 0.1.0 states no licence",
                "three 0.1.0 is licensed under MPL-2.0"
            ]
        );
    }
}
