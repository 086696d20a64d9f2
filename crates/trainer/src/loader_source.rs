//! The image loader of `firecraft-data` as a source of batches.

use burn::tensor::{Device, Tensor};
use firecraft_data::{Batch, Cursor, Epoch, Loader, Normalizer};
use firecraft_spec::Value;

use crate::error::TrainerError;
use crate::source::{BatchSource, Labelled, Targets};

/// Gives the batches of a [`Loader`] as tensors `[N, C, H, W]`.
///
/// ```
/// use firecraft_data::{Digits, LoaderConfig};
/// use firecraft_trainer::{BatchSource, LoaderSource};
///
/// let loader = LoaderConfig::new(64).shuffled().init(Digits::load()?)?;
/// let source = LoaderSource::new(loader)?;
/// assert_eq!(source.batches_per_epoch(), 29);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LoaderSource {
    loader: Loader<Batch>,
    normalizer: Option<Normalizer>,
    running: Option<Running>,
    batches: u64,
    samples: u64,
    identity: String,
}

struct Running(Epoch<Batch>);

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Epoch")
            .field("epoch", &self.0.epoch())
            .field("position", &self.0.position())
            .finish()
    }
}

impl LoaderSource {
    /// A source with values in `[0, 1]`.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Data`] when the loader can't plan an epoch.
    pub fn new(loader: Loader<Batch>) -> Result<Self, TrainerError> {
        let epoch = loader.epoch(0).map_err(broken)?;
        let cursor = firecraft_spec::to_value(&epoch.cursor())?;
        let digest = cursor
            .as_table()
            .and_then(|table| table.get("fingerprint"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        let (batches, samples) = (epoch.batches() as u64, epoch.samples() as u64);
        let identity = format!(
            "{samples} samples in batches of {}, digest {digest}",
            loader.config().batch_size()
        );
        drop(epoch);
        Ok(Self {
            loader,
            normalizer: None,
            running: None,
            batches,
            samples,
            identity,
        })
    }

    /// Normalises the images in the same pass.
    #[must_use]
    pub fn with_normalizer(mut self, normalizer: Normalizer) -> Self {
        self.normalizer = Some(normalizer);
        self
    }
}

impl BatchSource for LoaderSource {
    type Batch = Labelled<Tensor<4>>;

    fn batches_per_epoch(&self) -> u64 {
        self.batches
    }

    fn samples_per_epoch(&self) -> u64 {
        self.samples
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn start_epoch(&mut self, epoch: u64) -> Result<(), TrainerError> {
        // The old epoch must give its place in the worker pool back first.
        self.running = None;
        self.running = Some(Running(self.loader.epoch(epoch).map_err(broken)?));
        Ok(())
    }

    fn next_batch(&mut self, device: &Device) -> Result<Option<Self::Batch>, TrainerError> {
        let next = self.running.as_mut().and_then(|running| running.0.next());
        let Some(batch) = next.transpose().map_err(broken)? else {
            return Ok(None);
        };
        let tensors = match &self.normalizer {
            Some(normalizer) => batch
                .to_normalized_tensors(normalizer, device)
                .map_err(broken)?,
            None => batch.to_tensors(device),
        };
        Ok(Some(Labelled {
            inputs: tensors.images,
            targets: Targets::Classes(tensors.labels),
            weights: tensors.weights,
        }))
    }

    fn cursor(&self) -> Value {
        let cursor = self.running.as_ref().map(|running| running.0.cursor());
        firecraft_spec::to_value(&cursor).unwrap_or_default()
    }

    fn restore(&mut self, cursor: &Value) -> Result<(), TrainerError> {
        let cursor: Option<Cursor> = firecraft_spec::from_value(cursor)?;
        self.running = None;
        if let Some(cursor) = cursor {
            self.running = Some(Running(self.loader.resume(&cursor).map_err(broken)?));
        }
        Ok(())
    }
}

fn broken(error: firecraft_data::DataError) -> TrainerError {
    TrainerError::Loader(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use firecraft_data::{Digits, LoaderConfig};

    fn source(seed: u64) -> LoaderSource {
        let config = LoaderConfig::new(100).shuffled().with_seed(seed);
        LoaderSource::new(config.init(Digits::load().unwrap()).unwrap()).unwrap()
    }

    fn next(source: &mut LoaderSource) -> Option<Vec<f32>> {
        let batch = source.next_batch(&Device::flex()).unwrap()?;
        Some(batch.inputs.into_data().try_to_vec::<f32>().unwrap())
    }

    #[test]
    fn a_restored_source_goes_on_with_the_same_batches() {
        let mut straight = source(3);
        straight.start_epoch(5).unwrap();
        for _ in 0..4 {
            next(&mut straight);
        }
        let mut resumed = source(3);
        resumed.restore(&straight.cursor()).unwrap();
        let mut left = 0;
        while let Some(batch) = next(&mut straight) {
            assert_eq!(next(&mut resumed), Some(batch));
            left += 1;
        }
        assert_eq!(left, 14);
        assert_eq!(next(&mut resumed), None);
    }

    #[test]
    fn the_cursor_of_other_data_is_refused() {
        let mut straight = source(3);
        straight.start_epoch(0).unwrap();
        assert!(source(4).restore(&straight.cursor()).is_err());
        assert_ne!(source(3).identity(), source(4).identity());
    }
}
