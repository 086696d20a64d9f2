//! Borrowed images: a slice with a size, a number of channels and a layout.

use super::Scratch;
use super::resize::Taps;
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
    /// A number clipped to `0..=MAX`, for types that don't clip by themselves.
    #[doc(hidden)]
    fn clipped(value: f32) -> f32;
    /// Writes pixels in reverse order.
    #[doc(hidden)]
    fn reverse<const C: usize>(source: &[[Self; C]], target: &mut [[Self; C]]) {
        super::bytes::reverse(source, target);
    }
    /// What is between `[top left, top right, bottom left, bottom right]`.
    #[doc(hidden)]
    fn between(around: [Self; 4], tx: f32, ty: f32) -> Self;
    /// What is between pixels of three channels, all of it or nothing; see
    /// [`bytes::bilinear_rgb`](super::bytes::bilinear_rgb).
    #[doc(hidden)]
    fn bilinear_rgb(
        _data: &[Self],
        _below: usize,
        _offsets: &[u32],
        _weights: [&[f32]; 2],
        _target: &mut [Self],
    ) -> bool {
        false
    }
    /// What is between values of a plane; see
    /// [`numbers::bilinear_plane`](super::numbers::bilinear_plane).
    #[doc(hidden)]
    fn bilinear_plane(
        plane: &[Self],
        below: usize,
        offsets: &[u32],
        weights: [&[f32]; 2],
        target: &mut [Self],
    );
    /// Resizes rows of so many pixels of so many channels.
    #[doc(hidden)]
    fn resize(
        rows: (&[Self], usize, usize),
        taps: [&mut Taps; 2],
        target: &mut [Self],
        scratch: &mut Scratch,
    );
    /// Takes pixels apart into planes, which may be longer.
    #[doc(hidden)]
    fn deinterleave(pixels: &[[Self; 3]], [red, green, blue]: [&mut [Self]; 3]) {
        for (((pixel, r), g), b) in pixels.iter().zip(red).zip(green).zip(blue) {
            [*r, *g, *b] = *pixel;
        }
    }
    /// Makes pixels of planes, which may be longer.
    #[doc(hidden)]
    fn interleave([red, green, blue]: [&[Self]; 3], pixels: &mut [[Self; 3]]) {
        for (((pixel, r), g), b) in pixels.iter_mut().zip(red).zip(green).zip(blue) {
            *pixel = [*r, *g, *b];
        }
    }
    /// Reorders the channels of pixels.
    #[doc(hidden)]
    fn permute(pixels: &mut [[Self; 3]], order: [usize; 3]) {
        super::bytes::permute(pixels, order);
    }
    /// Buffers of this type.
    #[doc(hidden)]
    fn pool(scratch: &mut Scratch) -> &mut Vec<Vec<Self>>;
}

impl Element for f32 {
    const MAX: f32 = 1.0;
    const IS_INTEGER: bool = false;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn from_f32_half_up(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn from_f32_truncated(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn clipped(value: f32) -> f32 {
        // What is no number stays so.
        let value = if value < 0.0 { 0.0 } else { value };
        if value > 1.0 { 1.0 } else { value }
    }
    #[inline(always)]
    fn between(around: [Self; 4], tx: f32, ty: f32) -> Self {
        super::numbers::between(around, tx, ty)
    }
    fn bilinear_plane(
        plane: &[Self],
        below: usize,
        offsets: &[u32],
        weights: [&[f32]; 2],
        target: &mut [Self],
    ) {
        super::numbers::bilinear_plane(plane, below, offsets, weights, target);
    }
    fn resize(
        rows: (&[Self], usize, usize),
        taps: [&mut Taps; 2],
        target: &mut [Self],
        scratch: &mut Scratch,
    ) {
        super::resize::numbers(rows, taps, target, scratch);
    }
    fn pool(scratch: &mut Scratch) -> &mut Vec<Vec<Self>> {
        &mut scratch.numbers
    }
}

/// Adding this leaves a small number, rounded half to even, in the low bits;
/// `round_ties_even` is a call on baseline x86-64.
const SHIFT: f32 = 12_582_912.0; // 1.5 * 2^23

/// The nearest number in `0..=255`; what is no number becomes 0.
#[inline(always)]
fn clip(value: f32) -> f32 {
    // One instruction each, unlike `max` and `clamp`.
    let value = if value > 0.0 { value } else { 0.0 };
    if value < 255.0 { value } else { 255.0 }
}

/// A number as the byte that it becomes, clipped and rounded half to even or
/// cut off.
#[inline(always)]
pub(super) fn whole<const CUT: bool>(value: f32) -> f32 {
    let value = clip(value);
    let rounded = (value + SHIFT) - SHIFT;
    if CUT {
        // A choice between constants, which needs no branch.
        rounded - if rounded > value { 1.0 } else { 0.0 }
    } else {
        rounded
    }
}

impl Element for u8 {
    const MAX: f32 = 255.0;
    const IS_INTEGER: bool = true;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        (clip(value) + SHIFT).to_bits() as u8
    }
    #[inline(always)]
    fn from_f32_half_up(value: f32) -> Self {
        Self::from_f32_truncated(value + 0.5)
    }
    #[inline(always)]
    fn from_f32_truncated(value: f32) -> Self {
        // `value as u8` becomes scalar instructions; this takes one from what
        // was rounded up.
        let value = clip(value);
        let rounded = value + SHIFT;
        rounded
            .to_bits()
            .wrapping_sub(u32::from(rounded - SHIFT > value)) as u8
    }
    #[inline(always)]
    fn clipped(value: f32) -> f32 {
        value
    }
    fn reverse<const C: usize>(source: &[[Self; C]], target: &mut [[Self; C]]) {
        if C == 3 {
            let (source, target) = (source.as_flattened(), target.as_flattened_mut());
            super::bytes::reverse_rgb(source.as_chunks().0, target.as_chunks_mut().0);
        } else {
            super::bytes::reverse(source, target);
        }
    }
    fn bilinear_rgb(
        data: &[Self],
        below: usize,
        offsets: &[u32],
        weights: [&[f32]; 2],
        target: &mut [Self],
    ) -> bool {
        super::bytes::bilinear_rgb(data, below, offsets, weights, target);
        true
    }
    #[inline(always)]
    fn between(around: [Self; 4], tx: f32, ty: f32) -> Self {
        super::bytes::between(around, tx, ty)
    }
    fn bilinear_plane(
        plane: &[Self],
        below: usize,
        offsets: &[u32],
        weights: [&[f32]; 2],
        target: &mut [Self],
    ) {
        super::bytes::bilinear_plane(plane, below, offsets, weights, target);
    }
    fn resize(
        rows: (&[Self], usize, usize),
        taps: [&mut Taps; 2],
        target: &mut [Self],
        scratch: &mut Scratch,
    ) {
        super::resize::bytes(rows, taps, target, scratch);
    }
    fn deinterleave(pixels: &[[Self; 3]], planes: [&mut [Self]; 3]) {
        super::bytes::deinterleave_rgb(pixels, planes);
    }
    fn interleave(planes: [&[Self]; 3], pixels: &mut [[Self; 3]]) {
        super::bytes::interleave_rgb(planes, pixels);
    }
    fn permute(pixels: &mut [[Self; 3]], order: [usize; 3]) {
        super::bytes::permute_rgb(pixels, order);
    }
    fn pool(scratch: &mut Scratch) -> &mut Vec<Vec<Self>> {
        &mut scratch.bytes
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
    fn cutting_off_is_what_a_cast_does() {
        for i in -100..=26_000_i16 {
            let value = f32::from(i) / 100.0;
            assert_eq!(u8::from_f32_truncated(value), value as u8, "{value}");
        }
        for value in [
            254.999_98,
            1.0 - f32::EPSILON,
            1e-30,
            f32::INFINITY,
            f32::NAN,
        ] {
            assert_eq!(u8::from_f32_truncated(value), value as u8, "{value}");
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
