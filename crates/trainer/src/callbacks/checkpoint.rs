//! When to save checkpoints, and which to keep.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firecraft_schedule::Mode;
use serde::{Deserialize, Serialize};

use super::{CallbackConfig, at_least_one, seconds};
use crate::callback::{Callback, CallbackState};
use crate::checkpoint::{CheckpointStore, OsDisk, replace_file};
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};
use crate::fit::checkpoint_name;
use crate::metrics::better;

/// Name of the file in the checkpoint folder that lists the best checkpoints.
const BEST: &str = "best.json";

/// Saves checkpoints and removes old ones.
///
/// A checkpoint is saved after every epoch and, if asked for, every so many
/// updates. The newest `keep_last` are kept, and the `keep_best` best by a
/// metric; `best.json` in the checkpoint folder names those, best first. Disk
/// use is therefore bounded by `keep_last + keep_best` checkpoints and the one
/// that is being written.
///
/// Add it as the last callback by custom; the checkpoint itself is written
/// after all callbacks have seen the event, wherever this one stands.
///
/// ```
/// use firecraft_trainer::callbacks::Checkpoint;
/// use firecraft_trainer::checkpoint::CheckpointStore;
///
/// let folder = tempfile::tempdir()?;
/// let store = CheckpointStore::open(folder.path())?;
/// let checkpoint = Checkpoint::new(store)
///     .every_updates(50)
///     .keep_last(2)
///     .keep_best(3, "val_accuracy");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Checkpoint {
    store: CheckpointStore,
    every_updates: Option<u64>,
    every_epochs: Option<u64>,
    every: Option<Duration>,
    newest: Option<Instant>,
    on_error: bool,
    keep_last: usize,
    keep_best: usize,
    monitor: String,
    mode: Mode,
    threshold: Option<f64>,
    best: Vec<BestCheckpoint>,
}

/// One of the best checkpoints of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BestCheckpoint {
    /// Its name in the store.
    pub name: String,
    /// The monitored value.
    pub value: f64,
}

impl Checkpoint {
    /// Saves into `store` after every epoch; keeps the newest two and the best
    /// one by `val_loss`.
    ///
    /// The trainer must have the same store
    /// ([`Trainer::checkpoints`](crate::Trainer::checkpoints)).
    pub fn new(store: CheckpointStore) -> Self {
        Self {
            store,
            every_updates: None,
            every_epochs: Some(1),
            every: None,
            newest: None,
            on_error: false,
            keep_last: 2,
            keep_best: 1,
            monitor: "val_loss".into(),
            mode: Mode::Min,
            threshold: None,
            best: Vec::new(),
        }
    }

    /// Also saves after every `updates` updates, in mid-epoch.
    #[must_use]
    pub fn every_updates(mut self, updates: u64) -> Self {
        self.every_updates = Some(updates.max(1));
        self
    }

    /// Saves after every `epochs` epochs instead of after each.
    #[must_use]
    pub fn every_epochs(mut self, epochs: u64) -> Self {
        self.every_epochs = Some(epochs.max(1));
        self
    }

    /// Also saves when this much time has gone by since the last checkpoint.
    #[must_use]
    pub const fn every(mut self, time: Duration) -> Self {
        self.every = Some(time);
        self
    }

    /// Saves after an epoch only when it is among the best: Keras'
    /// `save_best_only` with one best checkpoint.
    #[must_use]
    pub const fn only_improvements(mut self) -> Self {
        self.every_epochs = None;
        self
    }

    /// Also saves when the fit fails between two updates: a full disk of a
    /// logger, data that can't be read, an error of a callback. An update that
    /// failed half-way is not saved; the checkpoint before it is the one to
    /// resume from.
    #[must_use]
    pub const fn on_error(mut self) -> Self {
        self.on_error = true;
        self
    }

    /// Keeps this many of the newest checkpoints, at least one.
    #[must_use]
    pub fn keep_last(mut self, count: usize) -> Self {
        self.keep_last = count.max(1);
        self
    }

    /// Keeps this many of the best checkpoints by a metric, which rises or
    /// falls as [`Mode::of_metric`] says of its name.
    #[must_use]
    pub fn keep_best(mut self, count: usize, monitor: impl Into<String>) -> Self {
        self.monitor = monitor.into();
        self.mode = Mode::of_metric(&self.monitor);
        self.keep_best = count;
        self
    }

    /// Says whether the metric should fall or rise, if its name doesn't.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Only values better than this one count as best: Keras'
    /// `initial_value_threshold`.
    #[must_use]
    pub const fn threshold(mut self, value: f64) -> Self {
        self.threshold = Some(value);
        self
    }

    /// The best checkpoints of a store, best first, as the last run left them.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] when `best.json` is there and can't be read.
    pub fn best_of(store: &CheckpointStore) -> Result<Vec<BestCheckpoint>, TrainerError> {
        let path = store.folder().join(BEST);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(TrainerError::io("read", &path, "check its permissions")(
                    error,
                ));
            }
        };
        serde_json::from_slice(&text).map_err(|error| {
            TrainerError::damaged(&path, error.to_string(), "remove it and resume the run")
        })
    }

    /// Whether the epoch that just ended is among the best so far.
    fn rank(&mut self, value: f64, name: String) -> bool {
        let worse = |old: &BestCheckpoint| better(self.mode, value, old.value);
        let at = self.best.iter().position(worse).unwrap_or(self.best.len());
        let enough = |least| better(self.mode, value, least);
        if !value.is_finite() || at >= self.keep_best || !self.threshold.is_none_or(enough) {
            return false;
        }
        self.best.insert(at, BestCheckpoint { name, value });
        self.best.truncate(self.keep_best);
        true
    }

    fn write_best(&self) -> Result<(), TrainerError> {
        let path = self.store.folder().join(BEST);
        let mut text = serde_json::to_vec_pretty(&self.best).unwrap_or_default();
        text.push(b'\n');
        replace_file(&OsDisk, &path, &text).map_err(TrainerError::io(
            "write",
            &path,
            "free some space, then resume the run",
        ))
    }

    /// Removes what is neither new nor among the best.
    fn prune(&self) -> Result<Control, TrainerError> {
        let best: Vec<_> = self.best.iter().map(|best| best.name.clone()).collect();
        let notice = self.store.prune(self.keep_last, &best)?;
        Ok(notice.map_or(Control::Continue, Control::Notice))
    }
}

impl Callback for Checkpoint {
    fn key(&self) -> String {
        "checkpoint".into()
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        match event {
            Event::FitStart { resumed } => {
                self.newest = Some(Instant::now());
                if *resumed && !self.best.is_empty() {
                    self.write_best()?;
                }
                // A run that dies each time between saving and pruning would
                // otherwise leave one more behind every time.
                if *resumed {
                    return self.prune();
                }
            }
            Event::Rewound => self.write_best()?,
            Event::Failed { .. } if self.on_error => return Ok(Control::Checkpoint),
            Event::UpdateEnd(_) => {
                let due = |every: u64| context.progress.update.is_multiple_of(every);
                let late = |every| self.newest.is_none_or(|newest| newest.elapsed() >= every);
                if self.every_updates.is_some_and(due) || self.every.is_some_and(late) {
                    return Ok(Control::Checkpoint);
                }
            }
            Event::EpochEnd { row } => {
                let epoch = context.progress.epoch;
                let mut due = self.every_epochs.is_some_and(|every| {
                    epoch.is_multiple_of(every) || epoch == context.plan.epochs
                });
                let value = row.metrics.get(&self.monitor);
                if let Some(value) = value.filter(|_| self.keep_best > 0) {
                    due |= self.rank(value, checkpoint_name(context.progress));
                }
                if due {
                    return Ok(Control::Checkpoint);
                }
            }
            Event::EvaluationEnd {
                metrics,
                within_epoch: true,
            } => {
                let value = metrics.get(&self.monitor).filter(|_| self.keep_best > 0);
                let name = checkpoint_name(context.progress);
                if value.is_some_and(|value| self.rank(value, name)) {
                    return Ok(Control::Checkpoint);
                }
            }
            Event::CheckpointSaved { .. } => {
                self.newest = Some(Instant::now());
                if !self.best.is_empty() {
                    self.write_best()?;
                }
                return self.prune();
            }
            _ => {}
        }
        Ok(Control::Continue)
    }

    fn state(&self) -> CallbackState {
        CallbackState::new(1, &self.best).unwrap_or_default()
    }

    fn restore(&mut self, state: CallbackState) -> Result<(), TrainerError> {
        self.best = state.values(&self.key(), 1)?;
        Ok(())
    }
}

/// A [`Checkpoint`] by name, `checkpoint`. The trainer needs the store of the
/// same folder ([`Trainer::checkpoints`](crate::Trainer::checkpoints)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// The folder of the store; `checkpoints` by default.
    pub folder: PathBuf,
    /// Updates between two checkpoints within epochs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_updates: Option<u64>,
    /// Epochs between two checkpoints; 1 by default.
    pub every_epochs: u64,
    /// Seconds between two checkpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<f64>,
    /// Whether only the best epochs are saved.
    pub only_improvements: bool,
    /// Whether one is saved when the fit fails between two updates.
    pub on_error: bool,
    /// How many of the newest are kept, at least 1; 2 by default.
    pub keep_last: usize,
    /// How many of the best are kept; 1 by default.
    pub keep_best: usize,
    /// The metric by which they are the best; `val_loss` by default.
    pub monitor: String,
    /// Which way it gets better; by its name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Only values better than this one count as best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            folder: "checkpoints".into(),
            every_updates: None,
            every_epochs: 1,
            every_seconds: None,
            only_improvements: false,
            on_error: false,
            keep_last: 2,
            keep_best: 1,
            monitor: "val_loss".into(),
            mode: None,
            threshold: None,
        }
    }
}

impl CallbackConfig for CheckpointConfig {
    const NAME: &'static str = "checkpoint";
    const SUMMARY: &'static str = "checkpoints: newest, best, every so often";

    fn build(&self, folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        let store = CheckpointStore::open(folder.join(&self.folder))?;
        let every_epochs = at_least_one("every_epochs", Some(self.every_epochs))?;
        let every = self
            .every_seconds
            .map(|every| seconds("every_seconds", every));
        let mut checkpoint = Checkpoint::new(store)
            .keep_last(self.keep_last)
            .keep_best(self.keep_best, &self.monitor);
        checkpoint.every_updates = at_least_one("every_updates", self.every_updates)?;
        checkpoint.every_epochs = every_epochs.filter(|_| !self.only_improvements);
        checkpoint.every = every.transpose()?;
        checkpoint.on_error = self.on_error;
        checkpoint.threshold = self.threshold;
        if let Some(mode) = self.mode {
            checkpoint.mode = mode;
        }
        Ok(Box::new(checkpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{epochs, send};
    use super::*;
    use crate::{History, Progress};

    fn saved(controls: &[Control]) -> Vec<bool> {
        controls
            .iter()
            .map(|control| matches!(control, Control::Checkpoint))
            .collect()
    }

    fn checkpoint() -> (tempfile::TempDir, Checkpoint) {
        let folder = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(folder.path()).unwrap();
        (folder, Checkpoint::new(store))
    }

    #[test]
    fn the_best_are_ranked_and_the_first_of_equals_wins() {
        let (_folder, checkpoint) = checkpoint();
        let mut checkpoint = checkpoint.keep_best(2, "val_accuracy").every_epochs(100);
        let values = [0.5, 0.7, 0.6, f64::NAN, 0.7, 0.8];
        let controls = epochs(&mut checkpoint, "val_accuracy", 0, &values);
        assert_eq!(saved(&controls), [true, true, true, false, true, true]);
        let names: Vec<_> = checkpoint.best.iter().map(|best| best.value).collect();
        assert_eq!(names, [0.8, 0.7]);
        assert!(checkpoint.best[1].name.ends_with("epoch-00002"));
    }

    #[test]
    fn epochs_between_are_left_out_but_never_the_last() {
        let (_folder, checkpoint) = checkpoint();
        let mut checkpoint = checkpoint.every_epochs(4).keep_best(0, "val_loss");
        let controls = epochs(&mut checkpoint, "val_loss", 0, &[1.0; 10]);
        let due: Vec<_> = saved(&controls);
        assert_eq!(
            due,
            [
                false, false, false, true, false, false, false, true, false, true
            ]
        );
    }

    #[test]
    fn improvements_alone_are_saved_and_a_threshold_bars_the_rest() {
        let (_folder, checkpoint) = checkpoint();
        let mut checkpoint = checkpoint
            .keep_best(1, "val_loss")
            .threshold(0.9)
            .only_improvements();
        let controls = epochs(&mut checkpoint, "val_loss", 0, &[1.0, 0.8, 0.8, 0.85, 0.7]);
        assert_eq!(saved(&controls), [false, true, false, false, true]);
    }

    #[test]
    fn the_ranking_survives_a_restart() {
        let (_folder, mut before) = checkpoint();
        epochs(&mut before, "val_loss", 0, &[0.5, 0.4]);
        let (_other, mut after) = checkpoint();
        after.restore(before.state()).unwrap();
        assert_eq!(after.best, before.best);
    }

    #[test]
    fn what_a_killed_run_did_not_prune_is_pruned_when_it_is_resumed() {
        let (_folder, mut checkpoint) = checkpoint();
        for i in 1..=5 {
            let payloads = [("state.json".into(), b"{}".to_vec())].into();
            checkpoint
                .store
                .save(&format!("update-{i}"), &payloads)
                .unwrap();
        }
        checkpoint.best = vec![BestCheckpoint {
            name: "update-1".into(),
            value: 0.5,
        }];
        let mut start = |resumed| {
            let event = Event::FitStart { resumed };
            let (history, progress) = (History::default(), Progress::default());
            let control = send(&mut checkpoint, &event, &history, progress);
            assert!(matches!(control.unwrap(), Control::Continue));
            checkpoint.store.names().unwrap()
        };
        assert_eq!(start(false).len(), 5);
        assert_eq!(start(true), ["update-1", "update-4", "update-5"]);
    }
}
