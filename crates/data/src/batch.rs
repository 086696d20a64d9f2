//! Samples put together for one step of a model.

use crate::{DataError, ImageSample, Pixels};
use firecraft_key::Key;

/// What the loader knows about a batch, besides its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchInfo {
    /// The epoch.
    pub epoch: u64,
    /// Number of the batch in its epoch, from 0.
    pub index: u64,
    /// A key of this batch, for operations on several samples.
    pub key: Key,
    /// Ids of the samples, in order.
    pub ids: Vec<u64>,
    /// Weight of each sample in the loss, if the loader was given weights.
    pub weights: Option<Vec<f32>>,
}

/// Puts samples together; runs in the workers.
pub trait Collate<I>: Send + Sync + 'static {
    /// What is made of the samples.
    type Batch: Send + 'static;

    /// Makes a batch of `samples`, of which there is at least one.
    ///
    /// # Errors
    /// If the samples don't fit together.
    fn collate(&self, samples: Vec<I>, info: BatchInfo) -> Result<Self::Batch, DataError>;
}

/// The values of a batch of images, N × H × W × C.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchPixels {
    /// Levels from 0 to 255.
    U8(Vec<u8>),
    /// Any values; `[0, 1]` if they came from levels.
    F32(Vec<f32>),
}

/// Images of one size with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The values, N × H × W × C.
    pub pixels: BatchPixels,
    /// N, H, W, C.
    pub shape: [usize; 4],
    /// Class of each image.
    pub labels: Vec<u32>,
    /// Ids of the samples, where they come from, and weights.
    pub info: BatchInfo,
}

impl Batch {
    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Whether there is no sample; loaders never give such a batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ids of the samples.
    #[must_use]
    pub fn ids(&self) -> &[u64] {
        &self.info.ids
    }
}

/// Makes a [`Batch`] of [`ImageSample`]s of one size and one type of values.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageCollate;

impl Collate<ImageSample> for ImageCollate {
    type Batch = Batch;

    fn collate(&self, samples: Vec<ImageSample>, info: BatchInfo) -> Result<Batch, DataError> {
        let Some(first) = samples.first() else {
            return Err(DataError::Empty {
                what: format!("batch {} of epoch {}", info.index, info.epoch),
            });
        };
        let size = [first.height, first.width, first.channels];
        let count = samples.len();
        let mut pixels = match first.pixels {
            Pixels::U8(_) => BatchPixels::U8(Vec::with_capacity(count * first.pixels.len())),
            Pixels::F32(_) => BatchPixels::F32(Vec::with_capacity(count * first.pixels.len())),
        };
        let mut labels = Vec::with_capacity(count);
        for (sample, id) in samples.iter().zip(&info.ids) {
            let own = [sample.height, sample.width, sample.channels];
            if own != size || sample.pixels.len() != size.iter().product::<usize>() {
                return Err(mismatch(
                    "size",
                    *id,
                    &size,
                    &format!("{own:?} with {} values", sample.pixels.len()),
                ));
            }
            match (&mut pixels, &sample.pixels) {
                (BatchPixels::U8(batch), Pixels::U8(image)) => batch.extend_from_slice(image),
                (BatchPixels::F32(batch), Pixels::F32(image)) => batch.extend_from_slice(image),
                (BatchPixels::U8(_), _) => {
                    return Err(mismatch("type of values", *id, &"u8", "f32"));
                }
                (BatchPixels::F32(_), _) => {
                    return Err(mismatch("type of values", *id, &"f32", "u8"));
                }
            }
            labels.push(sample.label);
        }
        Ok(Batch {
            pixels,
            shape: [count, size[0], size[1], size[2]],
            labels,
            info,
        })
    }
}

fn mismatch(what: &str, id: u64, expected: &dyn std::fmt::Debug, got: &str) -> DataError {
    DataError::Mismatch {
        what: format!("{what} of sample {id}"),
        expected: format!("{expected:?}, as the first sample of its batch"),
        got: got.to_owned(),
        remedy: "resize or crop to one size, and convert to one type, in the map of the loader",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(ids: &[u64]) -> BatchInfo {
        BatchInfo {
            epoch: 0,
            index: 0,
            key: Key::from_seed(0),
            ids: ids.to_vec(),
            weights: None,
        }
    }

    fn sample(pixels: Pixels, height: usize) -> ImageSample {
        ImageSample {
            pixels,
            height,
            width: 1,
            channels: 1,
            label: 3,
        }
    }

    #[test]
    fn images_follow_each_other() {
        let samples = vec![
            sample(Pixels::U8(vec![1, 2]), 2),
            sample(Pixels::U8(vec![3, 4]), 2),
        ];
        let batch = ImageCollate.collate(samples, info(&[5, 6])).unwrap();
        assert_eq!(
            (batch.shape, &batch.pixels),
            ([2, 2, 1, 1], &BatchPixels::U8(vec![1, 2, 3, 4]))
        );
        assert_eq!(
            (batch.labels.as_slice(), batch.ids()),
            (&[3, 3][..], &[5, 6][..])
        );
    }

    #[test]
    fn samples_that_do_not_fit_together_are_named() {
        let mut samples = vec![
            sample(Pixels::U8(vec![1, 2]), 2),
            sample(Pixels::U8(vec![3]), 1),
        ];
        let error = ImageCollate
            .collate(samples.clone(), info(&[5, 6]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("size of sample 6") && error.contains("resize"),
            "{error}"
        );
        samples[1] = sample(Pixels::F32(vec![0.0, 0.0]), 2);
        let error = ImageCollate
            .collate(samples, info(&[5, 6]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("type of values of sample 6"), "{error}");
        assert!(ImageCollate.collate(vec![], info(&[])).is_err());
    }
}
