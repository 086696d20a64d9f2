//! The metric of burn's `Learner`, for schedulers that follow one.

use super::MetricHandle;
use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};

/// A checkpointing strategy that also leaves a metric for a
/// [`BurnLr`](super::BurnLr) at the end of every epoch.
///
/// burn asks its checkpointing strategy after the validation of an epoch and
/// before the records are taken, and lets it read the metrics: the one place in
/// its loop where a schedule can learn of them. What is saved is up to the
/// strategy that this one wraps.
///
/// burn asks only if the training has checkpointers
/// (`with_default_checkpointers`); without them no metric arrives and a plateau
/// rule never acts.
pub struct MetricStrategy<C> {
    inner: C,
    metric: MetricHandle,
    name: String,
    split: Split,
}

impl<C: CheckpointingStrategy> MetricStrategy<C> {
    /// The mean of the metric `name` on the validation set, for `metric`. burn
    /// names its metrics in words: `"Loss"`, `"Accuracy"`.
    pub fn new(name: impl Into<String>, metric: MetricHandle, inner: C) -> Self {
        Self {
            inner,
            metric,
            name: name.into(),
            split: Split::Valid,
        }
    }

    /// The same of another split.
    #[must_use]
    pub fn with_split(mut self, split: Split) -> Self {
        self.split = split;
        self
    }
}

impl<C: CheckpointingStrategy> CheckpointingStrategy for MetricStrategy<C> {
    /// # Panics
    /// If the training has no such metric. burn's trait can't report it, and a
    /// schedule that never hears of its metric would be silently constant.
    fn checkpointing(
        &mut self,
        epoch: usize,
        collector: &EventStoreClient,
    ) -> Vec<CheckpointingAction> {
        let metric = collector.find_metric(&self.name, epoch, Aggregate::Mean, &self.split);
        let Some(metric) = metric else {
            panic!(
                "the schedule follows `{}` of the {} split, which epoch {epoch} does not have; \
                 register it as a numeric metric of that split",
                self.name, self.split
            );
        };
        self.metric.offer(metric);
        self.inner.checkpointing(epoch, collector)
    }
}
