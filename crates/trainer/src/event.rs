//! What happens in a fit, what a callback sees of it and what it may ask for.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::error::TrainerError;
use crate::metrics::{EpochRow, History, Metrics};
use crate::model_state::ModelState;
use crate::optimizer::Select;

/// Something that happened in a fit.
///
/// The order of a run is: [`FitStart`](Event::FitStart); with sanity batches
/// [`SanityStart`](Event::SanityStart), an evaluation,
/// [`SanityEnd`](Event::SanityEnd); for each epoch
/// [`EpochStart`](Event::EpochStart), its updates, an evaluation if the epoch
/// is evaluated, [`EpochEnd`](Event::EpochEnd); then
/// [`FitEnd`](Event::FitEnd). With
/// [`validate_every_updates`](crate::Trainer::validate_every_updates) there are
/// evaluations between updates too.
///
/// An update is, for each of its batches, [`BatchStart`](Event::BatchStart),
/// [`ForwardEnd`](Event::ForwardEnd), [`BackwardEnd`](Event::BackwardEnd) and
/// [`BatchEnd`](Event::BatchEnd); after the backward pass of the last one come
/// [`UpdateStart`](Event::UpdateStart) and [`UpdateEnd`](Event::UpdateEnd). An
/// evaluation is [`EvaluationStart`](Event::EvaluationStart), `BatchStart` and
/// `BatchEnd` per batch, and [`EvaluationEnd`](Event::EvaluationEnd).
///
/// What is asked for between `BatchStart` and `UpdateEnd` is done after the
/// `BatchEnd` of the update, except the requests that leave something out and
/// [`Control::Stop`]: those break off at once. A run that is resumed in
/// mid-epoch goes on with the next `BatchStart` after its `FitStart`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The loop is about to start.
    FitStart {
        /// Whether it goes on from a checkpoint.
        resumed: bool,
    },
    /// A few validation batches are about to be tried before the training.
    SanityStart,
    /// The validation batches work.
    SanityEnd,
    /// An epoch is about to start.
    EpochStart,
    /// A batch was fetched and is about to be computed.
    BatchStart {
        /// What it is for.
        phase: Phase,
        /// Its 0-based index in the epoch or the evaluation.
        batch: u64,
    },
    /// The loss of a training batch is known.
    ForwardEnd {
        /// Index of the batch in the epoch.
        batch: u64,
        /// Index of the batch in its update, when gradients are accumulated.
        micro_batch: u64,
        /// Mean loss of the batch.
        loss: f64,
    },
    /// The gradient of a training batch is known.
    BackwardEnd {
        /// Index of the batch in the epoch.
        batch: u64,
        /// Index of the batch in its update, when gradients are accumulated.
        micro_batch: u64,
    },
    /// The gradient of an update is complete; it is about to be clipped and
    /// used.
    UpdateStart,
    /// An optimiser update was made.
    UpdateEnd(&'a Update),
    /// A batch is done. A batch that was broken off by
    /// [`Control::SkipTraining`], [`Control::SkipEpoch`] or [`Control::Stop`]
    /// has no end.
    BatchEnd {
        /// What it was for.
        phase: Phase,
        /// Its 0-based index in the epoch or the evaluation.
        batch: u64,
        /// Means of the batch; none if it was left out.
        metrics: &'a Metrics,
    },
    /// The model is about to be evaluated on the validation data.
    EvaluationStart,
    /// The model was evaluated.
    EvaluationEnd {
        /// The validation metrics, with their `val_` names.
        metrics: &'a Metrics,
        /// Whether it was made between two updates of an epoch. At the end of
        /// an epoch the same metrics come again in its row.
        within_epoch: bool,
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
    /// The run went back to a checkpoint; callbacks have the states they had
    /// then, and files that they write must forget what came after it.
    Rewound,
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

/// What a batch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Training.
    Train,
    /// Evaluation on the validation data.
    Evaluation,
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
    /// Whether the weights were changed: not when everything was left out.
    pub applied: bool,
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
    /// Optimiser updates of the running epoch; all epochs have as many unless
    /// accumulation changes.
    pub updates_per_epoch: u64,
    /// Optimiser updates of the whole run.
    pub total_updates: u64,
    /// Training samples of one epoch.
    pub samples_per_epoch: u64,
    /// Whether there is validation data.
    pub evaluates: bool,
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
    /// Leave the running batch out: it has no share in the update, and running
    /// statistics go back to what they were. Counts from [`Event::BatchStart`]
    /// to [`Event::BackwardEnd`].
    SkipBatch,
    /// Don't change the weights in the running update; the update counts.
    SkipUpdate,
    /// End the training part of the epoch; the evaluation goes on.
    SkipTraining,
    /// End the epoch without evaluation.
    SkipEpoch,
    /// Go back to the newest checkpoint with finite weights and multiply the
    /// learning rate by a factor. If the fit is to end at the same moment, it
    /// goes back first.
    Rewind {
        /// In (0, 1].
        factor: f64,
        /// Why, in a few words.
        reason: String,
    },
    /// Freeze parameters, or train them again.
    Trainable {
        /// Which parameters.
        select: Select,
        /// Whether they are trained.
        trainable: bool,
    },
    /// Let the modules below these paths use their running statistics and
    /// leave them alone, or the opposite: sets their training flags.
    Statistics {
        /// Paths of modules; [`Select::RankAtMost`] selects none.
        select: Select,
        /// Whether statistics follow the batches.
        follow: bool,
    },
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
    /// The update after which the last evaluation within an epoch was made.
    pub evaluated_at: Option<u64>,
    model: &'a dyn Snapshot,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        progress: &'a Progress,
        plan: &'a Plan,
        history: &'a History,
        learning_rate: f64,
        evaluated_at: Option<u64>,
        model: &'a dyn Snapshot,
    ) -> Self {
        Self {
            progress,
            plan,
            history,
            learning_rate,
            evaluated_at,
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
