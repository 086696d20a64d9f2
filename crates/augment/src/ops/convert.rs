//! Types and ranges of values: `rescale`, `denormalize`, `to_f32`, `to_u8`,
//! `to_rgb`.

use super::fixed_step;
use crate::change::{Change, LinearChange, fits, of_channel};
use crate::kernel::Element;
use crate::sample::each_type;
use crate::{Apply, AugmentError, Sample, Values};
use serde::{Deserialize, Serialize};

/// `scale * x + offset` without clipping; bytes count as `0..=255` and become
/// numbers: Keras' `Rescaling`.
///
/// ```
/// use firecraft_augment::{Image, Plan, Rescale, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![0, 51, 255], Size::new(1, 3), 1)?);
/// Plan::from(Rescale::new(0.5, -1.0)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_f32(), Some(&[-1.0, 24.5, 126.5][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rescale {
    /// The factor.
    pub scale: f32,
    /// What is added.
    #[serde(default)]
    pub offset: f32,
}

impl Rescale {
    /// Multiplies by `scale` and adds `offset`.
    #[must_use]
    pub const fn new(scale: f32, offset: f32) -> Self {
        Self { scale, offset }
    }

    fn check(&self) -> Result<(), AugmentError> {
        for (field, value) in [("scale", self.scale), ("offset", self.offset)] {
            if !value.is_finite() {
                let expected = "a finite number";
                return Err(AugmentError::parameter("rescale", field, value, expected));
            }
        }
        Ok(())
    }
}

impl Apply for Rescale {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let image = &mut sample.image;
        let line = |v: f32| self.scale * v + self.offset;
        let new: Option<Vec<f32>> = match image.values_mut() {
            Values::U8(data) => Some(data.iter().map(|&v| line(f32::from(v))).collect()),
            Values::F32(data) => {
                data.iter_mut().for_each(|v| *v = line(*v));
                None
            }
        };
        if let Some(new) = new {
            let (size, channels) = (image.size(), image.channels());
            image.replace(new.into(), size, channels);
        }
        Ok(())
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        let line = LinearChange::line(channels, |_| self.scale, |_| self.offset);
        Some(Change::Linear(line))
    }
}

fixed_step!(Rescale, "rescale", plain_transform);

/// `x * std + mean` per channel: what [`Normalize`](crate::Normalize) did,
/// undone. kornia's `Denormalize`.
///
/// ```
/// use firecraft_augment::{Denormalize, Image, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_f32(vec![2.0, -1.2], Size::new(1, 2), 1)?);
/// Plan::from(Denormalize::new([0.5], [0.25])).apply(&mut sample)?;
/// assert_eq!(sample.image.as_f32(), Some(&[1.0, 0.19999999][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denormalize {
    /// One mean, or one per channel.
    pub mean: Vec<f32>,
    /// One standard deviation, or one per channel; above 0.
    pub std: Vec<f32>,
}

impl Denormalize {
    /// Multiplies by `std` and adds `mean`.
    #[must_use]
    pub fn new(mean: impl Into<Vec<f32>>, std: impl Into<Vec<f32>>) -> Self {
        Self {
            mean: mean.into(),
            std: std.into(),
        }
    }

    fn check(&self) -> Result<(), AugmentError> {
        for (field, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.is_empty() || !values.iter().all(|v| v.is_finite()) {
                let (got, expected) = (format!("{values:?}"), "finite numbers, one or per channel");
                return Err(AugmentError::parameter("denormalize", field, got, expected));
            }
        }
        Ok(())
    }
}

impl Apply for Denormalize {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let channels = sample.image.channels();
        let fits = |values: &Vec<f32>| values.len() == 1 || values.len() == channels;
        let (Values::F32(data), true, true) =
            (sample.image.values_mut(), fits(&self.mean), fits(&self.std))
        else {
            return Err(AugmentError::Image {
                operation: "denormalize",
                got: format!("bytes, or {channels} channels"),
                expected: format!("numbers with {} or 1 channels", self.mean.len()),
            });
        };
        let of = |values: &[f32], c: usize| values[if values.len() == 1 { 0 } else { c }];
        for (i, value) in data.iter_mut().enumerate() {
            let c = i % channels;
            *value = *value * of(&self.std, c) + of(&self.mean, c);
        }
        Ok(())
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        let (mean, std) = (&self.mean, &self.std);
        let line = || {
            let scale = |c: usize| of_channel(std, c);
            LinearChange::line(channels, scale, |c| of_channel(mean, c))
        };
        (fits(mean, channels) && fits(std, channels)).then(|| Change::Linear(line()))
    }
}

fixed_step!(Denormalize, "denormalize", plain_transform);

/// Bytes become numbers in `0..=1`: torchvision's `ToDtype(float32, scale)`,
/// albumentations' `ToFloat`.
///
/// ```
/// use firecraft_augment::{Image, Plan, Sample, Size, ToF32};
/// let mut sample = Sample::new(Image::from_u8(vec![0, 51, 255], Size::new(1, 3), 1)?);
/// Plan::from(ToF32::default()).apply(&mut sample)?;
/// assert_eq!(sample.image.as_f32(), Some(&[0.0, 0.2, 1.0][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToF32 {}

impl ToF32 {
    #[expect(clippy::unused_self)]
    const fn check(&self) -> Result<(), AugmentError> {
        Ok(())
    }
}

impl Apply for ToF32 {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let image = &mut sample.image;
        if let Values::U8(bytes) = image.values() {
            let numbers: Vec<f32> = bytes.iter().map(|&v| f32::from(v) / 255.0).collect();
            let (size, channels) = (image.size(), image.channels());
            image.replace(numbers.into(), size, channels);
        }
        Ok(())
    }

    fn on_numbers(&self, _channels: usize) -> Option<Change> {
        Some(Change::Nothing)
    }
}

fixed_step!(ToF32, "to_f32", plain_transform);

/// Numbers in `0..=1` become bytes, rounded half to even and clipped;
/// torchvision cuts off `255.999 x` instead. albumentations' `FromFloat`.
///
/// ```
/// use firecraft_augment::{Image, Plan, Sample, Size, ToU8};
/// let mut sample = Sample::new(Image::from_f32(vec![-1.0, 0.2, 1.0], Size::new(1, 3), 1)?);
/// Plan::from(ToU8::default()).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[0, 51, 255][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToU8 {}

impl ToU8 {
    #[expect(clippy::unused_self)]
    const fn check(&self) -> Result<(), AugmentError> {
        Ok(())
    }
}

impl Apply for ToU8 {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let image = &mut sample.image;
        if let Values::F32(numbers) = image.values() {
            let bytes: Vec<u8> = numbers.iter().map(|v| u8::from_f32(v * 255.0)).collect();
            let (size, channels) = (image.size(), image.channels());
            image.replace(bytes.into(), size, channels);
        }
        Ok(())
    }
}

fixed_step!(ToU8, "to_u8", plain_transform);

/// Grey becomes three equal channels, and opacity is dropped: torchvision's
/// `RGB`, albumentations' `ToRGB`.
///
/// ```
/// use firecraft_augment::{Image, Plan, Sample, Size, ToRgb};
/// let mut sample = Sample::new(Image::from_u8(vec![3, 9], Size::new(1, 2), 1)?);
/// Plan::from(ToRgb::default()).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[3, 3, 3, 9, 9, 9][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToRgb {}

impl ToRgb {
    #[expect(clippy::unused_self)]
    const fn check(&self) -> Result<(), AugmentError> {
        Ok(())
    }
}

impl Apply for ToRgb {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        fn run<T: Copy>(data: &[T], channels: usize) -> Vec<T> {
            data.chunks_exact(channels)
                .flat_map(|p| {
                    if channels < 3 {
                        [p[0]; 3]
                    } else {
                        [p[0], p[1], p[2]]
                    }
                })
                .collect()
        }
        let image = &mut sample.image;
        let (size, channels) = (image.size(), image.channels());
        match channels {
            3 => return Ok(()),
            // Grey with opacity, and colours with opacity.
            1 | 2 | 4 => {}
            _ => {
                return Err(AugmentError::Image {
                    operation: "to_rgb",
                    got: format!("{channels} channels"),
                    expected: "1 to 4".into(),
                });
            }
        }
        let values: Values = each_type!(image.values(), data => run(data, channels).into());
        image.replace(values, size, 3);
        Ok(())
    }

    fn channels(&self, _input: usize) -> Option<usize> {
        Some(3)
    }
}

fixed_step!(ToRgb, "to_rgb", plain_transform);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Normalize, Plan, Size};

    fn sample(values: Vec<f32>, channels: usize) -> Sample {
        let size = Size::new(1, values.len() / channels);
        Sample::new(Image::from_f32(values, size, channels).unwrap())
    }

    #[test]
    fn normalising_is_undone() {
        let mut there = sample(vec![0.1, 0.5, 0.9, 0.3, 0.2, 0.7], 3);
        let before = there.clone();
        let imagenet = Normalize::imagenet();
        let back = Denormalize::new(imagenet.mean.clone(), imagenet.std.clone());
        Plan::from(imagenet).apply(&mut there).unwrap();
        Plan::from(back).apply(&mut there).unwrap();
        let pairs = there
            .image
            .to_planes()
            .into_iter()
            .zip(before.image.to_planes());
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn bytes_are_not_normalised_and_five_channels_are_no_colour() {
        let mut bytes = Sample::new(Image::from_u8(vec![0; 3], Size::new(1, 1), 3).unwrap());
        let back = Plan::from(Denormalize::new([0.0], [1.0]));
        assert!(back.apply(&mut bytes).is_err());
        let mut five = sample(vec![0.0; 5], 5);
        assert!(Plan::from(ToRgb::default()).apply(&mut five).is_err());
        let mut four = sample(vec![0.1, 0.2, 0.3, 1.0], 4);
        Plan::from(ToRgb::default()).apply(&mut four).unwrap();
        assert_eq!(four.image.as_f32().unwrap(), [0.1, 0.2, 0.3]);
    }
}
