//! The history as a CSV file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::CallbackConfig;
use crate::callback::Callback;
use crate::checkpoint::{OsDisk, replace_file};
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};

/// Writes the history to a CSV file after every epoch, whole or not at all.
///
/// The file is a function of the history alone: a run that was killed and
/// resumed leaves the same bytes as one that was not. See
/// [`History::to_csv`](crate::History::to_csv) for the columns.
///
/// ```
/// use firecraft_trainer::callbacks::CsvLogger;
///
/// let logger = CsvLogger::new("runs/digits-0001/history.csv");
/// ```
#[derive(Debug, Clone)]
pub struct CsvLogger {
    path: PathBuf,
}

impl CsvLogger {
    /// A logger to this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Callback for CsvLogger {
    fn key(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        format!("csv_logger({})", name.to_string_lossy())
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        // A resumed run starts from an earlier moment than the file may show.
        if matches!(
            event,
            Event::FitStart { .. } | Event::Rewound | Event::EpochEnd { .. }
        ) {
            let text = context.history.to_csv();
            replace_file(&OsDisk, &self.path, text.as_bytes()).map_err(TrainerError::io(
                "write",
                &self.path,
                "free some space, then resume the run",
            ))?;
        }
        Ok(Control::Continue)
    }
}

/// A [`CsvLogger`] by name, `csv_logger`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CsvLoggerConfig {
    /// The file; `history.csv` by default.
    pub file: PathBuf,
}

impl Default for CsvLoggerConfig {
    fn default() -> Self {
        Self {
            file: "history.csv".into(),
        }
    }
}

impl CallbackConfig for CsvLoggerConfig {
    const NAME: &'static str = "csv_logger";
    const SUMMARY: &'static str = "the history as a CSV file";

    fn build(&self, folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        Ok(Box::new(CsvLogger::new(folder.join(&self.file))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{epochs, send};
    use super::*;
    use crate::event::Progress;
    use crate::metrics::History;

    #[test]
    fn the_file_shows_the_history_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let mut logger = CsvLogger::new(&path);
        epochs(&mut logger, "loss", 0, &[0.5, 0.25]);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3);
        // Resuming from before the second epoch takes its row back.
        let event = Event::FitStart { resumed: true };
        let _ = send(
            &mut logger,
            &event,
            &History::default(),
            Progress::default(),
        )
        .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn an_unwritable_file_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let mut logger = CsvLogger::new(folder.path().join("absent/history.csv"));
        let event = Event::FitStart { resumed: false };
        let error = send(
            &mut logger,
            &event,
            &History::default(),
            Progress::default(),
        );
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("absent/history.csv")
        );
    }
}
