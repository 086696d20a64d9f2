//! Epochs and updates as lines of JSON.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{CallbackConfig, at_least_one};
use crate::callback::Callback;
use crate::checkpoint::{OsDisk, replace_file};
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};

/// Writes one JSON object per line: a row per epoch and, if asked for, one per
/// so many updates with loss, learning rate and the norm of the gradient.
///
/// Evaluations within epochs have lines of their own.
/// With updates it is the learning-rate monitor of other libraries. The file
/// can be followed while it grows. A run that goes on from a checkpoint first
/// drops the lines of what it makes again, so it leaves the same file as a run
/// that was never cut. Numbers that JSON lacks are the strings `"NaN"`,
/// `"inf"`, `"-inf"`.
///
/// ```
/// use firecraft_trainer::callbacks::JsonlLogger;
///
/// let logger = JsonlLogger::new("runs/digits-0001/log.jsonl").every_updates(10);
/// ```
#[derive(Debug, Clone)]
pub struct JsonlLogger {
    path: PathBuf,
    every: Option<u64>,
}

impl JsonlLogger {
    /// A logger of epochs to this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            every: None,
        }
    }

    /// Also logs every so many updates, at least 1.
    #[must_use]
    pub fn every_updates(mut self, updates: u64) -> Self {
        self.every = Some(updates.max(1));
        self
    }

    fn refused(&self) -> impl FnOnce(std::io::Error) -> TrainerError {
        TrainerError::io("write", &self.path, "free some space, then resume the run")
    }

    /// Keeps the lines of what the run has made so far.
    fn forget_after(&self, context: &Context<'_>) -> Result<(), TrainerError> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let mut kept = String::new();
        for line in text.lines() {
            let Ok(Json::Object(row)) = serde_json::from_str(line) else {
                break; // A line that a kill cut off is the last one.
            };
            let number = |name: &str| row.get(name).and_then(Json::as_u64);
            let is_evaluation = row.contains_key("evaluation");
            let made = match (number("epoch"), number("update")) {
                (Some(epoch), _) => epoch <= context.progress.epoch,
                (None, at) if is_evaluation => at.is_some() && at <= context.evaluated_at,
                (None, at) => at.is_some_and(|at| at <= context.progress.update),
            };
            if made {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        replace_file(&OsDisk, &self.path, kept.as_bytes()).map_err(self.refused())
    }

    fn append(&self, row: Map<String, Json>) -> Result<(), TrainerError> {
        let mut line = Json::Object(row).to_string();
        line.push('\n');
        let append = || {
            let mut file = fs::OpenOptions::new().append(true).open(&self.path)?;
            file.write_all(line.as_bytes())
        };
        append().map_err(self.refused())
    }
}

fn number(value: f64) -> Json {
    match serde_json::Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "inf".into(),
        None => "-inf".into(),
    }
}

impl Callback for JsonlLogger {
    fn key(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        format!("jsonl_logger({})", name.to_string_lossy())
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        match event {
            Event::FitStart { .. } | Event::Rewound => self.forget_after(context)?,
            Event::UpdateEnd(update)
                if self
                    .every
                    .is_some_and(|every| context.progress.update.is_multiple_of(every)) =>
            {
                let mut row = Map::new();
                row.insert("update".into(), context.progress.update.into());
                row.insert("learning_rate".into(), number(update.learning_rate));
                if let Some(norm) = update.gradient_norm {
                    row.insert("gradient_norm".into(), number(norm));
                }
                for (name, value) in update.metrics.iter() {
                    row.insert(name.into(), number(value));
                }
                self.append(row)?;
            }
            Event::EvaluationEnd {
                metrics,
                within_epoch: true,
            } => {
                let mut line = Map::new();
                line.insert("update".into(), context.progress.update.into());
                line.insert("evaluation".into(), "within_epoch".into());
                for (name, value) in metrics.iter() {
                    line.insert(name.into(), number(value));
                }
                self.append(line)?;
            }
            Event::EpochEnd { row } => {
                let mut line = Map::new();
                line.insert("epoch".into(), (row.epoch + 1).into());
                line.insert("update".into(), row.update.into());
                line.insert("learning_rate".into(), number(row.learning_rate));
                for (name, value) in row.metrics.iter() {
                    line.insert(name.into(), number(value));
                }
                self.append(line)?;
            }
            _ => {}
        }
        Ok(Control::Continue)
    }
}

/// A [`JsonlLogger`] by name, `jsonl_logger`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JsonlLoggerConfig {
    /// The file; `log.jsonl` by default.
    pub file: PathBuf,
    /// Updates between two lines of updates; none are written when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_updates: Option<u64>,
}

impl Default for JsonlLoggerConfig {
    fn default() -> Self {
        Self {
            file: "log.jsonl".into(),
            every_updates: None,
        }
    }
}

impl CallbackConfig for JsonlLoggerConfig {
    const NAME: &'static str = "jsonl_logger";
    const SUMMARY: &'static str = "epochs, evaluations and updates as lines of JSON";

    fn build(&self, folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        let mut logger = JsonlLogger::new(folder.join(&self.file));
        logger.every = at_least_one("every_updates", self.every_updates)?;
        Ok(Box::new(logger))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{epochs, send};
    use super::*;
    use crate::event::Progress;
    use crate::metrics::History;

    fn start(logger: &mut JsonlLogger, epoch: u64) {
        let progress = Progress {
            epoch,
            ..Progress::default()
        };
        let event = Event::FitStart { resumed: epoch > 0 };
        let _ = send(logger, &event, &History::default(), progress).unwrap();
    }

    #[test]
    fn lines_of_what_is_made_again_are_dropped_and_so_is_a_torn_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut logger = JsonlLogger::new(&path);
        start(&mut logger, 0);
        epochs(&mut logger, "loss", 0, &[0.5, f64::NAN, 0.3]);
        let whole = fs::read_to_string(&path).unwrap();
        assert!(whole.lines().nth(1).unwrap().contains("\"loss\":\"NaN\""));
        fs::write(&path, format!("{whole}{{\"epo")).unwrap();

        start(&mut logger, 1);
        epochs(&mut logger, "loss", 1, &[f64::NAN, 0.3]);
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    }
}
