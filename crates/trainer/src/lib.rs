//! The fit loop: callbacks, checkpoints, exact resume.
//!
//! [`Trainer`] joins a model, an [`Optimizer`], a scheduler, [`callbacks`] and
//! two [`BatchSource`]s, and runs the loop. The clock of everything is the
//! optimiser's update. A run that is killed at any moment and resumed ends with
//! the bits of the run that was not.
//!
//! | file | content |
//! |---|---|
//! | `trainer.rs`, `fit/` | what a fit consists of; the loop; saving and restoring it |
//! | `task.rs`, `loss.rs`, `source.rs`, `loader_source.rs` | what is computed for a batch, and where batches come from |
//! | `augmented.rs` | transforms in the workers of a loader |
//! | `event.rs`, `callback.rs`, `callbacks/` | what happens, who watches, one callback per file |
//! | `checkpoint/`, `archive.rs`, `model_state.rs` | folders that exist whole or not at all; tensors by path |
//! | `optimizer.rs`, `clip.rs` | burn's update rules with groups and a state by path; bounds on gradients |
//! | `recipe.rs`, `run_folder.rs`, `metrics.rs` | what a run is made from, where it lives, what was measured |
//! | `report/` | one HTML page per run, and one that compares runs |
//!
//! What must not live here: layers, initialisers, schedules, transforms and
//! data sets (they have crates of their own and don't know the trainer), and
//! anything that prints or installs signal handlers; a program does that.

mod archive;
mod augmented;
mod callback;
pub mod callbacks;
pub mod checkpoint;
mod clip;
mod error;
mod event;
mod exact;
mod fit;
mod loader_source;
mod loss;
mod metrics;
mod model_state;
mod optimizer;
mod recipe;
pub mod report;
mod run_folder;
mod source;
mod task;
mod trainer;

pub use archive::{ArchiveError, TensorArchive};
pub use augmented::Augmented;
pub use callback::{Callback, CallbackState};
pub use clip::Clip;
pub use error::TrainerError;
pub use event::{Context, Control, Event, Outcome, Plan, Progress, Update};
pub use loader_source::LoaderSource;
pub use loss::CrossEntropy;
pub use metrics::{EpochRow, History, Means, Metrics};
pub use model_state::ModelState;
pub use optimizer::{Adam, AdamW, GroupRule, Optimizer, OptimizerConfig, Select, Sgd};
pub use recipe::{Difference, PluginFile, RECIPE_VERSION, Recipe};
pub use run_folder::RunFolder;
pub use source::{BatchSource, InMemory, Labelled, Targets};
pub use task::{Classification, StepOutput, Supervised, Task, accuracy};
pub use trainer::{Fitted, NonFinite, Trainer};
