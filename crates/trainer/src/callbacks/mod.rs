//! The callbacks that come with the trainer.
//!
//! | want | use |
//! |---|---|
//! | a bar on a terminal, a line per epoch elsewhere | [`ProgressBar`] |
//! | `history.csv` | [`CsvLogger`] |
//! | epochs and updates as lines of JSON, the learning rate among them | [`JsonlLogger`] |
//! | curves and histograms in TensorBoard | [`TensorBoard`] |
//! | `timing.csv` | [`TimingLogger`] |
//! | where the time goes | [`Profiler`] |
//! | stop when nothing improves, keep the best weights | [`EarlyStopping`] |
//! | lower the learning rate when nothing improves | [`ReduceLrOnPlateau`] |
//! | checkpoints: last, best, every n updates | [`Checkpoint`] |
//! | the weights alone, newest or best | [`SaveWeights`] |
//! | skip, stop or go back at a loss that leaps up | [`LossGuard`] |
//! | train the head first, deeper layers later | [`GradualUnfreezing`] |
//! | running statistics that stand still | [`FreezeStatistics`] |
//! | stop on Ctrl-C without losing anything | [`Interrupt`] |
//! | stop after a time | [`TimeLimit`] |
//! | stop in good order when the loss is no number | [`TerminateOnNan`] |
//! | a few lines of one's own | [`Lambda`] |
//! | any of these by its name in a recipe | [`register`](crate::register) |

mod checkpoint;
mod csv_logger;
mod early_stopping;
mod freeze_statistics;
mod gradual_unfreezing;
mod interrupt;
mod jsonl_logger;
mod lambda;
mod loss_guard;
mod plateau;
mod profiler;
mod progress_bar;
mod registry;
mod save_weights;
mod tensorboard;
mod terminate_on_nan;
mod time_limit;
mod timing;

pub use checkpoint::{BestCheckpoint, Checkpoint, CheckpointConfig};
pub use csv_logger::{CsvLogger, CsvLoggerConfig};
pub use early_stopping::{EarlyStopping, EarlyStoppingSettings};
pub use freeze_statistics::{FreezeStatistics, FreezeStatisticsConfig};
pub use gradual_unfreezing::{FrozenPart, GradualUnfreezing, GradualUnfreezingConfig};
pub use interrupt::Interrupt;
pub use jsonl_logger::{JsonlLogger, JsonlLoggerConfig};
pub use lambda::Lambda;
pub use loss_guard::{LossGuard, LossGuardConfig, Remedy};
pub use plateau::{ReduceLrOnPlateau, ReduceLrOnPlateauSettings};
pub use profiler::{Profile, Profiler, ProfilerConfig, Times};
pub use progress_bar::{ProgressBar, ProgressBarConfig};
pub(crate) use registry::register_all;
pub use registry::{CallbackConfig, CallbackTypes};
use registry::{at_least_one, seconds};
pub use save_weights::{SaveWeights, SaveWeightsConfig};
pub use tensorboard::{TensorBoard, TensorBoardConfig};
pub use terminate_on_nan::{TerminateOnNan, TerminateOnNanConfig};
pub use time_limit::{TimeLimit, TimeLimitConfig};
pub use timing::{TimingLogger, TimingLoggerConfig};

use crate::error::TrainerError;
use crate::event::{Context, Event};
use crate::metrics::Metrics;

/// The monitored value of an epoch; `None` for a validation metric in an epoch
/// without evaluation. A metric that is never measured is an error that says
/// what could be monitored.
fn monitored(
    context: &Context<'_>,
    metrics: &Metrics,
    name: &str,
) -> Result<Option<f64>, TrainerError> {
    if let Some(value) = metrics.get(name) {
        return Ok(Some(value));
    }
    let evaluated = metrics.iter().any(|(known, _)| known.starts_with("val_"));
    if context.plan.evaluates && !evaluated && name.starts_with("val_") {
        return Ok(None);
    }
    Err(TrainerError::UnknownMetric {
        name: name.to_owned(),
        known: metrics.known(),
    })
}

/// The monitored value of an event after which it is looked at: the end of an
/// epoch or, for a validation metric, an evaluation within one.
fn observed(
    event: &Event<'_>,
    context: &Context<'_>,
    name: &str,
) -> Result<Option<f64>, TrainerError> {
    match event {
        Event::EpochEnd { row } => monitored(context, &row.metrics, name),
        Event::EvaluationEnd {
            metrics,
            within_epoch: true,
        } => Ok(metrics.get(name)),
        _ => Ok(None),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    //! A stage for callbacks: a context without a training.

    use std::sync::Arc;

    use super::*;
    use crate::callback::Callback;
    use crate::event::{Control, Plan, Progress, Snapshot};
    use crate::metrics::{EpochRow, History};
    use crate::model_state::ModelState;

    struct Nothing;

    impl Snapshot for Nothing {
        fn snapshot(&self) -> Arc<ModelState> {
            Arc::default()
        }
    }

    pub(crate) fn row(epoch: u64, metrics: &[(&str, f64)]) -> EpochRow {
        let mut all = Metrics::default();
        for (name, value) in metrics {
            all.set(*name, *value);
        }
        EpochRow {
            epoch,
            update: (epoch + 1) * 10,
            learning_rate: 0.1,
            metrics: all,
        }
    }

    pub(crate) fn send(
        callback: &mut dyn Callback,
        event: &Event<'_>,
        history: &History,
        progress: Progress,
    ) -> Result<Control, TrainerError> {
        let plan = Plan {
            epochs: 10,
            updates_per_epoch: 10,
            total_updates: 100,
            samples_per_epoch: 320,
            evaluates: true,
        };
        let context = Context::new(&progress, &plan, history, 0.1, None, &Nothing);
        callback.on(event, &context)
    }

    /// Sends the ends of epochs with these values of one metric.
    pub(crate) fn epochs(
        callback: &mut dyn Callback,
        metric: &str,
        first: u64,
        values: &[f64],
    ) -> Vec<Control> {
        let mut history = History::default();
        values
            .iter()
            .zip(first..)
            .map(|(value, epoch)| {
                let row = row(epoch, &[(metric, *value)]);
                history.push(row.clone());
                let progress = Progress {
                    epoch: epoch + 1,
                    update: row.update,
                    batch: 0,
                    samples: 0,
                };
                send(callback, &Event::EpochEnd { row: &row }, &history, progress).unwrap()
            })
            .collect()
    }
}
