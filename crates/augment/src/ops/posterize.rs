//! Fewer levels: `posterize`.

use super::fixed_step;
use super::pointwise::{Pointwise, pointwise_step};
use crate::AugmentError;
use serde::{Deserialize, Serialize};

/// What [`Posterize`] makes of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PosterizeNumbers {
    /// `2^bits` levels from 0 on, `2^-bits` apart: torchvision.
    #[default]
    Levels,
    /// What becomes of the byte `255 x`, cut off, over 255: Keras, kornia.
    ViaBytes,
}

/// Keeps the `bits` highest bits of every value: every peer's `posterize`.
///
/// ```
/// use firecraft_augment::{Image, Plan, Posterize, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![5, 100, 255], Size::new(1, 3), 1)?);
/// Plan::from(Posterize::new(3)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[0, 96, 224][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posterize {
    /// Bits that are kept, in `0..=8`; 0 is black.
    pub bits: u8,
    /// What becomes of numbers.
    #[serde(default)]
    pub numbers: PosterizeNumbers,
}

impl Posterize {
    /// Keeps that many bits.
    #[must_use]
    pub const fn new(bits: u8) -> Self {
        Self {
            bits,
            numbers: PosterizeNumbers::Levels,
        }
    }

    /// Sets what becomes of numbers.
    #[must_use]
    pub const fn with_numbers(mut self, numbers: PosterizeNumbers) -> Self {
        self.numbers = numbers;
        self
    }

    fn check(&self) -> Result<(), AugmentError> {
        if self.bits <= 8 {
            Ok(())
        } else {
            let expected = "a number of bits in 0..=8";
            Err(AugmentError::parameter(
                "posterize",
                "bits",
                self.bits,
                expected,
            ))
        }
    }
}

impl Pointwise for Posterize {
    #[inline(always)]
    fn byte(&self, value: u8) -> u8 {
        let dropped = 8_u32.saturating_sub(u32::from(self.bits));
        value & (0xff_u32 << dropped) as u8
    }

    #[inline(always)]
    fn number(&self, value: f32) -> f32 {
        if self.numbers == PosterizeNumbers::ViaBytes {
            return f32::from(self.byte((value * 255.0) as u8)) / 255.0;
        }
        let levels = (1_u32 << self.bits.min(8)) as f32;
        (value * levels).floor().clamp(0.0, levels - 1.0) / levels
    }
}

pointwise_step!(Posterize);
fixed_step!(Posterize, "posterize");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_are_all_and_none_is_black() {
        assert!((0..=255).all(|v| Posterize::new(8).byte(v) == v));
        assert!((0..=255).all(|v| Posterize::new(0).byte(v) == 0));
        assert!(Posterize::new(9).check().is_err());
        assert_eq!(Posterize::new(1).number(1.0), 0.5);
        let bytes = Posterize::new(1).with_numbers(PosterizeNumbers::ViaBytes);
        assert_eq!(bytes.number(1.0), 128.0 / 255.0);
    }
}
