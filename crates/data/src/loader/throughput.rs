//! How fast batches come, and who waits for whom.

use std::time::Duration;

/// Counts and times of a loader.
///
/// Times are for people; no result depends on them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Throughput {
    /// Batches handed out.
    pub batches: u64,
    /// Samples in them.
    pub samples: u64,
    /// Time that the consumer waited for batches.
    pub waiting: Duration,
    /// Time that the consumer spent between batches.
    pub computing: Duration,
    /// Time that workers spent on the batches handed out, summed over workers.
    pub working: Duration,
}

/// What limits the speed of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bottleneck {
    /// The consumer waits for more than a tenth of its time: more workers, a
    /// cache or cheaper maps would help.
    Data,
    /// Batches are ready when they are asked for.
    Compute,
}

impl Throughput {
    /// Samples per second of waiting and computing; 0 before the first batch.
    #[must_use]
    pub fn samples_per_second(&self) -> f64 {
        let seconds = (self.waiting + self.computing).as_secs_f64();
        if seconds > 0.0 {
            self.samples as f64 / seconds
        } else {
            0.0
        }
    }

    /// Share of the consumer's time that it waited, in `[0, 1]`.
    #[must_use]
    pub fn waiting_share(&self) -> f64 {
        let total = (self.waiting + self.computing).as_secs_f64();
        if total > 0.0 {
            self.waiting.as_secs_f64() / total
        } else {
            0.0
        }
    }

    /// Whether data or compute limits the speed.
    ///
    /// ```
    /// use firecraft_data::{Bottleneck, Throughput};
    /// use std::time::Duration;
    /// let (waiting, computing) = (Duration::from_secs(1), Duration::from_secs(3));
    /// let counts = Throughput { samples: 400, waiting, computing, ..Throughput::default() };
    /// assert_eq!(counts.bottleneck(), Bottleneck::Data);
    /// assert_eq!(counts.samples_per_second(), 100.0);
    /// ```
    #[must_use]
    pub fn bottleneck(&self) -> Bottleneck {
        if self.waiting_share() > 0.1 {
            Bottleneck::Data
        } else {
            Bottleneck::Compute
        }
    }
}

#[derive(Default)]
pub(super) struct Counters(Throughput);

impl Counters {
    pub(super) fn add(
        &mut self,
        samples: usize,
        waiting: Duration,
        computing: Duration,
        working: Duration,
    ) {
        self.0.batches += 1;
        self.0.samples += samples as u64;
        self.0.waiting += waiting;
        self.0.computing += computing;
        self.0.working += working;
    }

    pub(super) fn summary(&self) -> Throughput {
        self.0
    }
}
