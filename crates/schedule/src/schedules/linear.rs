//! A straight line between two values.

use crate::check::Check;
use crate::config::schedule_config;
use crate::{Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`Linear`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearConfig {
    /// Value at position 0. Finite.
    pub start: f64,
    /// Value from `length` on. Finite.
    pub end: f64,
    /// Length of the ramp, `> 0`.
    pub length: f64,
}

impl LinearConfig {
    /// From `start` to `end` in `length`.
    #[must_use]
    pub const fn new(start: f64, end: f64, length: f64) -> Self {
        Self { start, end, length }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is not finite or the length is not positive.
    pub fn init(&self) -> Result<Linear, ScheduleError> {
        let check = Check::of("linear");
        check.finite("start", self.start)?;
        check.finite("end", self.end)?;
        check.positive("length", self.length)?;
        Ok(Linear {
            config: self.clone(),
        })
    }
}

schedule_config!(LinearConfig => Linear, "linear", "a straight line between two values");

/// `start + (end - start) min(t / length, 1)`.
///
/// ```
/// use firecraft_schedule::{LinearConfig, Schedule};
/// let ramp = LinearConfig::new(1.0, 0.0, 4.0).init()?;
/// assert_eq!([0.0, 1.0, 4.0, 9.0].map(|t| ramp.value(t)), [1.0, 0.75, 0.0, 0.0]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Linear {
    config: LinearConfig,
}

impl Schedule for Linear {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let LinearConfig { start, end, length } = self.config;
        end + (start - end) * (1.0 - (at / length).clamp(0.0, 1.0))
    }
    fn name(&self) -> &'static str {
        "linear"
    }
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::new("ramp", 0.0, self.config.length)]
    }
}
