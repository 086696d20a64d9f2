//! Readings of one configuration after another, until its schema is known.

use super::Reading;
use super::place::{SAMPLES, Sample, Watch, alternatives};
use crate::read::Asked;
use crate::{SpecError, Table, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

const MOST_READINGS: usize = 4000;

pub(super) struct Study {
    reading: Reading,
    asked: BTreeMap<String, Asked>,
    /// Alternatives that can be read.
    good: BTreeMap<String, Vec<usize>>,
    empty: BTreeSet<String>,
}

impl Study {
    /// Reads it until every alternative has been tried.
    pub(super) fn of(reading: Reading) -> Self {
        let mut study = Self {
            reading,
            asked: BTreeMap::new(),
            good: BTreeMap::new(),
            empty: BTreeSet::new(),
        };
        study.explore();
        study
    }

    fn explore(&mut self) {
        let _ = self.look("", &[]);
        let mut tried: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..MOST_READINGS {
            let open = |(path, asked): &(&String, &Asked)| {
                alternatives(asked) > tried.get(*path).copied().unwrap_or(0)
            };
            let Some((path, _)) = self.asked.iter().find(open) else {
                return;
            };
            let path = path.clone();
            let pick = tried.entry(path.clone()).or_insert(0);
            let nth = *pick;
            *pick += 1;
            let last = self.asked.get(&path).map_or(0, alternatives);
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
        for (path, asked) in watch.asked {
            self.asked.entry(path).or_insert(asked);
        }
        content
    }

    pub(super) fn read(
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

    pub(super) fn fields(&self, path: &str) -> &'static [&'static str] {
        match self.asked.get(path) {
            Some(Asked::Struct(fields)) => fields,
            _ => &[],
        }
    }

    pub(super) fn required(&self, path: &str, field: &str) -> bool {
        let left_out = BTreeSet::from([(path.to_owned(), field.to_owned())]);
        let read = self.read(path, &[], left_out, None);
        read.is_err_and(|error| error.to_string().contains("parameter is required"))
    }

    fn closed(&self, path: &str) -> bool {
        let read = self.read(path, &[], BTreeSet::new(), Some(path));
        read.is_err_and(|error| error.to_string().contains("unknown field"))
    }

    pub(super) fn schema(&self, path: &str) -> Value {
        let inner = |end: &str| self.schema(&format!("{path}{end}"));
        let of_type = |name: &str| Table::from_iter([("type", Value::from(name))]);
        let mut table = match self.asked.get(path) {
            None => Table::new(),
            Some(Asked::Bool) => of_type("boolean"),
            Some(Asked::Number) => of_type("number"),
            Some(Asked::Text) => of_type("string"),
            Some(Asked::Nothing) => of_type("null"),
            Some(Asked::Whole { low, high }) => {
                let mut table = of_type("integer");
                for (name, bound) in [("minimum", low), ("maximum", high)] {
                    if let Some(bound) = bound {
                        table.insert(name, *bound);
                    }
                }
                table
            }
            Some(Asked::Optional) => any_of(vec![inner("?"), Value::Table(of_type("null"))]),
            Some(Asked::List) => {
                let mut table = of_type("array");
                table.insert("items", inner("[]"));
                table
            }
            Some(Asked::Tuple(n)) => {
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
            Some(Asked::Map) => {
                let mut table = of_type("object");
                table.insert("additionalProperties", inner("{}"));
                table
            }
            Some(Asked::Struct(fields)) => {
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
            Some(Asked::Enum(variants)) => {
                let mut units = Vec::new();
                let mut others = Vec::new();
                for (i, name) in variants.iter().enumerate() {
                    if self.asked.get(&format!("{path}#{i}")) == Some(&Asked::Nothing) {
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
            Some(Asked::Any) => self.any(path),
        };
        if matches!(self.asked.get(path), Some(Asked::Struct(_))) && self.closed(path) {
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
