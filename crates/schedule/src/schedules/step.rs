//! A constant factor at regular intervals.

use crate::check::Check;
use crate::config::schedule_config;
use crate::math::whole;
use crate::{Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`Step`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepConfig {
    /// Value at position 0. Finite.
    pub start: f64,
    /// Distance between two steps, `> 0`; need not be whole.
    pub every: f64,
    /// Factor of a step, `> 0`; 0.1 by default.
    #[serde(default = "tenth")]
    pub factor: f64,
}

pub(super) const fn tenth() -> f64 {
    0.1
}

impl StepConfig {
    /// `start`, a tenth of it after `every`, and so on.
    #[must_use]
    pub const fn new(start: f64, every: f64) -> Self {
        Self {
            start,
            every,
            factor: tenth(),
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<Step, ScheduleError> {
        let check = Check::of("step");
        check.finite("start", self.start)?;
        check.positive("every", self.every)?;
        check.positive("factor", self.factor)?;
        Ok(Step {
            config: self.clone(),
        })
    }
}

schedule_config!(
    StepConfig => Step, "step", "a constant factor at regular intervals",
    { with_factor: factor: f64 }
);

/// `start factor^floor(t / every)`.
///
/// ```
/// use firecraft_schedule::{Schedule, StepConfig};
/// let step = StepConfig::new(0.8, 30.0).with_factor(0.5).init()?;
/// assert_eq!([0.0, 29.0, 30.0, 60.0].map(|t| step.value(t)), [0.8, 0.8, 0.4, 0.2]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Step {
    config: StepConfig,
}

impl Schedule for Step {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let StepConfig {
            start,
            every,
            factor,
        } = self.config;
        start * factor.powf(whole(at / every))
    }
    fn name(&self) -> &'static str {
        "step"
    }
}
