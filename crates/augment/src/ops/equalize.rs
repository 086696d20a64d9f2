//! All levels equally often: `equalize`.

use super::fixed_step;
use crate::kernel::{Counts, Element, count_channels, look_up_channels};
use crate::{Apply, AugmentError, Sample, Values};
use serde::{Deserialize, Serialize};

/// Whose arithmetic [`Equalize`] follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EqualizeMethod {
    /// Pillow's; torchvision, kornia and timm have the same.
    #[default]
    Pillow,
    /// OpenCV's; Keras and albumentations have the same.
    OpenCv,
}

/// Spreads the values of each channel so that every level is about equally
/// frequent. Images of numbers go through bytes.
///
/// With `c(v)` values below `v`, `n` in all, of which `h` have the lowest and
/// `l` the highest level in use:
/// - Pillow: `(s / 2 + c(v)) / s` in integers, where `s = (n - l) / 255`; a
///   channel with `s = 0` stays.
/// - OpenCV: `255 (c(v + 1) - h) / (n - h)`, rounded; a channel of one level
///   stays.
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
#[serde(deny_unknown_fields, default)]
pub struct Equalize {
    /// Whose arithmetic.
    pub method: EqualizeMethod,
}

impl Equalize {
    /// Equalises every channel by itself, as Pillow does.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            method: EqualizeMethod::Pillow,
        }
    }

    /// Sets whose arithmetic.
    #[must_use]
    pub const fn with_method(mut self, method: EqualizeMethod) -> Self {
        self.method = method;
        self
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
            Values::U8(data) => run(data, channels, self.method),
            Values::F32(data) => {
                // torchvision's way to bytes and back.
                let mut bytes: Vec<u8> = data
                    .iter()
                    .map(|v| u8::from_f32_truncated(v * (256.0 - 1e-3)))
                    .collect();
                run(&mut bytes, channels, self.method);
                for (value, byte) in data.iter_mut().zip(bytes) {
                    *value = f32::from(byte) / 255.0;
                }
            }
        }
        Ok(())
    }
}

fn run(data: &mut [u8], channels: usize, method: EqualizeMethod) {
    const MOST: usize = 4;
    let table = |counts: &Counts| match method {
        EqualizeMethod::Pillow => pillow(counts),
        EqualizeMethod::OpenCv => open_cv(counts),
    };
    if channels <= MOST {
        let mut counts = [[0; 256]; MOST];
        let counts = &mut counts[..channels];
        count_channels(data, counts);
        let mut tables = [[0; 256]; MOST];
        let tables = &mut tables[..channels];
        for (out, counts) in tables.iter_mut().zip(counts) {
            *out = table(counts);
        }
        look_up_channels(data, tables);
    } else {
        let mut counts = vec![[0; 256]; channels];
        count_channels(data, &mut counts);
        let tables: Vec<_> = counts.iter().map(table).collect();
        look_up_channels(data, &tables);
    }
}

fn pillow(counts: &Counts) -> [u8; 256] {
    let total: u32 = counts.iter().sum();
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

fn open_cv(counts: &Counts) -> [u8; 256] {
    let total: u32 = counts.iter().sum();
    let lowest = counts.iter().find(|&&n| n > 0).copied().unwrap_or(0);
    if total == lowest {
        return std::array::from_fn(|v| v as u8);
    }
    let scale = 255.0 / f64::from(total - lowest);
    let mut up_to = 0;
    counts.map(|n| {
        up_to += n;
        u8::from_f32((f64::from(up_to.saturating_sub(lowest)) * scale) as f32)
    })
}

fixed_step!(Equalize, "equalize");

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [EqualizeMethod; 2] = [EqualizeMethod::Pillow, EqualizeMethod::OpenCv];

    #[test]
    fn one_level_stays() {
        for method in BOTH {
            let mut one = vec![7; 300];
            run(&mut one, 1, method);
            assert_eq!(one, [7; 300]);
            run(&mut [], 3, method);
        }
    }

    #[test]
    fn levels_stay_in_order_and_reach_white() {
        for method in BOTH {
            let mut data: Vec<u8> = (0..2000_u32).map(|i| (i * i % 91) as u8).collect();
            let before = data.clone();
            run(&mut data, 1, method);
            assert!(data.iter().any(|&v| v > 250));
            for (a, x) in before.iter().zip(&data) {
                for (b, y) in before.iter().zip(&data).take(50) {
                    assert!(a > b || x <= y);
                }
            }
        }
    }
}
