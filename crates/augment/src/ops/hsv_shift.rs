//! Hue, saturation and value moved: `hsv_shift`.

use super::fixed_step;
use crate::color::{hsv_to_rgb, is_colour};
use crate::kernel::Element;
use crate::{Apply, AugmentError, Sample, Values};
use serde::{Deserialize, Serialize};

/// Adds to hue, saturation and value of the HSV cone in bytes:
/// albumentations' `HueSaturationValue`. Images of numbers go through bytes.
///
/// Hue is in steps of two degrees (`0..180`, OpenCV's) and wraps around;
/// saturation and value are in `0..=255` and are clipped. Colours without
/// saturation stay grey. An image of one channel gets the shift of the value
/// alone.
///
/// ```
/// use firecraft_augment::{HsvShift, Image, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![200, 0, 0], Size::new(1, 1), 3)?);
/// Plan::from(HsvShift::new(60.0, 0.0, 20.0)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[0, 220, 0][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HsvShift {
    /// Added to the hue, inside `[-180, 180]`.
    pub hue: f32,
    /// Added to the saturation, inside `[-255, 255]`.
    pub saturation: f32,
    /// Added to the value, inside `[-255, 255]`.
    pub value: f32,
}

impl HsvShift {
    /// Adds these to hue, saturation and value.
    #[must_use]
    pub const fn new(hue: f32, saturation: f32, value: f32) -> Self {
        Self {
            hue,
            saturation,
            value,
        }
    }

    fn check(&self) -> Result<(), AugmentError> {
        for (field, value, limit, expected) in [
            ("hue", self.hue, 180.0, "a number in [-180, 180]"),
            (
                "saturation",
                self.saturation,
                255.0,
                "a number in [-255, 255]",
            ),
            ("value", self.value, 255.0, "a number in [-255, 255]"),
        ] {
            if !(-limit..=limit).contains(&value) {
                return Err(AugmentError::parameter("hsv_shift", field, value, expected));
            }
        }
        Ok(())
    }

    fn colour(&self, rgb: [u8; 3]) -> [u8; 3] {
        let [h, s, v] = bytes_to_hsv(rgb);
        let h = (f32::from(h) + self.hue).rem_euclid(180.0) as u8;
        let s = if s == 0 {
            0
        } else {
            u8::from_f32_truncated(f32::from(s) + self.saturation)
        };
        let v = u8::from_f32_truncated(f32::from(v) + self.value);
        let hsv = [
            f32::from(h) / 180.0,
            f32::from(s) / 255.0,
            f32::from(v) / 255.0,
        ];
        hsv_to_rgb(hsv).map(|c| u8::from_f32(c * 255.0))
    }

    fn run(&self, data: &mut [u8], channels: usize) {
        if channels >= 3 {
            for pixel in data.chunks_exact_mut(channels) {
                let new = self.colour([pixel[0], pixel[1], pixel[2]]);
                pixel[..3].copy_from_slice(&new);
            }
        } else {
            for value in data {
                *value = u8::from_f32_truncated(f32::from(*value) + self.value);
            }
        }
    }
}

/// Hue in `0..180`, saturation and value in `0..=255`, as OpenCV's integers
/// give them.
fn bytes_to_hsv(rgb: [u8; 3]) -> [u8; 3] {
    const SHIFT: i32 = 12;
    let [r, g, b] = rgb.map(i32::from);
    let value = r.max(g).max(b);
    let range = value - r.min(g).min(b);
    if range == 0 {
        return [0, 0, value as u8];
    }
    let reciprocal =
        |top: f64, of: i32| (top * f64::from(1 << SHIFT) / f64::from(of)).round_ties_even() as i32;
    let descale = |v: i32| (v + (1 << (SHIFT - 1))) >> SHIFT;
    let saturation = descale(range * reciprocal(255.0, value));
    let sextant = if value == r {
        g - b
    } else if value == g {
        b - r + 2 * range
    } else {
        r - g + 4 * range
    };
    let hue = descale(sextant * reciprocal(30.0, range));
    [hue.rem_euclid(180) as u8, saturation as u8, value as u8]
}

impl Apply for HsvShift {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        is_colour("hsv_shift", &sample.image)?;
        let channels = sample.image.channels();
        match sample.image.values_mut() {
            Values::U8(data) => self.run(data, channels),
            Values::F32(data) => super::through_bytes(data, |bytes| self.run(bytes, channels)),
        }
        Ok(())
    }
}

fixed_step!(HsvShift, "hsv_shift");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_shift_is_nearly_the_identity() {
        let none = HsvShift::new(0.0, 0.0, 0.0);
        for i in 0..5000_u32 {
            let rgb = [i * 7 % 256, i * 31 % 256, i * 101 % 256].map(|v| v as u8);
            for (a, b) in rgb.iter().zip(none.colour(rgb)) {
                assert!(a.abs_diff(b) <= 6, "{rgb:?}");
            }
        }
    }

    #[test]
    fn grey_stays_grey_and_ranges_are_checked() {
        assert_eq!(HsvShift::new(90.0, 200.0, 5.0).colour([9; 3]), [14; 3]);
        let error = HsvShift::new(0.0, f32::NAN, 0.0).check().unwrap_err();
        assert!(error.to_string().contains("saturation = NaN"), "{error}");
    }
}
