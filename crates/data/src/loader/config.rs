//! The settings of a loader.

use super::{Loader, LoaderBuilder};
use crate::{Batch, DataError, Dataset, ImageSample};
use serde::{Deserialize, Serialize};

/// What happens when a sample can't be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorruptPolicy {
    /// The epoch ends with the error.
    #[default]
    Error,
    /// The sample is left out of its batch and reported by
    /// [`Loader::skipped`]. Errors of maps are never skipped.
    Skip,
}

/// In which order epochs visit the samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// That of the data set.
    #[default]
    Sequential,
    /// Another one in every epoch, by the seed.
    Shuffled,
}

/// Settings of a [`Loader`].
///
/// ```
/// use firecraft_data::{Dataset, Digits, LoaderConfig};
/// let config = LoaderConfig::new(128).shuffled().with_seed(3).with_workers(2).with_drop_last();
/// let loader = config.init(Digits::load()?)?;
/// assert_eq!(loader.batches()?, 1797 / 128);
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderConfig {
    batch_size: usize,
    #[serde(default)]
    order: Order,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    workers: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefetch: Option<usize>,
    #[serde(default)]
    drop_last: bool,
    #[serde(default)]
    on_corrupt: CorruptPolicy,
}

/// More threads than this are taken for a slip of the pen.
const MOST_WORKERS: usize = 256;

impl LoaderConfig {
    /// Batches of `batch_size` samples (the last one may be smaller), in the
    /// order of the data set, made in the thread that asks for them.
    #[must_use]
    pub fn new(batch_size: usize) -> Self {
        Self {
            batch_size,
            order: Order::Sequential,
            seed: 0,
            workers: 0,
            prefetch: None,
            drop_last: false,
            on_corrupt: CorruptPolicy::Error,
        }
    }

    /// Visits the samples in another order in every epoch.
    #[must_use]
    pub fn shuffled(mut self) -> Self {
        self.order = Order::Shuffled;
        self
    }

    /// The seed of orders and of the samples' keys (default 0).
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Number of worker threads, at most 256 (default 0: batches are made when
    /// they are asked for). Batches don't depend on it.
    #[must_use]
    pub fn with_workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// How many batches may be in work or ready at a time, at least 1 (default
    /// two per worker). It bounds memory; workers beyond it idle.
    #[must_use]
    pub fn with_prefetch(mut self, batches: usize) -> Self {
        self.prefetch = Some(batches);
        self
    }

    /// Leaves out a last batch that is smaller than the others.
    #[must_use]
    pub fn with_drop_last(mut self) -> Self {
        self.drop_last = true;
        self
    }

    /// What happens when a sample can't be read (default: an error).
    #[must_use]
    pub fn with_corrupt_policy(mut self, policy: CorruptPolicy) -> Self {
        self.on_corrupt = policy;
        self
    }

    /// Samples per batch.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Number of worker threads.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// How many batches may be in work or ready at a time.
    #[must_use]
    pub fn prefetch(&self) -> usize {
        self.prefetch.unwrap_or(2 * self.workers).max(1)
    }

    /// The seed of orders and of the samples' keys.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether a smaller last batch is left out.
    #[must_use]
    pub fn drop_last(&self) -> bool {
        self.drop_last
    }

    /// What happens when a sample can't be read.
    #[must_use]
    pub fn corrupt_policy(&self) -> CorruptPolicy {
        self.on_corrupt
    }

    pub(crate) fn order(&self) -> Order {
        self.order
    }

    /// A loader of the images of `dataset`.
    ///
    /// # Errors
    /// As [`LoaderBuilder::build`].
    pub fn init<D: Dataset<Item = ImageSample>>(
        &self,
        dataset: D,
    ) -> Result<Loader<Batch>, DataError> {
        LoaderBuilder::new(dataset).build(self)
    }

    pub(crate) fn check(&self) -> Result<(), DataError> {
        if self.batch_size == 0 {
            return Err(DataError::config("batch_size", 0, "at least 1"));
        }
        if self.workers > MOST_WORKERS {
            return Err(DataError::config(
                "workers",
                self.workers,
                format!("at most {MOST_WORKERS}"),
            ));
        }
        if self.prefetch == Some(0) {
            return Err(DataError::config("prefetch", 0, "at least 1"));
        }
        Ok(())
    }
}
