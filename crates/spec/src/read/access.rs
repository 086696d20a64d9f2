//! The members of lists, tables and variants, one after the other.

use super::{Asked, Failure, Source};
use crate::Value;
use crate::schema::{self, Place};
use serde_core::de::value::BorrowedStrDeserializer;
use serde_core::de::{
    DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess,
};
use serde_core::de::{Error as _, Visitor};

/// Something to read, and where it stands.
pub(crate) struct Member<'de> {
    source: Source<'de>,
    at: At<'de>,
}

enum At<'de> {
    Index(usize),
    Name(&'de str),
    Place(Place<'de>),
}

impl<'de> Member<'de> {
    pub(crate) fn of_place(place: Place<'de>) -> Self {
        Self {
            at: At::Place(place.clone()),
            source: Source::Place(place),
        }
    }

    pub(crate) const fn named(name: &'de str, value: &'de Value) -> Self {
        Self {
            source: Source::Value(value),
            at: At::Name(name),
        }
    }

    fn read<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        let Self { source, at } = self;
        seed.deserialize(source).map_err(|error| at.blame(error))
    }
}

impl At<'_> {
    fn blame(self, error: Failure) -> Failure {
        match self {
            Self::Index(index) => error.at(index),
            Self::Name(name) => error.under(name),
            Self::Place(place) => {
                place.failed();
                error
            }
        }
    }
}

/// The elements of a list.
pub(crate) enum Elements<'de> {
    Values { values: &'de [Value], next: usize },
    Places(schema::Elements<'de>),
}

impl<'de> Elements<'de> {
    fn next(&mut self) -> Option<Member<'de>> {
        match self {
            Self::Values { values, next } => {
                let value = values.get(*next)?;
                let at = At::Index(*next);
                *next += 1;
                let source = Source::Value(value);
                Some(Member { source, at })
            }
            Self::Places(places) => places.next().map(Member::of_place),
        }
    }

    fn left(&self) -> usize {
        match self {
            Self::Values { values, next } => values.len() - next,
            Self::Places(places) => places.left(),
        }
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Failure> {
        match (&self, self.left()) {
            (Self::Values { values, .. }, left) if left > 0 => Err(Failure::custom(format_args!(
                "{left} elements too many in a list of {}",
                values.len()
            ))),
            _ => Ok(()),
        }
    }
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Failure;
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        match self.next() {
            Some(member) => member.read(seed).map(Some),
            None => Ok(None),
        }
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.left())
    }
}

/// The entries of a table.
pub(crate) enum Entries<'de> {
    Values {
        entries: std::slice::Iter<'de, (String, Value)>,
        current: Option<&'de (String, Value)>,
    },
    Places(schema::Entries<'de>),
}

impl<'de> Entries<'de> {
    fn key(&mut self) -> Option<&'de str> {
        match self {
            Self::Values { entries, current } => {
                *current = entries.next();
                current.map(|(name, _)| name.as_str())
            }
            Self::Places(places) => places.key(),
        }
    }

    fn value(&mut self) -> Result<Member<'de>, Failure> {
        let member = match self {
            Self::Values { current, .. } => current
                .take()
                .map(|(name, value)| Member::named(name, value)),
            Self::Places(places) => places.value(),
        };
        member.ok_or_else(|| Failure::custom("a value was asked for before its key"))
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Failure;
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        match self.key() {
            Some(name) => seed
                .deserialize(BorrowedStrDeserializer::<Failure>::new(name))
                .map(Some),
            None => Ok(None),
        }
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        self.value()?.read(seed)
    }
    fn size_hint(&self) -> Option<usize> {
        match self {
            Self::Values { entries, .. } => Some(entries.len()),
            Self::Places(_) => None,
        }
    }
}

/// A variant by its name, with its content.
pub(crate) struct Variant<'de> {
    name: &'de str,
    content: Option<Member<'de>>,
}

impl<'de> Variant<'de> {
    pub(crate) const fn new(name: &'de str, content: Option<Member<'de>>) -> Self {
        Self { name, content }
    }

    fn content(self) -> Result<Member<'de>, Failure> {
        let name = self.name;
        self.content.ok_or_else(|| {
            Failure::custom(format_args!(
                "the variant `{name}` needs its content: {{ {name} = … }}"
            ))
        })
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Failure;
    type Variant = Self;
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Failure> {
        let name = BorrowedStrDeserializer::<Failure>::new(self.name);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Failure;
    fn unit_variant(self) -> Result<(), Failure> {
        match self.content.map(|member| member.source) {
            None | Some(Source::Value(Value::Null)) => Ok(()),
            Some(Source::Value(other)) => Err(Failure::custom(format_args!(
                "the variant `{}` takes no content, got {}",
                self.name,
                other.describe()
            ))),
            Some(source) => Ok(source.answer(Asked::Nothing).map(drop)?),
        }
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        self.content()?.read(seed)
    }
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Failure> {
        let Member { source, at } = self.content()?;
        source
            .deserialize_tuple(len, visitor)
            .map_err(|error| at.blame(error))
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let Member { source, at } = self.content()?;
        source
            .deserialize_struct("", fields, visitor)
            .map_err(|error| at.blame(error))
    }
}
