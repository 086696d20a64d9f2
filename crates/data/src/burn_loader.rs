//! The loader behind burn's own interface.

use crate::{Epoch, Loader};
use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What makes the input of a model from a batch.
type Convert<B, O> = Arc<dyn Fn(B, &Device) -> O + Send + Sync>;

/// A [`Loader`] as burn's [`DataLoader`], so that burn's `Learner` trains on
/// deterministic batches.
///
/// burn asks for an iterator once per epoch: the first one is epoch 0 (or the
/// one given to [`starting_at`](Self::starting_at), when a run is continued),
/// the next one epoch 1. [`fixed`](Self::fixed) reads epoch 0 every time, for
/// validation.
///
/// ```
/// use burn::data::dataloader::DataLoader;
/// use burn::tensor::Device;
/// use firecraft_data::{BurnLoader, Digits, LoaderConfig};
/// let loader = LoaderConfig::new(64).shuffled().with_workers(2).init(Digits::load()?)?;
/// let loader = BurnLoader::new(loader, Device::flex(), |batch, device| batch.to_tensors(device));
/// assert_eq!(loader.num_items(), 1797);
/// assert_eq!(loader.iter().count(), 29);
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
pub struct BurnLoader<B, O> {
    loader: Loader<B>,
    device: Device,
    convert: Convert<B, O>,
    epoch: AtomicU64,
    advances: bool,
}

impl<B: Send + 'static, O> BurnLoader<B, O> {
    /// Converts the batches of `loader` for `device` by `convert`.
    #[must_use]
    pub fn new(
        loader: Loader<B>,
        device: Device,
        convert: impl Fn(B, &Device) -> O + Send + Sync + 'static,
    ) -> Self {
        Self {
            loader,
            device,
            convert: Arc::new(convert),
            epoch: AtomicU64::new(0),
            advances: true,
        }
    }

    /// The first iterator reads this epoch.
    #[must_use]
    pub fn starting_at(mut self, epoch: u64) -> Self {
        self.epoch = AtomicU64::new(epoch);
        self
    }

    /// Every iterator reads the same epoch.
    #[must_use]
    pub fn fixed(mut self) -> Self {
        self.advances = false;
        self
    }

    fn with(&self, loader: Loader<B>, device: Device) -> Self {
        Self {
            loader,
            device,
            convert: Arc::clone(&self.convert),
            epoch: AtomicU64::new(self.epoch.load(Ordering::Relaxed)),
            advances: self.advances,
        }
    }
}

impl<B: Send + 'static, O: 'static> DataLoader<O> for BurnLoader<B, O> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        let epoch = self
            .epoch
            .fetch_add(u64::from(self.advances), Ordering::Relaxed);
        let (epoch, failed) = match self.loader.epoch(epoch) {
            Ok(epoch) => (Some(epoch), None),
            Err(error) => (None, Some(DatasetError::new(error))),
        };
        Box::new(BurnEpoch {
            epoch,
            failed,
            device: &self.device,
            convert: &self.convert,
        })
    }

    fn num_items(&self) -> usize {
        self.loader.epoch_samples().unwrap_or(0)
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<O>> {
        Arc::new(self.with(self.loader.clone(), device.clone()))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        Arc::new(self.with(self.loader.slice(start, end), self.device.clone()))
    }
}

struct BurnEpoch<'a, B: Send + 'static, O> {
    epoch: Option<Epoch<B>>,
    failed: Option<DatasetError>,
    device: &'a Device,
    convert: &'a Convert<B, O>,
}

impl<B: Send + 'static, O> Iterator for BurnEpoch<'_, B, O> {
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let batch = self.epoch.as_mut()?.next()?;
        Some(
            batch
                .map(|batch| (self.convert)(batch, self.device))
                .map_err(DatasetError::new),
        )
    }
}

impl<B: Send + 'static, O> DataLoaderIterator<O> for BurnEpoch<'_, B, O> {
    fn progress(&self) -> Progress {
        let (processed, total) = match &self.epoch {
            Some(epoch) => (epoch.samples_before(), epoch.samples()),
            None => (0, 0),
        };
        Progress::new(processed, total, Some("items".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Digits, LoaderConfig};
    use burn::data::dataloader::split::split_dataloader;

    fn loader() -> BurnLoader<Batch, Vec<u64>> {
        let loader = LoaderConfig::new(100)
            .shuffled()
            .with_workers(2)
            .init(Digits::load().unwrap())
            .unwrap();
        BurnLoader::new(loader, Device::flex(), |batch: Batch, _: &Device| {
            batch.info.ids
        })
    }

    fn ids(loader: &dyn DataLoader<Vec<u64>>) -> Vec<u64> {
        loader.iter().flat_map(Result::unwrap).collect()
    }

    #[test]
    fn every_iterator_is_the_next_epoch() {
        let whole = loader();
        let (first, second) = (ids(&whole), ids(&whole));
        assert_ne!(first, second);
        assert_eq!(ids(&loader().starting_at(1)), second);
        let fixed = loader().fixed();
        assert_eq!((ids(&fixed), ids(&fixed)), (first.clone(), first));
    }

    #[test]
    fn progress_counts_samples() {
        let loader = loader();
        let mut iterator = loader.iter();
        assert_eq!(iterator.progress().items_total, 1797);
        iterator.next().unwrap().unwrap();
        assert_eq!(iterator.progress().items_processed, 100);
        iterator.by_ref().for_each(|batch| drop(batch.unwrap()));
        assert!(iterator.progress().is_completed());
    }

    #[test]
    fn devices_share_out_every_epoch() {
        let parts = split_dataloader(
            Arc::new(loader()) as Arc<dyn DataLoader<_>>,
            &[Device::flex(), Device::flex()],
        );
        for _ in 0..2 {
            let mut all: Vec<u64> = parts.iter().flat_map(|part| ids(&**part)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..1797).collect::<Vec<_>>());
        }
    }
}
