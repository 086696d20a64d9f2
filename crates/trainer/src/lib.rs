//! The fit loop: callbacks, checkpoints, exact resume.
//!
//! [`Trainer`] joins a model, an [`Optimizer`], a scheduler, [`callbacks`] and
//! two [`BatchSource`]s, and runs the loop. The clock of everything is the
//! optimiser's update. A run that is killed at any moment and resumed ends with
//! the bits of the run that was not.
//!
//! | file | content |
//! |---|---|
//! | `trainer.rs`, `accumulation.rs`, `fit/` | what a fit consists of; the loop; saving and restoring it |
//! | `task.rs`, `loss/`, `source.rs`, `adapt.rs`, `arrays.rs`, `loader_source.rs` | what is computed for a batch, and where batches come from |
//! | `augmented.rs`, `mixed.rs` | transforms in the workers of a loader; mixing of batches |
//! | `event.rs`, `callback.rs`, `callbacks/` | what happens, who watches, one callback per file |
//! | `checkpoint/`, `archive.rs`, `model_state.rs` | folders that exist whole or not at all; tensors by path |
//! | `optimizer.rs`, `clip.rs`, `penalty.rs`, `average.rs`, `recalibrate.rs` | burn's update rules with groups and a state by path; bounds on gradients; regularisers; EMA and SWA, and statistics that fit them |
//! | `evaluate.rs`, `lr_find.rs`, `batch_size.rs`, `summary.rs` | metrics, answers, searches and tables outside a fit |
//! | `export.rs`, `import.rs` | weights for inference; weights of other programs |
//! | `recipe.rs`, `register.rs`, `run_folder.rs`, `metrics.rs` | what a run is made from, the names it may use, where it lives, what was measured |
//! | `report/` | one HTML page per run, and one that compares runs |
//!
//! What must not live here: layers, initialisers, schedules, transforms and
//! data sets (they have crates of their own and don't know the trainer), and
//! anything that prints or installs signal handlers; a program does that.

mod accumulation;
mod adapt;
mod archive;
mod arrays;
mod augmented;
mod average;
mod batch_size;
#[cfg(feature = "burn-train")]
mod burn_train;
mod callback;
pub mod callbacks;
pub mod checkpoint;
mod clip;
mod error;
mod evaluate;
mod event;
mod exact;
mod export;
mod fit;
mod import;
mod loader_source;
mod loss;
mod lr_find;
mod metrics;
mod mixed;
mod model_state;
mod optimizer;
mod penalty;
mod recalibrate;
mod recipe;
mod register;
pub mod report;
mod run_folder;
mod source;
mod summary;
mod task;
mod trainer;

pub use accumulation::AccumulateFrom;
pub use adapt::{Mapped, Overfit};
pub use archive::{ArchiveError, TensorArchive};
pub use arrays::Arrays;
pub use augmented::Augmented;
pub use average::{Average, AverageRule, Averaged};
pub use batch_size::{BatchSizeSearch, find_batch_size};
#[cfg(feature = "burn-train")]
pub use burn_train::{BurnRenderer, BurnTask};
pub use callback::{Callback, CallbackState};
pub use callbacks::{CallbackConfig, CallbackTypes};
pub use clip::Clip;
pub use error::TrainerError;
pub use evaluate::{evaluate, predict, predict_views};
pub use event::{Context, Control, Event, Outcome, Phase, Plan, Progress, Update};
pub use export::{EXPORT_VERSION, Export};
pub use import::{Import, ImportReport};
pub use loader_source::LoaderSource;
pub use loss::{
    Answers, Asymmetric, BinaryCrossEntropy, CrossEntropy, JensenShannon, Loss, LossConfig,
    LossTypes, Reduction, RegressionLoss, RegressionRule, SmoothTowards, smooth_labels,
};
pub use lr_find::lr_find;
pub use metrics::{EpochRow, History, Means, Metrics};
pub use mixed::mix_batches;
pub use model_state::ModelState;
pub use optimizer::{Adam, AdamW, GroupRule, Optimizer, OptimizerConfig, Select, Sgd, layer_decay};
pub use penalty::{Penalty, PenaltyRule};
pub use recalibrate::recalibrate;
pub use recipe::{Difference, PluginFile, RECIPE_VERSION, Recipe};
pub use register::{register, register_in};
pub use run_folder::RunFolder;
pub use source::{BatchSource, InMemory, Labelled, Targets};
pub use summary::{ModelSummary, SummaryRow};
pub use task::{
    Classification, Regression, StepOutput, Supervised, SupervisedTask, Task, accuracy,
};
pub use trainer::{Fitted, NonFinite, Trainer};

/// The examples of the guide, run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/trainer.md")]
struct Guide;
