//! Softened by a bell: `gaussian_blur`.

use super::fixed_step;
use crate::kernel::Element;
use crate::{Apply, AugmentError, Border, Sample, Size, Values};
use serde::{Deserialize, Serialize};

/// Convolves with a Gaussian, one direction after the other: torchvision's
/// `gaussian_blur`, kornia's `gaussian_blur2d`.
///
/// ```
/// use firecraft_augment::{GaussianBlur, Image, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_f32(vec![0.0, 1.0, 0.0], Size::new(1, 3), 1)?);
/// Plan::from(GaussianBlur::new(3, 1.0)).apply(&mut sample)?;
/// let out = sample.image.as_f32().unwrap();
/// assert!((out[1] - 0.4519).abs() < 1e-4 && (out[0] - 0.5481).abs() < 1e-4);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianBlur {
    /// Width and height of the filter in pixels, odd.
    pub kernel_size: (usize, usize),
    /// Standard deviations in x and y, in pixels, above 0.
    pub sigma: (f32, f32),
    /// What lies outside the image; mirrored without the edge by default.
    #[serde(default = "reflect")]
    pub border: Border,
}

const fn reflect() -> Border {
    Border::Reflect
}

impl GaussianBlur {
    /// A round bell.
    #[must_use]
    pub const fn new(kernel_size: usize, sigma: f32) -> Self {
        Self {
            kernel_size: (kernel_size, kernel_size),
            sigma: (sigma, sigma),
            border: Border::Reflect,
        }
    }

    /// Sets what lies outside the image.
    #[must_use]
    pub fn with_border(mut self, border: Border) -> Self {
        self.border = border;
        self
    }

    fn check(&self) -> Result<(), AugmentError> {
        let wrong = |field, got: String, expected| {
            Err(AugmentError::parameter(
                "gaussian_blur",
                field,
                got,
                expected,
            ))
        };
        let (x, y) = self.kernel_size;
        if x % 2 == 0 || y % 2 == 0 || x.max(y) > 1 << 12 {
            let expected = "odd numbers of pixels below 4096";
            return wrong("kernel_size", format!("({x}, {y})"), expected);
        }
        let (x, y) = self.sigma;
        if !(x > 0.0 && y > 0.0 && x.is_finite() && y.is_finite()) {
            return wrong("sigma", format!("({x}, {y})"), "finite numbers above 0");
        }
        Ok(())
    }

    pub(super) fn run<T: Element>(&self, data: &mut [T], size: Size, channels: usize) {
        let across = weights(self.kernel_size.0, self.sigma.0);
        let down = weights(self.kernel_size.1, self.sigma.1);
        let line = size.width * channels;
        let (reach_x, reach_y) = (across.len() as i64 / 2, down.len() as i64 / 2);
        let mut between = vec![0.0_f32; data.len()];
        for (row, out) in data.chunks_exact(line).zip(between.chunks_exact_mut(line)) {
            for (j, &weight) in across.iter().enumerate() {
                let shift = j as i64 - reach_x;
                for x in 0..size.width {
                    let from = self.border.resolve(x as i64 + shift, size.width);
                    for c in 0..channels {
                        let value = from.map_or_else(
                            || self.border.fill(c),
                            |x| row[x * channels + c].to_f32(),
                        );
                        out[x * channels + c] += weight * value;
                    }
                }
            }
        }
        let mut sum = vec![0.0_f32; line];
        for (y, out) in data.chunks_exact_mut(line).enumerate() {
            sum.fill(0.0);
            for (j, &weight) in down.iter().enumerate() {
                match self
                    .border
                    .resolve(y as i64 + j as i64 - reach_y, size.height)
                {
                    Some(y) => {
                        let row = &between[y * line..(y + 1) * line];
                        sum.iter_mut().zip(row).for_each(|(s, v)| *s += weight * v);
                    }
                    None => {
                        let fill = |i: usize| self.border.fill(i % channels);
                        let sums = sum.iter_mut().enumerate();
                        sums.for_each(|(i, s)| *s += weight * fill(i));
                    }
                }
            }
            out.iter_mut()
                .zip(&sum)
                .for_each(|(o, &s)| *o = T::from_f32(s));
        }
    }
}

/// A bell that sums to 1.
fn weights(n: usize, sigma: f32) -> Vec<f32> {
    let half = (n as f64 - 1.0) / 2.0;
    let bell = |i: usize| (-((i as f64 - half) / f64::from(sigma)).powi(2) / 2.0).exp();
    let sum: f64 = (0..n).map(bell).sum();
    (0..n).map(|i| (bell(i) / sum) as f32).collect()
}

impl Apply for GaussianBlur {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        let (size, channels) = (sample.image.size(), sample.image.channels());
        if size.area() * channels > 0 {
            match sample.image.values_mut() {
                Values::U8(data) => self.run(data, size, channels),
                Values::F32(data) => self.run(data, size, channels),
            }
        }
        Ok(())
    }
}

fixed_step!(GaussianBlur, "gaussian_blur");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_colour_stays() {
        for border in [
            Border::Reflect,
            Border::Replicate,
            Border::Wrap,
            Border::Symmetric,
        ] {
            let mut data = vec![77_u8; 4 * 3 * 3];
            let blur = GaussianBlur::new(9, 2.0).with_border(border);
            blur.run(&mut data, Size::new(4, 3), 3);
            assert_eq!(data, [77; 36]);
        }
    }

    #[test]
    fn even_filters_and_no_width_are_refused() {
        assert!(GaussianBlur::new(4, 1.0).check().is_err());
        let error = GaussianBlur::new(3, 0.0).check().unwrap_err();
        assert!(error.to_string().contains("sigma = (0, 0)"), "{error}");
    }
}
