//! A warm-up in front of anything.

use crate::check::Check;
use crate::config::{is_default, with_methods};
use crate::context::Origin;
use crate::math::reached;
use crate::{Curve, Horizon, Phase, ScheduleError, Scheduler, Slot, State, StepContext, Unit};
use serde::{Deserialize, Serialize};

/// How a warm-up and the schedule behind it share time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarmupMode {
    /// The schedule begins when the warm-up ends, where it is met: no jump.
    /// Metrics of evaluations during the warm-up don't reach it.
    #[default]
    Prefix,
    /// The schedule runs from the beginning and is hidden by a ramp to its
    /// first value; a schedule that has moved on meanwhile makes a jump.
    /// timm's `warmup_prefix=False`.
    Overlap,
    /// The schedule runs from the beginning and is multiplied by the ramp.
    Scale,
}

/// Configuration of [`Warmup`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmupConfig {
    /// Length of the warm-up, `>= 0`.
    pub length: f64,
    /// What the length counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unit: Unit,
    /// The first value; `start_factor` applies if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// The first value as a fraction of the target, finite; 0 by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start_factor: f64,
    /// The curve, run backwards; linear by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub curve: Curve,
    /// How warm-up and schedule share time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: WarmupMode,
}

with_methods!(WarmupConfig {
    with_unit: unit: Unit,
    with_start: start: Option<f64>,
    with_start_factor: start_factor: f64,
    with_curve: curve: Curve,
    with_mode: mode: WarmupMode,
});

impl WarmupConfig {
    /// A linear ramp from 0 over `length` updates.
    #[must_use]
    pub const fn new(length: f64) -> Self {
        Self {
            length,
            unit: Unit::Updates,
            start: None,
            start_factor: 0.0,
            curve: Curve::Linear,
            mode: WarmupMode::Prefix,
        }
    }

    /// The warm-up in front of `inner`.
    ///
    /// # Errors
    /// If a number is outside its range, or `inner` can't be reset.
    pub fn init<S: Scheduler>(&self, mut inner: S) -> Result<Warmup<S>, ScheduleError> {
        let check = Check::of("warmup");
        check.non_negative("length", self.length)?;
        check.finite("start_factor", self.start_factor)?;
        self.curve.check("warmup", "curve")?;
        if let Some(start) = self.start {
            check.finite("start", start)?;
            let scale = self.mode == WarmupMode::Scale;
            check.that(
                !scale,
                "start",
                "absent in mode `scale`; use `start_factor`",
                start,
            )?;
            let both = self.start_factor != 0.0;
            check.that(
                !both,
                "start_factor",
                "absent if `start` is given",
                self.start_factor,
            )?;
        }
        // The first values of the schedule are the target of the ramp.
        let fresh = inner.state();
        let mut target = vec![0.0; inner.width()];
        inner.step(&StepContext::at(0), &mut target);
        inner.restore(&fresh)?;
        Ok(Warmup {
            inner,
            config: self.clone(),
            target,
            origin: None,
        })
    }
}

/// A ramp from a low value to the first value of any scheduler, metric-driven
/// ones included.
///
/// With the position `t`, the length `w` and the target `v` the value is
/// `s + (v - s) rise(t / w)` for `t < w`; at `t = w` the scheduler takes over.
/// Goyal et al., [arXiv:1706.02677](https://arxiv.org/abs/1706.02677).
///
/// ```
/// use firecraft_schedule::{ReduceOnPlateauConfig, StepContext, WarmupConfig, step_value};
/// let plateau = ReduceOnPlateauConfig::new(0.4).with_patience(1u64).init()?;
/// let mut schedule = WarmupConfig::new(4.0).init(plateau)?;
/// let mut lr = |context| step_value(&mut schedule, &context);
/// assert_eq!([lr(StepContext::at(0)), lr(StepContext::at(3))], [0.0, 0.30000000000000004]);
/// assert_eq!(lr(StepContext::at(4).with_metric(1.0)), 0.4); // of the warm-up: not counted
/// assert_eq!(lr(StepContext::at(8).with_metric(1.0)), 0.4);
/// assert_eq!(lr(StepContext::at(12).with_metric(1.0)), 0.4 * 0.1);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Warmup<S> {
    inner: S,
    config: WarmupConfig,
    target: Vec<f64>,
    /// When the inner scheduler took over, in mode `Prefix`.
    origin: Option<Origin>,
}

impl<S> Warmup<S> {
    /// The scheduler behind the warm-up.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    #[inline]
    fn ramp(&self, p: f64, out: &mut [f64]) {
        let rise = self.config.curve.rise(p);
        for (nth, value) in out.iter_mut().enumerate() {
            let target = self.target[nth.min(self.target.len() - 1)];
            let start = self
                .config
                .start
                .unwrap_or(self.config.start_factor * target);
            *value = start + (target - start) * rise;
        }
    }
}

impl<S: Scheduler> Scheduler for Warmup<S> {
    #[inline]
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        let WarmupConfig { length, unit, .. } = self.config;
        let at = unit.position(context);
        let warming = !reached(at, length);
        match self.config.mode {
            WarmupMode::Prefix if warming => {
                self.origin = None;
                self.ramp(at / length, out);
            }
            WarmupMode::Prefix => {
                if let Some(origin) = self.origin {
                    self.inner.step(&context.since(origin, None), out);
                } else {
                    let origin = unit.origin(length, context);
                    self.origin = Some(origin);
                    let mut first = context.since(origin, None);
                    first.metric = None;
                    self.inner.step(&first, out);
                }
            }
            WarmupMode::Overlap => {
                self.inner.step(context, out);
                if warming {
                    self.ramp(at / length, out);
                }
            }
            WarmupMode::Scale => {
                self.inner.step(context, out);
                if warming {
                    let start = self.config.start_factor;
                    let rise = start + (1.0 - start) * self.config.curve.rise(at / length);
                    out.iter_mut().for_each(|value| *value *= rise);
                }
            }
        }
    }

    fn state(&self) -> State {
        let state = State::new("warmup", 1).with_inner("inner", self.inner.state());
        match self.origin {
            Some(origin) => state
                .with_count("origin_update", origin.update)
                .with_count("origin_epoch", origin.epoch),
            None => state,
        }
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("warmup", 1)?;
        let update: Option<u64> = values.get("origin_update")?;
        let epoch: Option<u64> = values.get("origin_epoch")?;
        self.origin = match (update, epoch) {
            (Some(update), Some(epoch)) => Some(Origin { update, epoch }),
            (None, None) => None,
            _ => return Err(values.damaged("half of the origin is missing")),
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
        let WarmupConfig { length, unit, .. } = self.config;
        unit.check("warmup", horizon)?;
        unit.check_warmup("warmup", "length", length, horizon)?;
        self.inner.check(horizon)
    }

    fn phases(&self, horizon: &Horizon) -> Vec<Phase> {
        let WarmupConfig { length, unit, .. } = self.config;
        let Some(end) = unit.to_updates(length, horizon) else {
            return self.inner.phases(horizon);
        };
        let shift = if self.config.mode == WarmupMode::Prefix {
            end
        } else {
            0.0
        };
        let inner = self.inner.phases(horizon).into_iter().map(|mut phase| {
            phase.start += shift;
            phase.end += shift;
            phase
        });
        std::iter::once(Phase::new("warm-up", 0.0, end))
            .chain(inner)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CosineConfig, Pure, step_value};

    fn cosine() -> Pure<crate::Cosine> {
        Pure::updates(CosineConfig::new(1.0, 10.0).init().unwrap())
    }

    fn values(config: &WarmupConfig, updates: [u64; 4]) -> [f64; 4] {
        let mut schedule = config.init(cosine()).unwrap();
        updates.map(|update| {
            let value = step_value(&mut schedule, &StepContext::at(update));
            (value * 1e9).round() / 1e9
        })
    }

    #[test]
    fn a_prefix_shifts_the_schedule() {
        let config = WarmupConfig::new(4.0).with_start_factor(0.2);
        assert_eq!(values(&config, [0, 2, 4, 9]), [0.2, 0.6, 1.0, 0.5]);
    }

    #[test]
    fn an_overlap_jumps_to_where_the_schedule_is() {
        let config = WarmupConfig::new(4.0)
            .with_start(0.2)
            .with_mode(WarmupMode::Overlap);
        let [first, ramp, after, half] = values(&config, [0, 2, 5, 10]);
        assert_eq!([first, ramp, after, half], [0.2, 0.6, 0.5, 0.0]);
    }

    #[test]
    fn a_scale_multiplies_the_schedule() {
        let config = WarmupConfig::new(10.0).with_mode(WarmupMode::Scale);
        assert_eq!(values(&config, [0, 5, 10, 12]), [0.0, 0.25, 0.0, 0.0]);
    }

    #[test]
    fn a_warm_up_of_no_length_is_the_schedule_itself() {
        let mut warm = WarmupConfig::new(0.0).init(cosine()).unwrap();
        let mut bare = cosine();
        for update in 0..12 {
            let context = StepContext::at(update);
            assert_eq!(
                step_value(&mut warm, &context),
                step_value(&mut bare, &context)
            );
        }
    }

    #[test]
    fn epochs_of_unknown_length_begin_where_they_are_seen() {
        let mut warm = WarmupConfig::new(2.0)
            .with_unit(Unit::Epochs)
            .init(cosine())
            .unwrap();
        let context = |update| StepContext::at(update).with_epoch(update / 7);
        let values: Vec<f64> = (0..20)
            .map(|u| step_value(&mut warm, &context(u)))
            .collect();
        assert_eq!(values[13], 0.5);
        assert_eq!(values[14], 1.0);
        assert!((values[19] - 0.5).abs() < 1e-12);
        // And a restored one remembers.
        let mut other = WarmupConfig::new(2.0)
            .with_unit(Unit::Epochs)
            .init(cosine())
            .unwrap();
        other.restore(&warm.state()).unwrap();
        assert_eq!(
            step_value(&mut other, &context(20)),
            step_value(&mut warm, &context(20))
        );
    }

    #[test]
    fn a_run_shorter_than_the_warm_up_is_refused() {
        let warm = WarmupConfig::new(100.0).init(cosine()).unwrap();
        assert!(warm.check(&Horizon::updates(101)).is_ok());
        assert_eq!(
            warm.check(&Horizon::updates(100)).unwrap_err().to_string(),
            "warmup: `length` must be shorter than the run of 100 updates, got 100"
        );
    }

    #[test]
    fn two_ways_to_say_the_start_exclude_each_other() {
        let config = WarmupConfig::new(4.0).with_start(0.1);
        assert!(
            config
                .clone()
                .with_mode(WarmupMode::Scale)
                .init(cosine())
                .is_err()
        );
        assert!(config.with_start_factor(0.5).init(cosine()).is_err());
    }
}
