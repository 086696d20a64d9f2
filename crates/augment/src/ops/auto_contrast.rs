//! The whole range of values: `auto_contrast`.

use super::fixed_step;
use crate::kernel::{Element, map_channels, ranges};
use crate::sample::each_type;
use crate::{Apply, AugmentError, Sample, Values};
use serde::{Deserialize, Serialize};

/// How [`AutoContrast`] fills the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoContrastMethod {
    /// A straight line, cut off: torchvision, Pillow, Keras.
    #[default]
    Linear,
    /// A straight line, rounded: albumentations' `pil`.
    LinearRounded,
    /// By rank, as if equalised: albumentations' `cdf`.
    Rank,
}

/// Stretches each channel so that its darkest value becomes black and its
/// brightest white; a channel of one value stays. torchvision's
/// `autocontrast`, Pillow's with a cutoff of 0, albumentations' with its
/// methods and cutoff.
///
/// Other methods than the line without a cutoff look at the histogram; images
/// of numbers then go through bytes.
///
/// ```
/// use firecraft_augment::{AutoContrast, Image, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![50, 75, 100], Size::new(1, 3), 1)?);
/// Plan::from(AutoContrast::new()).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[0, 127, 255][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AutoContrast {
    /// How the range is filled.
    pub method: AutoContrastMethod,
    /// Per cent of the values that may be lost at either end, in `[0, 50)`.
    pub cutoff: f32,
}

impl AutoContrast {
    /// Stretches every channel by itself.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            method: AutoContrastMethod::Linear,
            cutoff: 0.0,
        }
    }

    /// Sets how the range is filled.
    #[must_use]
    pub const fn with_method(mut self, method: AutoContrastMethod) -> Self {
        self.method = method;
        self
    }

    /// Sets how many per cent may be lost at either end.
    #[must_use]
    pub const fn with_cutoff(mut self, cutoff: f32) -> Self {
        self.cutoff = cutoff;
        self
    }

    fn check(&self) -> Result<(), AugmentError> {
        if (0.0..50.0).contains(&self.cutoff) {
            return Ok(());
        }
        let expected = "a percentage in [0, 50)";
        Err(AugmentError::parameter(
            "auto_contrast",
            "cutoff",
            self.cutoff,
            expected,
        ))
    }

    fn by_histogram(&self, data: &mut [u8], channels: usize) {
        for c in 0..channels {
            let mut counts = [0_usize; 256];
            for &value in data.iter().skip(c).step_by(channels) {
                counts[usize::from(value)] += 1;
            }
            if self.method != AutoContrastMethod::Linear {
                // The peer's last bin ends before white.
                counts[255] = 0;
            }
            let (low, high) = bounds(&counts, self.cutoff);
            if low < high {
                let table = self.table(&counts, low, high);
                for value in data.iter_mut().skip(c).step_by(channels) {
                    *value = table[usize::from(*value)];
                }
            }
        }
    }

    fn table(&self, counts: &[usize; 256], low: usize, high: usize) -> [u8; 256] {
        let up_to = |v: usize| counts[low..=v].iter().sum::<usize>() as f64;
        let (first, last) = (up_to(low), up_to(high));
        std::array::from_fn(|v| {
            if v < low {
                return 0;
            } else if v > high {
                return 255;
            }
            let part = match self.method {
                AutoContrastMethod::Rank => (up_to(v) - first) / (last - first).max(1.0),
                _ => (v - low) as f64 / (high - low) as f64,
            };
            match self.method {
                AutoContrastMethod::Linear => (part * 255.0) as u8,
                _ => (part * 255.0).round_ties_even() as u8,
            }
        })
    }
}

/// The lowest and the highest level that are kept.
fn bounds(counts: &[usize; 256], cutoff: f32) -> (usize, usize) {
    let used = |n: &usize| *n > 0;
    let (Some(low), Some(high)) = (counts.iter().position(used), counts.iter().rposition(used))
    else {
        return (0, 0);
    };
    if cutoff == 0.0 {
        return (low, high);
    }
    let total: usize = counts.iter().sum();
    let cut = total as f64 * f64::from(cutoff) / 100.0;
    let skipped = |counts: &mut dyn Iterator<Item = &usize>| {
        let mut sum = 0.0;
        let reached = |n: &usize| {
            sum += *n as f64;
            sum < cut
        };
        counts.map_while(|n| Some(*n)).take_while(reached).count()
    };
    let low = (skipped(&mut counts.iter()) + 1).min(255);
    let high = 255_usize.saturating_sub(skipped(&mut counts.iter().rev()));
    (low, high)
}

fn run<T: Element + PartialOrd>(data: &mut [T], channels: usize) {
    const MOST: usize = 4;
    let line = |[low, high]: [T; 2]| {
        let (low, high) = (low.to_f32(), high.to_f32());
        [low, (high - low) / T::MAX]
    };
    if channels <= MOST {
        let mut lines = [[0.0; 2]; MOST];
        for (out, range) in lines.iter_mut().zip(ranges(data, channels)) {
            *out = line(range);
        }
        map_channels(data, channels, |c| lines[c], stretch::<T>);
    } else {
        let lines: Vec<_> = ranges(data, channels).map(line).collect();
        map_channels(data, channels, |c| lines[c], stretch::<T>);
    }
}

#[inline(always)]
fn stretch<T: Element>(value: T, [low, scale]: [f32; 2]) -> T {
    let stretched = ((value.to_f32() - low) / scale).clamp(0.0, T::MAX);
    if scale > 0.0 {
        T::from_f32_truncated(stretched)
    } else {
        value
    }
}

impl Apply for AutoContrast {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        let channels = sample.image.channels();
        if self.method == AutoContrastMethod::Linear && self.cutoff == 0.0 {
            each_type!(sample.image.values_mut(), data => run(data, channels));
            return Ok(());
        }
        match sample.image.values_mut() {
            Values::U8(data) => self.by_histogram(data, channels),
            Values::F32(data) => {
                super::through_bytes(data, |bytes| self.by_histogram(bytes, channels));
            }
        }
        Ok(())
    }
}

fixed_step!(AutoContrast, "auto_contrast");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_cutoffs() {
        let mut data: Vec<u8> = (0..100)
            .map(|i| if i < 98 { 100 + i / 2 } else { 0 })
            .collect();
        let rank = AutoContrast::new().with_method(AutoContrastMethod::Rank);
        rank.by_histogram(&mut data, 1);
        assert_eq!((data[99], data[97]), (0, 255));
        let mut cut: Vec<u8> = (0..=255).collect();
        AutoContrast::new()
            .with_cutoff(10.0)
            .by_histogram(&mut cut, 1);
        assert_eq!((cut[26], cut[230]), (0, 255));
        assert!(AutoContrast::new().with_cutoff(50.0).check().is_err());
        AutoContrast::new()
            .with_cutoff(5.0)
            .by_histogram(&mut [], 3);
    }

    #[test]
    fn channels_are_stretched_apart() {
        let mut data = vec![0.2_f32, 0.5, 0.4, 0.5];
        run(&mut data, 2);
        assert_eq!(data, [0.0, 0.5, 1.0, 0.5]);
        run::<u8>(&mut [], 3);
    }
}
