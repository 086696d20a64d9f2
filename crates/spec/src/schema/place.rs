//! Places of a configuration: they hand out small values and write down what
//! was asked.

use crate::read::{self, Answer, Asked, Member, Source, Variant};
use crate::{SpecError, Table, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

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

impl Sample {
    fn value(self) -> &'static Value {
        static VALUES: LazyLock<[Value; 7]> = LazyLock::new(|| {
            SAMPLES.map(|sample| match sample {
                Sample::Number => 0.5.into(),
                Sample::Whole => 1.into(),
                Sample::Pair => vec![0.5; 2].into(),
                Sample::Three => vec![0.5; 3].into(),
                Sample::Text => "a".into(),
                Sample::Table => Table::from_iter([("type", "a")]).into(),
                Sample::Bool => false.into(),
            })
        });
        &VALUES[self as usize]
    }
}

/// In how many ways it can be answered.
pub(super) const fn alternatives(asked: &Asked) -> usize {
    match asked {
        Asked::Enum(variants) => variants.len(),
        Asked::Any => SAMPLES.len(),
        _ => 0,
    }
}

static NULL: Value = Value::Null;

/// Lists in lists in lists are left empty: types may hold themselves.
const LISTS: usize = 2;
const LONGEST_PATH: usize = 300;

/// What one reading does and finds. Paths are `.field`, `[]`, `[2]`, `?` (of an
/// option), `#2` (of the second variant) one after the other.
#[derive(Default)]
pub(crate) struct Watch {
    pub(super) asked: BTreeMap<String, Asked>,
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

/// One place of a configuration that is read.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    watch: &'a RefCell<Watch>,
    path: String,
}

impl<'a> Place<'a> {
    pub(super) const fn root(watch: &'a RefCell<Watch>) -> Self {
        Self {
            watch,
            path: String::new(),
        }
    }

    /// The place inside this one.
    fn at(&self, end: &str) -> Self {
        Self {
            watch: self.watch,
            path: format!("{}{end}", self.path),
        }
    }

    /// Remembers that what is here could not be read.
    pub(crate) fn failed(self) {
        self.watch.borrow_mut().failed.get_or_insert(self.path);
    }

    fn pick(&self, of: usize) -> usize {
        let watch = self.watch.borrow();
        watch.picks.get(&self.path).map_or(0, |pick| pick % of)
    }

    /// Writes down what was asked, and answers with something small.
    pub(crate) fn answer(self, asked: Asked) -> Result<Answer<'a>, SpecError> {
        let mut watch = self.watch.borrow_mut();
        let first = watch.asked.entry(self.path.clone());
        first.or_insert_with(|| asked.clone());
        drop(watch);
        let deep = self.path.len() > LONGEST_PATH;
        Ok(match asked {
            Asked::Bool => Answer::Bool(false),
            Asked::Whole { .. } => Answer::Int(1),
            Asked::Number => Answer::Float(0.5),
            Asked::Text => Answer::Text("a"),
            Asked::Nothing => Answer::Null,
            Asked::Optional if deep => Answer::Null,
            Asked::Optional => Answer::Some(Source::Place(self.at("?"))),
            Asked::List => Answer::List(read::Elements::Places(Elements::of_list(self))),
            Asked::Tuple(len) => Answer::List(read::Elements::Places(Elements {
                place: self,
                next: 0,
                len,
                numbered: true,
            })),
            Asked::Map => Answer::Table(read::Entries::Places(Entries::of_map(self))),
            Asked::Struct(fields) => {
                Answer::Table(read::Entries::Places(Entries::of_struct(self, fields)))
            }
            Asked::Enum(variants) if variants.is_empty() || deep => {
                return Err(SpecError::invalid("nested too deeply"));
            }
            Asked::Enum(variants) => {
                let nth = self.pick(variants.len());
                let content = Member::of_place(self.at(&format!("#{nth}")));
                Answer::Variant(Variant::new(variants[nth], Some(content)))
            }
            Asked::Any => SAMPLES[self.pick(SAMPLES.len())].value().answer(&asked)?,
        })
    }
}

/// The elements of a list or tuple.
pub(crate) struct Elements<'a> {
    place: Place<'a>,
    next: usize,
    len: usize,
    numbered: bool,
}

impl<'a> Elements<'a> {
    fn of_list(place: Place<'a>) -> Self {
        let deep = place.path.matches("[]").count() >= LISTS;
        let empty = place.watch.borrow().empty.contains(&place.path);
        Self {
            place,
            next: 0,
            len: usize::from(!deep && !empty),
            numbered: false,
        }
    }

    pub(crate) const fn left(&self) -> usize {
        self.len - self.next
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Place<'a>;

    fn next(&mut self) -> Option<Place<'a>> {
        let nth = self.next;
        if nth == self.len {
            return None;
        }
        self.next += 1;
        Some(if self.numbered {
            self.place.at(&format!("[{nth}]"))
        } else {
            self.place.at("[]")
        })
    }
}

/// A name that no field has.
const SURPLUS: &str = "\u{1}";

/// The fields of a struct, or one entry of a map.
pub(crate) struct Entries<'a> {
    place: Place<'a>,
    /// What is still to come.
    names: &'static [&'static str],
    is_map: bool,
    surplus: bool,
}

impl<'a> Entries<'a> {
    fn of_struct(place: Place<'a>, fields: &'static [&'static str]) -> Self {
        let surplus = place.watch.borrow().surplus.as_ref() == Some(&place.path);
        Self {
            place,
            names: fields,
            is_map: false,
            surplus,
        }
    }

    fn of_map(place: Place<'a>) -> Self {
        Self {
            place,
            // A name that is a number, too, for tables whose keys are read as such.
            names: &["1"],
            is_map: true,
            surplus: false,
        }
    }

    /// The name of the next entry, past the fields that are left out.
    pub(crate) fn key(&mut self) -> Option<&'static str> {
        let left_out = |field: &str| {
            let watch = self.place.watch.borrow();
            let place = (self.place.path.clone(), field.to_owned());
            watch.left_out.contains(&place)
        };
        let skipped = self.names.iter().take_while(|field| left_out(field));
        self.names = &self.names[skipped.count()..];
        match self.names.first() {
            _ if self.surplus => Some(SURPLUS),
            name => name.copied(),
        }
    }

    pub(crate) fn value(&mut self) -> Option<Member<'a>> {
        if std::mem::take(&mut self.surplus) {
            return Some(Member::named(SURPLUS, &NULL));
        }
        let (name, rest) = self.names.split_first()?;
        self.names = rest;
        Some(Member::of_place(if self.is_map {
            self.place.at("{}")
        } else {
            self.place.at(&format!(".{name}"))
        }))
    }
}
