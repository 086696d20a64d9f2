//! How running statistics follow the statistics of the batches.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{NormError, check};

/// How a running statistic moves towards that of a new batch:
/// `running += weight * (batch - running)`.
///
/// Peers disagree about the word: torch, timm and burn mean the weight of the
/// *new* value (0.1), keras and flax that of the *old* one (0.99). Here it is
/// the weight of the new value; [`Momentum::of_old`] takes the other.
///
/// Written as a number, or as the string `"cumulative"`.
///
/// ```
/// use firecraft_norm::Momentum;
/// assert_eq!(Momentum::from(0.1), Momentum::Weight(0.1));
/// assert_eq!(Momentum::from(None), Momentum::Cumulative); // torch's `momentum=None`
/// assert_eq!(Momentum::of_old(0.75), Momentum::Weight(0.25));
/// assert_eq!(serde_json::to_string(&Momentum::Cumulative)?, "\"cumulative\"");
/// assert_eq!(serde_json::from_str::<Momentum>("0.1")?, Momentum::Weight(0.1));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Momentum {
    /// The weight of the new value, in `[0, 1]`.
    Weight(f64),
    /// The plain average over all batches so far: weight `1 / batches`.
    Cumulative,
}

impl Momentum {
    /// From the weight of the old value, as keras and flax write it.
    #[must_use]
    pub fn of_old(weight: f64) -> Self {
        Self::Weight(1.0 - weight)
    }

    /// The weight of the `batches`-th batch, from 1.
    pub(crate) fn weight(self, batches: u64) -> f64 {
        match self {
            Self::Weight(weight) => weight,
            Self::Cumulative => 1.0 / batches.max(1) as f64,
        }
    }

    pub(crate) fn check(self, layer: &'static str) -> Result<(), NormError> {
        match self {
            Self::Weight(weight) => check::fraction(layer, "momentum", weight),
            Self::Cumulative => Ok(()),
        }
    }
}

impl From<f64> for Momentum {
    fn from(weight: f64) -> Self {
        Self::Weight(weight)
    }
}

impl From<Option<f64>> for Momentum {
    fn from(weight: Option<f64>) -> Self {
        weight.map_or(Self::Cumulative, Self::Weight)
    }
}

impl Serialize for Momentum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Weight(weight) => serializer.serialize_f64(*weight),
            Self::Cumulative => serializer.serialize_str("cumulative"),
        }
    }
}

impl<'de> Deserialize<'de> for Momentum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Momentum;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number between 0 and 1 or \"cumulative\"")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Momentum, E> {
                Ok(Momentum::Weight(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Momentum, E> {
                Ok(Momentum::Weight(value as f64))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Momentum, E> {
                Ok(Momentum::Weight(value as f64))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Momentum, E> {
                match value {
                    "cumulative" => Ok(Momentum::Cumulative),
                    _ => Err(E::invalid_value(de::Unexpected::Str(value), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
