//! A reduced value for a while, then the full one.

use crate::check::Check;
use crate::config::schedule_config;
use crate::math::reached;
use crate::{Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`ConstantFactor`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConstantFactorConfig {
    /// The value after the stretch. Finite.
    pub value: f64,
    /// What it is multiplied by before. Finite; 1/3 by default.
    #[serde(default = "third")]
    pub factor: f64,
    /// Length of the stretch, `>= 0`.
    pub length: f64,
}

const fn third() -> f64 {
    1.0 / 3.0
}

impl ConstantFactorConfig {
    /// A third of `value` for `length`, then `value`.
    #[must_use]
    pub const fn new(value: f64, length: f64) -> Self {
        Self {
            value,
            factor: third(),
            length,
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is not finite or the length is negative.
    pub fn init(&self) -> Result<ConstantFactor, ScheduleError> {
        let check = Check::of("constant_factor");
        check.finite("value", self.value)?;
        check.finite("factor", self.factor)?;
        check.non_negative("length", self.length)?;
        Ok(ConstantFactor {
            before: self.value * self.factor,
            after: self.value,
            length: self.length,
        })
    }
}

schedule_config!(
    ConstantFactorConfig => ConstantFactor, "constant_factor",
    "a reduced value for a while, then the full one",
    { with_factor: factor: f64 }
);

/// `factor * value` before `length`, `value` from there on: torch's
/// `ConstantLR`.
///
/// ```
/// use firecraft_schedule::{ConstantFactorConfig, Schedule};
/// let schedule = ConstantFactorConfig::new(0.1, 5.0).with_factor(0.5).init()?;
/// assert_eq!((schedule.value(4.0), schedule.value(5.0)), (0.05, 0.1));
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ConstantFactor {
    before: f64,
    after: f64,
    length: f64,
}

impl Schedule for ConstantFactor {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        if reached(at, self.length) {
            self.after
        } else {
            self.before
        }
    }
    fn name(&self) -> &'static str {
        "constant_factor"
    }
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::new("reduced", 0.0, self.length)]
    }
}
