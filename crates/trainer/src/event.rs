//! What happens in a fit, what a callback sees of it and what it may ask for.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::error::TrainerError;
use crate::metrics::{EpochRow, History, Metrics};
use crate::model_state::ModelState;

/// Something that happened in a fit.
///
/// The order of a run is: [`FitStart`](Event::FitStart); for each epoch
/// [`EpochStart`](Event::EpochStart), an [`UpdateEnd`](Event::UpdateEnd) per
/// optimiser update, [`EvaluationStart`](Event::EvaluationStart) and
/// [`EvaluationEnd`](Event::EvaluationEnd) if the epoch is evaluated,
/// [`EpochEnd`](Event::EpochEnd); then [`FitEnd`](Event::FitEnd). A run that is
/// resumed in mid-epoch goes on with the next `UpdateEnd` after its `FitStart`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The loop is about to start.
    FitStart {
        /// Whether it goes on from a checkpoint.
        resumed: bool,
    },
    /// An epoch is about to start.
    EpochStart,
    /// An optimiser update was made.
    UpdateEnd(&'a Update),
    /// The model is about to be evaluated on the validation data.
    EvaluationStart,
    /// The model was evaluated.
    EvaluationEnd {
        /// The validation metrics, with their `val_` names.
        metrics: &'a Metrics,
    },
    /// An epoch is over, with its evaluation; its row is in the history.
    EpochEnd {
        /// The newest row of the history.
        row: &'a EpochRow,
    },
    /// A checkpoint lies on the disk.
    CheckpointSaved {
        /// Its name.
        name: &'a str,
        /// Its folder.
        path: &'a Path,
    },
    /// Something the user should know.
    Notice {
        /// One line.
        message: &'a str,
    },
    /// The fit is about to return an error.
    Failed {
        /// The error.
        error: &'a TrainerError,
    },
    /// The loop is over.
    FitEnd {
        /// How it ended.
        outcome: &'a Outcome,
    },
}

/// One optimiser update.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Update {
    /// Mean loss of the update's batch.
    pub loss: f64,
    /// All means of the update's batch, the loss among them.
    pub metrics: Metrics,
    /// Learning rate that was in force.
    pub learning_rate: f64,
    /// Global norm of the gradient before clipping, if it was measured.
    pub gradient_norm: Option<f64>,
    /// Samples in the update's batch.
    pub samples: u64,
}

impl Update {
    pub(crate) fn new(
        loss: f64,
        metrics: Metrics,
        learning_rate: f64,
        gradient_norm: Option<f64>,
        samples: u64,
    ) -> Self {
        Self {
            loss,
            metrics,
            learning_rate,
            gradient_norm,
            samples,
        }
    }
}

/// How far a run is. The clock of everything is `update`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Finished epochs, and the 0-based index of the running one.
    pub epoch: u64,
    /// Optimiser updates made.
    pub update: u64,
    /// Batches of the running epoch that were used up.
    pub batch: u64,
    /// Samples seen since the start of the run.
    pub samples: u64,
}

/// How long a run is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// Epochs to make.
    pub epochs: u64,
    /// Optimiser updates of one epoch.
    pub updates_per_epoch: u64,
    /// Optimiser updates of the whole run.
    pub total_updates: u64,
    /// Training samples of one epoch.
    pub samples_per_epoch: u64,
}

/// How a fit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// All epochs were made.
    Completed,
    /// A callback ended it as it should, such as early stopping.
    Stopped {
        /// Why.
        reason: String,
    },
    /// It was cut short and can be resumed.
    Interrupted {
        /// Why.
        reason: String,
    },
}

/// What a callback asks the loop to do. Requests of several callbacks add up.
#[derive(Debug, Clone, Default)]
#[must_use]
#[non_exhaustive]
pub enum Control {
    /// Nothing.
    #[default]
    Continue,
    /// Save a checkpoint once all callbacks have seen the event.
    Checkpoint,
    /// End the fit in good order: [`Outcome::Stopped`].
    Stop {
        /// Why, in a few words.
        reason: String,
    },
    /// End the fit now; it can be resumed: [`Outcome::Interrupted`].
    Interrupt {
        /// Why, in a few words.
        reason: String,
    },
    /// Multiply the learning rate by a factor from now on, on top of what the
    /// schedule says.
    ScaleLearningRate(f64),
    /// Put these values into the model.
    Restore(Arc<ModelState>),
    /// Tell the other callbacks a line.
    Notice(String),
    /// Several of these, in order.
    Many(Vec<Control>),
}

/// What a callback can look at.
pub struct Context<'a> {
    /// How far the run is, the event included.
    pub progress: &'a Progress,
    /// How long it is meant to be.
    pub plan: &'a Plan,
    /// The rows of the finished epochs.
    pub history: &'a History,
    /// The learning rate in force.
    pub learning_rate: f64,
    model: &'a dyn Snapshot,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        progress: &'a Progress,
        plan: &'a Plan,
        history: &'a History,
        learning_rate: f64,
        model: &'a dyn Snapshot,
    ) -> Self {
        Self {
            progress,
            plan,
            history,
            learning_rate,
            model,
        }
    }

    /// A deep copy of the model's values. It is made once per event, however
    /// many callbacks ask; on a GPU it waits for the device.
    pub fn model_state(&self) -> Arc<ModelState> {
        self.model.snapshot()
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("progress", self.progress)
            .field("plan", self.plan)
            .finish_non_exhaustive()
    }
}

pub(crate) trait Snapshot {
    fn snapshot(&self) -> Arc<ModelState>;
}

/// A model whose values are copied to the host when somebody asks.
pub(crate) struct LazySnapshot<'a, M> {
    model: &'a M,
    state: OnceCell<Arc<ModelState>>,
}

impl<'a, M> LazySnapshot<'a, M> {
    pub(crate) fn of(model: &'a M) -> Self {
        Self {
            model,
            state: OnceCell::new(),
        }
    }
}

impl<M: Module> Snapshot for LazySnapshot<'_, M> {
    fn snapshot(&self) -> Arc<ModelState> {
        self.state
            .get_or_init(|| Arc::new(ModelState::of(self.model)))
            .clone()
    }
}
