//! Boxes on boxes: `box_blur`.

use super::fixed_step;
use crate::kernel::Element;
use crate::{Apply, AugmentError, Sample, Size, Values};
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

    fn run<T: Element>(&self, data: &mut [T], size: Size, channels: usize) {
        let line = size.width * channels;
        let mut copy = Vec::new();
        for _ in 0..self.passes {
            for row in data.chunks_exact_mut(line) {
                for c in 0..channels {
                    self.lane(row, c, channels, size.width, &mut copy);
                }
            }
        }
        for _ in 0..self.passes {
            for column in 0..line {
                self.lane(data, column, line, size.height, &mut copy);
            }
        }
    }

    /// One pass over the `n` values from `first` on, `stride` apart.
    fn lane<T: Element>(
        &self,
        data: &mut [T],
        first: usize,
        stride: usize,
        n: usize,
        copy: &mut Vec<f32>,
    ) {
        copy.clear();
        copy.extend((0..n).map(|i| data[first + i * stride].to_f32()));
        let whole = self.radius as usize;
        let weight = 1.0 / (2.0 * f64::from(self.radius) + 1.0);
        let rest = (1.0 - (2 * whole + 1) as f64 * weight) / 2.0;
        let at = |i: i64| f64::from(copy[i.clamp(0, n as i64 - 1) as usize]);
        let reach = whole as i64;
        let mut sum: f64 = (-reach..=reach).map(at).sum();
        for i in 0..n as i64 {
            let value = sum * weight + (at(i - reach - 1) + at(i + reach + 1)) * rest;
            data[first + i as usize * stride] = T::from_f32_half_up(value as f32);
            sum += at(i + reach + 1) - at(i - reach);
        }
    }
}

impl Apply for BoxBlur {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        let (size, channels) = (sample.image.size(), sample.image.channels());
        if size.area() * channels > 0 && self.radius > 0.0 {
            match sample.image.values_mut() {
                Values::U8(data) => self.run(data, size, channels),
                Values::F32(data) => self.run(data, size, channels),
            }
        }
        Ok(())
    }
}

fixed_step!(BoxBlur, "box_blur");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_colour_stays_whatever_the_radius() {
        for radius in [0.3, 1.0, 2.7, 50.0] {
            let mut data = vec![0.25_f32; 4 * 5 * 2];
            BoxBlur { radius, passes: 3 }.run(&mut data, Size::new(4, 5), 2);
            assert!(data.iter().all(|v| (v - 0.25).abs() < 1e-6));
        }
    }

    #[test]
    fn three_passes_have_the_variance_of_the_gaussian() {
        let mut data = vec![0.0_f32; 101];
        data[50] = 1.0;
        BoxBlur::gaussian(4.0).run(&mut data, Size::new(1, 101), 1);
        let variance: f32 = (0..101).map(|i| (i as f32 - 50.0).powi(2) * data[i]).sum();
        assert!((variance - 16.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn radii_out_of_range_are_refused() {
        assert!(BoxBlur::new(-1.0).check().is_err());
        assert!(BoxBlur::new(f32::NAN).check().is_err());
    }
}
