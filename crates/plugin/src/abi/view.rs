//! Arrays in memory, after DLPack.

use core::{ffi::c_void, ptr};

use super::WORD;

/// The type of an array's elements, with DLPack's codes.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DType {
    /// 0 signed integer, 1 unsigned integer, 2 float.
    pub code: u8,
    /// Bits of one element.
    pub bits: u8,
    /// 1; more for vectors.
    pub lanes: u16,
}

super::layout!(DType, size 4, code 0, bits 1, lanes 2);

impl DType {
    /// Bytes, for images and masks.
    pub const U8: Self = Self {
        code: 1,
        bits: 8,
        lanes: 1,
    };
    /// Single precision, for images, boxes and points.
    pub const F32: Self = Self {
        code: 2,
        bits: 32,
        lanes: 1,
    };
}

/// An array of up to four dimensions in the memory of the CPU. Its fields map
/// one to one onto a `DLTensor`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The first element; null where there is no array.
    pub data: *mut c_void,
    /// The type of the elements.
    pub dtype: DType,
    /// The number of dimensions that count, 0 to 4.
    pub ndim: u32,
    /// The lengths.
    pub shape: [i64; 4],
    /// The steps from one element to the next, in elements.
    pub strides: [i64; 4],
}

super::layout!(
    View, size WORD + 8 + 64,
    data 0, dtype WORD, ndim WORD + 4, shape WORD + 8, strides WORD + 40,
);

impl View {
    /// No array.
    pub const NONE: Self = Self {
        data: ptr::null_mut(),
        dtype: DType::U8,
        ndim: 0,
        shape: [0; 4],
        strides: [0; 4],
    };

    /// A row-major array at `data`.
    pub fn row_major<const D: usize>(data: *mut c_void, dtype: DType, shape: [usize; D]) -> Self {
        const { assert!(D <= 4) };
        let mut view = Self {
            data,
            dtype,
            ndim: D as u32,
            ..Self::NONE
        };
        let mut stride = 1;
        for axis in (0..D).rev() {
            view.shape[axis] = shape[axis] as i64;
            view.strides[axis] = stride;
            stride *= shape[axis] as i64;
        }
        view
    }

    /// The lengths, if this is a row-major array of `D` dimensions and of this
    /// type.
    ///
    /// ```
    /// use firecraft_plugin::abi::{DType, View};
    ///
    /// let mut pixels = [0u8; 2 * 3 * 1];
    /// let view = View::row_major(pixels.as_mut_ptr().cast(), DType::U8, [2, 3, 1]);
    /// assert_eq!(view.lengths(DType::U8), Some([2, 3, 1]));
    /// assert_eq!(view.lengths::<3>(DType::F32), None);
    /// assert_eq!(view.lengths::<2>(DType::U8), None);
    /// ```
    pub fn lengths<const D: usize>(&self, dtype: DType) -> Option<[usize; D]> {
        const { assert!(D <= 4) };
        if self.dtype != dtype || self.ndim as usize != D {
            return None;
        }
        let mut lengths = [0; D];
        let mut stride: i64 = 1;
        for axis in (0..D).rev() {
            lengths[axis] = usize::try_from(self.shape[axis]).ok()?;
            // The step along an axis of one element is never taken.
            if self.strides[axis] != stride && lengths[axis] > 1 {
                return None;
            }
            stride = stride.checked_mul(self.shape[axis])?;
        }
        Some(lengths)
    }
}
