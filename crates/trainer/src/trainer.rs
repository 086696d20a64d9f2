//! The trainer: what a fit consists of, before it runs.

use burn::module::Module;
use firecraft_schedule::{BoxScheduler, ConstantConfig, Pure, Scheduler};

use crate::accumulation::Accumulation;
use crate::average::Average;
use crate::callback::{Callback, Callbacks};
use crate::checkpoint::CheckpointStore;
use crate::clip::Clip;
use crate::error::TrainerError;
use crate::event::{Outcome, Progress};
use crate::fit::{Fit, setting};
use crate::metrics::History;
use crate::optimizer::Optimizer;
use crate::penalty::Penalty;
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
    pub(crate) project: Option<Project<M>>,
    pub(crate) parts: Parts<T>,
}

/// What is done with a model after every update.
pub(crate) type Project<M> = Box<dyn FnMut(M) -> Result<M, TrainerError>>;

/// A trainer without its model.
pub(crate) struct Parts<T> {
    pub(crate) optimizer: Optimizer,
    pub(crate) penalties: Vec<Penalty>,
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
    pub(crate) accumulate: Accumulation,
    pub(crate) batches_per_epoch: Option<u64>,
    pub(crate) valid_batches: Option<u64>,
    pub(crate) validate_every: u64,
    pub(crate) validate_every_updates: Option<u64>,
    pub(crate) sanity_batches: u64,
    pub(crate) initial_epoch: u64,
    pub(crate) min_epochs: u64,
    pub(crate) min_updates: u64,
    pub(crate) max_updates: Option<u64>,
    pub(crate) background: bool,
    pub(crate) clip: Clip,
    pub(crate) non_finite: NonFinite,
    pub(crate) average: Option<Average>,
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), TrainerError> {
        self.clip.check()?;
        self.average.map_or(Ok(()), |average| average.check())?;
        for (field, value) in [
            ("epochs", self.epochs),
            ("accumulate", self.accumulate.least()),
            ("limit_batches", self.batches_per_epoch.unwrap_or(1)),
            ("limit_validation", self.valid_batches.unwrap_or(1)),
            ("validate_every", self.validate_every),
            (
                "validate_every_updates",
                self.validate_every_updates.unwrap_or(1),
            ),
            ("max_updates", self.max_updates.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(setting(field, "0", "at least 1"));
            }
        }
        if i64::try_from(self.seed).is_err() {
            return Err(setting("seed", &self.seed.to_string(), "below 2^63"));
        }
        if let NonFinite::Rewind { factor, .. } = self.non_finite
            && !(factor > 0.0 && factor <= 1.0)
        {
            return Err(setting("rewind.factor", &factor.to_string(), "(0, 1]"));
        }
        Ok(())
    }
}

/// What to do when the loss of a batch, or the measured norm of a gradient, is
/// not a finite number.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum NonFinite {
    /// End the fit with an error; what was saved before stays.
    #[default]
    Stop,
    /// Leave the update out and go on; the update counts. Running statistics
    /// go back to what they were.
    Skip,
    /// Make the update all the same, as the peers do.
    Allow,
    /// Go back to the newest checkpoint whose weights are finite and multiply
    /// the learning rate by a factor; needs a checkpoint store.
    ///
    /// A second time without a checkpoint in between goes one checkpoint
    /// further back. What came after the checkpoint is given up.
    Rewind {
        /// Factor on the learning rate, in (0, 1].
        factor: f64,
        /// After so many times the fit ends with an error.
        at_most: u64,
    },
}

/// What a fit gives.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fitted<M> {
    /// The model, in training mode; [`Module::valid`] gives it for inference.
    pub model: M,
    /// The averaged model in validation mode, if weights were averaged.
    pub averaged: Option<M>,
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
            project: None,
            parts: Parts {
                penalties: Vec::new(),
                optimizer: optimizer.into(),
                task: Classification::default(),
                scheduler: constant(1e-3),
                monitor: "val_loss".into(),
                callbacks: Callbacks::default(),
                settings: Settings {
                    epochs: 1,
                    seed: 0,
                    accumulate: Accumulation::default(),
                    batches_per_epoch: None,
                    valid_batches: None,
                    validate_every: 1,
                    validate_every_updates: None,
                    sanity_batches: 0,
                    initial_epoch: 0,
                    min_epochs: 0,
                    min_updates: 0,
                    max_updates: None,
                    background: false,
                    clip: Clip::None,
                    non_finite: NonFinite::Stop,
                    average: None,
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
            penalties,
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
            project: self.project,
            parts: Parts {
                optimizer,
                penalties,
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
        self.parts.settings.accumulate.set(0, batches);
        self
    }

    /// Accumulates another number of batches from the 0-based `epoch` on:
    /// Lightning's `GradientAccumulationScheduler`. May be called several
    /// times.
    ///
    /// Epochs then differ in their updates. Schedules over updates, whole
    /// epochs and fractions of the run stay exact; one in fractional epochs is
    /// refused.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use firecraft_trainer::{Sgd, Trainer};
    ///
    /// let model = LinearConfig::new(2, 2).init(&Device::flex().autodiff());
    /// // Small batches at first, four times as great ones from epoch 5 on.
    /// let trainer = Trainer::new(model, Sgd::torch()).accumulate_from(5, 4);
    /// # let _ = trainer;
    /// ```
    #[must_use]
    pub fn accumulate_from(mut self, epoch: u64, batches: u64) -> Self {
        self.parts.settings.accumulate.set(epoch, batches);
        self
    }

    /// Ends every epoch after this many batches, for quick trials.
    #[must_use]
    pub fn limit_batches(mut self, batches: u64) -> Self {
        self.parts.settings.batches_per_epoch = Some(batches);
        self
    }

    /// Evaluates on this many validation batches instead of all: Keras'
    /// `validation_steps`.
    #[must_use]
    pub fn limit_validation(mut self, batches: u64) -> Self {
        self.parts.settings.valid_batches = Some(batches);
        self
    }

    /// Evaluates after every so many epochs instead of each: Keras'
    /// `validation_freq`. Epochs count from the start of the run.
    #[must_use]
    pub fn validate_every(mut self, epochs: u64) -> Self {
        self.parts.settings.validate_every = epochs;
        self
    }

    /// Also evaluates after every so many updates of the run, within epochs:
    /// Lightning's `val_check_interval`, Transformers' `eval_steps`.
    ///
    /// The scheduler, early stopping, the plateau and the best checkpoints take
    /// such evaluations as they take those at the ends of epochs, so a patience
    /// counts evaluations. The history has one row per epoch;
    /// [`JsonlLogger`](crate::callbacks::JsonlLogger) and
    /// [`TensorBoard`](crate::callbacks::TensorBoard) show every evaluation.
    #[must_use]
    pub fn validate_every_updates(mut self, updates: u64) -> Self {
        self.parts.settings.validate_every_updates = Some(updates);
        self
    }

    /// Tries this many validation batches before a new run, so that a fault in
    /// them is found at once and not after an epoch; 0 unless set.
    #[must_use]
    pub fn sanity_batches(mut self, batches: u64) -> Self {
        self.parts.settings.sanity_batches = batches;
        self
    }

    /// Starts to count epochs here, for a model that was trained before. To go
    /// on with a run of one's own, [`resume`](Self::resume) it instead.
    #[must_use]
    pub fn initial_epoch(mut self, epoch: u64) -> Self {
        self.parts.settings.initial_epoch = epoch;
        self
    }

    /// Lets no callback stop the run before so many epochs are made. A stop
    /// that is asked for earlier is kept until then.
    #[must_use]
    pub fn min_epochs(mut self, epochs: u64) -> Self {
        self.parts.settings.min_epochs = epochs;
        self
    }

    /// Lets no callback stop the run before so many updates are made.
    #[must_use]
    pub fn min_updates(mut self, updates: u64) -> Self {
        self.parts.settings.min_updates = updates;
        self
    }

    /// Ends the run after so many updates, if the epochs don't end it before.
    /// The epoch that is cut short is evaluated.
    #[must_use]
    pub fn max_updates(mut self, updates: u64) -> Self {
        self.parts.settings.max_updates = Some(updates);
        self
    }

    /// A smoke test: one epoch of `batches` training and validation batches.
    /// Everything runs once, nothing is learnt.
    #[must_use]
    pub fn fast_dev_run(self, batches: u64) -> Self {
        let run = self.epochs(1).limit_batches(batches);
        run.limit_validation(batches)
    }

    /// Writes checkpoints in the background: the loop waits for the copy of
    /// the values and not for the disk. At most one is being written; the next
    /// one waits for it, and so does the end of the fit. An error of the disk
    /// ends the fit at the next update.
    #[must_use]
    pub fn checkpoints_in_background(mut self) -> Self {
        self.parts.settings.background = true;
        self
    }

    /// Bounds the gradient before each update.
    #[must_use]
    pub fn clip(mut self, clip: Clip) -> Self {
        self.parts.settings.clip = clip;
        self
    }

    /// Adds a penalty on weights to the training loss; several add up. The sum
    /// is the metric `penalty`.
    #[must_use]
    pub fn penalty(mut self, penalty: Penalty) -> Self {
        self.parts.penalties.push(penalty);
        self
    }

    /// Changes the model after every update, for example puts its weights back
    /// into a set they must not leave (Keras' constraints).
    ///
    /// It must depend on the model alone: it has no state in checkpoints.
    #[must_use]
    pub fn project(mut self, project: impl FnMut(M) -> Result<M, TrainerError> + 'static) -> Self {
        self.project = Some(Box::new(project));
        self
    }

    /// Averages the weights over the updates. From the first average on, the
    /// averaged model is the one that is evaluated and that callbacks such as
    /// early stopping keep and restore; it is [`Fitted::averaged`].
    #[must_use]
    pub fn average(mut self, average: Average) -> Self {
        self.parts.settings.average = Some(average);
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
