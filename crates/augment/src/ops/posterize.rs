//! Fewer levels: `posterize`.

use super::fixed_step;
use super::pointwise::{Pointwise, pointwise_step};
use crate::AugmentError;
use serde::{Deserialize, Serialize};

/// Keeps the `bits` highest bits of every value: torchvision's and Pillow's
/// `posterize`. Numbers get `2^bits` levels, each rounded down.
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
}

impl Posterize {
    /// Keeps that many bits.
    #[must_use]
    pub const fn new(bits: u8) -> Self {
        Self { bits }
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
    fn byte(&self, value: u8) -> u8 {
        let dropped = 8_u32.saturating_sub(u32::from(self.bits));
        value & (0xff_u32 << dropped) as u8
    }

    fn number(&self, value: f32) -> f32 {
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
    }
}
