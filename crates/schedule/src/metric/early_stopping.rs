//! When to stop a run early.

use super::monitor::{Margin, Mode, Monitor, MonitorConfig, NanPolicy, Observation};
use crate::ScheduleError;
use crate::State;
use crate::check::Check;
use crate::config::{is_default, with_methods};
use serde::{Deserialize, Serialize};

/// Configuration of [`EarlyStopping`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingConfig {
    /// Evaluations without improvement after which to stop. 0 stops at the
    /// first, except at the very first evaluation of a run.
    pub patience: u64,
    /// Which way the metric gets better.
    #[serde(default)]
    pub mode: Mode,
    /// An improvement is greater than this, `>= 0`; 0 by default.
    #[serde(default, skip_serializing_if = "is_default")]
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
    /// Evaluations after [`EarlyStopping::cool_down`] during which a lack of
    /// improvement does not count; 0 by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cooldown: u64,
    /// Patience is renewed only by improvements that beat this value too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
    /// Evaluations before this one are passed over.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start_from: u64,
    /// Stop as soon as the metric is better than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<f64>,
    /// Stop as soon as the metric is worse than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<f64>,
    /// Stop as soon as the metric is not finite.
    #[serde(default, skip_serializing_if = "is_default")]
    pub check_finite: bool,
}

with_methods!(EarlyStoppingConfig {
    with_mode: mode: Mode,
    with_min_delta: min_delta: f64,
    with_relative_delta: relative_delta: f64,
    with_margin: margin: Margin,
    with_nan: nan: NanPolicy,
    with_cooldown: cooldown: u64,
    with_baseline: baseline: Option<f64>,
    with_start_from: start_from: u64,
    with_goal: goal: Option<f64>,
    with_divergence: divergence: Option<f64>,
    with_check_finite: check_finite: bool,
});

impl EarlyStoppingConfig {
    /// Stop a falling metric after `patience` evaluations without improvement.
    #[must_use]
    pub fn new(patience: u64) -> Self {
        Self {
            patience,
            mode: Mode::Min,
            min_delta: 0.0,
            relative_delta: 0.0,
            margin: Margin::Magnitude,
            nan: NanPolicy::Worse,
            cooldown: 0,
            baseline: None,
            start_from: 0,
            goal: None,
            divergence: None,
            check_finite: false,
        }
    }

    /// The logic.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<EarlyStopping, ScheduleError> {
        let name = "early_stopping";
        let check = Check::of(name);
        let limits = [
            ("baseline", self.baseline),
            ("goal", self.goal),
            ("divergence", self.divergence),
        ];
        for (field, limit) in limits {
            if let Some(limit) = limit {
                check.finite(field, limit)?;
            }
        }
        let monitor = MonitorConfig {
            mode: self.mode,
            min_delta: self.min_delta,
            relative_delta: self.relative_delta,
            margin: self.margin,
            nan: self.nan,
            cooldown: self.cooldown,
        };
        Ok(EarlyStopping {
            monitor: monitor.init(name)?,
            wait: 0,
            best_at: None,
            config: self.clone(),
        })
    }
}

/// Why a run is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Patience is used up.
    NoImprovement,
    /// The metric is better than the goal.
    GoalReached,
    /// The metric is worse than the divergence limit.
    Diverged,
    /// The metric is not finite.
    NotFinite,
}

/// What an evaluation means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether this is the best model so far.
    pub improved: bool,
    /// Whether to stop, and why.
    pub stop: Option<StopReason>,
}

/// Counts evaluations without improvement and says when to stop.
///
/// The counting is Keras': the count starts anew with an improvement that also
/// beats the baseline, and the run stops when it reaches the patience.
///
/// ```
/// use firecraft_schedule::{EarlyStoppingConfig, StopReason};
/// let mut early = EarlyStoppingConfig::new(2).init()?;
/// assert!(early.observe(0, 1.0).improved);
/// assert_eq!(early.observe(1, 1.0).stop, None);
/// assert_eq!(early.observe(2, 1.0).stop, Some(StopReason::NoImprovement));
/// assert_eq!(early.best_evaluation(), Some(0));
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    config: EarlyStoppingConfig,
    monitor: Monitor,
    wait: u64,
    best_at: Option<u64>,
}

impl EarlyStopping {
    /// Takes the evaluation with the number `evaluation` (from 0, usually that
    /// of the epoch) into account.
    pub fn observe(&mut self, evaluation: u64, metric: f64) -> Verdict {
        let mut verdict = Verdict {
            improved: false,
            stop: None,
        };
        if evaluation < self.config.start_from {
            self.monitor.tick();
            return verdict;
        }
        let better = |metric: f64, than: f64| match self.config.mode {
            Mode::Min => metric < than,
            Mode::Max => metric > than,
        };
        if self.config.check_finite && !metric.is_finite() {
            verdict.stop = Some(StopReason::NotFinite);
        } else if self.config.goal.is_some_and(|goal| better(metric, goal)) {
            verdict.stop = Some(StopReason::GoalReached);
        } else if self
            .config
            .divergence
            .is_some_and(|limit| better(limit, metric))
        {
            verdict.stop = Some(StopReason::Diverged);
        }
        let observation = self.monitor.observe(metric);
        let cooling = observation != Observation::Ignored && self.monitor.tick();
        match observation {
            Observation::Ignored => {}
            Observation::Improved => {
                verdict.improved = true;
                self.best_at = Some(evaluation);
                let beats = |baseline| self.monitor.is_improvement(metric, baseline);
                if self.config.baseline.is_none_or(beats) {
                    self.wait = 0;
                } else if !cooling {
                    self.wait += 1;
                }
            }
            Observation::NoImprovement if cooling => {}
            Observation::NoImprovement => {
                self.wait += 1;
                // Several evaluations may carry one number, those of an epoch.
                let first = evaluation == 0 && self.best_at.is_none() && self.wait == 1;
                if self.wait >= self.config.patience && !first {
                    verdict.stop.get_or_insert(StopReason::NoImprovement);
                }
            }
        }
        verdict
    }

    /// Begins a cooldown: what the training does has changed (a learning rate
    /// was lowered or raised at a stroke, layers were unfrozen), and the next
    /// [`EarlyStoppingConfig::cooldown`] evaluations may be worse for it. Only
    /// improvements count in them; the patience that is used up stays so.
    ///
    /// ```
    /// use firecraft_schedule::{EarlyStoppingConfig, StopReason};
    /// let mut early = EarlyStoppingConfig::new(2).with_cooldown(3u64).init()?;
    /// early.observe(0, 1.0);
    /// early.observe(1, 1.1);
    /// early.cool_down();
    /// for evaluation in 2..5 {
    ///     assert_eq!(early.observe(evaluation, 2.0).stop, None);
    /// }
    /// assert_eq!(early.observe(5, 1.2).stop, Some(StopReason::NoImprovement));
    /// # Ok::<(), firecraft_schedule::ScheduleError>(())
    /// ```
    pub const fn cool_down(&mut self) {
        self.monitor.cool_down();
    }

    /// The best metric so far.
    #[must_use]
    pub const fn best(&self) -> f64 {
        self.monitor.best()
    }

    /// The number of the evaluation with the best metric.
    #[must_use]
    pub const fn best_evaluation(&self) -> Option<u64> {
        self.best_at
    }

    /// Evaluations since the patience was last renewed.
    #[must_use]
    pub const fn wait(&self) -> u64 {
        self.wait
    }

    /// What has to be remembered to go on from here.
    #[must_use]
    pub fn state(&self) -> State {
        let state = State::new("early_stopping", 1)
            .with("best", self.monitor.best())
            .with_count("wait", self.wait)
            .with_count("cooldown", self.monitor.cooldown());
        match self.best_at {
            Some(evaluation) => state.with_count("best_evaluation", evaluation),
            None => state,
        }
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    /// If the state is of another type or version, or damaged.
    pub fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("early_stopping", 1)?;
        self.monitor.set_best(values.get("best")?);
        self.wait = values.get("wait")?;
        self.best_at = values.get("best_evaluation")?;
        // States from before there were cooldowns have none.
        let cooldown: Option<u64> = values.get("cooldown")?;
        self.monitor.set_cooldown(cooldown.unwrap_or(0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(config: &EarlyStoppingConfig, metrics: &[f64]) -> Option<(u64, StopReason)> {
        let mut early = config.init().unwrap();
        (0..).zip(metrics).find_map(|(evaluation, &metric)| {
            let stop = early.observe(evaluation, metric).stop?;
            Some((evaluation, stop))
        })
    }

    #[test]
    fn a_baseline_must_be_beaten_to_renew_the_patience() {
        let config = EarlyStoppingConfig::new(2).with_baseline(0.5);
        let stop = stops(&config, &[1.0, 0.9, 0.9]);
        assert_eq!(stop, Some((2, StopReason::NoImprovement)));
        assert_eq!(stops(&config, &[1.0, 0.4, 0.4]), None);
    }

    #[test]
    fn the_first_evaluation_never_stops_a_run() {
        let config = EarlyStoppingConfig::new(0);
        assert_eq!(stops(&config, &[f64::NAN]), None);
        assert_eq!(stops(&config, &[1.0, 0.9, 0.8]), None);
        assert_eq!(stops(&config, &[1.0, 1.0]).unwrap().0, 1);
    }

    #[test]
    fn several_evaluations_of_the_first_epoch_can_stop_a_run() {
        let mut early = EarlyStoppingConfig::new(2).init().unwrap();
        let stopped = [1.0, 1.1, 0.9, 1.0, 1.0].map(|loss| early.observe(0, loss).stop.is_some());
        assert_eq!(stopped, [false, false, false, false, true]);
    }

    #[test]
    fn evaluations_before_the_start_are_passed_over() {
        let config = EarlyStoppingConfig::new(1).with_start_from(3u64);
        assert_eq!(stops(&config, &[0.1, 9.0, 9.0, 2.0, 3.0]).unwrap().0, 4);
    }

    #[test]
    fn goals_divergence_and_infinities_stop_at_once() {
        let config = EarlyStoppingConfig::new(9)
            .with_goal(0.1)
            .with_divergence(10.0)
            .with_check_finite(true);
        assert_eq!(
            stops(&config, &[1.0, 0.05]),
            Some((1, StopReason::GoalReached))
        );
        assert_eq!(
            stops(&config, &[1.0, 11.0]),
            Some((1, StopReason::Diverged))
        );
        assert_eq!(
            stops(&config, &[f64::NAN]),
            Some((0, StopReason::NotFinite))
        );
    }

    #[test]
    fn a_cooldown_holds_the_patience_but_not_what_stops_at_once() {
        let config = EarlyStoppingConfig::new(2)
            .with_cooldown(2u64)
            .with_nan(NanPolicy::Ignore)
            .with_divergence(10.0);
        let mut early = config.init().unwrap();
        let mut waits = Vec::new();
        early.cool_down();
        for (evaluation, metric) in (0..).zip([1.0, 2.0, 2.0, 0.5, f64::NAN, 2.0]) {
            assert_eq!(early.observe(evaluation, metric).stop, None);
            waits.push(early.wait());
        }
        // Two passed over, one counted, an improvement, one ignored, one counted.
        assert_eq!(waits, [0, 0, 1, 0, 0, 1]);
        early.cool_down();
        assert!(early.observe(6, f64::NAN).stop.is_none());
        assert!(early.observe(7, 0.4).improved);
        assert_eq!(early.observe(8, 11.0).stop, Some(StopReason::Diverged));
    }

    #[test]
    fn a_state_from_before_cooldowns_is_restored_without_one() {
        let config = EarlyStoppingConfig::new(2).with_cooldown(2u64);
        let mut early = config.init().unwrap();
        early.cool_down();
        let old = State::new("early_stopping", 1)
            .with("best", 0.5)
            .with_count("wait", 1);
        early.restore(&old).unwrap();
        assert_eq!(early.observe(3, 1.0).stop, Some(StopReason::NoImprovement));
    }

    #[test]
    fn a_restored_state_counts_on() {
        let metrics = [1.0, 0.9, 0.95, 0.8, 0.85, 0.85, 0.85, 0.85, 0.85];
        let config = EarlyStoppingConfig::new(3).with_cooldown(2u64);
        for split in 0..metrics.len() {
            let mut first = config.init().unwrap();
            for (evaluation, &metric) in (0..).zip(&metrics[..split]) {
                first.observe(evaluation, metric);
            }
            if split == 4 {
                first.cool_down();
            }
            let json = serde_json::to_string(&first.state()).unwrap();
            let mut second = config.init().unwrap();
            second
                .restore(&serde_json::from_str(&json).unwrap())
                .unwrap();
            for (evaluation, &metric) in (0..).zip(&metrics).skip(split) {
                let verdict = second.observe(evaluation, metric);
                assert_eq!(verdict, first.observe(evaluation, metric));
                let end = if split == 4 { 8 } else { 6 };
                assert_eq!(verdict.stop.is_some(), evaluation >= end);
            }
        }
    }
}
