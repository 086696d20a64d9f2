//! Images as slices.

use std::slice;

use super::Error;
use crate::abi::{DType, View};

/// The elements of an image, row by row, channels last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pixels<'a> {
    /// Bytes.
    U8(&'a [u8]),
    /// Floats.
    F32(&'a [f32]),
}

/// The elements of an image that is being written.
#[derive(Debug, PartialEq)]
pub enum PixelsMut<'a> {
    /// Bytes.
    U8(&'a mut [u8]),
    /// Floats.
    F32(&'a mut [f32]),
}

/// An image to read, `[height, width, channels]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Image<'a> {
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// Channels; 1 for masks.
    pub channels: usize,
    /// The elements.
    pub pixels: Pixels<'a>,
}

/// An image to write, `[height, width, channels]`. What it holds at first is of
/// no meaning.
#[derive(Debug, PartialEq)]
pub struct ImageMut<'a> {
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// Channels; 1 for masks.
    pub channels: usize,
    /// The elements.
    pub pixels: PixelsMut<'a>,
}

impl<'a> Image<'a> {
    /// # Safety
    /// If the view has data, its elements are readable for `'a`.
    pub(crate) unsafe fn from_view(view: &View) -> Result<Self, Error> {
        let [height, width, channels] = lengths(view)?;
        let len = height * width * channels;
        let pixels = match view.dtype {
            // SAFETY: the caller vouches for as many elements as the shape has.
            DType::U8 => Pixels::U8(unsafe { elements(view, len) }),
            // SAFETY: as above; `lengths` checked the alignment.
            _ => Pixels::F32(unsafe { elements(view, len) }),
        };
        Ok(Self {
            height,
            width,
            channels,
            pixels,
        })
    }
}

impl<'a> ImageMut<'a> {
    /// # Safety
    /// If the view has data, its elements are writable for `'a` and nothing
    /// else uses them.
    pub(crate) unsafe fn from_view(view: &View) -> Result<Self, Error> {
        let [height, width, channels] = lengths(view)?;
        let len = height * width * channels;
        let pixels = match view.dtype {
            // SAFETY: the caller vouches for as many elements as the shape has.
            DType::U8 => PixelsMut::U8(unsafe { elements_mut(view, len) }),
            // SAFETY: as above; `lengths` checked the alignment.
            _ => PixelsMut::F32(unsafe { elements_mut(view, len) }),
        };
        Ok(Self {
            height,
            width,
            channels,
            pixels,
        })
    }

    /// Copies an image of the same size and type.
    ///
    /// # Errors
    /// If size or type differ.
    pub fn copy_from(&mut self, image: &Image<'_>) -> Result<(), Error> {
        match (&mut self.pixels, image.pixels) {
            (PixelsMut::U8(to), Pixels::U8(from)) if to.len() == from.len() => {
                to.copy_from_slice(from);
                Ok(())
            }
            (PixelsMut::F32(to), Pixels::F32(from)) if to.len() == from.len() => {
                to.copy_from_slice(from);
                Ok(())
            }
            _ => Err(Error::new("source and destination differ in size or type")),
        }
    }
}

/// `[height, width, channels]`; a mask has two dimensions and one channel.
fn lengths(view: &View) -> Result<[usize; 3], Error> {
    let lengths = match view.dtype {
        DType::U8 | DType::F32 => view
            .lengths::<3>(view.dtype)
            .or_else(|| view.lengths::<2>(view.dtype).map(|[h, w]| [h, w, 1])),
        _ => None,
    };
    let lengths = lengths.ok_or_else(|| {
        Error::new(format!(
            "expected a row-major image of u8 or f32, found {:?} of {} dimensions",
            view.dtype, view.ndim
        ))
    })?;
    let aligned = view.dtype == DType::U8 || view.data.cast::<f32>().is_aligned();
    let empty = lengths.contains(&0);
    if !aligned || (view.data.is_null() && !empty) {
        return Err(Error::new("an image without data, or at an odd address"));
    }
    Ok(lengths)
}

/// # Safety
/// `len` elements from the view's data are readable for `'a` and aligned, or
/// `len` is 0.
pub(crate) unsafe fn elements<'a, T>(view: &View, len: usize) -> &'a [T] {
    if len == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for it.
    unsafe { slice::from_raw_parts(view.data.cast(), len) }
}

/// # Safety
/// As [`elements`], and writable by nobody else.
pub(crate) unsafe fn elements_mut<'a, T>(view: &View, len: usize) -> &'a mut [T] {
    if len == 0 {
        return &mut [];
    }
    // SAFETY: the caller vouches for it.
    unsafe { slice::from_raw_parts_mut(view.data.cast(), len) }
}
