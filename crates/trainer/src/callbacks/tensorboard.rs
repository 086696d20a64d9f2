//! Scalars and histograms as a TensorBoard event file.

mod event_file;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{CallbackConfig, at_least_one};
use crate::callback::Callback;
use crate::checkpoint::{OsDisk, replace_file};
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};
use event_file::{Record, Summary};

/// Writes the history, and if asked for the updates and histograms of the
/// weights, to an event file that TensorBoard reads.
///
/// Tags are `epoch/<metric>`, `update/<metric>` and, for evaluations within
/// epochs, `evaluation/<metric>`; the step is the number of updates. A run that goes on from a checkpoint first drops the events of what
/// it makes again, so curves have no loops.
///
/// ```
/// use firecraft_trainer::callbacks::TensorBoard;
///
/// let board = TensorBoard::new("runs/digits-0001/tensorboard")
///     .every_updates(20)
///     .histograms();
/// ```
#[derive(Debug, Clone)]
pub struct TensorBoard {
    folder: PathBuf,
    every: Option<u64>,
    histograms: bool,
}

const FILE: &str = "events.out.tfevents.0000000000.firecraft";

/// Prefix of the tags of evaluations within epochs.
const EVALUATION: &str = "evaluation/";

fn has_tag(record: &[u8], prefix: &str) -> bool {
    let mut windows = record.windows(prefix.len());
    windows.any(|window| window == prefix.as_bytes())
}

impl TensorBoard {
    /// Epochs, to an event file in this folder, which is made if it is missing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            every: None,
            histograms: false,
        }
    }

    /// Also every so many updates, at least 1.
    #[must_use]
    pub fn every_updates(mut self, updates: u64) -> Self {
        self.every = Some(updates.max(1));
        self
    }

    /// Also a histogram of each parameter after every epoch.
    #[must_use]
    pub const fn histograms(mut self) -> Self {
        self.histograms = true;
        self
    }

    fn refused(&self, error: std::io::Error) -> TrainerError {
        let path = self.folder.join(FILE);
        TrainerError::io("write", &path, "free some space, then resume the run")(error)
    }

    fn open(&self, context: &Context<'_>) -> Result<(), TrainerError> {
        fs::create_dir_all(&self.folder).map_err(|error| self.refused(error))?;
        let path = self.folder.join(FILE);
        let old = fs::read(&path).unwrap_or_default();
        let mut bytes = Record::version().to_bytes();
        for (step, record) in event_file::records(&old).skip(1) {
            let evaluated = Some(step) <= context.evaluated_at;
            if step <= context.progress.update && (evaluated || !has_tag(record, EVALUATION)) {
                bytes.extend_from_slice(record);
            }
        }
        replace_file(&OsDisk, &path, &bytes).map_err(|error| self.refused(error))
    }

    fn append(&self, step: u64, values: Vec<Summary>) -> Result<(), TrainerError> {
        use std::io::Write as _;
        let bytes = Record::new(step, values).to_bytes();
        let append = || {
            let path = self.folder.join(FILE);
            let mut file = fs::OpenOptions::new().append(true).open(path)?;
            file.write_all(&bytes)
        };
        append().map_err(|error| self.refused(error))
    }
}

impl Callback for TensorBoard {
    fn key(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        format!("tensorboard({})", name.to_string_lossy())
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        let step = context.progress.update;
        match event {
            Event::FitStart { .. } | Event::Rewound => self.open(context)?,
            Event::UpdateEnd(update)
                if self.every.is_some_and(|every| step.is_multiple_of(every)) =>
            {
                let mut values: Vec<Summary> = update
                    .metrics
                    .iter()
                    .map(|(name, value)| Summary::scalar(format!("update/{name}"), value))
                    .collect();
                let rate = update.learning_rate;
                values.push(Summary::scalar("update/learning_rate", rate));
                if let Some(norm) = update.gradient_norm {
                    values.push(Summary::scalar("update/gradient_norm", norm));
                }
                self.append(step, values)?;
            }
            Event::EvaluationEnd {
                metrics,
                within_epoch: true,
            } => {
                let values = metrics
                    .iter()
                    .map(|(name, value)| Summary::scalar(format!("{EVALUATION}{name}"), value))
                    .collect();
                self.append(step, values)?;
            }
            Event::EpochEnd { row } => {
                let mut values: Vec<Summary> = row
                    .metrics
                    .iter()
                    .map(|(name, value)| Summary::scalar(format!("epoch/{name}"), value))
                    .collect();
                values.push(Summary::scalar("epoch/learning_rate", row.learning_rate));
                if self.histograms {
                    for (path, data) in context.model_state().to_archive().iter() {
                        let numbers: Vec<f64> = data.iter::<f64>().collect();
                        values.extend(Summary::histogram(path, &numbers));
                    }
                }
                self.append(step, values)?;
            }
            _ => {}
        }
        Ok(Control::Continue)
    }
}

/// A [`TensorBoard`] by name, `tensorboard`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TensorBoardConfig {
    /// The folder of the event file; `tensorboard` by default.
    pub folder: PathBuf,
    /// Updates between two events of updates; none are written when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_updates: Option<u64>,
    /// Whether there are histograms of the parameters.
    pub histograms: bool,
}

impl Default for TensorBoardConfig {
    fn default() -> Self {
        Self {
            folder: "tensorboard".into(),
            every_updates: None,
            histograms: false,
        }
    }
}

impl CallbackConfig for TensorBoardConfig {
    const NAME: &'static str = "tensorboard";
    const SUMMARY: &'static str = "curves and histograms for TensorBoard";

    fn build(&self, folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        let mut board = TensorBoard::new(folder.join(&self.folder));
        board.every = at_least_one("every_updates", self.every_updates)?;
        board.histograms = self.histograms;
        Ok(Box::new(board))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{epochs, send};
    use super::*;
    use crate::event::Progress;
    use crate::metrics::History;

    #[test]
    fn events_of_what_is_made_again_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::new(folder.path().join("board"));
        let mut start = |update| {
            let progress = Progress {
                update,
                ..Progress::default()
            };
            let event = Event::FitStart {
                resumed: update > 0,
            };
            let _ = send(&mut board, &event, &History::default(), progress).unwrap();
            epochs(&mut board, "loss", update / 10, &[0.5, 0.25]);
            let bytes = fs::read(folder.path().join("board").join(FILE)).unwrap();
            event_file::records(&bytes)
                .map(|(step, _)| step)
                .collect::<Vec<_>>()
        };
        assert_eq!(start(0), [0, 10, 20]);
        assert_eq!(start(10), [0, 10, 20, 30]);
    }
}
