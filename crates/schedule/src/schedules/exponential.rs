//! Exponential decay or growth.

use crate::check::Check;
use crate::config::{is_default, one, schedule_config};
use crate::math::whole;
use crate::{Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`Exponential`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExponentialConfig {
    /// Value at position 0. Finite.
    pub start: f64,
    /// Factor per `length`, `> 0`; above 1 the value grows.
    pub rate: f64,
    /// Distance over which `rate` applies once, `> 0`; 1 by default.
    #[serde(default = "one")]
    pub length: f64,
    /// Whether the value changes at whole multiples of `length` only.
    #[serde(default, skip_serializing_if = "is_default")]
    pub staircase: bool,
    /// Where the decay starts, `>= 0`; 0 by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub begin: f64,
    /// The value never goes past this one: a floor for `rate < 1`, else a
    /// ceiling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
}

impl ExponentialConfig {
    /// `start`, multiplied by `rate` per unit.
    #[must_use]
    pub const fn new(start: f64, rate: f64) -> Self {
        Self {
            start,
            rate,
            length: 1.0,
            staircase: false,
            begin: 0.0,
            end: None,
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<Exponential, ScheduleError> {
        let check = Check::of("exponential");
        check.finite("start", self.start)?;
        check.positive("rate", self.rate)?;
        check.positive("length", self.length)?;
        check.non_negative("begin", self.begin)?;
        if let Some(end) = self.end {
            check.finite("end", end)?;
        }
        Ok(Exponential {
            config: self.clone(),
        })
    }
}

schedule_config!(
    ExponentialConfig => Exponential, "exponential", "exponential decay or growth",
    {
        with_length: length: f64, with_staircase: staircase: bool, with_begin: begin: f64,
        with_end: end: Option<f64>,
    }
);

/// `start rate^p` with `p = (t - begin) / length`, or its floor.
///
/// ```
/// use firecraft_schedule::{ExponentialConfig, Schedule};
/// let decay = ExponentialConfig::new(0.8, 0.5).with_length(10.0).with_staircase(true).init()?;
/// assert_eq!([0.0, 9.0, 10.0, 25.0].map(|t| decay.value(t)), [0.8, 0.8, 0.4, 0.2]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Exponential {
    config: ExponentialConfig,
}

impl Schedule for Exponential {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let config = &self.config;
        let mut p = (at - config.begin).max(0.0) / config.length;
        if config.staircase {
            p = whole(p);
        }
        let value = config.start * config.rate.powf(p);
        match config.end {
            Some(end) if config.rate < 1.0 => value.max(end),
            Some(end) => value.min(end),
            None => value,
        }
    }
    fn name(&self) -> &'static str {
        "exponential"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_value_is_a_floor_or_a_ceiling() {
        let decay = ExponentialConfig::new(1.0, 0.5)
            .with_end(0.2)
            .init()
            .unwrap();
        assert_eq!(decay.value(1.0), 0.5);
        assert_eq!(decay.value(30.0), 0.2);
        let growth = ExponentialConfig::new(1.0, 2.0)
            .with_end(5.0)
            .init()
            .unwrap();
        assert_eq!(growth.value(30.0), 5.0);
    }

    #[test]
    fn nothing_happens_before_the_beginning() {
        let decay = ExponentialConfig::new(1.0, 0.5)
            .with_begin(3.0)
            .init()
            .unwrap();
        assert_eq!([0.0, 3.0, 4.0].map(|t| decay.value(t)), [1.0, 1.0, 0.5]);
    }

    #[test]
    fn a_rate_of_zero_is_refused() {
        assert!(ExponentialConfig::new(1.0, 0.0).init().is_err());
    }
}
