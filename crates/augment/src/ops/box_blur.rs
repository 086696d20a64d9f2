//! Boxes on boxes: `box_blur`.

use super::fixed_step;
use crate::kernel;
use crate::sample::each_type;
use crate::{Apply, AugmentError, Sample};
use serde::{Deserialize, Serialize};

/// The mean of the `2 radius + 1` pixels in each direction, several times:
/// Pillow's `BoxBlur` and, with three passes, its `GaussianBlur`. The edge is
/// repeated outside; the outermost pixels of a fractional radius count by that
/// fraction. Bytes are rounded after each pass, as there.
///
/// Three passes are close to a Gaussian, at a price that doesn't depend on the
/// radius.
///
/// ```
/// use firecraft_augment::{BoxBlur, Image, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![0, 90, 0, 0], Size::new(1, 4), 1)?);
/// Plan::from(BoxBlur::new(1.0)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[30, 30, 30, 0][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxBlur {
    /// Reach to either side in pixels, in `[0, 4096]`.
    pub radius: f32,
    /// How often; at most 16.
    #[serde(default = "once")]
    pub passes: u8,
}

const fn once() -> u8 {
    1
}

impl BoxBlur {
    /// One pass.
    #[must_use]
    pub const fn new(radius: f32) -> Self {
        Self { radius, passes: 1 }
    }

    /// Three passes that stand for a Gaussian of that deviation: Pillow's
    /// `GaussianBlur(sigma)` (Gwosdek et al., *Theoretical Foundations of
    /// Gaussian Convolution by Extended Box Filtering*, 2011).
    ///
    /// ```
    /// use firecraft_augment::BoxBlur;
    /// assert!((BoxBlur::gaussian(2.0).radius - 1.375).abs() < 1e-6);
    /// ```
    #[must_use]
    pub fn gaussian(sigma: f32) -> Self {
        const PASSES: u8 = 3;
        let variance = sigma * sigma / f32::from(PASSES);
        let length = (12.0 * variance + 1.0).sqrt();
        let whole = ((length - 1.0) / 2.0).floor();
        let rest = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance)
            / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)));
        Self {
            radius: whole + rest,
            passes: PASSES,
        }
    }

    fn check(&self) -> Result<(), AugmentError> {
        if !(0.0..=4096.0).contains(&self.radius) {
            let expected = "a number in [0, 4096]";
            return Err(AugmentError::parameter(
                "box_blur",
                "radius",
                self.radius,
                expected,
            ));
        }
        if self.passes > 16 {
            let expected = "at most 16";
            return Err(AugmentError::parameter(
                "box_blur",
                "passes",
                self.passes,
                expected,
            ));
        }
        Ok(())
    }
}

impl Apply for BoxBlur {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        let (size, channels) = (sample.image.size(), sample.image.channels());
        if size.area() * channels > 0 && self.radius > 0.0 {
            let (values, scratch) = sample.image.parts_mut();
            each_type!(values, data => {
                kernel::box_mean(data, size, channels, self.radius, self.passes, scratch);
            });
        }
        Ok(())
    }
}

fixed_step!(BoxBlur, "box_blur");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Plan, Size};

    fn run(blur: BoxBlur, data: &[f32], size: Size, channels: usize) -> Vec<f32> {
        let image = Image::from_f32(data.to_vec(), size, channels).unwrap();
        let mut sample = Sample::new(image);
        Plan::from(blur).apply(&mut sample).unwrap();
        sample.image.as_f32().unwrap().to_vec()
    }

    #[test]
    fn one_colour_stays_whatever_the_radius() {
        for radius in [0.3, 1.0, 2.7, 50.0] {
            let blur = BoxBlur { radius, passes: 3 };
            let data = run(blur, &[0.25; 4 * 5 * 2], Size::new(4, 5), 2);
            assert!(data.iter().all(|v| (v - 0.25).abs() < 1e-6));
        }
    }

    #[test]
    fn three_passes_have_the_variance_of_the_gaussian() {
        let mut data = vec![0.0_f32; 101];
        data[50] = 1.0;
        let data = run(BoxBlur::gaussian(4.0), &data, Size::new(1, 101), 1);
        let variance: f32 = (0..101).map(|i| (i as f32 - 50.0).powi(2) * data[i]).sum();
        assert!((variance - 16.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn radii_out_of_range_are_refused() {
        assert!(BoxBlur::new(-1.0).check().is_err());
        assert!(BoxBlur::new(f32::NAN).check().is_err());
    }
}
