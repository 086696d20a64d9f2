//! Reflected exponential decay.

use crate::check::Check;
use crate::config::schedule_config;
use crate::{Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`Rex`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RexConfig {
    /// Value at position 0. Finite.
    pub start: f64,
    /// Length of the decay, `> 0`.
    pub length: f64,
    /// Value at the end. Finite; 0 by default.
    #[serde(default)]
    pub end: f64,
}

impl RexConfig {
    /// From `start` to 0 in `length`.
    #[must_use]
    pub const fn new(start: f64, length: f64) -> Self {
        Self {
            start,
            length,
            end: 0.0,
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<Rex, ScheduleError> {
        let check = Check::of("rex");
        check.finite("start", self.start)?;
        check.finite("end", self.end)?;
        check.positive("length", self.length)?;
        Ok(Rex {
            config: self.clone(),
        })
    }
}

schedule_config!(
    RexConfig => Rex, "rex", "reflected exponential decay for a fixed budget",
    { with_end: end: f64 }
);

/// `end + (start - end) (1 - p) / (1 - p / 2)` with `p = min(t / length, 1)`.
/// Chen, Wolfe & Kyrillidis, [arXiv:2107.04197](https://arxiv.org/abs/2107.04197).
///
/// ```
/// use firecraft_schedule::{RexConfig, Schedule};
/// let rex = RexConfig::new(0.3, 100.0).init()?;
/// assert_eq!([0.0, 50.0, 100.0].map(|t| rex.value(t)), [0.3, 0.19999999999999998, 0.0]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rex {
    config: RexConfig,
}

impl Schedule for Rex {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let RexConfig { start, length, end } = self.config;
        let p = (at / length).clamp(0.0, 1.0);
        end + (start - end) * ((1.0 - p) / (1.0 - p / 2.0))
    }
    fn name(&self) -> &'static str {
        "rex"
    }
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::new("decay", 0.0, self.config.length)]
    }
}
