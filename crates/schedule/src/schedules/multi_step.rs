//! A constant factor at given milestones.

use super::step::tenth;
use crate::check::Check;
use crate::config::schedule_config;
use crate::math::reached;
use crate::{Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`MultiStep`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiStepConfig {
    /// Value before the first milestone. Finite.
    pub start: f64,
    /// Positions at which the factor applies, finite, in any order; one that
    /// is listed twice applies twice.
    pub milestones: Vec<f64>,
    /// Factor of a step, `> 0`; 0.1 by default.
    #[serde(default = "tenth")]
    pub factor: f64,
}

impl MultiStepConfig {
    /// `start`, a tenth of it from each milestone on.
    #[must_use]
    pub fn new(start: f64, milestones: impl Into<Vec<f64>>) -> Self {
        Self {
            start,
            milestones: milestones.into(),
            factor: tenth(),
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<MultiStep, ScheduleError> {
        let check = Check::of("multi_step");
        check.finite("start", self.start)?;
        check.positive("factor", self.factor)?;
        for (nth, &milestone) in self.milestones.iter().enumerate() {
            check.finite(&format!("milestones[{nth}]"), milestone)?;
        }
        let mut milestones = self.milestones.clone();
        milestones.sort_by(f64::total_cmp);
        Ok(MultiStep {
            start: self.start,
            factor: self.factor,
            milestones,
        })
    }
}

schedule_config!(
    MultiStepConfig => MultiStep, "multi_step", "a constant factor at given milestones",
    { with_factor: factor: f64 }
);

/// `start factor^n` where `n` milestones are at or before `t`.
///
/// ```
/// use firecraft_schedule::{MultiStepConfig, Schedule};
/// let steps = MultiStepConfig::new(0.8, [30.0, 80.0]).with_factor(0.5).init()?;
/// assert_eq!([0.0, 30.0, 79.0, 80.0].map(|t| steps.value(t)), [0.8, 0.4, 0.4, 0.2]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MultiStep {
    start: f64,
    factor: f64,
    milestones: Vec<f64>,
}

impl Schedule for MultiStep {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let passed = self
            .milestones
            .partition_point(|&milestone| reached(at, milestone));
        self.start * self.factor.powi(passed as i32)
    }
    fn name(&self) -> &'static str {
        "multi_step"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milestones_may_be_unsorted_and_repeated() {
        let steps = MultiStepConfig::new(1.0, [50.0, 20.0, 20.0])
            .with_factor(0.5)
            .init()
            .unwrap();
        assert_eq!(
            [19.0, 20.0, 50.0].map(|t| steps.value(t)),
            [1.0, 0.25, 0.125]
        );
    }

    #[test]
    fn the_offending_milestone_is_named() {
        let error = MultiStepConfig::new(1.0, [1.0, f64::NAN])
            .init()
            .unwrap_err();
        assert!(error.to_string().contains("`milestones[1]`"), "{error}");
    }
}
