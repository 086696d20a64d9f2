//! Brighter or darker: `brightness`.

use super::pointwise::{Pointwise, pointwise_step};
use super::{check_strength, fixed_step};
use crate::change::{Change, LinearChange};
use crate::kernel::{Colours, Element, Tone};
use crate::{AugmentError, ColorMatrix};
use serde::{Deserialize, Serialize};

/// Multiplies every value by `factor` and clips: torchvision's
/// `adjust_brightness`, `brightness` of its and albumentations' colour jitter.
/// Keras and kornia add instead; for that, see [`Linear`](crate::Linear).
///
/// ```
/// use firecraft_augment::{Brightness, Image, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![0, 99, 200], Size::new(1, 3), 1)?);
/// Plan::from(Brightness::new(1.5)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[0, 148, 255][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brightness {
    /// 0 is black, 1 changes nothing; not negative.
    pub factor: f32,
}

impl Brightness {
    /// Multiplies by `factor`.
    #[must_use]
    pub const fn new(factor: f32) -> Self {
        Self { factor }
    }

    fn check(&self) -> Result<(), AugmentError> {
        check_strength("brightness", "factor", self.factor)
    }
}

impl Pointwise for Brightness {
    #[inline(always)]
    fn byte(&self, value: u8) -> u8 {
        u8::from_f32_truncated(f32::from(value) * self.factor)
    }

    #[inline(always)]
    fn number(&self, value: f32) -> f32 {
        (value * self.factor).clamp(0.0, 1.0)
    }

    fn matrix(&self) -> Option<ColorMatrix> {
        Some(ColorMatrix::line([self.factor; 3], [0.0; 3]))
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        let line = LinearChange::line(channels, |_| self.factor, |_| 0.0);
        Some(Change::Linear(line.clipped()))
    }

    fn tone(&self) -> Option<&dyn Tone> {
        Some(self)
    }
}

impl Tone for Brightness {
    fn change(&self, colours: &mut Colours, _mean: [f32; 3]) {
        let factor = self.factor;
        colours.map_truncated(
            #[inline(always)]
            move |[r, g, b]| [r * factor, g * factor, b * factor],
        );
    }
}

pointwise_step!(Brightness);
fixed_step!(Brightness, "brightness");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transform;

    #[test]
    fn negative_factors_are_refused() {
        let error = Brightness::new(-0.1).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "brightness: factor = -0.1 is not allowed; use a finite number from 0 on"
        );
    }

    #[test]
    fn numbers_are_clipped_to_one() {
        assert_eq!(Brightness::new(2.0).number(0.7), 1.0);
        assert_eq!(Brightness::new(2.0).number(0.25), 0.5);
    }
}
