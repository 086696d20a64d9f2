//! Borrowed images: a slice with a size, a number of channels and a layout.

use crate::{AugmentError, Size};

/// The order of the values of an image in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Height, width, channel: the channels of a pixel lie together. Decoders
    /// and the CPU pipeline use it.
    Hwc,
    /// Channel, height, width: whole planes follow each other. Networks use
    /// it.
    Chw,
}

/// A value of an image: `u8` in `0..=255` or `f32`, usually in `0..=1`.
pub trait Element: Copy + Send + Sync + PartialEq + std::fmt::Debug + 'static {
    /// White: 255 or 1.
    const MAX: f32;
    /// Whether values are cut off to integers.
    const IS_INTEGER: bool;
    /// As a number for interpolation.
    fn to_f32(self) -> f32;
    /// From an interpolated number: rounded half to even and clipped for
    /// integers.
    fn from_f32(value: f32) -> Self;
    /// From an interpolated number: rounded half up and clipped for integers.
    fn from_f32_half_up(value: f32) -> Self;
    /// From a number: cut off and clipped for integers.
    fn from_f32_truncated(value: f32) -> Self;
}

impl Element for f32 {
    const MAX: f32 = 1.0;
    const IS_INTEGER: bool = false;
    #[inline]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline]
    fn from_f32(value: f32) -> Self {
        value
    }
    #[inline]
    fn from_f32_half_up(value: f32) -> Self {
        value
    }
    #[inline]
    fn from_f32_truncated(value: f32) -> Self {
        value
    }
}

impl Element for u8 {
    const MAX: f32 = 255.0;
    const IS_INTEGER: bool = true;
    #[inline]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
    #[inline]
    // `clamp` would let a value that is not a number through.
    #[expect(clippy::manual_clamp)]
    fn from_f32(value: f32) -> Self {
        // Adding 1.5 * 2^23 leaves the number, rounded half to even, in the
        // low bits; `round_ties_even` is a call on baseline x86-64.
        const SHIFT: f32 = 12_582_912.0;
        (value.max(0.0).min(255.0) + SHIFT).to_bits() as u8
    }
    #[inline]
    fn from_f32_half_up(value: f32) -> Self {
        (value + 0.5) as u8
    }
    #[inline]
    fn from_f32_truncated(value: f32) -> Self {
        value as u8
    }
}

/// A borrowed image.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a, T> {
    data: &'a [T],
    size: Size,
    channels: usize,
    layout: Layout,
}

/// An image that is written to.
#[derive(Debug)]
pub struct PixelsMut<'a, T> {
    data: &'a mut [T],
    size: Size,
    channels: usize,
    layout: Layout,
}

fn check(got: usize, size: Size, channels: usize) -> Result<(), AugmentError> {
    let expected = size.area() * channels;
    if got == expected {
        Ok(())
    } else {
        Err(AugmentError::Length {
            operation: "image",
            got,
            expected,
        })
    }
}

impl<'a, T> Pixels<'a, T> {
    /// Reads `data` as an image.
    ///
    /// # Errors
    /// [`AugmentError::Length`] if `data` doesn't hold `height * width *
    /// channels` values.
    pub fn new(
        data: &'a [T],
        size: Size,
        channels: usize,
        layout: Layout,
    ) -> Result<Self, AugmentError> {
        check(data.len(), size, channels)?;
        Ok(Self {
            data,
            size,
            channels,
            layout,
        })
    }

    /// The values.
    #[must_use]
    pub const fn data(&self) -> &'a [T] {
        self.data
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

    /// Order of the values.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }
}

impl<'a, T> PixelsMut<'a, T> {
    /// Writes `data` as an image.
    ///
    /// # Errors
    /// [`AugmentError::Length`] if `data` doesn't hold `height * width *
    /// channels` values.
    pub fn new(
        data: &'a mut [T],
        size: Size,
        channels: usize,
        layout: Layout,
    ) -> Result<Self, AugmentError> {
        check(data.len(), size, channels)?;
        Ok(Self {
            data,
            size,
            channels,
            layout,
        })
    }

    /// The values.
    pub fn data(&mut self) -> &mut [T] {
        self.data
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

    /// Order of the values.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_half_to_even_and_clip() {
        for (value, expected) in [
            (-3.0, 0),
            (0.5, 0),
            (1.5, 2),
            (2.5, 2),
            (2.51, 3),
            (254.6, 255),
            (300.0, 255),
            (f32::NAN, 0),
        ] {
            assert_eq!(u8::from_f32(value), expected, "{value}");
        }
    }

    #[test]
    fn a_buffer_of_the_wrong_length_is_refused() {
        let error = Pixels::new(&[0_u8; 11], Size::new(2, 2), 3, Layout::Hwc).unwrap_err();
        assert_eq!(
            error.to_string(),
            "image: a buffer of 11 values can't hold what needs 12"
        );
    }
}
