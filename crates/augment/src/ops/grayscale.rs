//! Without colour: `grayscale`.

use super::fixed_step;
use crate::change::{Change, LinearChange};
use crate::color::{LUMA, grey, is_colour};
use crate::kernel::{Element, Scratch, map_colours, map_to_grey};
use crate::lab::rgb_to_lab;
use crate::{Apply, AugmentError, ColorMatrix, Sample, Values};
use serde::{Deserialize, Serialize};

/// How [`Grayscale`] makes one number of three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GreyMethod {
    /// `0.2989 R + 0.587 G + 0.114 B`, cut off: torchvision.
    #[default]
    Luma,
    /// `0.299 R + 0.587 G + 0.114 B`, rounded: OpenCV, kornia and
    /// albumentations' `weighted_average`.
    Weighted,
    /// The L of CIE L*a*b*; numbers go through bytes.
    Lab,
    /// Halfway between the largest and the smallest.
    Desaturation,
    /// The mean, cut off.
    Average,
    /// The largest.
    Max,
}

/// Replaces colours by their luma in every channel or as an image of one
/// channel: torchvision's `rgb_to_grayscale`, albumentations' `ToGray`.
/// Images of one channel stay as they are.
///
/// ```
/// use firecraft_augment::{Grayscale, Image, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![200, 100, 50], Size::new(1, 1), 3)?);
/// Plan::from(Grayscale::new().single_channel()).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[124][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grayscale {
    /// Whether one channel is left; else the luma is in the first three.
    pub single_channel: bool,
    /// What counts as grey.
    pub method: GreyMethod,
}

impl Grayscale {
    /// Keeps the number of channels.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            single_channel: false,
            method: GreyMethod::Luma,
        }
    }

    /// Sets what counts as grey.
    #[must_use]
    pub const fn with_method(mut self, method: GreyMethod) -> Self {
        self.method = method;
        self
    }

    /// Leaves one channel.
    #[must_use]
    pub const fn single_channel(mut self) -> Self {
        self.single_channel = true;
        self
    }

    #[expect(clippy::unused_self)]
    const fn check(&self) -> Result<(), AugmentError> {
        Ok(())
    }

    fn run<T: Element>(
        &self,
        data: &mut [T],
        channels: usize,
        scratch: &mut Scratch,
    ) -> Option<Vec<T>> {
        if self.method == GreyMethod::Luma && channels == 3 {
            map_to_grey(
                data,
                #[inline(always)]
                |colour| T::from_f32_truncated(grey(colour)),
            );
        } else if self.method == GreyMethod::Luma {
            map_colours(
                data,
                channels,
                #[inline(always)]
                |colour| [grey(colour); 3],
                T::from_f32_truncated,
            );
        } else {
            for pixel in data.chunks_exact_mut(channels) {
                let luma = self.method.of([pixel[0], pixel[1], pixel[2]]);
                pixel[..3].fill(luma);
            }
        }
        self.single_channel.then(|| {
            let mut single = scratch.take(data.len() / channels);
            for (out, pixel) in single.iter_mut().zip(data.chunks_exact(channels)) {
                *out = pixel[0];
            }
            single
        })
    }
}

impl GreyMethod {
    fn of<T: Element>(self, rgb: [T; 3]) -> T {
        let [r, g, b] = rgb.map(T::to_f32);
        match self {
            Self::Luma => T::from_f32_truncated(grey([r, g, b])),
            Self::Weighted => T::from_f32_half_up(r * 0.299 + g * 0.587 + b * 0.114),
            Self::Lab => {
                let bytes = [r, g, b].map(|c| u8::from_f32(c * 255.0 / T::MAX));
                T::from_f32(f32::from(rgb_to_lab(bytes)[0]) * T::MAX / 255.0)
            }
            Self::Desaturation => T::from_f32((r.max(g).max(b) + r.min(g).min(b)) / 2.0),
            Self::Average => T::from_f32_truncated((r + g + b) / 3.0),
            Self::Max => T::from_f32(r.max(g).max(b)),
        }
    }
}

impl Apply for Grayscale {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let image = &mut sample.image;
        if !is_colour("grayscale", image)? {
            return Ok(());
        }
        let (size, channels) = (image.size(), image.channels());
        let (values, scratch) = image.parts_mut();
        let single = match values {
            Values::U8(data) => self.run(data, channels, scratch).map(Values::U8),
            Values::F32(data) => self.run(data, channels, scratch).map(Values::F32),
        };
        if let Some(values) = single {
            image.replace(values, size, 1);
        }
        Ok(())
    }

    fn channels(&self, input: usize) -> Option<usize> {
        Some(if self.single_channel {
            input.min(1)
        } else {
            input
        })
    }

    fn color_matrix(&self, _channels: usize) -> Option<ColorMatrix> {
        let [r, g, b] = LUMA;
        (!self.single_channel && self.method == GreyMethod::Luma)
            .then(|| ColorMatrix::new([[r, g, b, 0.0]; 3]))
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        let [r, g, b] = match self.method {
            _ if self.single_channel => return None,
            GreyMethod::Luma => LUMA,
            GreyMethod::Weighted => [0.299, 0.587, 0.114],
            GreyMethod::Average => [1.0 / 3.0; 3],
            GreyMethod::Lab | GreyMethod::Desaturation | GreyMethod::Max => return None,
        };
        let matrix = ColorMatrix::new([[r, g, b, 0.0]; 3]);
        LinearChange::of_colours(&matrix, channels, false)
    }
}

fixed_step!(Grayscale, "grayscale", plain_transform);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Plan, Size};

    #[test]
    fn methods_differ_where_they_should() {
        let of = |method: GreyMethod| method.of([200_u8, 100, 51]);
        assert_eq!(of(GreyMethod::Luma), 124);
        assert_eq!(of(GreyMethod::Weighted), 124);
        assert_eq!(of(GreyMethod::Desaturation), 126);
        assert_eq!(of(GreyMethod::Average), 117);
        assert_eq!(of(GreyMethod::Max), 200);
        assert_eq!(of(GreyMethod::Lab), rgb_to_lab([200, 100, 51])[0]);
    }

    #[test]
    fn opacity_stays() {
        let image = Image::from_u8(vec![200, 100, 50, 9], Size::new(1, 1), 4).unwrap();
        let mut sample = Sample::new(image);
        Plan::from(Grayscale::new()).apply(&mut sample).unwrap();
        assert_eq!(sample.image.as_u8().unwrap(), [124, 124, 124, 9]);
    }
}
