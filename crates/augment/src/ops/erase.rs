//! A rectangle painted over: `erase`.

use super::{check_values, fixed_step};
use crate::change::{Change, fits};
use crate::kernel::Element;
use crate::sample::each_type;
use crate::{Apply, AugmentError, Region, Sample};
use firecraft_key::{Key, convert};
use serde::{Deserialize, Serialize};

/// Paints a rectangle in one colour; what of it lies outside the image is
/// ignored. torchvision's `functional.erase` with a value per channel.
///
/// Boxes, key points and masks stay: what is hidden is still there.
///
/// ```
/// use firecraft_augment::{Erase, Image, Plan, Region, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![9; 6], Size::new(2, 3), 1)?);
/// let region = Region { top: 1, left: 1, size: Size::new(5, 1) };
/// Plan::from(Erase::new(region, [4.0])).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[9, 9, 9, 9, 4, 9][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erase {
    /// The rectangle.
    pub region: Region,
    /// One value, or one per channel, in the unit of the image.
    pub value: Vec<f32>,
    /// Random values instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<EraseNoise>,
}

/// Random values for [`Erase`]: standard normal for numbers, uniform for
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraseNoise {
    /// The words of the key they are drawn from.
    pub key: [u64; 2],
    /// Whether every pixel has values of its own.
    pub per_pixel: bool,
}

impl Erase {
    /// Paints that rectangle.
    #[must_use]
    pub fn new(region: Region, value: impl Into<Vec<f32>>) -> Self {
        Self {
            region,
            value: value.into(),
            noise: None,
        }
    }

    /// Draws the values, for every pixel or one colour for all.
    #[must_use]
    pub fn with_noise(mut self, key: Key, per_pixel: bool) -> Self {
        self.noise = Some(EraseNoise {
            key: key.words(),
            per_pixel,
        });
        self
    }

    fn check(&self) -> Result<(), AugmentError> {
        if self.value.is_empty() {
            let expected = "one number, or one per channel";
            return Err(AugmentError::parameter("erase", "value", "[]", expected));
        }
        check_values("erase", "value", &self.value)
    }

    fn run<T: Element>(&self, data: &mut [T], width: usize, channels: usize) {
        let Region { top, left, size } = self.region;
        let right = left.saturating_add(size.width).min(width);
        let line = width * channels;
        let end = top.saturating_add(size.height).min(data.len() / line);
        if left >= right || top >= end {
            return;
        }
        let part = left * channels..right * channels;
        let (first, rest) = data[top * line..end * line].split_at_mut(line);
        let first = &mut first[part.clone()];
        self.fill(first, channels, 0);
        for (y, row) in rest.chunks_exact_mut(line).enumerate() {
            let row = &mut row[part.clone()];
            match self.noise {
                Some(noise) if noise.per_pixel => self.fill(row, channels, y + 1),
                // All rows are alike.
                _ => row.copy_from_slice(first),
            }
        }
    }

    /// Fills row number `y` of the rectangle.
    fn fill<T: Element>(&self, row: &mut [T], channels: usize, y: usize) {
        for (i, value) in row.iter_mut().enumerate() {
            let c = i % channels;
            let new = self.value[if self.value.len() == 1 { 0 } else { c }];
            *value = T::from_f32(match self.noise {
                None => new,
                Some(noise) => {
                    let place = if noise.per_pixel {
                        y * self.region.size.width * channels + i
                    } else {
                        c
                    };
                    let word = Key::from_words(noise.key).word(place as u64);
                    if T::IS_INTEGER {
                        (convert::uniform(word) * 256.0).floor()
                    } else {
                        convert::normal(word)
                    }
                }
            });
        }
    }
}

impl Apply for Erase {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        let (width, channels) = (sample.image.size().width, sample.image.channels());
        if self.value.len() != 1 && self.value.len() != channels {
            return Err(AugmentError::Image {
                operation: "erase",
                got: format!("{channels} channels"),
                expected: format!("1 or {}", self.value.len()),
            });
        }
        if width * channels > 0 {
            each_type!(sample.image.values_mut(), data => self.run(data, width, channels));
        }
        Ok(())
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        let valid = self.check().is_ok() && fits(&self.value, channels);
        (valid && self.noise.is_none()).then(|| Change::Fill {
            region: self.region,
            value: self.value.clone(),
        })
    }
}

fixed_step!(Erase, "erase");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Plan, Size};

    #[test]
    fn noise_is_inside_the_rectangle_and_the_same_again() {
        let run = || {
            let mut sample =
                Sample::new(Image::from_f32(vec![5.0; 100], Size::new(10, 10), 1).unwrap());
            let region = Region {
                top: 2,
                left: 8,
                size: Size::new(4, 7),
            };
            Plan::from(Erase::new(region, [0.0]).with_noise(Key::from_seed(1), true))
                .apply(&mut sample)
                .unwrap();
            sample.image
        };
        let image = run();
        let changed = image.as_f32().unwrap().iter().filter(|v| **v != 5.0);
        assert_eq!(changed.count(), 8);
        assert_eq!(run(), image);
    }

    #[test]
    fn colours_are_per_channel() {
        let mut sample = Sample::new(Image::from_u8(vec![0; 6], Size::new(1, 2), 3).unwrap());
        let region = Region {
            top: 0,
            left: 1,
            size: Size::new(1, 1),
        };
        Plan::from(Erase::new(region, [1.0, 2.0, 3.0]))
            .apply(&mut sample)
            .unwrap();
        assert_eq!(sample.image.as_u8().unwrap(), [0, 0, 0, 1, 2, 3]);
        let two = Plan::from(Erase::new(region, [1.0, 2.0]));
        assert!(two.apply(&mut sample).is_err());
    }
}
