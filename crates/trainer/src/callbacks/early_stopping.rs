//! Stopping when nothing improves any more.

use std::path::Path;
use std::sync::Arc;

use firecraft_schedule::{EarlyStoppingConfig, Margin, Mode, NanPolicy, State, StopReason};
use serde::{Deserialize, Serialize};

use super::{CallbackConfig, observed};
use crate::callback::{Callback, CallbackState};
use crate::error::TrainerError;
use crate::event::{Context, Control, Event, Outcome};
use crate::model_state::{ModelState, Switches};

/// Ends the fit when a metric has stopped improving, and puts the best weights
/// back if asked to.
///
/// The rule, with every option of the peers, is
/// [`firecraft_schedule::EarlyStopping`]; this callback feeds it after each
/// epoch. With [`restore_best`](Self::restore_best) the weights of the best
/// epoch are kept on the host (and in checkpoints), and the model gets them at
/// the end of the fit, also when it ends by itself. Checkpoints hold the
/// weights of the run, not the restored ones.
///
/// With a [`cooldown`](EarlyStoppingConfig::cooldown), so many evaluations do
/// not count against the patience after the learning rate has leapt, that is,
/// after it has fallen below 0.7 times what it was, or risen above the inverse
/// of that, from one update to the next. A reduction on a plateau, a step and a
/// restart are leaps; of a smooth schedule at most its first and last steps,
/// near 0.
///
/// ```
/// use firecraft_schedule::{EarlyStoppingConfig, Mode};
/// use firecraft_trainer::callbacks::EarlyStopping;
///
/// let short = EarlyStopping::new("val_loss", 5)?.restore_best();
/// let config = EarlyStoppingConfig::new(5)
///     .with_mode(Mode::Max)
///     .with_min_delta(0.001)
///     .with_start_from(10u64)
///     .with_cooldown(3u64);
/// let long = EarlyStopping::with_config("val_accuracy", &config)?;
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct EarlyStopping {
    monitor: String,
    logic: firecraft_schedule::EarlyStopping,
    restore_best: bool,
    best: Option<Arc<ModelState>>,
    evaluations: u64,
    /// That of the last update.
    learning_rate: Option<f64>,
    stopped: Option<String>,
}

/// Ratio of learning rates below which they leap.
const LEAP: f64 = 0.7;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    logic: State,
    evaluations: u64,
    #[serde(default)]
    learning_rate: Option<f64>,
    stopped: Option<String>,
}

impl EarlyStopping {
    /// Stops after `patience` epochs without improvement of `monitor`, which
    /// rises or falls as [`Mode::of_metric`] says of its name.
    ///
    /// # Errors
    ///
    /// None; the signature is that of [`with_config`](Self::with_config).
    pub fn new(monitor: impl Into<String>, patience: u64) -> Result<Self, TrainerError> {
        let monitor = monitor.into();
        let config = EarlyStoppingConfig::new(patience).with_mode(Mode::of_metric(&monitor));
        Self::with_config(monitor, &config)
    }

    /// Stops by all the options of the rule.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Schedule`] for an option outside its range.
    pub fn with_config(
        monitor: impl Into<String>,
        config: &EarlyStoppingConfig,
    ) -> Result<Self, TrainerError> {
        Ok(Self {
            monitor: monitor.into(),
            logic: config.init()?,
            restore_best: false,
            best: None,
            evaluations: 0,
            learning_rate: None,
            stopped: None,
        })
    }

    /// Puts the weights of the best epoch into the model at the end.
    #[must_use]
    pub const fn restore_best(mut self) -> Self {
        self.restore_best = true;
        self
    }

    /// Begins a cooldown if the learning rate has leapt.
    fn watch(&mut self, rate: f64) {
        if let Some(before) = self.learning_rate.replace(rate)
            && before.min(rate) < LEAP * before.max(rate)
        {
            self.logic.cool_down();
        }
    }

    fn stop(&self) -> Control {
        match &self.stopped {
            Some(reason) => Control::Stop {
                reason: reason.clone(),
            },
            None => Control::Continue,
        }
    }
}

impl Callback for EarlyStopping {
    fn key(&self) -> String {
        format!("early_stopping({})", self.monitor)
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        match event {
            // A run that was stopped stays stopped when it is resumed.
            Event::FitStart { .. } => return Ok(self.stop()),
            Event::UpdateEnd(update) => self.watch(update.learning_rate),
            Event::EpochEnd { .. } | Event::EvaluationEnd { .. } => {
                let Some(value) = observed(event, context, &self.monitor)? else {
                    return Ok(Control::Continue);
                };
                let epoch = match event {
                    Event::EpochEnd { row } => row.epoch,
                    _ => context.progress.epoch,
                };
                let verdict = self.logic.observe(epoch, value);
                self.evaluations += 1;
                if verdict.improved && self.restore_best {
                    self.best = Some(context.model_state());
                }
                self.stopped = verdict.stop.map(|reason| {
                    let why = match reason {
                        StopReason::NoImprovement => format!(
                            "`{}` has not improved for {} evaluations",
                            self.monitor,
                            self.logic.wait()
                        ),
                        StopReason::GoalReached => {
                            format!("`{}` has reached its goal", self.monitor)
                        }
                        StopReason::Diverged => format!("`{}` diverges", self.monitor),
                        StopReason::NotFinite => format!("`{}` is {value}", self.monitor),
                    };
                    let best = self.logic.best_evaluation().map_or(0, |best| best + 1);
                    format!("{why}; best was {} in epoch {best}", self.logic.best())
                });
                return Ok(self.stop());
            }
            Event::FitEnd { outcome } if !matches!(outcome, Outcome::Interrupted { .. }) => {
                if let Some(best) = &self.best {
                    return Ok(Control::Restore(best.clone()));
                }
            }
            _ => {}
        }
        Ok(Control::Continue)
    }

    fn state(&self) -> CallbackState {
        let saved = Saved {
            logic: self.logic.state(),
            evaluations: self.evaluations,
            learning_rate: self.learning_rate,
            stopped: self.stopped.clone(),
        };
        let mut state = CallbackState::new(1, &saved).unwrap_or_default();
        if let Some(best) = &self.best {
            state.tensors = best.to_archive();
        }
        state
    }

    fn restore(&mut self, state: CallbackState) -> Result<(), TrainerError> {
        let saved: Saved = state.values(&self.key(), 1)?;
        self.logic.restore(&saved.logic)?;
        self.evaluations = saved.evaluations;
        self.learning_rate = saved.learning_rate;
        self.stopped = saved.stopped;
        self.best = (self.restore_best && !state.tensors.is_empty())
            .then(|| Arc::new(ModelState::from_parts(&state.tensors, Switches::default())));
        Ok(())
    }
}

/// An [`EarlyStopping`] by name, `early_stopping`.
///
/// ```
/// use firecraft_spec::{Registries, Spec};
/// use firecraft_trainer::{CallbackTypes, register};
///
/// let mut registries = Registries::new();
/// register(&mut registries)?;
/// let spec: Spec = toml::from_str(
///     r#"
///     type = "early_stopping"
///     monitor = "val_accuracy"
///     patience = 5
///     restore_best = true
///     "#,
/// )?;
/// let callback = registries.build::<CallbackTypes>(&spec)?;
/// assert_eq!(callback.key(), "early_stopping(val_accuracy)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingSettings {
    /// The metric; `val_loss` by default.
    #[serde(default = "val_loss")]
    pub monitor: String,
    /// Evaluations without improvement after which to stop.
    pub patience: u64,
    /// Whether the model gets the best weights at the end.
    #[serde(default)]
    pub restore_best: bool,
    /// Which way the metric gets better; by its name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// An improvement is greater than this, at least 0.
    #[serde(default)]
    pub min_delta: f64,
    /// And than this fraction of the best value, in [0, 1].
    #[serde(default)]
    pub relative_delta: f64,
    /// How the two are measured.
    #[serde(default)]
    pub margin: Margin,
    /// What to make of NaN.
    #[serde(default)]
    pub nan: NanPolicy,
    /// Evaluations after a leap of the learning rate during which a lack of
    /// improvement does not count.
    #[serde(default)]
    pub cooldown: u64,
    /// Patience is renewed only by improvements that beat this value too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
    /// Evaluations before this epoch are passed over.
    #[serde(default)]
    pub start_from: u64,
    /// Stop as soon as the metric is better than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<f64>,
    /// Stop as soon as the metric is worse than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<f64>,
    /// Stop as soon as the metric is not finite.
    #[serde(default)]
    pub check_finite: bool,
}

fn val_loss() -> String {
    "val_loss".into()
}

impl CallbackConfig for EarlyStoppingSettings {
    const NAME: &'static str = "early_stopping";
    const SUMMARY: &'static str = "stops when a metric has stopped improving";

    fn build(&self, _folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        let mode = self.mode.unwrap_or_else(|| Mode::of_metric(&self.monitor));
        let rule = EarlyStoppingConfig {
            patience: self.patience,
            mode,
            min_delta: self.min_delta,
            relative_delta: self.relative_delta,
            margin: self.margin,
            nan: self.nan,
            cooldown: self.cooldown,
            baseline: self.baseline,
            start_from: self.start_from,
            goal: self.goal,
            divergence: self.divergence,
            check_finite: self.check_finite,
        };
        let mut stopping = EarlyStopping::with_config(&self.monitor, &rule)?;
        stopping.restore_best = self.restore_best;
        Ok(Box::new(stopping))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{epochs, send};
    use super::*;
    use crate::event::{Progress, Update};
    use crate::metrics::{History, Metrics};

    fn stopped(control: &Control) -> bool {
        matches!(control, Control::Stop { .. })
    }

    #[test]
    fn it_stops_when_patience_is_used_up_and_not_before() {
        let mut early = EarlyStopping::new("val_loss", 2).unwrap();
        let values = [1.0, 0.9, 0.95, 0.8, 0.85, 0.81];
        let controls = epochs(&mut early, "val_loss", 0, &values);
        let stops: Vec<_> = controls.iter().map(stopped).collect();
        assert_eq!(stops, [false, false, false, false, false, true]);
        let Control::Stop { reason } = &controls[5] else {
            panic!("no stop");
        };
        assert!(reason.contains("best was 0.8 in epoch 4"), "{reason}");
    }

    #[test]
    fn the_count_survives_a_restart_and_a_stopped_run_stays_stopped() {
        let values = [1.0, 1.1, 1.2, 1.3];
        for cut in 0..values.len() {
            let mut before = EarlyStopping::new("val_loss", 3).unwrap();
            epochs(&mut before, "val_loss", 0, &values[..cut]);
            let mut after = EarlyStopping::new("val_loss", 3).unwrap();
            after.restore(before.state()).unwrap();
            let controls = epochs(&mut after, "val_loss", cut as u64, &values[cut..]);
            assert!(stopped(controls.last().unwrap()), "cut at {cut}");
            let mut again = EarlyStopping::new("val_loss", 3).unwrap();
            again.restore(after.state()).unwrap();
            let event = Event::FitStart { resumed: true };
            let control = send(&mut again, &event, &History::default(), Progress::default());
            assert!(stopped(&control.unwrap()));
        }
    }

    /// Trains an update at `rate`, then evaluates.
    fn epoch(early: &mut EarlyStopping, epoch: u64, rate: f64, loss: f64) -> bool {
        let update = Update {
            loss,
            metrics: Metrics::default(),
            learning_rate: rate,
            gradient_norm: None,
            samples: 32,
            applied: true,
        };
        let event = Event::UpdateEnd(&update);
        let (history, progress) = (History::default(), Progress::default());
        let _ = send(early, &event, &history, progress).unwrap();
        stopped(&epochs(early, "val_loss", epoch, &[loss])[0])
    }

    #[test]
    fn epochs_after_a_leap_of_the_learning_rate_do_not_count_also_across_a_restart() {
        let config = EarlyStoppingConfig::new(3).with_cooldown(2u64);
        let make = || EarlyStopping::with_config("val_loss", &config).unwrap();
        // Smooth, then a tenth of it.
        let rates = [0.1, 0.09, 0.08, 0.008, 0.008, 0.008];
        for cut in 0..rates.len() {
            let mut early = make();
            for (number, &rate) in (0..).zip(&rates) {
                if number == cut as u64 {
                    let state = early.state();
                    early = make();
                    early.restore(state).unwrap();
                }
                // Epochs 1, 2 and 5 count; 3 and 4 are passed over.
                let stop = epoch(&mut early, number, rate, 1.0);
                assert_eq!(stop, number == 5, "epoch {number}, cut at {cut}");
            }
        }
        let mut eager = EarlyStopping::new("val_loss", 3).unwrap();
        let stops = (0..).zip(&rates).take(4);
        let stops: Vec<bool> = stops
            .map(|(number, &rate)| epoch(&mut eager, number, rate, 1.0))
            .collect();
        assert_eq!(stops, [false, false, false, true]);
    }

    #[test]
    fn an_unknown_metric_is_an_error_that_lists_the_known_ones() {
        let mut early = EarlyStopping::new("val_los", 3).unwrap();
        let row = super::super::tests::row(0, &[("val_loss", 1.0)]);
        let event = Event::EpochEnd { row: &row };
        let error = send(&mut early, &event, &History::default(), Progress::default());
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("`val_los`") && error.contains("`val_loss`"),
            "{error}"
        );
    }
}
