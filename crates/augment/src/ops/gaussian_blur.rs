//! Softened by a bell: `gaussian_blur`.

use super::{check_border, fixed_step};
use crate::kernel::{self, Element, Scratch};
use crate::sample::each_type;
use crate::{Apply, AugmentError, Border, Sample, Size};
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
        check_border("gaussian_blur", &self.border)?;
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

    pub(super) fn run<T: Element>(
        &self,
        data: &mut [T],
        size: Size,
        channels: usize,
        scratch: &mut Scratch,
    ) {
        let across = weights(self.kernel_size.0, self.sigma.0, scratch);
        let down = weights(self.kernel_size.1, self.sigma.1, scratch);
        kernel::convolve(
            data,
            size,
            channels,
            [&across, &down],
            &self.border,
            scratch,
        );
        scratch.give(across);
        scratch.give(down);
    }
}

/// A bell of `n` weights that sum to 1, from the centre outwards.
fn weights(n: usize, sigma: f32, scratch: &mut Scratch) -> Vec<f32> {
    let bell = |i: usize| (-(i as f64 / f64::from(sigma)).powi(2) / 2.0).exp();
    let sum = 1.0 + 2.0 * (1..=n / 2).map(bell).sum::<f64>();
    let mut weights = scratch.take(n / 2 + 1);
    for (i, weight) in weights.iter_mut().enumerate() {
        *weight = (bell(i) / sum) as f32;
    }
    weights
}

impl Apply for GaussianBlur {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        let (size, channels) = (sample.image.size(), sample.image.channels());
        if size.area() * channels > 0 {
            let (values, scratch) = sample.image.parts_mut();
            each_type!(values, data => self.run(data, size, channels, scratch));
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
            blur.run(&mut data, Size::new(4, 3), 3, &mut Scratch::new());
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
