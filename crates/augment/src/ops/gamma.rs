//! A power law: `gamma`.

use super::pointwise::{Pointwise, pointwise_step};
use super::{check_strength, fixed_step};
use crate::AugmentError;
use crate::change::Change;
use crate::kernel::Element;
use serde::{Deserialize, Serialize};

/// `gain * x^gamma`, with `x` in `0..=1` (bytes over 255): torchvision's
/// `adjust_gamma`, albumentations' `RandomGamma`.
///
/// ```
/// use firecraft_augment::{Gamma, Image, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_f32(vec![0.25, 1.0], Size::new(1, 2), 1)?);
/// Plan::from(Gamma::new(0.5)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_f32(), Some(&[0.5, 1.0][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gamma {
    /// The exponent: below 1 brightens the shadows; not negative.
    pub gamma: f32,
    /// The factor; not negative.
    #[serde(default = "one")]
    pub gain: f32,
}

const fn one() -> f32 {
    1.0
}

impl Gamma {
    /// `x^gamma`.
    #[must_use]
    pub const fn new(gamma: f32) -> Self {
        Self { gamma, gain: 1.0 }
    }

    /// Sets the factor.
    #[must_use]
    pub const fn with_gain(mut self, gain: f32) -> Self {
        self.gain = gain;
        self
    }

    fn check(&self) -> Result<(), AugmentError> {
        check_strength("gamma", "gamma", self.gamma)?;
        check_strength("gamma", "gain", self.gain)
    }
}

impl Pointwise for Gamma {
    #[inline(always)]
    fn byte(&self, value: u8) -> u8 {
        // 255.999 times, cut off: torchvision's way back to bytes.
        u8::from_f32_truncated(self.number(f32::from(value) / 255.0) * (256.0 - 1e-3))
    }

    #[inline(always)]
    fn number(&self, value: f32) -> f32 {
        (self.gain * value.powf(self.gamma)).clamp(0.0, 1.0)
    }

    fn on_numbers(&self, _channels: usize) -> Option<Change> {
        Some(Change::Gamma {
            gamma: self.gamma,
            gain: self.gain,
        })
    }

    fn is_cheap(&self) -> bool {
        false
    }
}

pointwise_step!(Gamma);
fixed_step!(Gamma, "gamma");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_zero_is_white_and_one_is_the_identity() {
        assert_eq!(Gamma::new(0.0).byte(0), 255);
        assert!((0..=255).all(|v| Gamma::new(1.0).byte(v) == v));
        assert!(Gamma::new(f32::NAN).check().is_err());
    }
}
