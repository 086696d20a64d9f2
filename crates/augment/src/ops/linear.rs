//! A straight line per channel: `linear`.

use super::fixed_step;
use crate::change::{Change, LinearChange, fits, of_channel};
use crate::kernel::{Element, inlined, map_channels, map_values};
use crate::sample::each_type;
use crate::{Apply, AugmentError, ColorMatrix, Sample};
use serde::{Deserialize, Serialize};

/// `scale * x + shift`, clipped, with `x` in `0..=1` (bytes over 255); one
/// pair for all channels or one per channel. Bytes are rounded.
///
/// This one line is what several peers call by other names: kornia's
/// `adjust_brightness` and Keras' `RandomBrightness` (`shift`), kornia's
/// `adjust_contrast` (`scale`), albumentations' `RandomBrightnessContrast`
/// (`scale = 1 + contrast`, `shift = brightness`) and `RGBShift` (`shift` per
/// channel, over 255).
///
/// ```
/// use firecraft_augment::{Image, Linear, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_f32(vec![0.25, 0.9], Size::new(1, 2), 1)?);
/// Plan::from(Linear::new([2.0], [-0.25])).apply(&mut sample)?;
/// assert_eq!(sample.image.as_f32(), Some(&[0.25, 1.0][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// One factor, or one per channel.
    pub scale: Vec<f32>,
    /// One summand, or one per channel; 1 is white.
    pub shift: Vec<f32>,
}

impl Linear {
    /// A line for all channels, or one per channel.
    #[must_use]
    pub fn new(scale: impl Into<Vec<f32>>, shift: impl Into<Vec<f32>>) -> Self {
        Self {
            scale: scale.into(),
            shift: shift.into(),
        }
    }

    fn check(&self) -> Result<(), AugmentError> {
        for (field, values) in [("scale", &self.scale), ("shift", &self.shift)] {
            if values.is_empty() || !values.iter().all(|v| v.is_finite()) {
                let expected = "one finite number, or one per channel";
                let got = format!("{values:?}");
                return Err(AugmentError::parameter("linear", field, got, expected));
            }
        }
        Ok(())
    }

    fn run<T: Element>(&self, data: &mut [T], channels: usize) {
        let of = |values: &[f32], c: usize| values[if values.len() == 1 { 0 } else { c }];
        let change = inlined(
            #[inline(always)]
            |value: T, [scale, shift]: [f32; 2]| {
                T::from_f32(T::clipped(scale * value.to_f32() + shift))
            },
        );
        if let ([scale], [shift]) = (&*self.scale, &*self.shift) {
            let line = [*scale, *shift * T::MAX];
            map_values(
                data,
                #[inline(always)]
                |value| change(value, line),
            );
        } else {
            let of = |c: usize| [of(&self.scale, c), of(&self.shift, c) * T::MAX];
            map_channels(data, channels, of, change);
        }
    }
}

impl Apply for Linear {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let channels = sample.image.channels();
        if [&self.scale, &self.shift]
            .iter()
            .any(|v| v.len() != 1 && v.len() != channels)
        {
            return Err(AugmentError::Image {
                operation: "linear",
                got: format!("{channels} channels"),
                expected: format!("{} or {}", self.scale.len(), self.shift.len()),
            });
        }
        each_type!(sample.image.values_mut(), data => self.run(data, channels));
        Ok(())
    }

    fn color_matrix(&self, _channels: usize) -> Option<ColorMatrix> {
        let three = |values: &[f32]| match *values {
            [one] => Some([one; 3]),
            [r, g, b] => Some([r, g, b]),
            _ => None,
        };
        Some(ColorMatrix::line(three(&self.scale)?, three(&self.shift)?))
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        let (scale, shift) = (&self.scale, &self.shift);
        let line = || {
            let scale = |c: usize| of_channel(scale, c);
            LinearChange::line(channels, scale, |c| of_channel(shift, c)).clipped()
        };
        (fits(scale, channels) && fits(shift, channels)).then(|| Change::Linear(line()))
    }

    fn byte_map(&self) -> Option<[u8; 256]> {
        (self.scale.len() == 1 && self.shift.len() == 1).then(|| {
            let mut table: [u8; 256] = std::array::from_fn(|value| value as u8);
            self.run(&mut table, 1);
            table
        })
    }
}

fixed_step!(Linear, "linear");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Plan, Size, Transform};

    #[test]
    fn each_channel_has_its_own_line() {
        let image = Image::from_u8(vec![10, 10, 10, 200, 200, 200], Size::new(1, 2), 3).unwrap();
        let mut sample = Sample::new(image);
        let shift = Linear::new([1.0], [20.0 / 255.0, -30.0 / 255.0, 100.0 / 255.0]);
        Plan::from(shift).apply(&mut sample).unwrap();
        assert_eq!(sample.image.as_u8().unwrap(), [30, 0, 110, 220, 170, 255]);
    }

    #[test]
    fn the_number_of_channels_has_to_fit() {
        let mut sample = Sample::new(Image::from_u8(vec![1, 2], Size::new(1, 1), 2).unwrap());
        let plan = Plan::from(Linear::new([1.0, 1.0, 1.0], [0.0]));
        assert!(plan.apply(&mut sample).is_err());
        assert!(Linear::new([], [0.0]).validate().is_err());
    }
}
