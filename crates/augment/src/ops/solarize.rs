//! The highlights inverted: `solarize`.

use super::fixed_step;
use super::pointwise::{Pointwise, pointwise_step};
use crate::AugmentError;
use crate::change::Change;
use crate::kernel::Element;
use serde::{Deserialize, Serialize};

/// Inverts every value from `threshold` on: torchvision's and Pillow's
/// `solarize`. With an `addition`, it is added first (Keras).
///
/// ```
/// use firecraft_augment::{Image, Plan, Sample, Size, Solarize};
/// let mut sample = Sample::new(Image::from_u8(vec![5, 100, 255], Size::new(1, 3), 1)?);
/// Plan::from(Solarize::new(100.0)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[5, 155, 0][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Solarize {
    /// The lowest value that is inverted, in `0..=256` with 255 for white,
    /// whatever the type of the image; 256 inverts none.
    pub threshold: f32,
    /// What is added to every value before, in the same unit, inside
    /// `[-255, 255]`.
    #[serde(default)]
    pub addition: f32,
}

impl Solarize {
    /// Inverts from `threshold` on.
    #[must_use]
    pub const fn new(threshold: f32) -> Self {
        Self {
            threshold,
            addition: 0.0,
        }
    }

    /// Sets what is added before.
    #[must_use]
    pub const fn with_addition(mut self, addition: f32) -> Self {
        self.addition = addition;
        self
    }

    fn check(&self) -> Result<(), AugmentError> {
        let wrong = |field, got: f32, expected| {
            Err(AugmentError::parameter("solarize", field, got, expected))
        };
        if !(0.0..=256.0).contains(&self.threshold) {
            return wrong("threshold", self.threshold, "a number in [0, 256]");
        }
        if !(-255.0..=255.0).contains(&self.addition) {
            return wrong("addition", self.addition, "a number in [-255, 255]");
        }
        Ok(())
    }
}

impl Pointwise for Solarize {
    #[inline(always)]
    fn byte(&self, value: u8) -> u8 {
        if self.addition == 0.0 {
            // 0 for what is no number, which never happens, and 256 for never.
            let limit = self.threshold.ceil().clamp(0.0, 256.0) as u16;
            return if u16::from(value) >= limit {
                !value
            } else {
                value
            };
        }
        let moved = (f32::from(value) + self.addition).clamp(0.0, 255.0);
        if moved >= self.threshold {
            u8::from_f32_truncated(255.0 - moved)
        } else {
            u8::from_f32_truncated(moved)
        }
    }

    #[inline(always)]
    fn number(&self, value: f32) -> f32 {
        let moved = if self.addition == 0.0 {
            value
        } else {
            (value + self.addition / 255.0).clamp(0.0, 1.0)
        };
        if moved >= self.threshold / 255.0 {
            1.0 - moved
        } else {
            moved
        }
    }

    fn on_numbers(&self, _channels: usize) -> Option<Change> {
        Some(Change::Solarize {
            threshold: self.threshold / 255.0,
            addition: self.addition / 255.0,
        })
    }
}

pointwise_step!(Solarize);
fixed_step!(Solarize, "solarize");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_threshold() {
        assert!((0..=255).all(|v| Solarize::new(256.0).byte(v) == v));
        assert!((0..=255).all(|v| Solarize::new(0.0).byte(v) == 255 - v));
        assert!(Solarize::new(300.0).check().is_err());
    }

    #[test]
    fn the_addition_comes_first() {
        let solarize = Solarize::new(128.0).with_addition(30.0);
        assert_eq!(solarize.byte(90), 120);
        assert_eq!(solarize.byte(100), 125);
        assert_eq!(solarize.byte(250), 0);
    }
}
