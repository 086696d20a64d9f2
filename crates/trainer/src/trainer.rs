//! The trainer: what a fit consists of, before it runs.

use burn::module::Module;
use firecraft_schedule::{BoxScheduler, ConstantConfig, Pure, Scheduler};

use crate::callback::{Callback, Callbacks};
use crate::checkpoint::CheckpointStore;
use crate::clip::Clip;
use crate::error::TrainerError;
use crate::event::{Outcome, Progress};
use crate::fit::Fit;
use crate::metrics::History;
use crate::optimizer::Optimizer;
use crate::source::BatchSource;
use crate::task::{Classification, Task};

/// Trains a model: joins model, optimiser, schedule, callbacks and data.
///
/// The clock of everything is the optimiser's update. Before an update the
/// scheduler is stepped once, every key cell of the model learns the step, and
/// burn's own generator is seeded from the same key; so equal settings give
/// equal runs, and a run that is resumed from a checkpoint goes on bit for bit
/// (same binary, kind of CPU and number of threads).
///
/// burn's generator is global to a backend: don't run two trainings that use
/// it (burn's own `Dropout`) on one backend in one process.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Int, Tensor};
/// use firecraft_trainer::{InMemory, Labelled, Sgd, Supervised, Targets, Trainer};
///
/// #[derive(Module, Debug)]
/// struct Net {
///     layer: Linear,
/// }
///
/// impl Supervised for Net {
///     type Input = Tensor<2>;
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         self.layer.forward(x)
///     }
/// }
///
/// let device = Device::flex().autodiff();
/// let batches = || {
///     InMemory::new(1, 2, |_epoch, _batch, device: &Device| Labelled {
///         inputs: Tensor::from_data([[0.0f32, 1.0], [1.0, 0.0]], device),
///         targets: Targets::Classes(Tensor::<1, Int>::from_data([0, 1], device)),
///         weights: None,
///     })
/// };
/// let model = Net { layer: LinearConfig::new(2, 2).init(&device) };
/// let fitted = Trainer::new(model, Sgd::torch())
///     .learning_rate(1.0)
///     .epochs(20)
///     .fit(batches(), batches())?;
/// let last = fitted.history.last().unwrap();
/// assert_eq!(last.metrics.get("val_accuracy"), Some(1.0));
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
pub struct Trainer<M, T = Classification> {
    pub(crate) model: M,
    pub(crate) parts: Parts<T>,
}

/// A trainer without its model.
pub(crate) struct Parts<T> {
    pub(crate) optimizer: Optimizer,
    pub(crate) task: T,
    pub(crate) scheduler: BoxScheduler,
    pub(crate) monitor: String,
    pub(crate) callbacks: Callbacks,
    pub(crate) settings: Settings,
    pub(crate) store: Option<CheckpointStore>,
    pub(crate) resume: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) epochs: u64,
    pub(crate) seed: u64,
    pub(crate) accumulate: u64,
    pub(crate) batches_per_epoch: Option<u64>,
    pub(crate) clip: Clip,
    pub(crate) non_finite: NonFinite,
}

/// What to do when the loss of a batch is not a finite number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NonFinite {
    /// End the fit with an error; what was saved before stays.
    #[default]
    Stop,
    /// Leave the update out and go on; the update counts.
    Skip,
}

/// What a fit gives.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fitted<M> {
    /// The model, in training mode; [`Module::valid`] gives it for inference.
    pub model: M,
    /// What was measured.
    pub history: History,
    /// How the fit ended.
    pub outcome: Outcome,
    /// How far the run is.
    pub progress: Progress,
}

impl<M: Module> Trainer<M> {
    /// A trainer of a classifier, for one epoch with a constant learning rate
    /// of 1e-3.
    pub fn new(model: M, optimizer: impl Into<Optimizer>) -> Self {
        Self {
            model,
            parts: Parts {
                optimizer: optimizer.into(),
                task: Classification::default(),
                scheduler: constant(1e-3),
                monitor: "val_loss".into(),
                callbacks: Callbacks::default(),
                settings: Settings {
                    epochs: 1,
                    seed: 0,
                    accumulate: 1,
                    batches_per_epoch: None,
                    clip: Clip::None,
                    non_finite: NonFinite::Stop,
                },
                store: None,
                resume: false,
            },
        }
    }
}

impl<M: Module, T> Trainer<M, T> {
    /// Trains for another task: another loss, other metrics, a custom step.
    pub fn task<U: Task<M>>(self, task: U) -> Trainer<M, U> {
        let Parts {
            optimizer,
            task: _,
            scheduler,
            monitor,
            callbacks,
            settings,
            store,
            resume,
        } = self.parts;
        Trainer {
            model: self.model,
            parts: Parts {
                optimizer,
                task,
                scheduler,
                monitor,
                callbacks,
                settings,
                store,
                resume,
            },
        }
    }

    /// Sets the learning rate by a scheduler of width 1.
    #[must_use]
    pub fn schedule(mut self, scheduler: impl Scheduler + 'static) -> Self {
        self.parts.scheduler = Box::new(scheduler);
        self
    }

    /// Sets a constant learning rate.
    #[must_use]
    pub fn learning_rate(mut self, learning_rate: f64) -> Self {
        self.parts.scheduler = constant(learning_rate);
        self
    }

    /// Names the metric that the scheduler gets on the step after each
    /// evaluation; `val_loss` unless set.
    #[must_use]
    pub fn monitor(mut self, metric: impl Into<String>) -> Self {
        self.parts.monitor = metric.into();
        self
    }

    /// Adds a callback; callbacks are asked in this order.
    #[must_use]
    pub fn callback(mut self, callback: impl Callback + 'static) -> Self {
        self.parts.callbacks.add(Box::new(callback));
        self
    }

    /// Adds several callbacks.
    #[must_use]
    pub fn callbacks(mut self, callbacks: impl IntoIterator<Item = Box<dyn Callback>>) -> Self {
        for callback in callbacks {
            self.parts.callbacks.add(callback);
        }
        self
    }

    /// Sets the number of epochs.
    #[must_use]
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.parts.settings.epochs = epochs;
        self
    }

    /// Sets the seed of everything random, below 2⁶³.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.parts.settings.seed = seed;
        self
    }

    /// Makes one update from the mean gradient of `batches` batches, weighted
    /// by their samples. The batches that are left at the end of an epoch make
    /// an update of their own.
    #[must_use]
    pub fn accumulate(mut self, batches: u64) -> Self {
        self.parts.settings.accumulate = batches;
        self
    }

    /// Ends every epoch after this many batches, for quick trials.
    #[must_use]
    pub fn limit_batches(mut self, batches: u64) -> Self {
        self.parts.settings.batches_per_epoch = Some(batches);
        self
    }

    /// Bounds the gradient before each update.
    #[must_use]
    pub fn clip(mut self, clip: Clip) -> Self {
        self.parts.settings.clip = clip;
        self
    }

    /// Says what to do with a loss that is not finite.
    #[must_use]
    pub fn on_non_finite(mut self, policy: NonFinite) -> Self {
        self.parts.settings.non_finite = policy;
        self
    }

    /// Saves checkpoints here when a callback such as
    /// [`Checkpoint`](crate::callbacks::Checkpoint) asks for one.
    #[must_use]
    pub fn checkpoints(mut self, store: CheckpointStore) -> Self {
        self.parts.store = Some(store);
        self
    }

    /// Goes on from the newest readable checkpoint of the store, or starts
    /// from the beginning when there is none yet.
    #[must_use]
    pub fn resume(mut self) -> Self {
        self.parts.resume = true;
        self
    }

    /// Trains on `train` and evaluates on `valid` after every epoch.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] for settings outside their ranges, data that can't be
    /// used, a checkpoint of another run, a disk that can't be written, a loss
    /// that is not finite. Checkpoints that were saved before stay usable.
    pub fn fit<S, V>(self, train: S, valid: V) -> Result<Fitted<M>, TrainerError>
    where
        T: Task<M>,
        S: BatchSource<Batch = T::Batch>,
        V: BatchSource<Batch = T::Batch>,
    {
        Fit::new(self, train, Some(valid))?.run()
    }

    /// Trains without evaluation.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit).
    pub fn fit_unvalidated<S>(self, train: S) -> Result<Fitted<M>, TrainerError>
    where
        T: Task<M>,
        S: BatchSource<Batch = T::Batch>,
    {
        Fit::<M, T, S, S>::new(self, train, None)?.run()
    }
}

impl<M: std::fmt::Debug, T: std::fmt::Debug> std::fmt::Debug for Trainer<M, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("task", &self.parts.task)
            .field("settings", &self.parts.settings)
            .finish_non_exhaustive()
    }
}

fn constant(learning_rate: f64) -> BoxScheduler {
    struct Unusable(f64);
    impl firecraft_schedule::Schedule for Unusable {
        fn value(&self, _: f64) -> f64 {
            self.0
        }
    }
    match ConstantConfig::new(learning_rate).init() {
        Ok(constant) => Box::new(Pure::updates(constant)),
        // The loop refuses the value with an error before the first update.
        Err(_) => Box::new(Pure::updates(Unusable(learning_rate))),
    }
}
