//! The negative: `invert`.

use super::fixed_step;
use super::pointwise::{Pointwise, pointwise_step};
use crate::change::{Change, LinearChange};
use crate::{AugmentError, ColorMatrix};
use serde::{Deserialize, Serialize};

/// White minus every value: every peer's `invert`.
///
/// ```
/// use firecraft_augment::{Image, Invert, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![0, 100, 255], Size::new(1, 3), 1)?);
/// Plan::from(Invert::new()).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[255, 155, 0][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invert {}

impl Invert {
    /// The negative.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }

    #[expect(clippy::unused_self)]
    const fn check(&self) -> Result<(), AugmentError> {
        Ok(())
    }
}

impl Pointwise for Invert {
    #[inline(always)]
    fn byte(&self, value: u8) -> u8 {
        !value
    }

    #[inline(always)]
    fn number(&self, value: f32) -> f32 {
        1.0 - value
    }

    fn matrix(&self) -> Option<ColorMatrix> {
        Some(ColorMatrix::line([-1.0; 3], [1.0; 3]))
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        let line = LinearChange::line(channels, |_| -1.0, |_| 1.0);
        Some(Change::Linear(line))
    }
}

pointwise_step!(Invert);
fixed_step!(Invert, "invert");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_is_the_identity() {
        assert!((0..=255).all(|v| Invert::new().byte(Invert::new().byte(v)) == v));
        assert_eq!(Invert::new().number(0.25), 0.75);
    }
}
