//! The callbacks that come with the trainer.
//!
//! | want | use |
//! |---|---|
//! | a bar on a terminal, a line per epoch elsewhere | [`ProgressBar`] |
//! | `history.csv` | [`CsvLogger`] |
//! | `timing.csv` | [`TimingLogger`] |
//! | stop when nothing improves, keep the best weights | [`EarlyStopping`] |
//! | lower the learning rate when nothing improves | [`ReduceLrOnPlateau`] |
//! | checkpoints: last, best, every n updates | [`Checkpoint`] |
//! | stop on Ctrl-C without losing anything | [`Interrupt`] |
//! | stop after a time | [`TimeLimit`] |
//! | a few lines of one's own | [`Lambda`] |

mod checkpoint;
mod csv_logger;
mod early_stopping;
mod interrupt;
mod lambda;
mod plateau;
mod progress_bar;
mod time_limit;
mod timing;

pub use checkpoint::{BestCheckpoint, Checkpoint};
pub use csv_logger::CsvLogger;
pub use early_stopping::EarlyStopping;
pub use interrupt::Interrupt;
pub use lambda::Lambda;
pub use plateau::ReduceLrOnPlateau;
pub use progress_bar::ProgressBar;
pub use time_limit::TimeLimit;
pub use timing::TimingLogger;

use crate::error::TrainerError;
use crate::metrics::Metrics;

/// The monitored value, or an error that says what could be monitored.
fn monitored(metrics: &Metrics, name: &str) -> Result<f64, TrainerError> {
    metrics
        .get(name)
        .ok_or_else(|| TrainerError::UnknownMetric {
            name: name.to_owned(),
            known: metrics.known(),
        })
}

#[cfg(test)]
pub(crate) mod tests {
    //! A stage for callbacks: a context without a training.

    use std::sync::Arc;

    use super::*;
    use crate::callback::Callback;
    use crate::event::{Context, Control, Event, Plan, Progress, Snapshot};
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
        };
        let context = Context::new(&progress, &plan, history, 0.1, &Nothing);
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
