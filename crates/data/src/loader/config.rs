//! The settings of a loader.

use super::{Loader, LoaderBuilder};
use crate::{Batch, DataError, Dataset, ImageSample, Repeated, Sampler, Sequential, Shuffled};
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
///
/// Orders that need labels, weights or sizes are samplers that a
/// [`LoaderBuilder`] is given: [`Balanced`](crate::Balanced),
/// [`Weighted`](crate::Weighted), [`Bucketed`](crate::Bucketed).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// That of the data set.
    #[default]
    Sequential,
    /// Another one in every epoch, by the seed.
    Shuffled,
    /// Shuffled, every sample several times in a row: see
    /// [`Repeated`](crate::Repeated).
    Repeated {
        /// Visits of a sample, at least 1.
        times: usize,
        /// Whether an epoch visits all samples, and so is `times` as long.
        #[serde(default)]
        full: bool,
    },
}

impl Order {
    pub(super) fn sampler(self) -> Box<dyn Sampler> {
        match self {
            Self::Sequential => Box::new(Sequential),
            Self::Shuffled => Box::new(Shuffled),
            Self::Repeated { times, full: false } => Box::new(Repeated::new(times)),
            Self::Repeated { times, full: true } => Box::new(Repeated::new(times).full()),
        }
    }
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
    pub fn shuffled(self) -> Self {
        self.with_order(Order::Shuffled)
    }

    /// In which order epochs visit the samples (default
    /// [`Order::Sequential`]).
    #[must_use]
    pub fn with_order(mut self, order: Order) -> Self {
        self.order = order;
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

    /// In which order epochs visit the samples.
    #[must_use]
    pub fn order(&self) -> Order {
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
        if let Order::Repeated { times: 0, .. } = self.order {
            return Err(DataError::config("order.times", 0, "at least 1"));
        }
        if self.prefetch == Some(0) {
            return Err(DataError::config("prefetch", 0, "at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_toml_and_json() {
        let order = Order::Repeated {
            times: 3,
            full: true,
        };
        let config = LoaderConfig::new(32)
            .with_order(order)
            .with_seed(9)
            .with_workers(2)
            .with_prefetch(5);
        let config = config
            .with_drop_last()
            .with_corrupt_policy(CorruptPolicy::Skip);
        for config in [
            config,
            LoaderConfig::new(8),
            LoaderConfig::new(8).shuffled(),
        ] {
            let text = toml::to_string(&config).unwrap();
            assert_eq!(
                toml::from_str::<LoaderConfig>(&text).unwrap(),
                config,
                "{text}"
            );
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(
                serde_json::from_str::<LoaderConfig>(&text).unwrap(),
                config,
                "{text}"
            );
        }
    }

    #[test]
    fn unknown_settings_are_refused_by_name() {
        let message = |text| {
            toml::from_str::<LoaderConfig>(text)
                .unwrap_err()
                .to_string()
        };
        assert!(message("batch_size = 8\nshuffle = true").contains("unknown field `shuffle`"));
        assert!(
            message("batch_size = 8\norder = { type = 'repeated', times = 2, often = 1 }")
                .contains("often")
        );
        assert!(message("batch_size = 8\norder = { type = 'sorted' }").contains("sorted"));
        assert!(message("workers = 8").contains("batch_size"));
    }
}
