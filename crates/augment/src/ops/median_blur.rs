//! The middle of the neighbourhood: `median_blur`.

use super::fixed_step;
use crate::kernel::Element;
use crate::sample::each_type;
use crate::{Apply, AugmentError, Sample, Size};
use serde::{Deserialize, Serialize};

/// Replaces every value by the median of the `size` x `size` square around it,
/// channel by channel, with the edge repeated outside: OpenCV's and
/// albumentations' `MedianBlur`. It removes single wrong pixels and keeps
/// edges.
///
/// ```
/// use firecraft_augment::{Image, MedianBlur, Plan, Sample, Size};
/// let dot = vec![10, 10, 10, 10, 255, 10, 10, 10, 20];
/// let mut sample = Sample::new(Image::from_u8(dot, Size::new(3, 3), 1)?);
/// Plan::from(MedianBlur::new(3)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[10, 10, 10, 10, 10, 10, 10, 10, 20][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MedianBlur {
    /// Side of the square in pixels: odd, in `1..=31`.
    pub size: usize,
}

impl MedianBlur {
    /// A square of that side.
    #[must_use]
    pub const fn new(size: usize) -> Self {
        Self { size }
    }

    fn check(&self) -> Result<(), AugmentError> {
        if self.size % 2 == 1 && self.size <= 31 {
            return Ok(());
        }
        let expected = "an odd number in 1..=31";
        Err(AugmentError::parameter(
            "median_blur",
            "size",
            self.size,
            expected,
        ))
    }

    fn run<T: Element>(&self, data: &mut [T], size: Size, channels: usize) {
        let Size { height, width } = size;
        let reach = self.size as i64 / 2;
        let mut around = Vec::with_capacity(self.size * self.size);
        let source = data.to_vec();
        let line = width * channels;
        for (y, row) in data.chunks_exact_mut(line.max(1)).enumerate() {
            for (i, value) in row.iter_mut().enumerate() {
                let (x, c) = ((i / channels) as i64, i % channels);
                around.clear();
                for dy in -reach..=reach {
                    let y = (y as i64 + dy).clamp(0, height as i64 - 1) as usize;
                    let row = &source[y * line..(y + 1) * line];
                    around.extend((x - reach..=x + reach).map(|x| {
                        row[x.clamp(0, width as i64 - 1) as usize * channels + c].to_f32()
                    }));
                }
                let middle = around.len() / 2;
                *value = T::from_f32(*around.select_nth_unstable_by(middle, f32::total_cmp).1);
            }
        }
    }
}

impl Apply for MedianBlur {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        let (size, channels) = (sample.image.size(), sample.image.channels());
        each_type!(sample.image.values_mut(), data => self.run(data, size, channels));
        Ok(())
    }
}

fixed_step!(MedianBlur, "median_blur");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_stay_apart_and_an_edge_stays_sharp() {
        let mut data: Vec<u8> = (0..5 * 6)
            .flat_map(|i| if i % 6 < 3 { [0, 200] } else { [100, 50] })
            .collect();
        let before = data.clone();
        MedianBlur::new(3).run(&mut data, Size::new(5, 6), 2);
        assert_eq!(data, before);
    }

    #[test]
    fn even_squares_are_refused() {
        assert!(MedianBlur::new(4).check().is_err());
        assert!(MedianBlur::new(33).check().is_err());
        assert!(MedianBlur::new(0).check().is_err());
    }
}
