//! Putting a loader together from a data set, a map, an order and a collation.

use super::pipeline::Pipeline;
use super::pool::Pool;
use super::throughput::Counters;
use super::{Identity, Loader, LoaderConfig, SampleMap, Shared};
use crate::{Collate, DataError, Dataset, ImageCollate, Sampler};
use firecraft_key::Key;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Builds a [`Loader`] whose samples are mapped, ordered or collated by code of
/// your own.
///
/// ```
/// use firecraft_data::{BoxError, Digits, ImageSample, LoaderBuilder, LoaderConfig, Pixels, SampleContext};
///
/// fn invert(mut sample: ImageSample, _: &SampleContext) -> Result<ImageSample, BoxError> {
///     if let Pixels::U8(levels) = &mut sample.pixels {
///         levels.iter_mut().for_each(|level| *level = 255 - *level);
///     }
///     Ok(sample)
/// }
/// let config = LoaderConfig::new(32).with_workers(2);
/// let loader = LoaderBuilder::new(Digits::load()?).map(invert).build(&config)?;
/// assert_eq!(loader.epoch(0)?.count(), 57);
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
pub struct LoaderBuilder<D, M = Identity, C = ImageCollate> {
    dataset: D,
    map: M,
    collate: C,
    sampler: Option<Box<dyn Sampler>>,
    weights: Option<Vec<f32>>,
}

impl<D: Dataset> LoaderBuilder<D> {
    /// A loader of `dataset` that leaves samples as they are.
    #[must_use]
    pub fn new(dataset: D) -> Self {
        Self {
            dataset,
            map: Identity,
            collate: ImageCollate,
            sampler: None,
            weights: None,
        }
    }
}

impl<D: Dataset, M, C> LoaderBuilder<D, M, C> {
    /// Applies `map` to every sample, in the workers.
    #[must_use]
    pub fn map<N: SampleMap<D::Item>>(self, map: N) -> LoaderBuilder<D, N, C> {
        let Self {
            dataset,
            collate,
            sampler,
            weights,
            ..
        } = self;
        LoaderBuilder {
            dataset,
            map,
            collate,
            sampler,
            weights,
        }
    }

    /// Puts batches together with `collate`.
    #[must_use]
    pub fn collate<N>(self, collate: N) -> LoaderBuilder<D, M, N> {
        let Self {
            dataset,
            map,
            sampler,
            weights,
            ..
        } = self;
        LoaderBuilder {
            dataset,
            map,
            collate,
            sampler,
            weights,
        }
    }

    /// Replaces the order that the settings name.
    #[must_use]
    pub fn sampler(mut self, sampler: impl Sampler) -> Self {
        self.sampler = Some(Box::new(sampler));
        self
    }

    /// Gives each sample of the data set a weight in the loss.
    #[must_use]
    pub fn weights(mut self, weights: Vec<f32>) -> Self {
        self.weights = Some(weights);
        self
    }

    /// Starts the workers and makes the loader.
    ///
    /// # Errors
    /// [`DataError::Config`] for settings out of range or weights that are
    /// negative or not finite, [`DataError::Empty`] for a data set without
    /// samples, [`DataError::Mismatch`] if there is not one weight per sample,
    /// [`DataError::Spawn`].
    pub fn build(self, config: &LoaderConfig) -> Result<Loader<C::Batch>, DataError>
    where
        M: SampleMap<D::Item>,
        C: Collate<M::Output>,
    {
        config.check()?;
        let samples = self.dataset.len();
        if samples == 0 {
            return Err(DataError::Empty {
                what: "the data set of the loader".to_owned(),
            });
        }
        if u32::try_from(samples).is_err() {
            return Err(DataError::config(
                "number of samples",
                samples,
                "less than 2^32",
            ));
        }
        check_weights(self.weights.as_deref(), samples)?;
        let sampler = self.sampler.unwrap_or_else(|| config.order().sampler());
        let key = Key::from_seed(config.seed());
        let pipeline = Arc::new(Pipeline {
            dataset: self.dataset,
            map: self.map,
            collate: self.collate,
            weights: self.weights,
            on_corrupt: config.corrupt_policy(),
            key,
        });
        let shared = Arc::new(Shared {
            config: config.clone(),
            key,
            pipeline,
            sampler,
            counters: Mutex::new(Counters::default()),
            skipped: Mutex::new(BTreeMap::new()),
        });
        let pool = match config.workers() {
            0 => None,
            workers => Some(Arc::new(Pool::start(
                &shared.pipeline,
                workers,
                config.prefetch(),
            )?)),
        };
        Ok(Loader {
            shared,
            pool,
            window: None,
        })
    }
}

fn check_weights(weights: Option<&[f32]>, samples: usize) -> Result<(), DataError> {
    let Some(weights) = weights else {
        return Ok(());
    };
    if weights.len() != samples {
        return Err(DataError::Mismatch {
            what: "number of sample weights".to_owned(),
            expected: samples.to_string(),
            got: weights.len().to_string(),
            remedy: "pass one weight per sample of the data set",
        });
    }
    match weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
        Some(bad) => Err(DataError::config(
            "weight",
            format!("{} (sample {bad})", weights[bad]),
            "finite, at least 0",
        )),
        None => Ok(()),
    }
}
