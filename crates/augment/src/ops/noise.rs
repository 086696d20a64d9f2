//! Random values: `gaussian_noise`, `salt_and_pepper`.

use super::plain_layer;
use crate::kernel::Element;
use crate::sample::each_type;
use crate::{Apply, AugmentError, LayerTransform, Plan, Sample, SampleMeta, Transform};
use firecraft_key::{Key, convert};
use serde::{Deserialize, Serialize};

/// The step that changes every value at random, value by value: word `i` of
/// the key with these words decides over value `i`, so that the same plan
/// makes the same noise everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// What the noise does.
    pub kind: NoiseKind,
    /// The words of the key.
    pub key: [u64; 2],
}

/// What [`Noise`] does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseKind {
    /// Adds normal values, in parts of white.
    Gaussian {
        /// Mean.
        mean: f32,
        /// Standard deviation.
        sigma: f32,
        /// Whether numbers are clipped to `0..=1`; bytes always are.
        clip: bool,
    },
    /// Makes whole pixels white or black.
    SaltAndPepper {
        /// The fraction of the pixels that change.
        amount: f32,
        /// The fraction of these that become white.
        salt: f32,
    },
}

impl Noise {
    fn run<T: Element>(&self, data: &mut [T], channels: usize) {
        let key = Key::from_words(self.key);
        match self.kind {
            NoiseKind::Gaussian { mean, sigma, clip } => {
                let (mean, sigma) = (mean * T::MAX, sigma * T::MAX);
                for (block, values) in data.chunks_mut(4).enumerate() {
                    let words = key.block(block as u64);
                    for (value, word) in values.iter_mut().zip(words) {
                        let new = value.to_f32() + mean + sigma * convert::normal(word);
                        *value = T::from_f32(if clip { new.clamp(0.0, T::MAX) } else { new });
                    }
                }
            }
            NoiseKind::SaltAndPepper { amount, salt } => {
                for (pixel, values) in data.chunks_exact_mut(channels.max(1)).enumerate() {
                    let drawn = convert::uniform(key.word(pixel as u64));
                    if drawn < amount {
                        let white = drawn < amount * salt;
                        values.fill(T::from_f32(if white { T::MAX } else { 0.0 }));
                    }
                }
            }
        }
    }
}

impl Apply for Noise {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let channels = sample.image.channels();
        each_type!(sample.image.values_mut(), data => self.run(data, channels));
        Ok(())
    }
}

/// Adds normal noise to every value, in parts of white: torchvision's
/// `GaussianNoise`; Keras' without clipping.
///
/// ```
/// use firecraft_augment::{GaussianNoise, Image, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_f32(vec![0.5; 10_000], Size::new(100, 100), 1)?);
/// GaussianNoise::new(0.0, 0.1).plan(&sample.meta(), Key::from_seed(1))?.apply(&mut sample)?;
/// let values = sample.image.as_f32().unwrap();
/// let variance = values.iter().map(|v| (v - 0.5).powi(2)).sum::<f32>() / 1e4;
/// assert!((variance.sqrt() - 0.1).abs() < 0.003);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GaussianNoise {
    /// Mean, inside `[-1, 1]`.
    pub mean: f32,
    /// Standard deviation, in `[0, 100]`.
    pub sigma: f32,
    /// Whether numbers are clipped to `0..=1`; bytes always are.
    pub clip: bool,
}

impl Default for GaussianNoise {
    fn default() -> Self {
        Self::new(0.0, 0.1)
    }
}

impl GaussianNoise {
    /// Clipped noise of that mean and deviation.
    #[must_use]
    pub const fn new(mean: f32, sigma: f32) -> Self {
        Self {
            mean,
            sigma,
            clip: true,
        }
    }

    /// Lets numbers leave `0..=1`, as Keras does.
    #[must_use]
    pub const fn without_clipping(mut self) -> Self {
        self.clip = false;
        self
    }
}

impl Transform for GaussianNoise {
    plain_layer!("gaussian_noise");

    fn validate(&self) -> Result<(), AugmentError> {
        let wrong = |field, got: f32, expected| {
            Err(AugmentError::parameter(self.name(), field, got, expected))
        };
        if !(-1.0..=1.0).contains(&self.mean) {
            return wrong("mean", self.mean, "a number in [-1, 1]");
        }
        if !(0.0..=100.0).contains(&self.sigma) {
            return wrong("sigma", self.sigma, "a number in [0, 100]");
        }
        Ok(())
    }

    fn plan(&self, _meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let Self { mean, sigma, clip } = *self;
        Ok(Plan::from(Noise {
            kind: NoiseKind::Gaussian { mean, sigma, clip },
            key: key.words(),
        }))
    }
}

impl LayerTransform for GaussianNoise {}

/// Makes random pixels white or black: kornia's `RandomSaltAndPepperNoise`,
/// albumentations' `SaltAndPepper`.
///
/// ```
/// use firecraft_augment::{Image, SaltAndPepper, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_u8(vec![9; 10_000], Size::new(100, 100), 1)?);
/// SaltAndPepper::new(0.2).plan(&sample.meta(), Key::from_seed(1))?.apply(&mut sample)?;
/// let changed = sample.image.as_u8().unwrap().iter().filter(|&&v| v != 9).count();
/// assert!(changed.abs_diff(2000) < 200);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaltAndPepper {
    /// The fraction of the pixels that change, in `0..=1`.
    pub amount: f32,
    /// The fraction of these that become white, in `0..=1`; half by default.
    #[serde(default = "half")]
    pub salt: f32,
}

const fn half() -> f32 {
    0.5
}

impl SaltAndPepper {
    /// Changes that fraction of the pixels.
    #[must_use]
    pub const fn new(amount: f32) -> Self {
        Self { amount, salt: 0.5 }
    }
}

impl Transform for SaltAndPepper {
    plain_layer!("salt_and_pepper");

    fn validate(&self) -> Result<(), AugmentError> {
        for (field, value) in [("amount", self.amount), ("salt", self.salt)] {
            if !(0.0..=1.0).contains(&value) {
                let expected = "a fraction in [0, 1]";
                return Err(AugmentError::parameter(self.name(), field, value, expected));
            }
        }
        Ok(())
    }

    fn plan(&self, _meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let Self { amount, salt } = *self;
        Ok(Plan::from(Noise {
            kind: NoiseKind::SaltAndPepper { amount, salt },
            key: key.words(),
        }))
    }
}

impl LayerTransform for SaltAndPepper {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::plan;
    use crate::{Image, Size};

    #[test]
    fn bytes_and_numbers_get_the_same_noise() {
        let noise = plan(&GaussianNoise::new(0.0, 0.05), 4);
        let size = Size::new(5, 7);
        let mut bytes = Sample::new(Image::from_u8(vec![128; 105], size, 3).unwrap());
        let grey = vec![128.0 / 255.0; 105];
        let mut numbers = Sample::new(Image::from_f32(grey, size, 3).unwrap());
        noise.apply(&mut bytes).unwrap();
        noise.apply(&mut numbers).unwrap();
        let of = numbers.image.as_f32().unwrap();
        for (a, b) in bytes.image.as_u8().unwrap().iter().zip(of) {
            assert!((f32::from(*a) - b * 255.0).abs() <= 0.51);
        }
    }

    #[test]
    fn pixels_change_as_a_whole_and_salt_is_white() {
        let mut sample = Sample::new(Image::from_u8(vec![9; 3000], Size::new(10, 100), 3).unwrap());
        let mut all = SaltAndPepper::new(1.0);
        all.salt = 1.0;
        plan(&all, 0).apply(&mut sample).unwrap();
        assert!(sample.image.as_u8().unwrap().iter().all(|&v| v == 255));
        assert!(SaltAndPepper::new(1.1).validate().is_err());
        assert!(GaussianNoise::new(0.0, f32::NAN).validate().is_err());
    }
}
