//! Lowering the learning rate when nothing improves, in the manner of Keras.

use std::path::Path;

use firecraft_schedule::{Mode, ReduceOnPlateau, ReduceOnPlateauConfig, Scheduler as _, State};
use serde::{Deserialize, Serialize};

use super::{CallbackConfig, observed};
use crate::callback::{Callback, CallbackState};
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};

/// Multiplies the learning rate by a factor when a metric has stopped
/// improving, as a callback.
///
/// It acts on top of the schedule: the factors of its reductions multiply what
/// the schedule says. The same rule as a scheduler is
/// [`firecraft_schedule::ReduceOnPlateau`], which composes with warm-ups; use
/// one or the other.
///
/// ```
/// use firecraft_trainer::callbacks::ReduceLrOnPlateau;
///
/// let plateau = ReduceLrOnPlateau::new("val_loss").factor(0.5).patience(5).build()?;
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReduceLrOnPlateau {
    monitor: String,
    min_learning_rate: f64,
    config: ReduceOnPlateauConfig,
    /// A plateau on a value that starts at 1: the product of all factors.
    logic: Option<ReduceOnPlateau>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    logic: State,
}

impl ReduceLrOnPlateau {
    /// Keras' defaults (factor 0.1, patience 10) for `monitor`, which rises or
    /// falls as [`Mode::of_metric`] says of its name.
    pub fn new(monitor: impl Into<String>) -> Self {
        let monitor = monitor.into();
        Self {
            config: ReduceOnPlateauConfig::keras(1.0).with_mode(Mode::of_metric(&monitor)),
            monitor,
            min_learning_rate: 0.0,
            logic: None,
        }
    }

    /// Takes all options of the rule; its `value` must be 1, its `min` 0.
    #[must_use]
    pub fn config(mut self, config: ReduceOnPlateauConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the factor of a reduction, in (0, 1).
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.config = self.config.with_factor(factor);
        self
    }

    /// Sets after how many evaluations without improvement to reduce.
    #[must_use]
    pub fn patience(mut self, patience: u64) -> Self {
        self.config = self.config.with_patience(patience);
        self
    }

    /// Sets how many evaluations after a reduction don't count.
    #[must_use]
    pub fn cooldown(mut self, cooldown: u64) -> Self {
        self.config = self.config.with_cooldown(cooldown);
        self
    }

    /// Sets the learning rate below which no reduction goes.
    #[must_use]
    pub const fn min_learning_rate(mut self, min: f64) -> Self {
        self.min_learning_rate = min;
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Schedule`] for an option outside its range.
    pub fn build(mut self) -> Result<Self, TrainerError> {
        self.logic()?;
        if self.config.value != 1.0 || self.config.min != 0.0 {
            return Err(TrainerError::Setting {
                field: "config",
                value: format!("value {}, min {}", self.config.value, self.config.min),
                allowed: "value 1 and min 0; use min_learning_rate",
            });
        }
        Ok(self)
    }

    fn logic(&mut self) -> Result<&mut ReduceOnPlateau, TrainerError> {
        let logic = match self.logic.take() {
            Some(logic) => logic,
            None => self.config.init()?,
        };
        Ok(self.logic.insert(logic))
    }
}

impl Callback for ReduceLrOnPlateau {
    fn key(&self) -> String {
        format!("reduce_lr_on_plateau({})", self.monitor)
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        let Some(value) = observed(event, context, &self.monitor)? else {
            return Ok(Control::Continue);
        };
        let min = self.min_learning_rate;
        let logic = self.logic()?;
        let before = logic.value();
        logic.observe(value);
        let factor = logic.value() / before;
        let now = context.learning_rate;
        if factor == 1.0 || now <= min {
            return Ok(Control::Continue);
        }
        let factor = factor.max(min / now);
        Ok(Control::Many(vec![
            Control::ScaleLearningRate(factor),
            Control::Notice(format!(
                "`{}` is on a plateau: learning rate {:.3e} becomes {:.3e}",
                self.monitor,
                now,
                now * factor
            )),
        ]))
    }

    fn state(&self) -> CallbackState {
        let Some(logic) = &self.logic else {
            return CallbackState::default();
        };
        let logic = logic.state();
        CallbackState::new(1, &Saved { logic }).unwrap_or_default()
    }

    fn restore(&mut self, state: CallbackState) -> Result<(), TrainerError> {
        if state.version == 0 {
            self.logic = None;
            return Ok(());
        }
        let saved: Saved = state.values(&self.key(), 1)?;
        self.logic()?.restore(&saved.logic)?;
        Ok(())
    }
}

/// A [`ReduceLrOnPlateau`] by name, `reduce_lr_on_plateau`, with Keras' options
/// and defaults. Every option of every peer has the schedule of that name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReduceLrOnPlateauSettings {
    /// The metric; `val_loss` by default.
    pub monitor: String,
    /// Factor of a reduction, in (0, 1); 0.1 by default.
    pub factor: f64,
    /// Evaluations without improvement after which to reduce; 10 by default.
    pub patience: u64,
    /// Which way the metric gets better; by its name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// An improvement is greater than this; 1e-4 by default.
    pub min_delta: f64,
    /// Evaluations after a reduction that don't count.
    pub cooldown: u64,
    /// The learning rate below which no reduction goes.
    pub min_learning_rate: f64,
}

impl Default for ReduceLrOnPlateauSettings {
    fn default() -> Self {
        Self {
            monitor: "val_loss".into(),
            factor: 0.1,
            patience: 10,
            mode: None,
            min_delta: 1e-4,
            cooldown: 0,
            min_learning_rate: 0.0,
        }
    }
}

impl CallbackConfig for ReduceLrOnPlateauSettings {
    const NAME: &'static str = "reduce_lr_on_plateau";
    const SUMMARY: &'static str = "lowers the learning rate when a metric has stopped improving";

    fn build(&self, _folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        let mut plateau = ReduceLrOnPlateau::new(&self.monitor)
            .factor(self.factor)
            .patience(self.patience)
            .cooldown(self.cooldown)
            .min_learning_rate(self.min_learning_rate);
        plateau.config.min_delta = self.min_delta;
        if let Some(mode) = self.mode {
            plateau.config.mode = mode;
        }
        Ok(Box::new(plateau.build()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::epochs;
    use super::*;

    fn factors(controls: &[Control]) -> Vec<f64> {
        controls
            .iter()
            .map(|control| match control {
                Control::Many(controls) => match controls[0] {
                    Control::ScaleLearningRate(factor) => factor,
                    _ => panic!("{controls:?}"),
                },
                _ => 1.0,
            })
            .collect()
    }

    fn plateau() -> ReduceLrOnPlateau {
        ReduceLrOnPlateau::new("val_loss").factor(0.5).patience(2)
    }

    #[test]
    fn it_reduces_after_the_patience_and_again_after_it() {
        let values = [1.0, 1.0, 1.0, 1.0, 1.0, 0.5];
        let found = factors(&epochs(&mut plateau(), "val_loss", 0, &values));
        assert_eq!(found, [1.0, 1.0, 0.5, 1.0, 0.5, 1.0]);
    }

    #[test]
    fn it_never_goes_below_the_least_learning_rate() {
        // The rate of the stage is 0.1.
        let mut plateau = plateau().min_learning_rate(0.08);
        let found = factors(&epochs(&mut plateau, "val_loss", 0, &[1.0; 3]));
        assert_eq!(found[..2], [1.0, 1.0]);
        assert!((found[2] - 0.8).abs() < 1e-12);
    }

    #[test]
    fn the_count_survives_a_restart_at_any_epoch() {
        let values = [1.0, 1.0, 1.0, 1.0, 1.0, 0.5];
        let whole = factors(&epochs(&mut plateau(), "val_loss", 0, &values));
        for cut in 0..=values.len() {
            let mut before = plateau();
            let mut found = factors(&epochs(&mut before, "val_loss", 0, &values[..cut]));
            let mut after = plateau();
            after.restore(before.state()).unwrap();
            found.extend(factors(&epochs(
                &mut after,
                "val_loss",
                cut as u64,
                &values[cut..],
            )));
            assert_eq!(found, whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_factor_out_of_range_is_refused() {
        assert!(plateau().factor(1.5).build().is_err());
        assert!(plateau().build().is_ok());
    }
}
