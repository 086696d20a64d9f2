//! Reduce a value when a metric has stopped improving.

use super::monitor::{Margin, Mode, Monitor, MonitorConfig, NanPolicy, Observation};
use crate::check::Check;
use crate::config::{is_default, with_methods};
use crate::{Horizon, ScheduleError, Scheduler, State, StepContext};
use serde::{Deserialize, Serialize};

/// When exactly a plateau is called, in which the peers differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlateauRule {
    /// After `patience` evaluations without improvement. The evaluation that
    /// ends a cooldown counts. At the minimum the count goes on.
    #[default]
    Keras,
    /// After `patience + 1`. The evaluation that ends a cooldown does not
    /// count. Also timm's.
    Torch,
    /// After `patience`. The evaluation that ends a cooldown does not count.
    /// Also fastai's, which has no cooldown.
    Optax,
}

/// Configuration of [`ReduceOnPlateau`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReduceOnPlateauConfig {
    /// The value to begin with. Finite.
    pub value: f64,
    /// What a reduction multiplies by, in `(0, 1)`; 0.1 by default.
    #[serde(default = "tenth")]
    pub factor: f64,
    /// Evaluations without improvement that make a plateau; 10 by default.
    #[serde(default = "ten")]
    pub patience: u64,
    /// Evaluations after a reduction during which none counts; 0 by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cooldown: u64,
    /// The value never falls below, `>= 0`; 0 by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min: f64,
    /// Which way the metric gets better.
    #[serde(default)]
    pub mode: Mode,
    /// An improvement is greater than this, `>= 0`; 1e-4 by default.
    #[serde(default = "default_min_delta")]
    pub min_delta: f64,
    /// And than this fraction of the best value, in `[0, 1]`; 0 by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub relative_delta: f64,
    /// How the two are measured.
    #[serde(default, skip_serializing_if = "is_default")]
    pub margin: Margin,
    /// What to make of NaN.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nan: NanPolicy,
    /// A reduction by no more than this is not made, `>= 0`; 0 by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub eps: f64,
    /// Metrics averaged to one before it is compared, `>= 1`; 1 by default.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: u64,
    /// When exactly a plateau is called.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rule: PlateauRule,
}

const fn tenth() -> f64 {
    0.1
}
const fn ten() -> u64 {
    10
}
const fn default_min_delta() -> f64 {
    1e-4
}
const fn one() -> u64 {
    1
}
const fn is_one(n: &u64) -> bool {
    *n == 1
}

with_methods!(ReduceOnPlateauConfig {
    with_factor: factor: f64,
    with_patience: patience: u64,
    with_cooldown: cooldown: u64,
    with_min: min: f64,
    with_mode: mode: Mode,
    with_min_delta: min_delta: f64,
    with_relative_delta: relative_delta: f64,
    with_margin: margin: Margin,
    with_nan: nan: NanPolicy,
    with_eps: eps: f64,
    with_accumulate: accumulate: u64,
    with_rule: rule: PlateauRule,
});

impl ReduceOnPlateauConfig {
    /// Keras' defaults.
    #[must_use]
    pub const fn new(value: f64) -> Self {
        Self {
            value,
            factor: tenth(),
            patience: ten(),
            cooldown: 0,
            min: 0.0,
            mode: Mode::Min,
            min_delta: default_min_delta(),
            relative_delta: 0.0,
            margin: Margin::Magnitude,
            nan: NanPolicy::Worse,
            eps: 0.0,
            accumulate: 1,
            rule: PlateauRule::Keras,
        }
    }

    /// Keras' `ReduceLROnPlateau`: the same as [`ReduceOnPlateauConfig::new`].
    #[must_use]
    pub const fn keras(value: f64) -> Self {
        Self::new(value)
    }

    /// torch's `ReduceLROnPlateau`: relative threshold of 1e-4, one evaluation
    /// more patient, changes up to 1e-8 not made.
    #[must_use]
    pub const fn torch(value: f64) -> Self {
        Self {
            min_delta: 0.0,
            relative_delta: 1e-4,
            margin: Margin::Signed,
            eps: 1e-8,
            rule: PlateauRule::Torch,
            ..Self::new(value)
        }
    }

    /// timm's `PlateauLRScheduler`: torch's rule, for a metric to maximise.
    #[must_use]
    pub const fn timm(value: f64) -> Self {
        Self {
            mode: Mode::Max,
            ..Self::torch(value)
        }
    }

    /// optax's `reduce_on_plateau`, a scale of updates that begins at 1.
    #[must_use]
    pub const fn optax() -> Self {
        Self {
            min_delta: 0.0,
            relative_delta: 1e-4,
            margin: Margin::Signed,
            rule: PlateauRule::Optax,
            ..Self::new(1.0)
        }
    }

    /// fastai's `ReduceLROnPlateau`: patience 1, no margin.
    #[must_use]
    pub const fn fastai(value: f64) -> Self {
        Self {
            patience: 1,
            min_delta: 0.0,
            rule: PlateauRule::Optax,
            ..Self::new(value)
        }
    }

    /// The scheduler.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<ReduceOnPlateau, ScheduleError> {
        let name = "reduce_on_plateau";
        let check = Check::of(name);
        check.finite("value", self.value)?;
        check.open_fraction("factor", self.factor)?;
        check.non_negative("min", self.min)?;
        check.non_negative("eps", self.eps)?;
        check.at_least_one("accumulate", self.accumulate)?;
        let monitor = MonitorConfig {
            mode: self.mode,
            min_delta: self.min_delta,
            relative_delta: self.relative_delta,
            margin: self.margin,
            nan: self.nan,
            cooldown: self.cooldown,
        };
        Ok(ReduceOnPlateau {
            monitor: monitor.init(name)?,
            value: self.value,
            bad: 0,
            pending: 0,
            mean: 0.0,
            config: self.clone(),
        })
    }
}

/// Multiplies a value by a factor whenever a metric has stopped improving.
///
/// It acts on the steps that carry a metric and is constant in between. Used
/// alone it is the learning rate; multiplied onto another schedule (`value` 1,
/// `Product`) it lowers that one; behind a
/// [`Warmup`](crate::Warmup) it starts counting when the warm-up is over.
///
/// ```
/// use firecraft_schedule::{ReduceOnPlateauConfig, StepContext, step_value};
/// let mut plateau = ReduceOnPlateauConfig::new(0.1).with_patience(2u64).init()?;
/// let mut lr = |loss| step_value(&mut plateau, &StepContext::at(0).with_metric(loss));
/// assert_eq!([lr(1.0), lr(1.0), lr(1.0)], [0.1, 0.1, 0.1 * 0.1]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReduceOnPlateau {
    config: ReduceOnPlateauConfig,
    monitor: Monitor,
    value: f64,
    bad: u64,
    pending: u64,
    mean: f64,
}

impl ReduceOnPlateau {
    /// The value in force.
    #[must_use]
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// The best metric so far.
    #[must_use]
    pub const fn best(&self) -> f64 {
        self.monitor.best()
    }

    /// Evaluations without improvement since the last one with, the last
    /// reduction or the end of the cooldown.
    #[must_use]
    pub const fn bad_evaluations(&self) -> u64 {
        self.bad
    }

    /// Takes one evaluation into account.
    pub fn observe(&mut self, metric: f64) {
        if self.config.accumulate > 1 && !(metric.is_nan() && self.config.nan == NanPolicy::Ignore)
        {
            let count = self.pending as f64;
            self.mean = (count * self.mean + metric) / (count + 1.0);
            self.pending += 1;
            if self.pending < self.config.accumulate {
                return;
            }
            let mean = std::mem::take(&mut self.mean);
            self.pending = 0;
            self.decide(mean);
        } else {
            self.decide(metric);
        }
    }

    fn decide(&mut self, metric: f64) {
        let improved = match self.monitor.observe(metric) {
            Observation::Ignored => return,
            Observation::Improved => true,
            Observation::NoImprovement => false,
        };
        let patience = self.config.patience;
        match self.config.rule {
            PlateauRule::Keras => {
                if self.monitor.tick() || improved {
                    self.bad = 0;
                }
                if !improved && self.monitor.cooldown() == 0 {
                    self.bad += 1;
                    if self.bad >= patience && self.value > self.config.min {
                        self.reduce();
                    }
                }
            }
            PlateauRule::Torch | PlateauRule::Optax => {
                self.bad = if improved { 0 } else { self.bad + 1 };
                if self.monitor.tick() {
                    self.bad = 0;
                    return;
                }
                let fires = match self.config.rule {
                    PlateauRule::Torch => self.bad > patience,
                    _ => !improved && self.bad >= patience,
                };
                if fires {
                    self.reduce();
                }
            }
        }
    }

    fn reduce(&mut self) {
        let reduced = (self.value * self.config.factor).max(self.config.min);
        // Never upwards, should the value have begun below the minimum.
        if self.value - reduced > self.config.eps {
            self.value = reduced;
        }
        self.monitor.cool_down();
        self.bad = 0;
    }
}

impl Scheduler for ReduceOnPlateau {
    #[inline]
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        if let Some(metric) = context.metric {
            self.observe(metric);
        }
        out.fill(self.value);
    }

    fn state(&self) -> State {
        State::new("reduce_on_plateau", 1)
            .with("value", self.value)
            .with("best", self.monitor.best())
            .with_count("bad", self.bad)
            .with_count("cooldown", self.monitor.cooldown())
            .with_count("pending", self.pending)
            .with("mean", self.mean)
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("reduce_on_plateau", 1)?;
        self.value = values.get("value")?;
        self.monitor.set_best(values.get("best")?);
        self.bad = values.get("bad")?;
        self.monitor.set_cooldown(values.get("cooldown")?);
        self.pending = values.get("pending")?;
        self.mean = values.get("mean")?;
        Ok(())
    }

    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        if horizon.has_metric {
            return Ok(());
        }
        Err(ScheduleError::Missing {
            schedule: "reduce_on_plateau",
            needs: "a metric",
            remedy: "give the run a validation set, or use a closed-form schedule",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step_value;

    fn values(config: &ReduceOnPlateauConfig, metrics: &[f64]) -> Vec<f64> {
        let mut plateau = config.init().unwrap();
        let mut step = |&metric| step_value(&mut plateau, &StepContext::at(0).with_metric(metric));
        metrics.iter().map(&mut step).collect()
    }

    #[test]
    fn the_rules_differ_by_one_evaluation() {
        let keras = ReduceOnPlateauConfig::keras(1.0).with_patience(2u64);
        assert_eq!(values(&keras, &[1.0; 4]), [1.0, 1.0, 0.1, 0.1]);
        let torch = ReduceOnPlateauConfig::torch(1.0).with_patience(2u64);
        assert_eq!(values(&torch, &[1.0; 4]), [1.0, 1.0, 1.0, 0.1]);
    }

    #[test]
    fn the_end_of_a_cooldown_counts_for_keras_only() {
        let with = |config: ReduceOnPlateauConfig, patience: u64| {
            let config = config
                .with_factor(0.5)
                .with_patience(patience)
                .with_cooldown(2u64);
            values(&config, &[1.0; 8])
        };
        let keras = with(ReduceOnPlateauConfig::keras(1.0), 1);
        assert_eq!(keras, [1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625]);
        let optax = with(ReduceOnPlateauConfig::optax(), 1);
        assert_eq!(optax, [1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]);
    }

    #[test]
    fn steps_without_a_metric_change_nothing() {
        let mut plateau = ReduceOnPlateauConfig::new(1.0)
            .with_patience(1u64)
            .init()
            .unwrap();
        let mut step = |context| step_value(&mut plateau, &context);
        step(StepContext::at(0).with_metric(1.0));
        for update in 1..50 {
            assert_eq!(step(StepContext::at(update)), 1.0);
        }
        assert_eq!(step(StepContext::at(50).with_metric(1.0)), 0.1);
    }

    #[test]
    fn the_minimum_is_a_floor() {
        let config = ReduceOnPlateauConfig::new(1.0)
            .with_patience(1u64)
            .with_factor(0.3)
            .with_min(0.2);
        assert_eq!(values(&config, &[1.0; 4]), [1.0, 0.3, 0.2, 0.2]);
    }

    #[test]
    fn a_value_below_the_minimum_is_not_raised_to_it() {
        for rule in [PlateauRule::Keras, PlateauRule::Torch, PlateauRule::Optax] {
            let config = ReduceOnPlateauConfig::new(0.1)
                .with_patience(1u64)
                .with_min(0.2)
                .with_rule(rule);
            assert_eq!(values(&config, &[1.0; 5]), [0.1; 5]);
        }
    }

    #[test]
    fn metrics_are_averaged_before_they_are_compared() {
        let config = ReduceOnPlateauConfig::new(1.0)
            .with_patience(1u64)
            .with_accumulate(2u64);
        // Means 1.0, 1.0: the second is no improvement.
        assert_eq!(values(&config, &[0.5, 1.5, 0.0, 2.0]), [1.0, 1.0, 1.0, 0.1]);
    }

    #[test]
    fn a_restored_plateau_goes_on_as_if_nothing_had_happened() {
        let metrics = [1.0, 0.9, 0.95, 0.93, 0.93, 0.93, 0.93, 0.5, 0.6, 0.6, 0.6];
        let config = ReduceOnPlateauConfig::new(0.3)
            .with_patience(2u64)
            .with_factor(0.3)
            .with_cooldown(1u64);
        let whole = values(&config, &metrics);
        for split in 0..metrics.len() {
            let mut first = config.init().unwrap();
            metrics[..split].iter().for_each(|&m| first.observe(m));
            let mut second = config.init().unwrap();
            second.restore(&first.state()).unwrap();
            let rest: Vec<f64> = metrics[split..]
                .iter()
                .map(|&m| {
                    second.observe(m);
                    second.value()
                })
                .collect();
            assert_eq!(rest, whole[split..]);
        }
    }

    #[test]
    fn a_factor_of_one_or_more_is_refused() {
        let error = ReduceOnPlateauConfig::new(1.0)
            .with_factor(1.5)
            .init()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "reduce_on_plateau: `factor` must be in (0, 1), got 1.5"
        );
    }

    #[test]
    fn a_run_without_a_metric_is_refused() {
        let plateau = ReduceOnPlateauConfig::new(1.0).init().unwrap();
        assert!(plateau.check(&Horizon::epochs(3, 10)).is_ok());
        let error = plateau.check(&Horizon::updates(30)).unwrap_err();
        assert!(error.to_string().contains("needs a metric"), "{error}");
    }
}
