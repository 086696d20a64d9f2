//! More or less colour: `saturation`.

use super::{check_strength, fixed_step};
use crate::change::{Change, LinearChange};
use crate::color::{LUMA, grey, hsv_to_rgb, is_colour, rgb_to_hsv};
use crate::kernel::{Colours, Element, Tone, inlined, map_colours};
use crate::sample::each_type;
use crate::{Apply, AugmentError, ColorMatrix, Sample};
use serde::{Deserialize, Serialize};

/// What [`Saturation`] changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SaturationOf {
    /// The distance of a colour to its luma: torchvision, Pillow, timm's
    /// `color`, kornia's `with_gray_subtraction`.
    #[default]
    Luma,
    /// The S of HSV: Keras, kornia's `adjust_saturation`.
    Hsv,
}

/// Multiplies the saturation by `factor`. Images of one channel stay as they
/// are.
///
/// ```
/// use firecraft_augment::{Image, Plan, Sample, Saturation, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![200, 100, 50], Size::new(1, 1), 3)?);
/// Plan::from(Saturation::new(0.0)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[124, 124, 124][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saturation {
    /// 0 is grey, 1 changes nothing; not negative.
    pub factor: f32,
    /// What is scaled.
    #[serde(default)]
    pub of: SaturationOf,
}

impl Saturation {
    /// Scales the distance to the luma.
    #[must_use]
    pub const fn new(factor: f32) -> Self {
        Self {
            factor,
            of: SaturationOf::Luma,
        }
    }

    /// Sets what is scaled.
    #[must_use]
    pub const fn with_of(mut self, of: SaturationOf) -> Self {
        self.of = of;
        self
    }

    fn check(&self) -> Result<(), AugmentError> {
        check_strength("saturation", "factor", self.factor)
    }

    #[inline(always)]
    fn on_luma<T: Element>(&self) -> impl Fn([f32; 3]) -> [f32; 3] + Copy {
        let factor = self.factor;
        inlined(
            #[inline(always)]
            move |[r, g, b]: [f32; 3]| {
                let luma = grey([r, g, b]);
                let luma = if T::IS_INTEGER { luma.floor() } else { luma };
                let rest = luma * (1.0 - factor);
                [r, g, b].map(
                    #[inline(always)]
                    |c| T::clipped(c * factor + rest),
                )
            },
        )
    }

    fn run<T: Element>(&self, data: &mut [T], channels: usize) {
        match self.of {
            SaturationOf::Luma => {
                map_colours(data, channels, self.on_luma::<T>(), T::from_f32_truncated);
            }
            SaturationOf::Hsv => {
                let factor = self.factor;
                let change = move |rgb: [f32; 3]| {
                    let [h, s, v] = rgb_to_hsv(rgb.map(|c| c / T::MAX));
                    hsv_to_rgb([h, (s * factor).clamp(0.0, 1.0), v])
                };
                map_colours(data, channels, change, |c| T::from_f32(c * T::MAX));
            }
        }
    }
}

impl Apply for Saturation {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let channels = sample.image.channels();
        if is_colour("saturation", &sample.image)? {
            each_type!(sample.image.values_mut(), data => self.run(data, channels));
        }
        Ok(())
    }

    fn tone(&self) -> Option<&dyn Tone> {
        (self.of == SaturationOf::Luma).then_some(self as &dyn Tone)
    }

    fn color_matrix(&self, _channels: usize) -> Option<ColorMatrix> {
        let rest = LUMA.map(|weight| weight * (1.0 - self.factor));
        let row = |i: usize| {
            let mut row = [rest[0], rest[1], rest[2], 0.0];
            row[i] += self.factor;
            row
        };
        (self.of == SaturationOf::Luma).then(|| ColorMatrix::new([row(0), row(1), row(2)]))
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        LinearChange::of_colours(&self.color_matrix(channels)?, channels, true)
    }
}

impl Tone for Saturation {
    fn change(&self, colours: &mut Colours, _mean: [f32; 3]) {
        colours.map_truncated(self.on_luma::<u8>());
    }
}

fixed_step!(Saturation, "saturation");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Plan, Size};

    fn run(image: Image, saturation: Saturation) -> Result<Image, AugmentError> {
        let mut sample = Sample::new(image);
        Plan::from(saturation).apply(&mut sample)?;
        Ok(sample.image)
    }

    #[test]
    fn grey_images_and_opacity_stay() {
        let one = Image::from_u8(vec![7], Size::new(1, 1), 1).unwrap();
        assert_eq!(run(one.clone(), Saturation::new(0.0)).unwrap(), one);
        let four = Image::from_f32(vec![0.2, 0.4, 0.6, 0.3], Size::new(1, 1), 4).unwrap();
        let out = run(four, Saturation::new(0.0).with_of(SaturationOf::Hsv)).unwrap();
        assert_eq!(out.as_f32().unwrap(), [0.6, 0.6, 0.6, 0.3]);
    }

    #[test]
    fn two_channels_are_no_colour() {
        let two = Image::from_u8(vec![7, 8], Size::new(1, 1), 2).unwrap();
        let error = run(two, Saturation::new(0.0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "saturation: got 2 channels, needs 1 (grey), 3 (RGB) or 4 (RGBA)"
        );
    }
}
