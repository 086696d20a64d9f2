//! The same scheduler again and again.

use crate::check::Check;
use crate::config::{is_default, with_methods};
use crate::context::Origin;
use crate::math::whole;
use crate::{Horizon, Phase, ScheduleError, Scheduler, Slot, State, StepContext, Unit};
use serde::{Deserialize, Serialize};

/// Configuration of [`Repeat`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatConfig {
    /// Length of one round, `> 0`.
    pub length: f64,
    /// What the length counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unit: Unit,
    /// Number of rounds, `>= 1`; the last one runs on. Unlimited by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

with_methods!(RepeatConfig {
    with_unit: unit: Unit,
    with_times: times: Option<u64>,
});

impl RepeatConfig {
    /// Rounds of `length` updates, for ever.
    #[must_use]
    pub const fn new(length: f64) -> Self {
        Self {
            length,
            unit: Unit::Updates,
            times: None,
        }
    }

    /// The repetition of `inner`.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init<S: Scheduler>(&self, inner: S) -> Result<Repeat<S>, ScheduleError> {
        let check = Check::of("repeat");
        check.positive("length", self.length)?;
        check.at_least_one("times", self.times.unwrap_or(1))?;
        Ok(Repeat {
            fresh: inner.state(),
            inner,
            config: self.clone(),
            round: 0,
            origin: Origin::default(),
        })
    }
}

/// Starts a scheduler over, state and all, at the end of every round.
///
/// ```
/// use firecraft_schedule::*;
/// let down = Pure::updates(LinearConfig::new(1.0, 0.0, 2.0).init()?);
/// let mut saw = RepeatConfig::new(2.0).with_times(2u64).init(down)?;
/// let values: Vec<f64> = (0..6).map(|t| step_value(&mut saw, &StepContext::at(t))).collect();
/// assert_eq!(values, [1.0, 0.5, 1.0, 0.5, 0.0, 0.0]);
/// # Ok::<(), ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Repeat<S> {
    inner: S,
    fresh: State,
    config: RepeatConfig,
    round: u64,
    origin: Origin,
}

impl<S: Scheduler> Scheduler for Repeat<S> {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        let RepeatConfig {
            length,
            unit,
            times,
        } = self.config;
        let round = whole(unit.position(context) / length) as u64;
        let round = round.min(times.unwrap_or(u64::MAX) - 1);
        let mut own = *context;
        if round != self.round {
            // A state that was taken from this very scheduler fits it.
            let restored = self.inner.restore(&self.fresh);
            debug_assert!(restored.is_ok(), "{restored:?}");
            self.round = round;
            self.origin = unit.origin(round as f64 * length, context);
            own.metric = None;
        }
        let updates = unit.whole_updates(length, &context.horizon());
        self.inner.step(&own.since(self.origin, updates), out);
    }

    fn state(&self) -> State {
        State::new("repeat", 1)
            .with_count("round", self.round)
            .with_count("origin_update", self.origin.update)
            .with_count("origin_epoch", self.origin.epoch)
            .with_inner("inner", self.inner.state())
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("repeat", 1)?;
        self.round = values.get("round")?;
        self.origin = Origin {
            update: values.get("origin_update")?,
            epoch: values.get("origin_epoch")?,
        };
        self.inner.restore(&values.inner("inner")?)
    }

    fn width(&self) -> usize {
        self.inner.width()
    }

    fn slots(&self) -> Vec<Slot> {
        self.inner.slots()
    }

    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        let RepeatConfig { length, unit, .. } = self.config;
        unit.check("repeat", horizon)?;
        let round = unit.whole_updates(length, horizon);
        self.inner.check(&Horizon {
            total_updates: round.or(horizon.total_updates),
            ..*horizon
        })
    }

    fn phases(&self, horizon: &Horizon) -> Vec<Phase> {
        let RepeatConfig {
            length,
            unit,
            times,
        } = self.config;
        let Some(length) = unit.to_updates(length, horizon) else {
            return Vec::new();
        };
        let rounds = match horizon.total_updates {
            Some(total) => (total as f64 / length).ceil() as u64,
            None => 1,
        };
        (0..rounds.min(times.unwrap_or(u64::MAX)).min(12))
            .map(|n| {
                let start = n as f64 * length;
                Phase::new(format!("round {}", n + 1), start, start + length)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReduceOnPlateauConfig, step_value};

    #[test]
    fn a_new_round_forgets_the_metrics_of_the_old_one() {
        let plateau = ReduceOnPlateauConfig::new(1.0)
            .with_patience(1u64)
            .init()
            .unwrap();
        let mut repeat = RepeatConfig::new(4.0).init(plateau).unwrap();
        let values: Vec<f64> = (0..8)
            .map(|t| step_value(&mut repeat, &StepContext::at(t).with_metric(1.0)))
            .collect();
        let tenths = [1.0, 0.1, 0.1 * 0.1, 0.1 * 0.1 * 0.1];
        assert_eq!(values[..4], tenths);
        // The metric on the first step of a round was measured in the last one.
        assert_eq!(values[4..], [1.0, 1.0, 0.1, 0.1 * 0.1]);
    }

    #[test]
    fn rounds_begin_on_time_though_fractions_are_not_exact() {
        let ramp = crate::LinearConfig::new(0.0, 1.0, 10.0).init().unwrap();
        let config = RepeatConfig::new(0.1).with_unit(Unit::Fraction);
        let mut repeat = config.init(crate::Pure::updates(ramp)).unwrap();
        let run = Horizon::updates(100);
        for update in 0..100 {
            let expected = (update % 10) as f64 / 10.0;
            let value = step_value(&mut repeat, &run.at(update));
            assert!((value - expected).abs() < 1e-12, "{update}: {value}");
        }
    }

    #[test]
    fn rounds_must_have_a_length_and_a_number() {
        let plateau = || ReduceOnPlateauConfig::new(1.0).init().unwrap();
        assert!(RepeatConfig::new(0.0).init(plateau()).is_err());
        assert!(
            RepeatConfig::new(1.0)
                .with_times(0u64)
                .init(plateau())
                .is_err()
        );
    }
}
