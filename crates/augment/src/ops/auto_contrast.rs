//! The whole range of values: `auto_contrast`.

use super::fixed_step;
use crate::kernel::Element;
use crate::sample::each_type;
use crate::{Apply, AugmentError, Sample};
use serde::{Deserialize, Serialize};

/// Stretches each channel so that its darkest value becomes black and its
/// brightest white; a channel of one value stays. torchvision's
/// `autocontrast`, Pillow's with a cutoff of 0.
///
/// ```
/// use firecraft_augment::{AutoContrast, Image, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![50, 75, 100], Size::new(1, 3), 1)?);
/// Plan::from(AutoContrast::new()).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[0, 127, 255][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoContrast {}

impl AutoContrast {
    /// Stretches every channel by itself.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }

    #[expect(clippy::unused_self)]
    const fn check(&self) -> Result<(), AugmentError> {
        Ok(())
    }
}

fn run<T: Element>(data: &mut [T], channels: usize) {
    for c in 0..channels {
        let values = || data.iter().skip(c).step_by(channels).map(|v| v.to_f32());
        let low = values().fold(f32::INFINITY, f32::min);
        let high = values().fold(f32::NEG_INFINITY, f32::max);
        if high > low {
            let scale = (high - low) / T::MAX;
            for value in data.iter_mut().skip(c).step_by(channels) {
                let stretched = (value.to_f32() - low) / scale;
                *value = T::from_f32_truncated(stretched.clamp(0.0, T::MAX));
            }
        }
    }
}

impl Apply for AutoContrast {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let channels = sample.image.channels();
        each_type!(sample.image.values_mut(), data => run(data, channels));
        Ok(())
    }
}

fixed_step!(AutoContrast, "auto_contrast");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_stretched_apart() {
        let mut data = vec![0.2_f32, 0.5, 0.4, 0.5];
        run(&mut data, 2);
        assert_eq!(data, [0.0, 0.5, 1.0, 0.5]);
        run::<u8>(&mut [], 3);
    }
}
