//! All levels equally often: `equalize`.

use super::fixed_step;
use crate::kernel::Element;
use crate::{Apply, AugmentError, Sample, Values};
use serde::{Deserialize, Serialize};

/// Spreads the values of each channel so that every level is about equally
/// frequent: Pillow's and torchvision's `equalize`, in their integer
/// arithmetic. Images of numbers go through bytes.
///
/// With the histogram `h`, the step `s = (n - h(last)) / 255` over all levels
/// but the highest one in use, and `c` the number of values below `v`, the
/// level `v` becomes `(s / 2 + c) / s`; a channel with `s = 0` stays.
///
/// ```
/// use firecraft_augment::{Equalize, Image, Plan, Sample, Size};
/// let dark: Vec<u8> = (0..1024).map(|i| (i / 16) as u8).collect();
/// let mut sample = Sample::new(Image::from_u8(dark, Size::new(32, 32), 1)?);
/// Plan::from(Equalize::new()).apply(&mut sample)?;
/// let out = sample.image.as_u8().unwrap();
/// assert_eq!((out[0], out[512], out[1023]), (0, 171, 255));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equalize {}

impl Equalize {
    /// Equalises every channel by itself.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }

    #[expect(clippy::unused_self)]
    const fn check(&self) -> Result<(), AugmentError> {
        Ok(())
    }
}

impl Apply for Equalize {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let channels = sample.image.channels();
        match sample.image.values_mut() {
            Values::U8(data) => run(data, channels),
            Values::F32(data) => {
                // torchvision's way to bytes and back.
                let mut bytes: Vec<u8> = data
                    .iter()
                    .map(|v| u8::from_f32_truncated(v * (256.0 - 1e-3)))
                    .collect();
                run(&mut bytes, channels);
                for (value, byte) in data.iter_mut().zip(bytes) {
                    *value = f32::from(byte) / 255.0;
                }
            }
        }
        Ok(())
    }
}

fn run(data: &mut [u8], channels: usize) {
    for c in 0..channels {
        let mut counts = [0_usize; 256];
        for &value in data.iter().skip(c).step_by(channels) {
            counts[usize::from(value)] += 1;
        }
        let table = table(&counts);
        for value in data.iter_mut().skip(c).step_by(channels) {
            *value = table[usize::from(*value)];
        }
    }
}

fn table(counts: &[usize; 256]) -> [u8; 256] {
    let total: usize = counts.iter().sum();
    let last = counts.iter().rev().find(|&&n| n > 0).copied().unwrap_or(0);
    let step = (total - last) / 255;
    if step == 0 {
        return std::array::from_fn(|v| v as u8);
    }
    let mut below = step / 2;
    counts.map(|n| {
        let level = (below / step).min(255) as u8;
        below += n;
        level
    })
}

fixed_step!(Equalize, "equalize");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_level_and_few_values_stay() {
        let mut one = vec![7; 300];
        run(&mut one, 1);
        assert_eq!(one, [7; 300]);
        let mut few = vec![1, 2, 3];
        run(&mut few, 3);
        assert_eq!(few, [1, 2, 3]);
    }

    #[test]
    fn levels_stay_in_order() {
        let mut data: Vec<u8> = (0..2000_u32).map(|i| (i * i % 91) as u8).collect();
        let before = data.clone();
        run(&mut data, 1);
        for (a, x) in before.iter().zip(&data) {
            for (b, y) in before.iter().zip(&data).take(50) {
                assert!(a > b || x <= y);
            }
        }
    }
}
