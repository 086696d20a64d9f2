//! A value that is multiplied by a function at every update.

use crate::check::Check;
use crate::{ScheduleError, Scheduler, State, StepContext};
use std::fmt;

/// A value that is multiplied by `function(t)` at every update `t >= 1`:
/// torch's `MultiplicativeLR`.
///
/// Constant work per step; updates that are skipped are made up for. The
/// function is not part of the state: give the same one when resuming.
///
/// ```
/// use firecraft_schedule::{Multiplicative, StepContext, step_value};
/// let mut halving = Multiplicative::new(1.0, |t| if t % 2 == 0 { 0.5 } else { 1.0 })?;
/// let values: Vec<f64> = (0..5).map(|t| step_value(&mut halving, &StepContext::at(t))).collect();
/// assert_eq!(values, [1.0, 1.0, 0.5, 0.5, 0.25]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone)]
pub struct Multiplicative<F> {
    start: f64,
    function: F,
    value: f64,
    update: u64,
}

impl<F: Fn(u64) -> f64 + Send> Multiplicative<F> {
    /// `start`, multiplied by `function` of each update.
    ///
    /// # Errors
    /// If `start` is not finite.
    pub fn new(start: f64, function: F) -> Result<Self, ScheduleError> {
        Check::of("multiplicative").finite("start", start)?;
        Ok(Self {
            start,
            function,
            value: start,
            update: 0,
        })
    }
}

impl<F: Fn(u64) -> f64 + Send> Scheduler for Multiplicative<F> {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        if context.update < self.update {
            (self.value, self.update) = (self.start, 0);
        }
        while self.update < context.update {
            self.update += 1;
            self.value *= (self.function)(self.update);
        }
        out.fill(self.value);
    }

    fn state(&self) -> State {
        State::new("multiplicative", 1)
            .with("value", self.value)
            .with_count("update", self.update)
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("multiplicative", 1)?;
        self.value = values.get("value")?;
        self.update = values.get("update")?;
        Ok(())
    }
}

impl<F> fmt::Debug for Multiplicative<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplicative")
            .field("value", &self.value)
            .field("update", &self.update)
            .finish_non_exhaustive()
    }
}
