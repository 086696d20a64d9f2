//! Without colour: `grayscale`.

use super::fixed_step;
use crate::color::{grey, is_colour};
use crate::kernel::Element;
use crate::{Apply, AugmentError, Sample, Values};
use serde::{Deserialize, Serialize};

/// Replaces colours by their luma, `0.2989 R + 0.587 G + 0.114 B`, in every
/// channel or as an image of one channel: torchvision's `rgb_to_grayscale`.
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
}

impl Grayscale {
    /// Keeps the number of channels.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            single_channel: false,
        }
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

    fn run<T: Element>(&self, data: &mut [T], channels: usize) -> Option<Vec<T>> {
        let luma = |p: &[T]| T::from_f32_truncated(grey([p[0], p[1], p[2]].map(T::to_f32)));
        if self.single_channel {
            return Some(data.chunks_exact(channels).map(luma).collect());
        }
        for pixel in data.chunks_exact_mut(channels) {
            let luma = luma(pixel);
            pixel[..3].fill(luma);
        }
        None
    }
}

impl Apply for Grayscale {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let image = &mut sample.image;
        if !is_colour("grayscale", image)? {
            return Ok(());
        }
        let (size, channels) = (image.size(), image.channels());
        let single = match image.values_mut() {
            Values::U8(data) => self.run(data, channels).map(Values::U8),
            Values::F32(data) => self.run(data, channels).map(Values::F32),
        };
        if let Some(values) = single {
            image.replace(values, size, 1);
        }
        Ok(())
    }
}

fixed_step!(Grayscale, "grayscale");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Plan, Size};

    #[test]
    fn opacity_stays() {
        let image = Image::from_u8(vec![200, 100, 50, 9], Size::new(1, 1), 4).unwrap();
        let mut sample = Sample::new(image);
        Plan::from(Grayscale::new()).apply(&mut sample).unwrap();
        assert_eq!(sample.image.as_u8().unwrap(), [124, 124, 124, 9]);
    }
}
