//! Shifting and scaling images to the statistics of the training set.

use crate::{DataError, Dataset, ImageDataset};
use serde::{Deserialize, Serialize};

/// `(value - mean) / std` per channel, on values in `[0, 1]`.
///
/// Levels of 0 to 255 are divided by 255 first.
///
/// ```
/// use firecraft_data::{ImageDataset, Normalizer};
/// let set = ImageDataset::new([1, 2, 1], vec![0, 255, 0, 255], vec![0, 0], vec!["a".to_owned()])?;
/// let normalizer = Normalizer::fit(&set)?;
/// assert_eq!((normalizer.mean(), normalizer.std()), (&[0.5][..], &[0.5][..]));
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Raw", into = "Raw")]
pub struct Normalizer {
    mean: Vec<f32>,
    std: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl TryFrom<Raw> for Normalizer {
    type Error = DataError;

    fn try_from(raw: Raw) -> Result<Self, DataError> {
        Self::new(raw.mean, raw.std)
    }
}

impl From<Normalizer> for Raw {
    fn from(normalizer: Normalizer) -> Self {
        Self {
            mean: normalizer.mean,
            std: normalizer.std,
        }
    }
}

impl Normalizer {
    /// Mean and standard deviation of each channel, in units of `[0, 1]`.
    ///
    /// # Errors
    /// [`DataError::Config`] if the lengths differ or are 0, a mean is not
    /// finite, or a deviation is not positive.
    pub fn new(mean: Vec<f32>, std: Vec<f32>) -> Result<Self, DataError> {
        if mean.is_empty() || mean.iter().any(|m| !m.is_finite()) {
            return Err(DataError::config(
                "mean",
                format!("{mean:?}"),
                "one finite number per channel",
            ));
        }
        if std.len() != mean.len() || std.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            return Err(DataError::config(
                "std",
                format!("{std:?}"),
                format!("{} positive numbers", mean.len()),
            ));
        }
        Ok(Self { mean, std })
    }

    /// Leaves values in `[0, 1]` as they are.
    #[must_use]
    pub fn identity(channels: usize) -> Self {
        Self {
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
        }
    }

    /// The statistics of the ImageNet training set that pretrained models
    /// expect.
    #[must_use]
    pub fn imagenet() -> Self {
        Self {
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        }
    }

    /// The statistics of `dataset`, which should be the training part. Sums are
    /// exact integers: the order of samples does not matter. A channel with one
    /// value only gets a deviation of 1.
    ///
    /// # Errors
    /// [`DataError::Empty`] for a set without samples.
    pub fn fit(dataset: &ImageDataset) -> Result<Self, DataError> {
        let channels = dataset.shape()[2];
        if dataset.is_empty() {
            return Err(DataError::Empty {
                what: "the data set to normalise by".to_owned(),
            });
        }
        let mut sums = vec![(0_u64, 0_u64); channels];
        for index in 0..dataset.len() {
            for pixel in dataset.pixels(index).chunks_exact(channels) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    sum.0 += u64::from(value);
                    sum.1 += u64::from(value) * u64::from(value);
                }
            }
        }
        let n = (dataset.len() * dataset.shape()[0] * dataset.shape()[1]) as f64;
        let statistics = sums.iter().map(|&(sum, squares)| {
            let mean = sum as f64 / n;
            // n² · variance in integers: no cancellation.
            let scatter = u128::from(squares) * n as u128 - u128::from(sum) * u128::from(sum);
            let std = (scatter as f64).sqrt() / n;
            (
                (mean / 255.0) as f32,
                if std > 0.0 { (std / 255.0) as f32 } else { 1.0 },
            )
        });
        let (mean, std) = statistics.unzip();
        Self::new(mean, std)
    }

    /// Mean of each channel.
    #[must_use]
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Standard deviation of each channel.
    #[must_use]
    pub fn std(&self) -> &[f32] {
        &self.std
    }

    /// The normalised values of all 256 levels, per channel.
    pub(crate) fn tables(&self) -> Vec<[f32; 256]> {
        let table = |(mean, std): (&f32, &f32)| {
            std::array::from_fn(|level| (level as f32 / 255.0 - mean) / std)
        };
        self.mean.iter().zip(&self.std).map(table).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_the_statistics_that_numpy_computes() {
        let normalizer = Normalizer::fit(&crate::Digits::load().unwrap()).unwrap();
        // numpy: rint(v * 255 / 16) / 255 over all pixels of the csv file.
        assert!(
            (f64::from(normalizer.mean()[0]) - MEAN).abs() < 1e-6,
            "{normalizer:?}"
        );
        assert!(
            (f64::from(normalizer.std()[0]) - STD).abs() < 1e-6,
            "{normalizer:?}"
        );
    }
    const MEAN: f64 = 0.305_308_72;
    const STD: f64 = 0.375_885_91;

    #[test]
    fn bad_statistics_are_refused() {
        assert!(Normalizer::new(vec![], vec![]).is_err());
        assert!(Normalizer::new(vec![0.5], vec![0.0]).is_err());
        assert!(Normalizer::new(vec![0.5], vec![1.0, 1.0]).is_err());
        assert!(Normalizer::new(vec![f32::NAN], vec![1.0]).is_err());
    }

    #[test]
    fn a_constant_channel_is_shifted_only() {
        let set = ImageDataset::new(
            [1, 1, 2],
            vec![7, 0, 7, 255],
            vec![0, 0],
            vec!["a".to_owned()],
        )
        .unwrap();
        assert_eq!(Normalizer::fit(&set).unwrap().std(), [1.0, 0.5]);
    }
}
