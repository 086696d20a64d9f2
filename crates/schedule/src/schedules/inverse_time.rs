//! Inverse time decay: Keras' `decay=`.

use crate::check::Check;
use crate::config::{is_default, one, schedule_config};
use crate::math::whole;
use crate::{Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`InverseTimeDecay`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InverseTimeDecayConfig {
    /// Value at position 0. Finite.
    pub start: f64,
    /// Decay per `length`, `>= 0`.
    pub rate: f64,
    /// Distance over which `rate` applies once, `> 0`; 1 by default.
    #[serde(default = "one")]
    pub length: f64,
    /// Whether the value changes at whole multiples of `length` only.
    #[serde(default, skip_serializing_if = "is_default")]
    pub staircase: bool,
}

impl InverseTimeDecayConfig {
    /// What `decay=rate` meant for Keras' optimisers: `start / (1 + rate t)`
    /// with `t` in updates.
    #[must_use]
    pub const fn new(start: f64, rate: f64) -> Self {
        Self {
            start,
            rate,
            length: 1.0,
            staircase: false,
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<InverseTimeDecay, ScheduleError> {
        let check = Check::of("inverse_time_decay");
        check.finite("start", self.start)?;
        check.non_negative("rate", self.rate)?;
        check.positive("length", self.length)?;
        Ok(InverseTimeDecay {
            config: self.clone(),
        })
    }
}

schedule_config!(
    InverseTimeDecayConfig => InverseTimeDecay, "inverse_time_decay",
    "inverse time decay, Keras' `decay=`",
    { with_length: length: f64, with_staircase: staircase: bool }
);

/// `start / (1 + rate p)` with `p = t / length`, or its floor.
///
/// ```
/// use firecraft_schedule::{InverseTimeDecayConfig, Schedule};
/// let decay = InverseTimeDecayConfig::new(0.1, 0.01).init()?;
/// assert_eq!(decay.value(0.0), 0.1);
/// assert_eq!(decay.value(100.0), 0.05);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct InverseTimeDecay {
    config: InverseTimeDecayConfig,
}

impl Schedule for InverseTimeDecay {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let config = &self.config;
        let mut p = at / config.length;
        if config.staircase {
            p = whole(p);
        }
        config.start / (1.0 + config.rate * p)
    }
    fn name(&self) -> &'static str {
        "inverse_time_decay"
    }
}
