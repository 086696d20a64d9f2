//! The shadows brightened: `solarize_add`.

use super::fixed_step;
use super::pointwise::{Pointwise, pointwise_step};
use crate::AugmentError;
use crate::kernel::Element;
use serde::{Deserialize, Serialize};

/// Adds to every value below `threshold`, and leaves the others: timm's
/// `solarize_add`, from the policies of TPU AutoAugment.
///
/// ```
/// use firecraft_augment::{Image, Plan, Sample, Size, SolarizeAdd};
/// let mut sample = Sample::new(Image::from_u8(vec![5, 100, 200], Size::new(1, 3), 1)?);
/// Plan::from(SolarizeAdd::new(40.0)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[45, 140, 200][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolarizeAdd {
    /// What is added, inside `[-255, 255]` with 255 for white.
    pub addition: f32,
    /// The first value that is left alone, in the same unit.
    #[serde(default = "middle")]
    pub threshold: f32,
}

const fn middle() -> f32 {
    128.0
}

impl SolarizeAdd {
    /// Adds to values below 128.
    #[must_use]
    pub const fn new(addition: f32) -> Self {
        Self {
            addition,
            threshold: middle(),
        }
    }

    fn check(&self) -> Result<(), AugmentError> {
        for (field, value) in [("addition", self.addition), ("threshold", self.threshold)] {
            if !(-255.0..=256.0).contains(&value) {
                let expected = "a number in [-255, 256]";
                return Err(AugmentError::parameter(
                    "solarize_add",
                    field,
                    value,
                    expected,
                ));
            }
        }
        Ok(())
    }
}

impl Pointwise for SolarizeAdd {
    #[inline(always)]
    fn byte(&self, value: u8) -> u8 {
        if f32::from(value) < self.threshold {
            u8::from_f32_truncated(f32::from(value) + self.addition)
        } else {
            value
        }
    }

    #[inline(always)]
    fn number(&self, value: f32) -> f32 {
        if value < self.threshold / 255.0 {
            (value + self.addition / 255.0).clamp(0.0, 1.0)
        } else {
            value
        }
    }
}

pointwise_step!(SolarizeAdd);
fixed_step!(SolarizeAdd, "solarize_add");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shadows_change() {
        let add = SolarizeAdd::new(110.0);
        assert_eq!(
            [0, 127, 128, 255].map(|v| add.byte(v)),
            [110, 237, 128, 255]
        );
        assert!(SolarizeAdd::new(f32::INFINITY).check().is_err());
    }
}
