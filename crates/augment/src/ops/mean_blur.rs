//! The mean of the neighbourhood: `mean_blur`.

use super::{check_border, fixed_step};
use crate::kernel::Element;
use crate::sample::each_type;
use crate::{Apply, AugmentError, Border, Sample, Size};
use serde::{Deserialize, Serialize};

/// The mean of the `size` x `size` square around each value, rounded once:
/// OpenCV's `blur` and albumentations' `Blur`, kornia's `box_blur`.
///
/// [`BoxBlur`](crate::BoxBlur) is Pillow's, with fractional radii and several
/// passes.
///
/// ```
/// use firecraft_augment::{Image, MeanBlur, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![0, 90, 0, 0], Size::new(1, 4), 1)?);
/// Plan::from(MeanBlur::new(3)).apply(&mut sample)?;
/// // Mirrored without the edge: 90, 0, 90 around the first value.
/// assert_eq!(sample.image.as_u8(), Some(&[60, 30, 30, 0][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanBlur {
    /// Side of the square in pixels, in `1..=4097`. An even square reaches
    /// one pixel further up and left.
    pub size: usize,
    /// What lies outside the image; mirrored without the edge by default.
    #[serde(default = "reflect")]
    pub border: Border,
}

const fn reflect() -> Border {
    Border::Reflect
}

impl MeanBlur {
    /// A square of that side.
    #[must_use]
    pub const fn new(size: usize) -> Self {
        Self {
            size,
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
        check_border("mean_blur", &self.border)?;
        if (1..=4097).contains(&self.size) {
            return Ok(());
        }
        let expected = "a number in 1..=4097";
        Err(AugmentError::parameter(
            "mean_blur",
            "size",
            self.size,
            expected,
        ))
    }

    fn run<T: Element>(&self, data: &mut [T], size: Size, channels: usize) {
        let line = size.width * channels;
        if line == 0 {
            return;
        }
        let reach = self.size as i64 / 2;
        let ends = |at: usize| {
            let low = at as i64 - reach;
            low..low + self.size as i64
        };
        let mut sums = vec![0.0_f64; data.len()];
        for (row, sums) in data.chunks_exact(line).zip(sums.chunks_exact_mut(line)) {
            for (i, sum) in sums.iter_mut().enumerate() {
                let (x, c) = (i / channels, i % channels);
                *sum = ends(x)
                    .map(|x| match self.border.resolve(x, size.width) {
                        Some(x) => f64::from(row[x * channels + c].to_f32()),
                        None => f64::from(self.border.fill(c)),
                    })
                    .sum();
            }
        }
        let area = (self.size * self.size) as f64;
        for (y, out) in data.chunks_exact_mut(line).enumerate() {
            for (i, value) in out.iter_mut().enumerate() {
                let outside = f64::from(self.border.fill(i % channels)) * self.size as f64;
                let sum: f64 = ends(y)
                    .map(|y| {
                        let row = self.border.resolve(y, size.height);
                        row.map_or(outside, |y| sums[y * line + i])
                    })
                    .sum();
                *value = T::from_f32((sum / area) as f32);
            }
        }
    }
}

impl Apply for MeanBlur {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        let (size, channels) = (sample.image.size(), sample.image.channels());
        each_type!(sample.image.values_mut(), data => self.run(data, size, channels));
        Ok(())
    }
}

fixed_step!(MeanBlur, "mean_blur");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::no_fill;

    #[test]
    fn one_colour_stays_and_a_constant_border_does_not() {
        let mut data = vec![80_u8; 4 * 5 * 3];
        MeanBlur::new(5).run(&mut data, Size::new(4, 5), 3);
        assert_eq!(data, [80; 60]);
        let black = MeanBlur::new(3).with_border(no_fill());
        black.run(&mut data, Size::new(4, 5), 3);
        assert_eq!(data[0], 36);
    }

    #[test]
    fn nothing_is_no_square() {
        assert!(MeanBlur::new(0).check().is_err());
    }
}
