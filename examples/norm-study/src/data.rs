//! The digits as numbers in memory.

use burn::tensor::{Device, Int, Tensor, TensorData};
use firecraft_data::{Dataset as _, Digits, ImageDataset, Normalizer};
use firecraft_key::Key;

use crate::StudyError;

/// Values per image, 8 × 8.
pub(crate) const PIXELS: usize = 64;

/// Training and test images.
pub(crate) struct Data {
    pub(crate) train: Images,
    pub(crate) test: Images,
}

/// Normalised images with their classes.
pub(crate) struct Images {
    pixels: Vec<f32>,
    labels: Vec<i64>,
}

impl Data {
    /// The embedded digits; the validation part is not used, as nothing is
    /// chosen by it.
    pub(crate) fn load() -> Result<Self, StudyError> {
        let splits = Digits::split(Key::from_seed(0))?;
        let normalizer = Normalizer::fit(&splits.train)?;
        Ok(Self {
            train: Images::new(&splits.train, &normalizer),
            test: Images::new(&splits.test, &normalizer),
        })
    }
}

impl Images {
    fn new(dataset: &ImageDataset, normalizer: &Normalizer) -> Self {
        let (mean, std) = (normalizer.mean()[0], normalizer.std()[0]);
        let pixels = (0..dataset.len())
            .flat_map(|i| dataset.pixels(i).to_vec())
            .map(|level| (f32::from(level) / 255.0 - mean) / std)
            .collect();
        let labels = dataset.labels().into_iter().map(i64::from).collect();
        Self { pixels, labels }
    }

    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The images at these places, `[N, 64]`, and their classes, `[N]`.
    pub(crate) fn batch(&self, places: &[usize], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let pixels: Vec<f32> = places
            .iter()
            .flat_map(|i| &self.pixels[i * PIXELS..(i + 1) * PIXELS])
            .copied()
            .collect();
        let labels: Vec<i64> = places.iter().map(|i| self.labels[*i]).collect();
        let count = places.len();
        (
            Tensor::from_data(TensorData::new(pixels, [count, PIXELS]), device),
            Tensor::from_data(TensorData::new(labels, [count]), device),
        )
    }

    /// All of them.
    pub(crate) fn all(&self, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let places: Vec<usize> = (0..self.len()).collect();
        self.batch(&places, device)
    }
}
