//! Zero mean and unit variance: `normalize`.

use super::fixed_step;
use crate::change::{Change, LinearChange};
use crate::kernel::{convert_channels, inlined, map_channels};
use crate::{Apply, AugmentError, Sample, Values};
use serde::{Deserialize, Serialize};

/// `(x - mean) / std` per channel, with `x` in `0..=1` (bytes over 255); the
/// result is numbers. torchvision's and albumentations' `Normalize`.
///
/// ```
/// use firecraft_augment::{Image, Normalize, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![255, 51], Size::new(1, 2), 1)?);
/// Plan::from(Normalize::new([0.5], [0.25])).apply(&mut sample)?;
/// assert_eq!(sample.image.as_f32(), Some(&[2.0, -1.2][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalize {
    /// One mean, or one per channel.
    pub mean: Vec<f32>,
    /// One standard deviation, or one per channel; above 0.
    pub std: Vec<f32>,
}

impl Normalize {
    /// Subtracts `mean` and divides by `std`.
    #[must_use]
    pub fn new(mean: impl Into<Vec<f32>>, std: impl Into<Vec<f32>>) -> Self {
        Self {
            mean: mean.into(),
            std: std.into(),
        }
    }

    /// The means and deviations of ImageNet that pretrained models expect.
    #[must_use]
    pub fn imagenet() -> Self {
        Self::new([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    }

    fn check(&self) -> Result<(), AugmentError> {
        let wrong = |field, got: &[f32], expected| {
            let got = format!("{got:?}");
            Err(AugmentError::parameter("normalize", field, got, expected))
        };
        if self.mean.is_empty() || !self.mean.iter().all(|v| v.is_finite()) {
            return wrong("mean", &self.mean, "one finite number, or one per channel");
        }
        if self.std.is_empty() || !self.std.iter().all(|v| v.is_finite() && *v > 0.0) {
            return wrong("std", &self.std, "one number above 0, or one per channel");
        }
        Ok(())
    }
}

impl Normalize {
    /// Mean and deviation of a channel.
    fn of(&self, channel: usize) -> [f32; 2] {
        [&self.mean, &self.std].map(|values| values[if values.len() == 1 { 0 } else { channel }])
    }

    pub(crate) fn check_channels(&self, channels: usize) -> Result<(), AugmentError> {
        let fits = |values: &[f32]| values.len() == 1 || values.len() == channels;
        if fits(&self.mean) && fits(&self.std) {
            return Ok(());
        }
        Err(AugmentError::Image {
            operation: "normalize",
            got: format!("{channels} channels"),
            expected: format!("{} or {}", self.mean.len(), self.std.len()),
        })
    }

    /// What to subtract from a byte, and what to multiply by then.
    pub(crate) fn of_byte(&self, channel: usize) -> [f32; 2] {
        let [mean, std] = self.of(channel);
        [mean * 255.0, 1.0 / (std * 255.0)]
    }
}

impl Apply for Normalize {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let image = &mut sample.image;
        let (size, channels) = (image.size(), image.channels());
        self.check_channels(channels)?;
        let of = |c: usize| self.of(c);
        match image.parts_mut() {
            (Values::U8(bytes), scratch) => {
                let mut numbers = scratch.take(bytes.len());
                let of = |c: usize| self.of_byte(c);
                let change = inlined(
                    #[inline(always)]
                    |v, [mean, scale]: [f32; 2]| (f32::from(v) - mean) * scale,
                );
                convert_channels(bytes, &mut numbers, channels, of, change);
                image.replace(Values::F32(numbers), size, channels);
            }
            (Values::F32(data), _) => {
                let change = inlined(
                    #[inline(always)]
                    |v, [mean, std]: [f32; 2]| (v - mean) / std,
                );
                map_channels(data, channels, of, change);
            }
        }
        Ok(())
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        self.check_channels(channels).ok()?;
        let scale = |c: usize| 1.0 / self.of(c)[1];
        let line = LinearChange::line(channels, scale, |c| -self.of(c)[0] / self.of(c)[1]);
        Some(Change::Linear(line))
    }
}

fixed_step!(Normalize, "normalize", plain_transform);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_of_zero_are_refused() {
        let error = Normalize::new([0.0], [1.0, 0.0]).check().unwrap_err();
        assert!(error.to_string().contains("std = [1.0, 0.0]"), "{error}");
    }
}
