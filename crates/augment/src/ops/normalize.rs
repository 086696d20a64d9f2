//! Zero mean and unit variance: `normalize`.

use super::fixed_step;
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

impl Apply for Normalize {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let image = &mut sample.image;
        let (size, channels) = (image.size(), image.channels());
        if [&self.mean, &self.std]
            .iter()
            .any(|v| v.len() != 1 && v.len() != channels)
        {
            return Err(AugmentError::Image {
                operation: "normalize",
                got: format!("{channels} channels"),
                expected: format!("{} or {}", self.mean.len(), self.std.len()),
            });
        }
        if let Values::U8(bytes) = image.values() {
            let numbers: Vec<f32> = bytes.iter().map(|&v| f32::from(v) / 255.0).collect();
            image.replace(numbers.into(), size, channels);
        }
        let of = |values: &[f32], c: usize| values[if values.len() == 1 { 0 } else { c }];
        if let Values::F32(data) = image.values_mut() {
            for c in 0..channels {
                let (mean, std) = (of(&self.mean, c), of(&self.std, c));
                for value in data.iter_mut().skip(c).step_by(channels) {
                    *value = (*value - mean) / std;
                }
            }
        }
        Ok(())
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
