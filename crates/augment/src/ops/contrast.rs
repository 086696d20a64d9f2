//! More or less contrast: `contrast`.

use super::{check_strength, fixed_step};
use crate::change::{Change, LinearChange, grey_weight};
use crate::color::{LUMA, grey, grey_pillow};
use crate::kernel::{Element, map_values, sum_colours};
use crate::sample::each_type;
use crate::{Apply, AugmentError, ColorMatrix, Sample, Values};
use serde::{Deserialize, Serialize};

/// How grey is averaged for [`Contrast`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GreyMean {
    /// The exact mean: torchvision's tensors.
    #[default]
    Exact,
    /// The mean rounded to a whole byte: Pillow, timm.
    Rounded,
    /// The mean of each channel by itself: Keras.
    PerChannel,
}

/// Blends with the mean grey of the image: `mean + factor * (x - mean)`,
/// clipped. torchvision's `adjust_contrast`, `contrast` of its colour jitter.
///
/// With three channels and more, the mean is that of the luma of the first
/// three; else that of all values.
///
/// ```
/// use firecraft_augment::{Contrast, Image, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_f32(vec![0.2, 0.6], Size::new(1, 2), 1)?);
/// Plan::from(Contrast::new(0.5)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_f32(), Some(&[0.3, 0.5][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contrast {
    /// 0 is grey, 1 changes nothing; not negative.
    pub factor: f32,
    /// How grey is averaged.
    #[serde(default)]
    pub mean: GreyMean,
}

impl Contrast {
    /// Scales the distance to the mean grey.
    #[must_use]
    pub const fn new(factor: f32) -> Self {
        Self {
            factor,
            mean: GreyMean::Exact,
        }
    }

    /// Sets how grey is averaged.
    #[must_use]
    pub const fn with_mean(mut self, mean: GreyMean) -> Self {
        self.mean = mean;
        self
    }

    fn check(&self) -> Result<(), AugmentError> {
        check_strength("contrast", "factor", self.factor)
    }

    fn per_channel<T: Element>(&self, data: &mut [T], channels: usize) {
        let area = (data.len() / channels) as f64;
        for c in 0..channels {
            let values = data.iter().skip(c).step_by(channels);
            let mean = values.map(|v| f64::from(v.to_f32())).sum::<f64>() / area;
            for value in data.iter_mut().skip(c).step_by(channels) {
                *value = T::from_f32(self.number(value.to_f32(), mean as f32, T::MAX));
            }
        }
    }

    #[inline(always)]
    fn number(&self, value: f32, mean: f32, max: f32) -> f32 {
        (value * self.factor + mean * (1.0 - self.factor)).clamp(0.0, max)
    }
}

impl Apply for Contrast {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let (area, channels) = (sample.image.size().area(), sample.image.channels());
        if area * channels == 0 {
            return Ok(());
        }
        if self.mean == GreyMean::PerChannel {
            each_type!(sample.image.values_mut(), data => self.per_channel(data, channels));
            return Ok(());
        }
        let colour = channels >= 3;
        match sample.image.values_mut() {
            Values::U8(data) => {
                let sum = match self.mean {
                    _ if !colour => {
                        data.iter().copied().map(f64::from).sum::<f64>() / channels as f64
                    }
                    GreyMean::Exact | GreyMean::PerChannel => sum_colours(
                        data,
                        channels,
                        #[inline(always)]
                        |p| grey(p).floor(),
                    ),
                    GreyMean::Rounded => sum_colours(data, channels, grey_pillow),
                };
                let mean = (sum / area as f64) as f32;
                let mean = match self.mean {
                    GreyMean::Exact | GreyMean::PerChannel => mean,
                    GreyMean::Rounded => (mean + 0.5).floor(),
                };
                map_values(
                    data,
                    #[inline(always)]
                    |v| u8::from_f32_truncated(self.number(f32::from(v), mean, 255.0)),
                );
            }
            Values::F32(data) => {
                let sum = if colour {
                    sum_colours(data, channels, grey)
                } else {
                    data.iter().copied().map(f64::from).sum::<f64>() / channels as f64
                };
                let mean = (sum / area as f64) as f32;
                map_values(
                    data,
                    #[inline(always)]
                    |v| self.number(v, mean, 1.0),
                );
            }
        }
        Ok(())
    }

    fn color_matrix(&self, _channels: usize) -> Option<ColorMatrix> {
        let mean = LUMA.map(|weight| weight * (1.0 - self.factor));
        let exact = ColorMatrix::line([self.factor; 3], [0.0; 3]).with_mean([mean; 3]);
        (self.mean == GreyMean::Exact).then_some(exact)
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        let rest = 1.0 - self.factor;
        let line = LinearChange::line(channels, |_| self.factor, |_| 0.0).clipped();
        // Only bytes have a mean that is rounded.
        let line = line.with_mean(|row, column| match self.mean {
            GreyMean::PerChannel => f32::from(row == column) * rest,
            GreyMean::Exact | GreyMean::Rounded => grey_weight(channels, column) * rest,
        });
        Some(Change::Linear(line))
    }
}

fixed_step!(Contrast, "contrast");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Plan, Size};

    #[test]
    fn no_contrast_is_the_mean_grey() {
        let data = vec![255, 0, 0, 0, 255, 0];
        for (mean, expected) in [(GreyMean::Exact, 112), (GreyMean::Rounded, 113)] {
            let image = Image::from_u8(data.clone(), Size::new(1, 2), 3).unwrap();
            let mut sample = Sample::new(image);
            Plan::from(Contrast::new(0.0).with_mean(mean))
                .apply(&mut sample)
                .unwrap();
            assert_eq!(sample.image.as_u8().unwrap(), [expected; 6]);
        }
    }
}
