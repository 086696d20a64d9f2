//! Keeping what was expensive to read.

use crate::{DataError, Dataset, ImageSample, Labelled, Pixels};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How much memory a value holds.
pub trait ByteSize {
    /// Bytes on the heap, about.
    fn byte_size(&self) -> usize;
}

impl ByteSize for ImageSample {
    fn byte_size(&self) -> usize {
        match &self.pixels {
            Pixels::U8(levels) => levels.capacity(),
            Pixels::F32(values) => values.capacity() * size_of::<f32>(),
        }
    }
}

/// A data set that keeps samples in memory up to a budget.
///
/// The first samples read are kept, and never replaced: epochs visit every
/// sample once, so that replacing would throw out what comes next. Results are
/// the same with any budget.
///
/// ```
/// use firecraft_data::{Cached, Dataset, Digits};
/// let digits = Cached::new(Digits::load()?, 100 * 64);
/// for index in 0..digits.len() {
///     digits.get(index)?;
/// }
/// let usage = digits.usage();
/// assert_eq!((usage.samples, usage.bytes, usage.misses), (100, 6400, 1797));
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
pub struct Cached<D: Dataset> {
    dataset: D,
    slots: Vec<OnceLock<D::Item>>,
    budget: usize,
    bytes: AtomicUsize,
    samples: AtomicUsize,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What a [`Cached`] data set holds and how often it helped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheUsage {
    /// Samples held.
    pub samples: usize,
    /// Bytes held, at most the budget.
    pub bytes: usize,
    /// Reads answered from memory.
    pub hits: u64,
    /// Reads answered by the data set.
    pub misses: u64,
}

impl<D: Dataset> Cached<D>
where
    D::Item: ByteSize + Clone + Sync,
{
    /// Keeps samples of `dataset` in at most `budget` bytes.
    #[must_use]
    pub fn new(dataset: D, budget: usize) -> Self {
        Self {
            slots: (0..dataset.len()).map(|_| OnceLock::new()).collect(),
            dataset,
            budget,
            bytes: AtomicUsize::new(0),
            samples: AtomicUsize::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// What is held and how often it helped.
    #[must_use]
    pub fn usage(&self) -> CacheUsage {
        CacheUsage {
            samples: self.samples.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }

    fn keep(&self, slot: &OnceLock<D::Item>, item: &D::Item) {
        let size = item.byte_size();
        let grown = |held: usize| held.checked_add(size).filter(|&sum| sum <= self.budget);
        if self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .is_err()
        {
            return;
        }
        // Two threads may have read the same sample: one of them gives back.
        if slot.set(item.clone()).is_ok() {
            self.samples.fetch_add(1, Ordering::Relaxed);
        } else {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
    }
}

impl<D: Dataset> Dataset for Cached<D>
where
    D::Item: ByteSize + Clone + Sync,
{
    type Item = D::Item;

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn get(&self, index: usize) -> Result<D::Item, DataError> {
        let slot = self.slots.get(index);
        if let Some(item) = slot.and_then(OnceLock::get) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(item.clone());
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let item = self.dataset.get(index)?;
        if let Some(slot) = slot {
            self.keep(slot, &item);
        }
        Ok(item)
    }

    fn id(&self, index: usize) -> u64 {
        self.dataset.id(index)
    }
}

impl<D: Labelled> Labelled for Cached<D>
where
    D::Item: ByteSize + Clone + Sync,
{
    fn labels(&self) -> Vec<u32> {
        self.dataset.labels()
    }

    fn class_names(&self) -> Vec<String> {
        self.dataset.class_names()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digits, LoaderConfig};
    use std::sync::Arc;

    #[test]
    fn batches_do_not_depend_on_the_budget() {
        let config = LoaderConfig::new(32).shuffled().with_workers(3);
        let read = |budget| {
            let cached = Arc::new(Cached::new(Digits::load().unwrap(), budget));
            let loader = config.init(Arc::clone(&cached)).unwrap();
            let epochs = (0..2)
                .flat_map(|e| loader.epoch(e).unwrap())
                .collect::<Result<Vec<_>, _>>()
                .unwrap();
            (epochs, cached.usage())
        };
        let (plain, none) = read(0);
        assert_eq!((none.samples, none.hits), (0, 0));
        for budget in [10_000, usize::MAX] {
            let (cached, usage) = read(budget);
            assert_eq!(cached, plain);
            assert!(usage.bytes <= budget && usage.bytes == usage.samples * 64);
            assert_eq!(usage.hits as usize, usage.samples);
        }
    }
}
