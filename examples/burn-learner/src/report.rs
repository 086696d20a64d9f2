//! What a run did, epoch by epoch, without burn's line per batch.

use burn::optim::LearningRate;
use burn::optim::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::train::LearnerSummary;
use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::MetricDefinition;
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

/// One epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// Its number, from 1 as burn counts.
    pub number: usize,
    /// Learning rate of the last update, of all parameters but the head's.
    pub body_lr: f64,
    /// That of the head.
    pub head_lr: f64,
    /// Mean loss on the validation set.
    pub loss: f64,
    /// Accuracy on the validation set, in percent.
    pub accuracy: f64,
}

/// A scheduler of burn that tells its last value.
#[derive(Clone)]
pub struct Recorded<S> {
    inner: S,
    last: Arc<Mutex<f64>>,
}

impl<S> Recorded<S> {
    /// Around `inner`.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            last: Arc::default(),
        }
    }

    /// Where the last value is.
    pub fn last(&self) -> Arc<Mutex<f64>> {
        Arc::clone(&self.last)
    }
}

impl<S: LrScheduler + Clone + 'static> LrScheduler for Recorded<S> {
    fn step(&mut self) -> LearningRate {
        let lr = self.inner.step();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = lr;
        lr
    }

    fn to_record(&self) -> LrSchedulerRecord {
        self.inner.to_record()
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        self.inner.load_record(record);
    }
}

type Reports = Arc<Mutex<Vec<EpochReport>>>;

/// Writes the reports, where burn lets one read the metrics of an epoch.
pub(crate) struct Reporter {
    body_lr: Arc<Mutex<f64>>,
    head_lr: Arc<Mutex<f64>>,
    reports: Reports,
}

impl Reporter {
    pub(crate) fn new(body_lr: Arc<Mutex<f64>>, head_lr: Arc<Mutex<f64>>) -> Self {
        Self {
            body_lr,
            head_lr,
            reports: Arc::default(),
        }
    }

    pub(crate) fn reports(&self) -> Reports {
        Arc::clone(&self.reports)
    }

    /// As a checkpointing strategy that saves what `inner` says.
    pub(crate) fn around<C: CheckpointingStrategy>(self, inner: C) -> impl CheckpointingStrategy {
        Around {
            reporter: self,
            inner,
        }
    }
}

struct Around<C> {
    reporter: Reporter,
    inner: C,
}

impl<C: CheckpointingStrategy> CheckpointingStrategy for Around<C> {
    fn checkpointing(
        &mut self,
        epoch: usize,
        store: &EventStoreClient,
    ) -> Vec<CheckpointingAction> {
        let read = |value: &Mutex<f64>| *value.lock().unwrap_or_else(PoisonError::into_inner);
        let valid = |name: &str| {
            let metric = store.find_metric(name, epoch, Aggregate::Mean, &Split::Valid);
            metric.unwrap_or(f64::NAN)
        };
        let report = EpochReport {
            number: epoch,
            body_lr: read(&self.reporter.body_lr),
            head_lr: read(&self.reporter.head_lr),
            loss: valid("Loss"),
            accuracy: valid("Accuracy"),
        };
        let reports = self.reporter.reports.lock();
        reports.unwrap_or_else(PoisonError::into_inner).push(report);
        self.inner.checkpointing(epoch, store)
    }
}

/// A renderer that shows nothing.
pub(crate) struct Silent;

impl MetricsRendererTraining for Silent {
    fn update_train(&mut self, _: MetricState) {}
    fn update_valid(&mut self, _: MetricState) {}
    fn on_train_end(&mut self, _: Option<LearnerSummary>) -> Result<(), Box<dyn Error>> {
        Ok(())
    }
}

impl MetricsRendererEvaluation for Silent {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl TrainingProgressLogger for Silent {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}
    fn update_epoch(&mut self, _: usize) {}
    fn start_split(&mut self, _: &str, _: usize) {}
    fn update_split(&mut self, _: usize) {}
    fn end_split(&mut self) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _: String) {}
}

impl EvaluationProgressLogger for Silent {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

impl MetricsRenderer for Silent {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _: MetricDefinition) {}
}
