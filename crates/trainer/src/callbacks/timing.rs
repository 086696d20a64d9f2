//! Seconds per epoch as a CSV file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::CallbackConfig;
use crate::callback::Callback;
use crate::checkpoint::{OsDisk, replace_file};
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};

const HEADER: &str = "epoch,train_seconds,evaluation_seconds,samples_per_second";

/// Writes how long each epoch took to a CSV file.
///
/// It is apart from the history because a clock never repeats itself. After a
/// restart in mid-epoch the row of that epoch covers what came after it.
///
/// ```
/// use firecraft_trainer::callbacks::TimingLogger;
///
/// let logger = TimingLogger::new("runs/digits-0001/timing.csv");
/// ```
#[derive(Debug, Clone)]
pub struct TimingLogger {
    path: PathBuf,
    rows: Vec<String>,
    start: Option<Instant>,
    evaluation: Option<Instant>,
    samples: u64,
}

impl TimingLogger {
    /// A logger to this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            rows: Vec::new(),
            start: None,
            evaluation: None,
            samples: 0,
        }
    }

    fn keep_earlier_rows(&mut self, epochs: u64) {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let earlier = |row: &&str| {
            let epoch = row.split(',').next().and_then(|epoch| epoch.parse().ok());
            epoch.is_some_and(|epoch: u64| epoch <= epochs)
        };
        self.rows = text.lines().filter(earlier).map(str::to_owned).collect();
    }

    fn write(&self) -> Result<(), TrainerError> {
        let text = format!("{HEADER}\n{}\n", self.rows.join("\n"));
        replace_file(&OsDisk, &self.path, text.as_bytes()).map_err(TrainerError::io(
            "write",
            &self.path,
            "free some space, then resume the run",
        ))
    }
}

impl Callback for TimingLogger {
    fn key(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        format!("timing_logger({})", name.to_string_lossy())
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        match event {
            Event::FitStart { .. } | Event::Rewound => {
                self.keep_earlier_rows(context.progress.epoch);
                self.start = Some(Instant::now());
                self.samples = context.progress.samples;
            }
            Event::EpochStart => {
                self.start = Some(Instant::now());
                self.samples = context.progress.samples;
                self.evaluation = None;
            }
            Event::EvaluationStart => self.evaluation = Some(Instant::now()),
            Event::EpochEnd { row } => {
                let now = Instant::now();
                let start = self.start.unwrap_or(now);
                let middle = self.evaluation.take().unwrap_or(now);
                let train = middle.saturating_duration_since(start);
                let evaluation = now.saturating_duration_since(middle);
                let samples = (context.progress.samples - self.samples) as f64;
                let rate = samples / train.max(Duration::from_nanos(1)).as_secs_f64();
                self.rows.push(format!(
                    "{},{:.4},{:.4},{rate:.1}",
                    row.epoch + 1,
                    train.as_secs_f64(),
                    evaluation.as_secs_f64(),
                ));
                self.write()?;
            }
            _ => {}
        }
        Ok(Control::Continue)
    }
}

/// A [`TimingLogger`] by name, `timing_logger`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimingLoggerConfig {
    /// The file; `timing.csv` by default.
    pub file: PathBuf,
}

impl Default for TimingLoggerConfig {
    fn default() -> Self {
        Self {
            file: "timing.csv".into(),
        }
    }
}

impl CallbackConfig for TimingLoggerConfig {
    const NAME: &'static str = "timing_logger";
    const SUMMARY: &'static str = "seconds per epoch as a CSV file";

    fn build(&self, folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        Ok(Box::new(TimingLogger::new(folder.join(&self.file))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{epochs, send};
    use super::*;
    use crate::event::Progress;
    use crate::metrics::History;

    #[test]
    fn rows_of_epochs_that_are_made_again_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timing.csv");
        epochs(&mut TimingLogger::new(&path), "loss", 0, &[0.5, 0.4, 0.3]);
        let mut logger = TimingLogger::new(&path);
        let progress = Progress {
            epoch: 1,
            ..Progress::default()
        };
        let event = Event::FitStart { resumed: true };
        let _ = send(&mut logger, &event, &History::default(), progress).unwrap();
        epochs(&mut logger, "loss", 1, &[0.4]);
        let text = fs::read_to_string(&path).unwrap();
        let epochs: Vec<_> = text
            .lines()
            .map(|row| row.split(',').next().unwrap())
            .collect();
        assert_eq!(epochs, ["epoch", "1", "2"]);
    }
}
