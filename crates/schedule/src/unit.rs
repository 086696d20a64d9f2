//! Positions and lengths: updates, epochs or fractions, converted here only.

use crate::check::Check;
use crate::context::Origin;
use crate::{Horizon, ScheduleError, StepContext};
use serde::{Deserialize, Serialize};

/// What the position of a closed form and the lengths of combinators count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Optimiser updates.
    #[default]
    Updates,
    /// Whole epochs: the value changes between epochs only.
    Epochs,
    /// Epochs with their fraction: `update / updates_per_epoch`.
    FractionalEpochs,
    /// The fraction of the run: `update / total_updates`, from 0 towards 1.
    Fraction,
}

impl Unit {
    /// The position of a moment. 0 while a length that it depends on is
    /// unknown; [`Unit::check`] reports that before the run.
    ///
    /// ```
    /// use firecraft_schedule::{Horizon, Unit};
    /// let moment = Horizon::epochs(4, 10).at(15);
    /// assert_eq!(Unit::Updates.position(&moment), 15.0);
    /// assert_eq!(Unit::Epochs.position(&moment), 1.0);
    /// assert_eq!(Unit::FractionalEpochs.position(&moment), 1.5);
    /// assert_eq!(Unit::Fraction.position(&moment), 0.375);
    /// ```
    #[inline]
    #[must_use]
    pub fn position(self, context: &StepContext) -> f64 {
        // The usual one first: a jump by a table costs more than all of it.
        if self == Self::Updates {
            return context.update as f64;
        }
        match self {
            Self::Updates => context.update as f64,
            Self::Epochs => context.epoch as f64,
            Self::FractionalEpochs => ratio(context.update, context.updates_per_epoch),
            Self::Fraction => ratio(context.update, context.total_updates),
        }
    }

    /// A position in updates, where it can be known.
    #[must_use]
    pub fn to_updates(self, position: f64, horizon: &Horizon) -> Option<f64> {
        match self {
            Self::Updates => Some(position),
            Self::Epochs | Self::FractionalEpochs => {
                horizon.updates_per_epoch.map(|n| position * n as f64)
            }
            Self::Fraction => horizon.total_updates.map(|n| position * n as f64),
        }
    }

    /// A position in whole updates, the next one if it is between two.
    ///
    /// Fractions of a run are rarely exact (0.3 of 50 updates is
    /// 15.000000000000002): what is within a millionth of an update of a whole
    /// one is that one.
    #[must_use]
    pub fn whole_updates(self, position: f64, horizon: &Horizon) -> Option<u64> {
        let updates = self.to_updates(position, horizon)?;
        let near = updates.round();
        let whole = if (updates - near).abs() < 1e-6 {
            near
        } else {
            updates.ceil()
        };
        Some(whole as u64)
    }

    /// Whether a run knows what this unit depends on.
    ///
    /// # Errors
    /// [`ScheduleError::Missing`].
    pub fn check(self, schedule: &'static str, horizon: &Horizon) -> Result<(), ScheduleError> {
        match self {
            Self::FractionalEpochs if horizon.updates_per_epoch.unwrap_or(0) == 0 => {
                Err(ScheduleError::Missing {
                    schedule,
                    needs: "the number of updates per epoch",
                    remedy: "use unit = \"updates\" or \"epochs\", or a data source of known length",
                })
            }
            Self::Fraction if horizon.total_updates.unwrap_or(0) == 0 => {
                Err(ScheduleError::Missing {
                    schedule,
                    needs: "the length of the run",
                    remedy: "use unit = \"updates\" or \"epochs\", or limit the run",
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether a run is longer than a warm-up of `length`, as far as is known.
    pub(crate) fn check_warmup(
        self,
        schedule: &'static str,
        field: &str,
        length: f64,
        horizon: &Horizon,
    ) -> Result<(), ScheduleError> {
        let updates = self.to_updates(length, horizon);
        let Some((updates, total)) = updates.zip(horizon.total_updates) else {
            return Ok(());
        };
        let allowed = format!("shorter than the run of {total} updates");
        Check::of(schedule).that(updates < total as f64, field, allowed, updates)
    }

    /// The first moment at or after `position`: exact where the run's lengths
    /// are known, the present one otherwise.
    pub(crate) fn origin(self, position: f64, now: &StepContext) -> Origin {
        let update = self.whole_updates(position, &now.horizon());
        let update = update.unwrap_or(now.update);
        let epoch = match (self, now.updates_per_epoch) {
            (Self::Epochs, _) => position.ceil() as u64,
            (_, Some(per_epoch)) if per_epoch > 0 => update / per_epoch,
            _ => now.epoch,
        };
        Origin { update, epoch }
    }
}

#[inline]
fn ratio(update: u64, of: Option<u64>) -> f64 {
    match of {
        Some(n) if n > 0 => update as f64 / n as f64,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_exact_where_lengths_are_known() {
        let run = Horizon::epochs(10, 7);
        let now = run.at(40);
        let expected = Origin {
            update: 21,
            epoch: 3,
        };
        assert_eq!(Unit::Epochs.origin(3.0, &now), expected);
        assert_eq!(Unit::Updates.origin(21.0, &now), expected);
        assert_eq!(Unit::Fraction.origin(0.3, &now), expected);
        let blind = StepContext::at(40).with_epoch(5);
        let seen = Origin {
            update: 40,
            epoch: 3,
        };
        assert_eq!(Unit::Epochs.origin(3.0, &blind), seen);
    }

    #[test]
    fn rounding_errors_of_fractions_cost_no_update() {
        let run = Horizon::updates(50);
        assert_eq!(Unit::Fraction.whole_updates(1.0 - 0.7, &run), Some(15));
        assert_eq!(Unit::Fraction.whole_updates(0.31, &run), Some(16));
        assert_eq!(Unit::Updates.whole_updates(2.5, &run), Some(3));
    }

    #[test]
    fn a_unit_says_what_it_needs() {
        let blind = Horizon::default();
        assert!(Unit::Updates.check("x", &blind).is_ok());
        assert!(Unit::Epochs.check("x", &blind).is_ok());
        assert!(Unit::FractionalEpochs.check("x", &blind).is_err());
        let error = Unit::Fraction.check("x", &blind).unwrap_err().to_string();
        assert!(
            error.starts_with("x: needs the length of the run"),
            "{error}"
        );
    }
}
