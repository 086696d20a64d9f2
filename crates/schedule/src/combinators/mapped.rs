//! A scheduler whose values are mapped one by one.

use crate::check::Check;
use crate::{Horizon, Phase, ScheduleError, Scheduler, Slot, State, StepContext};
use serde::{Deserialize, Serialize};

/// What is done to each value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Map {
    /// `factor v`
    Scale {
        /// Finite.
        factor: f64,
    },
    /// `v`, but not below `min` nor above `max`.
    Clamp {
        /// Not NaN; may be `-inf`.
        min: f64,
        /// Not NaN, `>= min`; may be `inf`.
        max: f64,
    },
    /// `low + high - v`: what rises falls, within the same bounds.
    Invert {
        /// Finite, `<= high`.
        low: f64,
        /// Finite.
        high: f64,
    },
    /// The line through `(min, to_min)` and `(max, to_max)`, as for a
    /// hyper-parameter in proportion to the learning rate; `to_max` if the two
    /// points are one.
    Proportional {
        /// Finite, `<= max`.
        min: f64,
        /// Finite.
        max: f64,
        /// Finite.
        to_min: f64,
        /// Finite.
        to_max: f64,
    },
    /// The nearest multiple of `multiple`, but at least one of them: batch
    /// sizes.
    Round {
        /// `> 0`
        multiple: f64,
    },
}

impl Map {
    /// The `type` name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Scale { .. } => "scale",
            Self::Clamp { .. } => "clamp",
            Self::Invert { .. } => "invert",
            Self::Proportional { .. } => "proportional",
            Self::Round { .. } => "round",
        }
    }

    /// The map of one value.
    ///
    /// ```
    /// use firecraft_schedule::Map;
    /// assert_eq!(Map::Round { multiple: 8.0 }.apply(21.0), 24.0);
    /// assert_eq!(Map::Invert { low: 0.8, high: 1.0 }.apply(0.8), 1.0);
    /// ```
    #[inline]
    #[must_use]
    pub fn apply(&self, value: f64) -> f64 {
        match *self {
            Self::Scale { factor } => factor * value,
            // Not `clamp`, which panics on NaN bounds.
            Self::Clamp { min, max } => value.max(min).min(max),
            Self::Invert { low, high } => low + high - value,
            Self::Proportional {
                min,
                max,
                to_min,
                to_max,
            } => {
                if max > min {
                    to_min + (to_max - to_min) * (value - min) / (max - min)
                } else {
                    to_max
                }
            }
            Self::Round { multiple } => (value / multiple).round().max(1.0) * multiple,
        }
    }

    fn check(&self) -> Result<(), ScheduleError> {
        let check = Check::of(self.name());
        match *self {
            Self::Scale { factor } => check.finite("factor", factor),
            Self::Clamp { min, max } => check.ordered(("min", min), ("max", max)),
            Self::Invert { low, high } => {
                check.finite("low", low)?;
                check.finite("high", high)?;
                check.ordered(("low", low), ("high", high))
            }
            Self::Proportional {
                min,
                max,
                to_min,
                to_max,
            } => {
                check.finite("min", min)?;
                check.finite("max", max)?;
                check.finite("to_min", to_min)?;
                check.finite("to_max", to_max)?;
                check.ordered(("min", min), ("max", max))
            }
            Self::Round { multiple } => check.positive("multiple", multiple),
        }
    }
}

/// A scheduler with a [`Map`] on each of its values.
///
/// ```
/// use firecraft_schedule::*;
/// let lr = || Pure::updates(LinearConfig::new(0.0, 1.0, 4.0).init().unwrap());
/// let mut floor = Mapped::new(lr(), Map::Clamp { min: 0.4, max: f64::INFINITY })?;
/// let mut momentum = Mapped::new(lr(), Map::Proportional { min: 0.0, max: 1.0, to_min: 0.95, to_max: 0.85 })?;
/// assert_eq!(step_value(&mut floor, &StepContext::at(1)), 0.4);
/// assert!((step_value(&mut momentum, &StepContext::at(2)) - 0.9).abs() < 1e-12);
/// # Ok::<(), ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mapped<S> {
    inner: S,
    map: Map,
}

impl<S: Scheduler> Mapped<S> {
    /// `inner` with `map` on its values.
    ///
    /// # Errors
    /// If a parameter of the map is outside its range.
    pub fn new(inner: S, map: Map) -> Result<Self, ScheduleError> {
        map.check()?;
        Ok(Self { inner, map })
    }
}

impl<S: Scheduler> Scheduler for Mapped<S> {
    #[inline]
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        self.inner.step(context, out);
        for value in out {
            *value = self.map.apply(*value);
        }
    }

    fn state(&self) -> State {
        State::new(self.map.name(), 1).with_inner("inner", self.inner.state())
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open(self.map.name(), 1)?;
        self.inner.restore(&values.inner("inner")?)
    }

    fn width(&self) -> usize {
        self.inner.width()
    }

    fn slots(&self) -> Vec<Slot> {
        self.inner.slots()
    }

    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        self.inner.check(horizon)
    }

    fn phases(&self, horizon: &Horizon) -> Vec<Phase> {
        self.inner.phases(horizon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConstantConfig, Pure};

    fn mapped(map: Map) -> Result<(), ScheduleError> {
        let inner = Pure::updates(ConstantConfig::new(1.0).init()?);
        Mapped::new(inner, map).map(|_| ())
    }

    #[test]
    fn bounds_in_the_wrong_order_are_refused() {
        let error = mapped(Map::Clamp { min: 2.0, max: 1.0 }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "clamp: `min` must be <= `max` = 1, got 2"
        );
        let nan = Map::Clamp {
            min: f64::NAN,
            max: 1.0,
        };
        assert!(mapped(nan).is_err());
        assert!(
            mapped(Map::Invert {
                low: 1.0,
                high: 0.0
            })
            .is_err()
        );
        assert!(mapped(Map::Round { multiple: 0.0 }).is_err());
    }

    #[test]
    fn a_batch_is_never_empty() {
        let round = Map::Round { multiple: 32.0 };
        assert_eq!(
            [0.0, 15.0, 48.0, 100.0].map(|v| round.apply(v)),
            [32.0, 32.0, 64.0, 96.0]
        );
    }

    #[test]
    fn a_proportion_to_nothing_is_the_upper_value() {
        let map = Map::Proportional {
            min: 1.0,
            max: 1.0,
            to_min: 0.5,
            to_max: 2.0,
        };
        assert_eq!(map.apply(1.0), 2.0);
    }
}
