//! The one place that decides whether a metric has improved.

use crate::ScheduleError;
use crate::check::Check;
use crate::config::with_methods;
use serde::{Deserialize, Serialize};

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Lower is better: losses, error rates.
    #[default]
    Min,
    /// Higher is better: accuracies.
    Max,
}

impl Mode {
    /// The mode that the name of a metric suggests: `Min` for losses, errors
    /// and perplexities, `Max` for everything else.
    ///
    /// ```
    /// use firecraft_schedule::Mode;
    /// assert_eq!(Mode::of_metric("val_loss"), Mode::Min);
    /// assert_eq!(Mode::of_metric("top-5 accuracy"), Mode::Max);
    /// ```
    #[must_use]
    pub fn of_metric(name: &str) -> Self {
        let name = name.to_lowercase();
        let falling = ["loss", "err", "perplexity", "ppl", "mae", "mse", "rmse"];
        if falling.iter().any(|word| name.contains(word)) {
            Self::Min
        } else {
            Self::Max
        }
    }

    /// The worst value there is.
    #[must_use]
    pub const fn worst(self) -> f64 {
        match self {
            Self::Min => f64::INFINITY,
            Self::Max => f64::NEG_INFINITY,
        }
    }
}

/// How the margin of an improvement is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Margin {
    /// `min_delta + relative_delta |best|`: the margin always asks for more,
    /// whatever the sign of the metric.
    #[default]
    Magnitude,
    /// `best (1 - relative_delta) - min_delta`, as torch and optax have it. For
    /// metrics below 0 the relative part works the wrong way round: a slightly
    /// worse value counts as an improvement.
    Signed,
}

/// What to make of a metric that is not a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NanPolicy {
    /// It counts as no improvement.
    #[default]
    Worse,
    /// The evaluation is passed over: no counter moves.
    Ignore,
}

/// Configuration of a [`Monitor`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorConfig {
    /// Which way the metric gets better.
    pub mode: Mode,
    /// An improvement is greater than this, `>= 0`.
    pub min_delta: f64,
    /// And than this fraction of the best value, in `[0, 1]`.
    pub relative_delta: f64,
    /// How the two are measured.
    pub margin: Margin,
    /// What to make of NaN.
    pub nan: NanPolicy,
    /// Evaluations that a cooldown passes over; 0 by default.
    pub cooldown: u64,
}

with_methods!(MonitorConfig {
    with_min_delta: min_delta: f64,
    with_relative_delta: relative_delta: f64,
    with_margin: margin: Margin,
    with_nan: nan: NanPolicy,
    with_cooldown: cooldown: u64,
});

impl MonitorConfig {
    /// Any improvement counts.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            ..Self::default()
        }
    }

    /// The monitor.
    ///
    /// # Errors
    /// If a margin is outside its range; `owner` is the name in the message.
    pub fn init(&self, owner: &'static str) -> Result<Monitor, ScheduleError> {
        let check = Check::of(owner);
        check.non_negative("min_delta", self.min_delta)?;
        check.fraction("relative_delta", self.relative_delta)?;
        Ok(Monitor {
            config: self.clone(),
            best: self.mode.worst(),
            cooldown: 0,
        })
    }
}

/// What a [`Monitor`] makes of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// Better than the best by more than the margin; it is the new best.
    Improved,
    /// Not better, or not by enough.
    NoImprovement,
    /// Not a number, and to be passed over.
    Ignored,
}

/// Keeps the best value of a metric, and counts a cooldown down: a stretch of
/// evaluations after a change, in which a lack of improvement says nothing. The
/// best value is kept in a cooldown too.
///
/// ```
/// use firecraft_schedule::{Mode, MonitorConfig, Observation};
/// let mut monitor = MonitorConfig::new(Mode::Max).with_min_delta(0.01).init("example")?;
/// assert_eq!(monitor.observe(0.5), Observation::Improved);
/// assert_eq!(monitor.observe(0.505), Observation::NoImprovement);
/// assert_eq!(monitor.observe(0.52), Observation::Improved);
/// assert_eq!(monitor.best(), 0.52);
///
/// let mut monitor = MonitorConfig::new(Mode::Max).with_cooldown(2u64).init("example")?;
/// monitor.cool_down();
/// let passed_over: Vec<bool> = (0..4).map(|_| monitor.tick()).collect();
/// assert_eq!(passed_over, [true, true, false, false]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Monitor {
    config: MonitorConfig,
    best: f64,
    cooldown: u64,
}

impl Monitor {
    /// Compares a metric with the best one and keeps the better.
    pub fn observe(&mut self, metric: f64) -> Observation {
        if metric.is_nan() && self.config.nan == NanPolicy::Ignore {
            return Observation::Ignored;
        }
        if self.is_improvement(metric, self.best) {
            self.best = metric;
            Observation::Improved
        } else {
            Observation::NoImprovement
        }
    }

    /// Whether `metric` is better than `reference` by more than the margin.
    /// NaN never is.
    #[must_use]
    pub fn is_improvement(&self, metric: f64, reference: f64) -> bool {
        let MonitorConfig {
            mode,
            min_delta,
            relative_delta,
            margin,
            ..
        } = self.config;
        if reference.is_infinite() {
            // A margin of infinity would be no number.
            return match mode {
                Mode::Min => metric < reference,
                Mode::Max => metric > reference,
            };
        }
        // Each form adds in the order of its peer, so that ties fall alike.
        match (mode, margin) {
            (Mode::Min, Margin::Magnitude) => {
                metric + min_delta < reference - relative_delta * reference.abs()
            }
            (Mode::Max, Margin::Magnitude) => {
                metric - min_delta > reference + relative_delta * reference.abs()
            }
            (Mode::Min, Margin::Signed) => metric < reference * (1.0 - relative_delta) - min_delta,
            (Mode::Max, Margin::Signed) => metric > reference * (1.0 + relative_delta) + min_delta,
        }
    }

    /// The best value so far; the worst there is before the first.
    #[must_use]
    pub const fn best(&self) -> f64 {
        self.best
    }

    /// Which way the metric gets better.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.config.mode
    }

    /// Puts a best value back, as when resuming.
    pub const fn set_best(&mut self, best: f64) {
        self.best = best;
    }

    /// Begins a cooldown, or begins it anew.
    pub const fn cool_down(&mut self) {
        self.cooldown = self.config.cooldown;
    }

    /// Takes an evaluation off the cooldown; whether there was one to take it
    /// off.
    pub const fn tick(&mut self) -> bool {
        let cooling = self.cooldown > 0;
        self.cooldown = self.cooldown.saturating_sub(1);
        cooling
    }

    /// Evaluations that the cooldown still passes over.
    #[must_use]
    pub const fn cooldown(&self) -> u64 {
        self.cooldown
    }

    /// Puts a cooldown back, as when resuming.
    pub const fn set_cooldown(&mut self, evaluations: u64) {
        self.cooldown = evaluations;
    }

    /// Forgets the best value and the cooldown.
    pub const fn reset(&mut self) {
        self.best = self.config.mode.worst();
        self.cooldown = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(config: MonitorConfig) -> Monitor {
        config.init("test").unwrap()
    }

    #[test]
    fn a_relative_margin_asks_for_more_for_negative_metrics_too() {
        let relative = MonitorConfig::new(Mode::Min).with_relative_delta(0.1);
        let mut ours = monitor(relative.clone());
        let mut torch = monitor(relative.with_margin(Margin::Signed));
        ours.set_best(-1.0);
        torch.set_best(-1.0);
        assert_eq!(ours.observe(-1.05), Observation::NoImprovement);
        assert_eq!(ours.observe(-1.2), Observation::Improved);
        // The peers' rule takes a worse value for a better one.
        assert_eq!(torch.observe(-0.95), Observation::Improved);
    }

    #[test]
    fn nan_is_worse_or_ignored_but_never_the_best() {
        let mut strict = monitor(MonitorConfig::new(Mode::Min));
        assert_eq!(strict.observe(f64::NAN), Observation::NoImprovement);
        let mut lenient = monitor(MonitorConfig::new(Mode::Min).with_nan(NanPolicy::Ignore));
        assert_eq!(lenient.observe(f64::NAN), Observation::Ignored);
        assert_eq!(lenient.best(), f64::INFINITY);
    }

    #[test]
    fn infinite_metrics_do_no_harm() {
        let mut monitor = monitor(MonitorConfig::new(Mode::Min).with_relative_delta(0.5));
        assert_eq!(monitor.observe(f64::INFINITY), Observation::NoImprovement);
        assert_eq!(monitor.observe(3.0), Observation::Improved);
        assert_eq!(monitor.observe(f64::NEG_INFINITY), Observation::Improved);
        assert_eq!(monitor.observe(-1e300), Observation::NoImprovement);
    }

    #[test]
    fn margins_are_checked() {
        let negative = MonitorConfig::new(Mode::Min).with_min_delta(-1.0);
        assert_eq!(
            negative.init("reduce_on_plateau").unwrap_err().to_string(),
            "reduce_on_plateau: `min_delta` must be >= 0 and finite, got -1"
        );
        let nan = MonitorConfig::new(Mode::Min).with_relative_delta(f64::NAN);
        assert!(nan.init("x").is_err());
    }
}
