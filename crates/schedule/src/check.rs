//! The range checks that every configuration makes when it is built.

use crate::ScheduleError;
use std::fmt::Display;

/// Checks the parameters of one schedule; every message names the field, the
/// value and the range.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    schedule: &'static str,
}

impl Check {
    pub(crate) const fn of(schedule: &'static str) -> Self {
        Self { schedule }
    }

    pub(crate) fn that(
        self,
        holds: bool,
        field: impl Into<String>,
        allowed: impl Into<String>,
        got: impl Display,
    ) -> Result<(), ScheduleError> {
        if holds {
            Ok(())
        } else {
            Err(ScheduleError::parameter(self.schedule, field, allowed, got))
        }
    }

    pub(crate) fn finite(self, field: &str, value: f64) -> Result<(), ScheduleError> {
        self.that(value.is_finite(), field, "finite", value)
    }

    pub(crate) fn positive(self, field: &str, value: f64) -> Result<(), ScheduleError> {
        let holds = value > 0.0 && value.is_finite();
        self.that(holds, field, "> 0 and finite", value)
    }

    pub(crate) fn non_negative(self, field: &str, value: f64) -> Result<(), ScheduleError> {
        let holds = value >= 0.0 && value.is_finite();
        self.that(holds, field, ">= 0 and finite", value)
    }

    pub(crate) fn at_least_one(self, field: &str, value: u64) -> Result<(), ScheduleError> {
        self.that(value >= 1, field, ">= 1", value)
    }

    /// `0 <= value <= 1`.
    pub(crate) fn fraction(self, field: &str, value: f64) -> Result<(), ScheduleError> {
        self.that((0.0..=1.0).contains(&value), field, "in [0, 1]", value)
    }

    /// `0 < value < 1`.
    pub(crate) fn open_fraction(self, field: &str, value: f64) -> Result<(), ScheduleError> {
        self.that(value > 0.0 && value < 1.0, field, "in (0, 1)", value)
    }

    /// `lower <= upper`, both finite or infinite but not NaN.
    pub(crate) fn ordered(
        self,
        lower: (&str, f64),
        upper: (&str, f64),
    ) -> Result<(), ScheduleError> {
        let allowed = format!("<= `{}` = {}", upper.0, upper.1);
        self.that(lower.1 <= upper.1, lower.0, allowed, lower.1)
    }
}
