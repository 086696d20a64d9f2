//! Raise a value while a metric improves, lower it when it does not.

use super::monitor::{Margin, Mode, Monitor, MonitorConfig, NanPolicy, Observation};
use super::smoothing::Window;
use crate::check::Check;
use crate::config::{is_default, with_methods};
use crate::{Horizon, ScheduleError, Scheduler, State, StepContext};
use serde::{Deserialize, Serialize};

/// Configuration of [`Greedy`]; defaults are those of transformers' `GreedyLR`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GreedyConfig {
    /// The value to begin with. Finite.
    pub value: f64,
    /// What the value is multiplied by on the way down and divided by on the
    /// way up, in `(0, 1)`; 0.95 by default.
    #[serde(default = "default_factor")]
    pub factor: f64,
    /// The value changes after more than this many evaluations in a row with,
    /// or without, improvement; 10 by default.
    #[serde(default = "default_patience")]
    pub patience: u64,
    /// Which way the metric gets better.
    #[serde(default)]
    pub mode: Mode,
    /// An improvement is greater than this, `>= 0`; 1e-6 by default.
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
    /// Evaluations after a reduction during which none counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cooldown: u64,
    /// Evaluations after a rise during which none counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub warmup: u64,
    /// The value never falls below, `>= 0`; 0.001 by default.
    #[serde(default = "default_min")]
    pub min: f64,
    /// The value never rises above, `>= min`; 1 by default.
    #[serde(default = "default_max")]
    pub max: f64,
    /// A change by no more than this is not made, `>= 0`; 1e-8 by default.
    #[serde(default = "default_eps")]
    pub eps: f64,
    /// The metric is averaged over this many evaluations, in `1 ..= 2^20`; 1 by
    /// default.
    #[serde(default = "default_window")]
    pub window: u64,
    /// After this many reductions at the minimum everything starts over,
    /// `>= 1`; 500 by default.
    #[serde(default = "default_reset_after")]
    pub reset_after: u64,
}

const fn default_factor() -> f64 {
    0.95
}
const fn default_patience() -> u64 {
    10
}
const fn default_min_delta() -> f64 {
    1e-6
}
const fn default_min() -> f64 {
    1e-3
}
const fn default_max() -> f64 {
    1.0
}
const fn default_eps() -> f64 {
    1e-8
}
const fn default_window() -> u64 {
    1
}
const fn default_reset_after() -> u64 {
    500
}

with_methods!(GreedyConfig {
    with_factor: factor: f64,
    with_patience: patience: u64,
    with_mode: mode: Mode,
    with_min_delta: min_delta: f64,
    with_relative_delta: relative_delta: f64,
    with_margin: margin: Margin,
    with_nan: nan: NanPolicy,
    with_cooldown: cooldown: u64,
    with_warmup: warmup: u64,
    with_min: min: f64,
    with_max: max: f64,
    with_eps: eps: f64,
    with_window: window: u64,
    with_reset_after: reset_after: u64,
});

impl GreedyConfig {
    /// Starting from `value`.
    #[must_use]
    pub const fn new(value: f64) -> Self {
        Self {
            value,
            factor: default_factor(),
            patience: default_patience(),
            mode: Mode::Min,
            min_delta: default_min_delta(),
            relative_delta: 0.0,
            margin: Margin::Magnitude,
            nan: NanPolicy::Worse,
            cooldown: 0,
            warmup: 0,
            min: default_min(),
            max: default_max(),
            eps: default_eps(),
            window: default_window(),
            reset_after: default_reset_after(),
        }
    }

    /// The scheduler.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<Greedy, ScheduleError> {
        let name = "greedy";
        let check = Check::of(name);
        check.finite("value", self.value)?;
        check.open_fraction("factor", self.factor)?;
        check.non_negative("min", self.min)?;
        check.finite("max", self.max)?;
        check.ordered(("min", self.min), ("max", self.max))?;
        check.non_negative("eps", self.eps)?;
        let in_range = (1..=1 << 20).contains(&self.window);
        check.that(in_range, "window", "in 1 ..= 1048576", self.window)?;
        check.at_least_one("reset_after", self.reset_after)?;
        let monitor = MonitorConfig {
            mode: self.mode,
            min_delta: self.min_delta,
            relative_delta: self.relative_delta,
            margin: self.margin,
            nan: self.nan,
            cooldown: self.cooldown,
        };
        Ok(Greedy {
            monitor: monitor.init(name)?,
            window: Window::new(self.window as usize),
            value: self.value,
            counters: Counters {
                reset_in: self.reset_after,
                ..Counters::default()
            },
            config: self.clone(),
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    good: u64,
    bad: u64,
    warmup: u64,
    reset_in: u64,
}

/// Raises a value after a run of improvements and lowers it on a plateau.
///
/// Subramanian & Ganapathiraman, *GreedyLR*,
/// [arXiv:2512.14527](https://arxiv.org/abs/2512.14527).
///
/// ```
/// use firecraft_schedule::{GreedyConfig, StepContext, step_value};
/// let mut greedy = GreedyConfig::new(0.1).with_factor(0.5).with_patience(1u64).init()?;
/// let mut lr = |loss| step_value(&mut greedy, &StepContext::at(0).with_metric(loss));
/// assert_eq!([lr(1.0), lr(0.9), lr(0.9), lr(0.9)], [0.1, 0.2, 0.2, 0.1]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Greedy {
    config: GreedyConfig,
    monitor: Monitor,
    window: Window,
    value: f64,
    counters: Counters,
}

impl Greedy {
    /// The value in force.
    #[must_use]
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// Takes one evaluation into account.
    pub fn observe(&mut self, metric: f64) {
        if metric.is_nan() && self.config.nan == NanPolicy::Ignore {
            return;
        }
        let metric = if self.config.window > 1 {
            self.window.push(metric)
        } else {
            metric
        };
        let counters = &mut self.counters;
        let cooling = self.monitor.tick();
        if cooling || counters.warmup > 0 {
            if !cooling {
                counters.warmup -= 1;
            }
            (counters.good, counters.bad) = (0, 0);
            return;
        }
        if self.monitor.observe(metric) == Observation::Improved {
            (counters.good, counters.bad) = (counters.good + 1, 0);
        } else {
            (counters.good, counters.bad) = (0, counters.bad + 1);
        }
        if counters.good > self.config.patience {
            self.raise();
        } else if counters.bad > self.config.patience {
            self.lower();
        }
    }

    fn raise(&mut self) {
        let raised = (self.value / self.config.factor).min(self.config.max);
        if raised - self.value > self.config.eps {
            self.value = raised;
        }
        self.counters.warmup = self.config.warmup;
        self.counters.good = 0;
        self.counters.reset_in = self.config.reset_after;
    }

    fn lower(&mut self) {
        let lowered = (self.value * self.config.factor).max(self.config.min);
        if self.value - lowered > self.config.eps {
            self.value = lowered;
        }
        // Rounding may leave the value just above the minimum for ever.
        if self.value - self.config.min <= self.config.eps {
            self.counters.reset_in = self.counters.reset_in.saturating_sub(1);
            if self.counters.reset_in == 0 {
                self.start_over();
            }
        }
        self.monitor.cool_down();
        self.counters.bad = 0;
    }

    fn start_over(&mut self) {
        self.value = self.config.value;
        self.monitor.reset();
        self.window.clear();
        self.counters = Counters {
            reset_in: self.config.reset_after,
            ..Counters::default()
        };
    }
}

impl Scheduler for Greedy {
    #[inline]
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        if let Some(metric) = context.metric {
            self.observe(metric);
        }
        out.fill(self.value);
    }

    fn state(&self) -> State {
        State::new("greedy", 1)
            .with("value", self.value)
            .with("best", self.monitor.best())
            .with_count("good", self.counters.good)
            .with_count("bad", self.counters.bad)
            .with_count("cooldown", self.monitor.cooldown())
            .with_count("warmup", self.counters.warmup)
            .with_count("reset_in", self.counters.reset_in)
            .with("window", self.window.values())
            .with("sum", self.window.sum())
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("greedy", 1)?;
        self.value = values.get("value")?;
        self.monitor.set_best(values.get("best")?);
        self.monitor.set_cooldown(values.get("cooldown")?);
        self.counters = Counters {
            good: values.get("good")?,
            bad: values.get("bad")?,
            warmup: values.get("warmup")?,
            reset_in: values.get("reset_in")?,
        };
        let window: Vec<f64> = values.get("window")?;
        if !self.window.restore(&window, values.get("sum")?) {
            let allowed = self.config.window;
            let got = window.len();
            return Err(values.damaged(format!("`window` holds {got} values, at most {allowed}")));
        }
        Ok(())
    }

    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        if horizon.has_metric {
            return Ok(());
        }
        Err(ScheduleError::Missing {
            schedule: "greedy",
            needs: "a metric",
            remedy: "give the run a validation set, or use a closed-form schedule",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_over_after_long_enough_at_the_minimum() {
        let mut greedy = GreedyConfig::new(0.1)
            .with_factor(0.1)
            .with_patience(0u64)
            .with_min(0.01)
            .with_reset_after(3u64)
            .init()
            .unwrap();
        greedy.observe(1.0);
        let values: Vec<f64> = (0..4)
            .map(|_| {
                greedy.observe(1.0);
                greedy.value()
            })
            .collect();
        let rounded: Vec<f64> = values.iter().map(|v| (v * 1e9).round() / 1e9).collect();
        // The improvement raised it; then down, at the minimum three times, reset.
        assert_eq!(rounded, [0.1, 0.01, 0.01, 0.1]);
    }

    #[test]
    fn the_window_survives_a_restore() {
        let config = GreedyConfig::new(0.1).with_window(3u64).with_patience(1u64);
        let metrics: Vec<f64> = (0..20).map(|i| f64::from((i * 7) % 5) * 0.1).collect();
        for split in 0..metrics.len() {
            let mut first = config.init().unwrap();
            metrics[..split].iter().for_each(|&m| first.observe(m));
            let mut second = config.init().unwrap();
            second.restore(&first.state()).unwrap();
            for &metric in &metrics[split..] {
                first.observe(metric);
                second.observe(metric);
                assert_eq!(first.value().to_bits(), second.value().to_bits());
            }
        }
    }

    #[test]
    fn the_bounds_must_be_in_order() {
        let error = GreedyConfig::new(0.1).with_max(1e-4).init().unwrap_err();
        assert_eq!(
            error.to_string(),
            "greedy: `min` must be <= `max` = 0.0001, got 0.001"
        );
    }
}
