//! Weights alone, for inference.

use std::path::{Path, PathBuf};

use firecraft_schedule::Mode;
use serde::{Deserialize, Serialize};

use super::{CallbackConfig, observed};
use crate::callback::{Callback, CallbackState};
use crate::checkpoint::{OsDisk, replace_file};
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};
use crate::metrics::better;

/// Writes the weights to a safetensors file after every epoch, or after every
/// evaluation that is the best so far: Keras' `save_weights_only`.
///
/// The file always holds the weights of one epoch as a whole. It can't be
/// resumed from; that is what [`Checkpoint`](super::Checkpoint) is for.
///
/// ```
/// use firecraft_trainer::callbacks::SaveWeights;
///
/// let best = SaveWeights::new("runs/digits-0001/best.safetensors").best("val_accuracy");
/// ```
#[derive(Debug, Clone)]
pub struct SaveWeights {
    path: PathBuf,
    monitor: Option<(String, Mode)>,
    best: Option<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    best: Option<f64>,
}

impl SaveWeights {
    /// Weights of the newest epoch, to this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            monitor: None,
            best: None,
        }
    }

    /// Weights of the best epoch by a metric, which rises or falls as
    /// [`Mode::of_metric`] says of its name.
    #[must_use]
    pub fn best(mut self, monitor: impl Into<String>) -> Self {
        let monitor = monitor.into();
        let mode = Mode::of_metric(&monitor);
        self.monitor = Some((monitor, mode));
        self
    }
}

impl Callback for SaveWeights {
    fn key(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        format!("save_weights({})", name.to_string_lossy())
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        if let Some((monitor, mode)) = &self.monitor {
            let Some(value) = observed(event, context, monitor)? else {
                return Ok(Control::Continue);
            };
            let improved = self.best.is_none_or(|best| better(*mode, value, best));
            if value.is_nan() || !improved {
                return Ok(Control::Continue);
            }
            self.best = Some(value);
        } else if !matches!(event, Event::EpochEnd { .. }) {
            return Ok(Control::Continue);
        }
        let archive = context.model_state().to_archive();
        let bytes = archive.to_bytes().map_err(|error| TrainerError::Callback {
            key: self.key(),
            problem: error.to_string(),
        })?;
        replace_file(&OsDisk, &self.path, &bytes).map_err(TrainerError::io(
            "write",
            &self.path,
            "free some space, then resume the run",
        ))?;
        Ok(Control::Continue)
    }

    fn state(&self) -> CallbackState {
        CallbackState::new(1, &Saved { best: self.best }).unwrap_or_default()
    }

    fn restore(&mut self, state: CallbackState) -> Result<(), TrainerError> {
        let saved: Saved = state.values(&self.key(), 1)?;
        self.best = saved.best;
        Ok(())
    }
}

/// A [`SaveWeights`] by name, `save_weights`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SaveWeightsConfig {
    /// The file; `weights.safetensors` by default.
    pub file: PathBuf,
    /// The metric by which the best are saved; the newest when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<String>,
    /// Which way the metric gets better; by its name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

impl Default for SaveWeightsConfig {
    fn default() -> Self {
        Self {
            file: "weights.safetensors".into(),
            best: None,
            mode: None,
        }
    }
}

impl CallbackConfig for SaveWeightsConfig {
    const NAME: &'static str = "save_weights";
    const SUMMARY: &'static str = "the weights alone, newest or best";

    fn build(&self, folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        let mut save = SaveWeights::new(folder.join(&self.file));
        if let Some(best) = &self.best {
            save = save.best(best);
        }
        if let (Some((_, mode)), Some(wanted)) = (&mut save.monitor, self.mode) {
            *mode = wanted;
        }
        Ok(Box::new(save))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::epochs;
    use super::*;

    #[test]
    fn only_the_best_epoch_is_written_and_a_restart_remembers_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("best.safetensors");
        let mut save = SaveWeights::new(&path).best("val_loss");
        epochs(&mut save, "val_loss", 0, &[f64::NAN, 0.5]);
        assert!(path.exists());
        std::fs::remove_file(&path).unwrap();
        let mut again = SaveWeights::new(&path).best("val_loss");
        again.restore(save.state()).unwrap();
        epochs(&mut again, "val_loss", 2, &[0.5, 0.6]);
        assert!(!path.exists(), "neither is better");
        epochs(&mut again, "val_loss", 4, &[0.4]);
        assert!(path.exists());
    }
}
