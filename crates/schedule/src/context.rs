//! What a scheduler is told before each update, and what is known of a run.

use serde::{Deserialize, Serialize};

/// Where a run stands. The clock is the optimiser's updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepContext {
    /// Index of the update about to run, from 0.
    pub update: u64,
    /// Index of the epoch that this update belongs to, from 0.
    pub epoch: u64,
    /// Length of the run in updates, where it is known.
    pub total_updates: Option<u64>,
    /// Updates in one epoch, where they are known.
    pub updates_per_epoch: Option<u64>,
    /// The monitored metric: `Some` exactly once per evaluation, on the step
    /// after it.
    pub metric: Option<f64>,
}

impl StepContext {
    /// The context of update `update` in a run without epochs.
    ///
    /// ```
    /// use firecraft_schedule::StepContext;
    /// assert_eq!(StepContext::at(7).update, 7);
    /// assert_eq!(StepContext::at(7).metric, None);
    /// ```
    #[must_use]
    pub const fn at(update: u64) -> Self {
        Self {
            update,
            epoch: 0,
            total_updates: None,
            updates_per_epoch: None,
            metric: None,
        }
    }

    /// The same moment with a metric.
    #[must_use]
    pub const fn with_metric(mut self, metric: f64) -> Self {
        self.metric = Some(metric);
        self
    }

    /// The same moment in a different epoch.
    #[must_use]
    pub const fn with_epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// What this moment tells about the run.
    pub(crate) const fn horizon(&self) -> Horizon {
        Horizon {
            total_updates: self.total_updates,
            updates_per_epoch: self.updates_per_epoch,
            has_metric: false,
        }
    }

    /// This moment as seen by a part that began at `origin` and lasts `length`
    /// updates.
    #[must_use]
    pub(crate) const fn since(&self, origin: Origin, length: Option<u64>) -> Self {
        Self {
            update: self.update.saturating_sub(origin.update),
            epoch: self.epoch.saturating_sub(origin.epoch),
            total_updates: match (length, self.total_updates) {
                (Some(length), _) => Some(length),
                (None, Some(total)) => Some(total.saturating_sub(origin.update)),
                (None, None) => None,
            },
            // Looked at, not copied: a processor waits for writes of parts before
            // it reads the whole, which took half of a warm-up's step.
            updates_per_epoch: match self.updates_per_epoch {
                Some(n) if n > 0 => Some(n),
                _ => None,
            },
            metric: self.metric,
        }
    }
}

/// The moment at which a part of a composed schedule began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) update: u64,
    pub(crate) epoch: u64,
}

/// What is known about a run before it starts.
///
/// [`Scheduler::check`](crate::Scheduler::check) compares a schedule with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Horizon {
    /// Length of the run in updates.
    pub total_updates: Option<u64>,
    /// Updates in one epoch.
    pub updates_per_epoch: Option<u64>,
    /// Whether the run evaluates a metric.
    pub has_metric: bool,
}

impl Horizon {
    /// A run of `epochs` epochs with `updates_per_epoch` updates each, and an
    /// evaluation after every epoch.
    #[must_use]
    pub const fn epochs(epochs: u64, updates_per_epoch: u64) -> Self {
        Self {
            total_updates: Some(epochs.saturating_mul(updates_per_epoch)),
            updates_per_epoch: Some(updates_per_epoch),
            has_metric: true,
        }
    }

    /// A run of `total` updates without epochs or evaluations.
    #[must_use]
    pub const fn updates(total: u64) -> Self {
        Self {
            total_updates: Some(total),
            updates_per_epoch: None,
            has_metric: false,
        }
    }

    /// The context of one update of this run, without a metric.
    ///
    /// ```
    /// use firecraft_schedule::Horizon;
    /// let at = Horizon::epochs(3, 10).at(25);
    /// assert_eq!((at.epoch, at.total_updates), (2, Some(30)));
    /// ```
    #[must_use]
    pub const fn at(&self, update: u64) -> StepContext {
        StepContext {
            update,
            epoch: match self.updates_per_epoch {
                Some(per_epoch) if per_epoch > 0 => update / per_epoch,
                _ => 0,
            },
            total_updates: self.total_updates,
            updates_per_epoch: self.updates_per_epoch,
            metric: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_sees_its_own_clock() {
        let run = Horizon::epochs(10, 100);
        let origin = Origin {
            update: 300,
            epoch: 3,
        };
        let part = run.at(450).since(origin, Some(200));
        assert_eq!((part.update, part.epoch), (150, 1));
        assert_eq!(part.total_updates, Some(200));
        assert_eq!(run.at(450).since(origin, None).total_updates, Some(700));
    }
}
