//! A value that a function makes from the one before.

use crate::check::Check;
use crate::{Horizon, ScheduleError, Scheduler, State, StepContext, Unit};
use std::fmt;

/// A value that becomes `function(t, value)` at every position: Keras'
/// `LearningRateScheduler`, whose function is given the epoch and the learning
/// rate so far.
///
/// The first value is `function(0, start)`. Positions are whole; those that are
/// skipped are made up for. The function is not part of the state: give the same
/// one when resuming.
///
/// ```
/// use firecraft_schedule::{Horizon, Iterated, Unit, step_value};
/// // Ten epochs at 0.1, then less by a tenth after each.
/// let decay = |epoch, lr| if epoch < 10 { lr } else { 0.9 * lr };
/// let mut schedule = Iterated::new(0.1, Unit::Epochs, decay)?;
/// let run = Horizon::epochs(20, 50);
/// assert_eq!(step_value(&mut schedule, &run.at(499)), 0.1);
/// assert!((step_value(&mut schedule, &run.at(550)) - 0.081).abs() < 1e-12);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone)]
pub struct Iterated<F> {
    start: f64,
    unit: Unit,
    function: F,
    value: f64,
    /// Positions whose value was made.
    done: u64,
}

impl<F: Fn(u64, f64) -> f64 + Send> Iterated<F> {
    /// `start`, changed by `function` at every update or epoch.
    ///
    /// # Errors
    /// If `start` is not finite, or the unit does not count whole steps.
    pub fn new(start: f64, unit: Unit, function: F) -> Result<Self, ScheduleError> {
        let check = Check::of("iterated");
        check.finite("start", start)?;
        let whole = matches!(unit, Unit::Updates | Unit::Epochs);
        check.that(whole, "unit", "updates or epochs", format_args!("{unit:?}"))?;
        Ok(Self {
            start,
            unit,
            function,
            value: start,
            done: 0,
        })
    }
}

impl<F: Fn(u64, f64) -> f64 + Send> Scheduler for Iterated<F> {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        let at = match self.unit {
            Unit::Epochs => context.epoch,
            _ => context.update,
        };
        if at.saturating_add(1) < self.done {
            (self.value, self.done) = (self.start, 0);
        }
        while self.done <= at {
            self.value = (self.function)(self.done, self.value);
            self.done += 1;
        }
        out.fill(self.value);
    }

    fn state(&self) -> State {
        State::new("iterated", 1)
            .with("value", self.value)
            .with_count("done", self.done)
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("iterated", 1)?;
        self.value = values.get("value")?;
        self.done = values.get("done")?;
        Ok(())
    }

    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        self.unit.check("iterated", horizon)
    }
}

impl<F> fmt::Debug for Iterated<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iterated")
            .field("unit", &self.unit)
            .field("value", &self.value)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step_value;

    fn halving() -> impl Scheduler {
        Iterated::new(1.0, Unit::Epochs, |epoch, value| {
            if epoch == 0 { value } else { value / 2.0 }
        })
        .unwrap()
    }

    #[test]
    fn the_function_is_called_once_per_epoch() {
        let mut schedule = halving();
        let run = Horizon::epochs(3, 4);
        let values = [0, 3, 4, 7, 8].map(|update| step_value(&mut schedule, &run.at(update)));
        assert_eq!(values, [1.0, 1.0, 0.5, 0.5, 0.25]);
        // A step back starts over.
        assert_eq!(step_value(&mut schedule, &run.at(4)), 0.5);
    }

    #[test]
    fn a_restored_one_goes_on_as_if_nothing_had_happened() {
        let run = Horizon::epochs(5, 4);
        let mut first = halving();
        step_value(&mut first, &run.at(9));
        let mut second = halving();
        second.restore(&first.state()).unwrap();
        for update in 9..20 {
            let expected = 0.5_f64.powi((update / 4) as i32);
            assert_eq!(step_value(&mut second, &run.at(update)), expected);
        }
    }

    #[test]
    fn positions_between_whole_ones_are_refused() {
        let error = Iterated::new(1.0, Unit::Fraction, |_, value| value).unwrap_err();
        assert_eq!(
            error.to_string(),
            "iterated: `unit` must be updates or epochs, got Fraction"
        );
    }
}
