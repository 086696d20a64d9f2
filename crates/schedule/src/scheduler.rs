//! The two traits everything here implements.

use crate::{Horizon, ScheduleError, Slot, State, StepContext};

/// A closed form: a value as a function of a position.
///
/// The unit of the position (updates, epochs, a fraction of the run) is not
/// the schedule's business; [`Pure`](crate::Pure) converts.
///
/// ```
/// use firecraft_schedule::{CosineConfig, Schedule};
/// let cosine = CosineConfig::new(0.1, 100.0).init()?;
/// assert_eq!(cosine.value(0.0), 0.1);
/// assert!((cosine.value(50.0) - 0.05).abs() < 1e-12);
/// assert_eq!(cosine.value(100.0), 0.0);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
pub trait Schedule: Send {
    /// The value at position `at >= 0`.
    fn value(&self, at: f64) -> f64;

    /// The `type` name, which also marks saved states.
    fn name(&self) -> &'static str {
        "custom"
    }

    /// Named stretches of the curve for previews, as position ranges.
    fn phases(&self) -> Vec<Phase> {
        Vec::new()
    }

    /// The parameter that sets the length of a warm-up of its own, and that
    /// length: a run that is not longer is refused.
    fn warmup(&self) -> Option<(&'static str, f64)> {
        None
    }
}

impl<S: Schedule + ?Sized> Schedule for Box<S> {
    fn value(&self, at: f64) -> f64 {
        (**self).value(at)
    }
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn phases(&self) -> Vec<Phase> {
        (**self).phases()
    }
    fn warmup(&self) -> Option<(&'static str, f64)> {
        (**self).warmup()
    }
}

/// A named stretch of a schedule, `start <= position < end`.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// What happens there: `"warm-up"`, `"decay"`, …
    pub name: String,
    /// First position.
    pub start: f64,
    /// Position after the last.
    pub end: f64,
    /// Whose phase it is; `None` for all slots of the scheduler.
    pub slot: Option<Slot>,
}

impl Phase {
    /// A phase from `start` to `end`, of all slots.
    #[must_use]
    pub fn new(name: impl Into<String>, start: f64, end: f64) -> Self {
        Self {
            name: name.into(),
            start,
            end,
            slot: None,
        }
    }
}

/// Anything that sets hyper-parameters before each update: closed forms,
/// metric-driven rules, and every combination of the two.
///
/// `step` is called once before each update, in order. It fills the values in
/// force for that update. A scheduler of [width](Scheduler::width) 1 fills
/// every element of `out` with its one value; others fill their first `width`
/// elements. `step` never allocates and never fails; what could go wrong is
/// found by [`Scheduler::check`] before the run.
pub trait Scheduler: Send {
    /// Fills `out` with the values in force for the update of `context`.
    fn step(&mut self, context: &StepContext, out: &mut [f64]);

    /// What has to be remembered to go on from here.
    fn state(&self) -> State;

    /// Goes on from a saved state: every later step gives the same bits as if
    /// there had been no interruption.
    ///
    /// # Errors
    /// [`ScheduleError`] if the state is of another type or version, or
    /// damaged. The scheduler is then not to be used further.
    fn restore(&mut self, state: &State) -> Result<(), ScheduleError>;

    /// The number of values per step.
    fn width(&self) -> usize {
        1
    }

    /// What each value is for; `width` entries.
    fn slots(&self) -> Vec<Slot> {
        vec![Slot::default(); self.width()]
    }

    /// Whether this schedule fits the run: what it needs is there, and its
    /// lengths don't exceed the run's.
    ///
    /// # Errors
    /// [`ScheduleError::Missing`] or [`ScheduleError::Parameter`].
    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        let _ = horizon;
        Ok(())
    }

    /// Named stretches of the run in updates, for previews.
    fn phases(&self, horizon: &Horizon) -> Vec<Phase> {
        let _ = horizon;
        Vec::new()
    }
}

impl<S: Scheduler + ?Sized> Scheduler for Box<S> {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        (**self).step(context, out);
    }
    fn state(&self) -> State {
        (**self).state()
    }
    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        (**self).restore(state)
    }
    fn width(&self) -> usize {
        (**self).width()
    }
    fn slots(&self) -> Vec<Slot> {
        (**self).slots()
    }
    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        (**self).check(horizon)
    }
    fn phases(&self, horizon: &Horizon) -> Vec<Phase> {
        (**self).phases(horizon)
    }
}

/// A scheduler of any type.
pub type BoxScheduler = Box<dyn Scheduler>;

/// The value of a scheduler of width 1 for one update.
///
/// ```
/// use firecraft_schedule::{ConstantConfig, Pure, StepContext, step_value};
/// let mut constant = Pure::updates(ConstantConfig::new(0.3).init()?);
/// assert_eq!(step_value(&mut constant, &StepContext::at(0)), 0.3);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
pub fn step_value<S: Scheduler + ?Sized>(scheduler: &mut S, context: &StepContext) -> f64 {
    let mut out = [f64::NAN];
    scheduler.step(context, &mut out);
    out[0]
}
