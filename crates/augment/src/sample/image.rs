//! An owned image on the host.

use crate::kernel::{self, Layout, Pixels, PixelsMut, Scratch};
use crate::{AugmentError, Size, Warp};

/// The values of an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Bytes in `0..=255`.
    U8(Vec<u8>),
    /// Numbers, `0..=1` unless an operation says otherwise.
    F32(Vec<f32>),
}

impl From<Vec<u8>> for Values {
    fn from(data: Vec<u8>) -> Self {
        Self::U8(data)
    }
}

impl From<Vec<f32>> for Values {
    fn from(data: Vec<f32>) -> Self {
        Self::F32(data)
    }
}

/// An image of bytes or numbers with any number of channels, in the layout
/// `[height, width, channel]`.
///
/// ```
/// use firecraft_augment::{Image, Size};
/// let planes = [1, 2, 3, 4, 5, 6]; // two pixels, channel by channel
/// let image = Image::from_u8_planes(&planes, Size::new(1, 2), 3)?;
/// assert_eq!(image.as_u8(), Some(&[1, 3, 5, 2, 4, 6][..]));
/// assert_eq!(image.to_planes(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    values: Values,
    size: Size,
    channels: usize,
    scratch: Scratch,
}

/// Runs the same code on the values of either type.
macro_rules! each_type {
    ($values:expr, $data:ident => $body:expr) => {
        match $values {
            $crate::Values::U8($data) => $body,
            $crate::Values::F32($data) => $body,
        }
    };
}
pub(crate) use each_type;

impl Image {
    /// An image of bytes, channels interleaved.
    ///
    /// # Errors
    /// [`AugmentError::Length`] if `data` doesn't hold `height * width *
    /// channels` values.
    pub fn from_u8(data: Vec<u8>, size: Size, channels: usize) -> Result<Self, AugmentError> {
        Self::checked(Values::U8(data), size, channels)
    }

    /// An image of numbers, channels interleaved.
    ///
    /// # Errors
    /// As [`Image::from_u8`].
    pub fn from_f32(data: Vec<f32>, size: Size, channels: usize) -> Result<Self, AugmentError> {
        Self::checked(Values::F32(data), size, channels)
    }

    /// An image of bytes from one plane per channel.
    ///
    /// # Errors
    /// As [`Image::from_u8`].
    pub fn from_u8_planes(
        planes: &[u8],
        size: Size,
        channels: usize,
    ) -> Result<Self, AugmentError> {
        Self::from_u8(interleave(planes, channels), size, channels)
    }

    /// An image of numbers from one plane per channel.
    ///
    /// # Errors
    /// As [`Image::from_u8`].
    pub fn from_f32_planes(
        planes: &[f32],
        size: Size,
        channels: usize,
    ) -> Result<Self, AugmentError> {
        Self::from_f32(interleave(planes, channels), size, channels)
    }

    fn checked(values: Values, size: Size, channels: usize) -> Result<Self, AugmentError> {
        let got = each_type!(&values, data => data.len());
        let expected = size.area() * channels;
        if got != expected {
            return Err(AugmentError::Length {
                operation: "image",
                got,
                expected,
            });
        }
        Ok(Self {
            values,
            size,
            channels,
            scratch: Scratch::new(),
        })
    }

    /// An image without pixels.
    pub(crate) const fn empty() -> Self {
        Self {
            values: Values::U8(Vec::new()),
            size: Size::new(0, 0),
            channels: 0,
            scratch: Scratch::new(),
        }
    }

    /// Height and width.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Number of channels.
    #[must_use]
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// The values.
    #[must_use]
    pub const fn values(&self) -> &Values {
        &self.values
    }

    /// The values, to be changed in place.
    pub const fn values_mut(&mut self) -> &mut Values {
        &mut self.values
    }

    /// The values of an image of bytes.
    #[must_use]
    pub fn as_u8(&self) -> Option<&[u8]> {
        match &self.values {
            Values::U8(data) => Some(data),
            Values::F32(_) => None,
        }
    }

    /// The values of an image of numbers.
    #[must_use]
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.values {
            Values::F32(data) => Some(data),
            Values::U8(_) => None,
        }
    }

    /// The values and the buffers that operations on this image share.
    pub(crate) const fn parts_mut(&mut self) -> (&mut Values, &mut Scratch) {
        (&mut self.values, &mut self.scratch)
    }

    pub(crate) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        match &mut self.values {
            Values::U8(data) => Some(data),
            Values::F32(_) => None,
        }
    }

    /// The values as numbers, one plane per channel; bytes keep `0..=255`.
    #[must_use]
    pub fn to_planes(&self) -> Vec<f32> {
        let (area, channels) = (self.size.area(), self.channels);
        each_type!(&self.values, data => {
            (0..data.len())
                .map(|i| kernel::Element::to_f32(data[i % area * channels + i / area]))
                .collect()
        })
    }

    /// Puts another picture in place of this one.
    pub(crate) fn replace(&mut self, values: Values, size: Size, channels: usize) {
        debug_assert_eq!(
            each_type!(&values, data => data.len()),
            size.area() * channels
        );
        let before = std::mem::replace(&mut self.values, values);
        each_type!(before, data => self.scratch.give(data));
        self.size = size;
        self.channels = channels;
    }

    /// Makes this a copy of an image of interleaved bytes, in the memory that
    /// it has.
    ///
    /// # Errors
    /// If the bytes are plane by plane.
    pub fn set_u8(&mut self, source: &Pixels<'_, u8>) -> Result<(), AugmentError> {
        if source.layout() != Layout::Hwc {
            return Err(AugmentError::Image {
                operation: "image",
                got: "planes of bytes".into(),
                expected: "the channels of each pixel together".into(),
            });
        }
        self.set_bytes(source);
        Ok(())
    }

    fn set_bytes(&mut self, source: &Pixels<'_, u8>) {
        let mut data = match &mut self.values {
            Values::U8(data) => std::mem::take(data),
            Values::F32(_) => self.scratch.take(0),
        };
        data.clear();
        data.extend_from_slice(source.data());
        self.replace(data.into(), source.size(), source.channels());
    }

    /// Makes this another image, warped.
    pub(crate) fn set_warped(
        &mut self,
        source: &Pixels<'_, u8>,
        warp: &Warp,
    ) -> Result<(), AugmentError> {
        let channels = source.channels();
        let mut out = self.scratch.take(warp.size.area() * channels);
        kernel::warp_with(
            *source,
            PixelsMut::new(&mut out, warp.size, channels, source.layout())?,
            warp,
            &mut self.scratch,
        )?;
        self.replace(Values::U8(out), warp.size, channels);
        Ok(())
    }

    pub(crate) fn warp(&mut self, warp: &Warp) -> Result<(), AugmentError> {
        fn run<T: kernel::Element>(
            data: &[T],
            size: Size,
            channels: usize,
            warp: &Warp,
            scratch: &mut Scratch,
        ) -> Result<Vec<T>, AugmentError> {
            let mut out = scratch.take(warp.size.area() * channels);
            kernel::warp_with(
                Pixels::new(data, size, channels, Layout::Hwc)?,
                PixelsMut::new(&mut out, warp.size, channels, Layout::Hwc)?,
                warp,
                scratch,
            )?;
            Ok(out)
        }
        let (size, channels) = (self.size, self.channels);
        let values = each_type!(&self.values, data => {
            run(data, size, channels, warp, &mut self.scratch)?.into()
        });
        self.replace(values, warp.size, channels);
        Ok(())
    }
}

fn interleave<T: Copy>(planes: &[T], channels: usize) -> Vec<T> {
    let area = planes.len() / channels.max(1);
    (0..area * channels)
        .map(|i| planes[i % channels * area + i / channels])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_number_of_values_is_refused() {
        let error = Image::from_u8(vec![0; 5], Size::new(1, 2), 3).unwrap_err();
        assert!(error.to_string().contains("5 values"), "{error}");
        assert!(Image::from_u8_planes(&[0; 5], Size::new(1, 2), 3).is_err());
        assert!(Image::from_u8_planes(&[], Size::new(0, 2), 0).is_ok());
    }
}
