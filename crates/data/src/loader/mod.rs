//! The loader: from a data set to batches, the same for any number of workers.
//!
//! `config` checks settings and builds; `plan` decides everything about an
//! epoch before it begins; `pipeline` makes one batch of a plan; `pool` runs
//! pipelines on threads and puts batches back in order; `epoch` hands them out
//! and knows the cursor.

mod builder;
mod config;
mod cursor;
mod epoch;
mod map;
mod pipeline;
mod plan;
mod pool;
mod throughput;

pub use builder::LoaderBuilder;
pub use config::{CorruptPolicy, LoaderConfig, Order};
pub use cursor::Cursor;
pub use epoch::Epoch;
pub use map::{Identity, SampleContext, SampleMap};
pub use pipeline::Skipped;
pub use throughput::{Bottleneck, Throughput};

use crate::{DataError, Sampler};
use firecraft_key::Key;
use pipeline::Produce;
use plan::EpochPlan;
use pool::Pool;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use throughput::Counters;

/// Gives the batches of any epoch, with identical bits and order for any
/// number of workers.
///
/// Made by [`LoaderConfig::init`], or by a [`LoaderBuilder`] when samples are
/// mapped, ordered or collated by code of your own. Epochs are numbered by the
/// caller and independent of each other: epoch 7 is the same whether or not
/// epoch 6 was read. The workers are started with the loader and joined when
/// the loader and all its epochs are dropped.
pub struct Loader<B> {
    shared: Arc<Shared<B>>,
    pool: Option<Arc<Pool<B>>>,
    /// Positions of the order that are read; all if there is none.
    window: Option<Range<usize>>,
}

/// What the loader and its epochs have in common.
struct Shared<B> {
    config: LoaderConfig,
    key: Key,
    pipeline: Arc<dyn Produce<B>>,
    sampler: Box<dyn Sampler>,
    counters: Mutex<Counters>,
    skipped: Mutex<BTreeMap<u64, Skipped>>,
}

impl<B: Send + 'static> Loader<B> {
    /// Starts epoch number `epoch`.
    ///
    /// # Errors
    /// [`DataError::Config`] if the sampler names a sample that does not exist.
    pub fn epoch(&self, epoch: u64) -> Result<Epoch<B>, DataError> {
        Ok(Epoch::start(self, self.plan(epoch)?, 0))
    }

    /// Continues an epoch where a [`Cursor`] was taken.
    ///
    /// # Errors
    /// [`DataError::Cursor`] if the data, the seed, the batch size or the
    /// sampling are not those that the cursor was taken with.
    pub fn resume(&self, cursor: &Cursor) -> Result<Epoch<B>, DataError> {
        let plan = self.plan(cursor.epoch)?;
        let first = cursor.check(
            &self.shared.config,
            self.samples(),
            self.fingerprint(&plan),
            plan.batches(),
        )?;
        Ok(Epoch::start(self, plan, first))
    }

    /// The same loader, restricted to the positions `start..end` in the order of
    /// each epoch; workers are shared.
    ///
    /// Slices that don't overlap read different samples in every epoch: one per
    /// device or process. Batches are those of the whole, cut at the ends.
    ///
    /// ```
    /// use firecraft_data::{Digits, LoaderConfig};
    /// let loader = LoaderConfig::new(10).shuffled().init(Digits::load()?)?;
    /// let (left, right) = (loader.slice(0, 900), loader.slice(900, 1797));
    /// let whole: Vec<_> = loader.epoch(3)?.collect::<Result<_, _>>()?;
    /// let parts: Vec<_> = left.epoch(3)?.chain(right.epoch(3)?).collect::<Result<_, _>>()?;
    /// assert_eq!(parts[95].labels, whole[95].labels);
    /// # Ok::<(), firecraft_data::DataError>(())
    /// ```
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> Self {
        let offset = self.window.as_ref().map_or(0, |window| window.start);
        let limit = self.window.as_ref().map_or(usize::MAX, |window| window.end);
        let end = offset.saturating_add(end).min(limit);
        Self {
            window: Some(offset.saturating_add(start).min(end)..end),
            ..self.clone()
        }
    }

    /// Number of samples in the data set.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.shared.pipeline.samples()
    }

    /// Number of batches in an epoch.
    ///
    /// # Errors
    /// As [`epoch`](Self::epoch).
    pub fn batches(&self) -> Result<usize, DataError> {
        Ok(self.plan(0)?.batches())
    }

    /// Number of samples in an epoch: repetitions count, what `drop_last` leaves
    /// out does not.
    ///
    /// # Errors
    /// As [`epoch`](Self::epoch).
    pub fn epoch_samples(&self) -> Result<usize, DataError> {
        Ok(self.plan(0)?.draws())
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &LoaderConfig {
        &self.shared.config
    }

    /// Samples that were left out under [`CorruptPolicy::Skip`] so far, by id.
    #[must_use]
    pub fn skipped(&self) -> Vec<Skipped> {
        lock(&self.shared.skipped).values().cloned().collect()
    }

    /// Counts and times since the loader was made, over all epochs.
    #[must_use]
    pub fn throughput(&self) -> Throughput {
        lock(&self.shared.counters).summary()
    }

    fn plan(&self, epoch: u64) -> Result<Arc<EpochPlan>, DataError> {
        let shared = &self.shared;
        let plan = EpochPlan::new(
            &*shared.sampler,
            &shared.config,
            shared.key,
            epoch,
            self.samples(),
        )?;
        Ok(Arc::new(match &self.window {
            Some(window) => plan.restricted(window),
            None => plan,
        }))
    }

    fn fingerprint<'a>(&self, plan: &'a EpochPlan) -> &'a str {
        plan.fingerprint(self.shared.key, |index| self.shared.pipeline.id(index))
    }
}

impl<B> Clone for Loader<B> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            pool: self.pool.clone(),
            window: self.window.clone(),
        }
    }
}

impl<B> std::fmt::Debug for Loader<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("samples", &self.shared.pipeline.samples())
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

/// A panic while the lock was held can't leave these values half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
