//! One scheduler with several owners.

use crate::{Horizon, Phase, ScheduleError, Scheduler, Slot, State, StepContext};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle on a scheduler that others hold too: one of them feeds it metrics,
/// another steps it.
///
/// ```
/// use firecraft_schedule::*;
/// let shared = Shared::new(ReduceOnPlateauConfig::new(0.1).with_patience(1u64).init()?);
/// let mut stepped = shared.clone();
/// shared.offer_metric(1.0);
/// step_value(&mut stepped, &StepContext::at(10));
/// shared.offer_metric(1.0);
/// assert_eq!(step_value(&mut stepped, &StepContext::at(20)), 0.1 * 0.1);
/// # Ok::<(), ScheduleError>(())
/// ```
#[derive(Debug)]
pub struct Shared<S> {
    inner: Arc<Mutex<Inner<S>>>,
}

#[derive(Debug)]
struct Inner<S> {
    scheduler: S,
    metric: Option<f64>,
}

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S> Shared<S> {
    /// A first handle on `scheduler`.
    #[must_use]
    pub fn new(scheduler: S) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                scheduler,
                metric: None,
            })),
        }
    }

    /// Gives the next step this metric, unless the step has one itself.
    pub fn offer_metric(&self, metric: f64) {
        self.lock().metric = Some(metric);
    }

    /// Looks at the scheduler.
    pub fn with<T>(&self, look: impl FnOnce(&S) -> T) -> T {
        look(&self.lock().scheduler)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        // A panic elsewhere leaves numbers, not broken invariants.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Scheduler> Scheduler for Shared<S> {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        let mut inner = self.lock();
        let mut context = *context;
        context.metric = context.metric.or(inner.metric.take());
        inner.scheduler.step(&context, out);
    }

    fn state(&self) -> State {
        let inner = self.lock();
        let state = State::new("shared", 1).with_inner("inner", inner.scheduler.state());
        match inner.metric {
            Some(metric) => state.with("metric", metric),
            None => state,
        }
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("shared", 1)?;
        let mut inner = self.lock();
        inner.metric = values.get("metric")?;
        inner.scheduler.restore(&values.inner("inner")?)
    }

    fn width(&self) -> usize {
        self.lock().scheduler.width()
    }

    fn slots(&self) -> Vec<Slot> {
        self.lock().scheduler.slots()
    }

    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        // Whoever shares a scheduler feeds it.
        self.lock().scheduler.check(&Horizon {
            has_metric: true,
            ..*horizon
        })
    }

    fn phases(&self, horizon: &Horizon) -> Vec<Phase> {
        self.lock().scheduler.phases(horizon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReduceOnPlateauConfig, step_value};

    #[test]
    fn a_metric_that_was_offered_but_not_yet_seen_survives_a_restore() {
        let plateau = || {
            let config = ReduceOnPlateauConfig::new(1.0).with_patience(1u64);
            Shared::new(config.init().unwrap())
        };
        let first = plateau();
        first.offer_metric(0.5);
        let mut second = plateau();
        second.restore(&first.state()).unwrap();
        step_value(&mut second, &StepContext::at(0));
        assert_eq!(second.with(|plateau| plateau.best()), 0.5);
    }
}
