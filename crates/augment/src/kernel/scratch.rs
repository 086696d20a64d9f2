//! Buffers that are used again.

use super::pixels::Element;

/// Buffers that outlive the step of a plan that needed them, so that applying
/// one plan after another allocates nothing once they have grown.
///
/// They are no part of the value of whatever holds them: a clone starts
/// without, and all compare equal.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) bytes: Vec<Vec<u8>>,
    pub(super) numbers: Vec<Vec<f32>>,
    /// Sums of a row of bytes.
    pub(super) words: Vec<u16>,
    /// Sums of a row, of bytes and of numbers.
    pub(super) sums: (Vec<f32>, Vec<f64>),
    /// Positions of a row of pixels.
    pub(super) row: super::row::Row,
    /// Displacements of an image.
    pub(crate) field: Vec<[f32; 2]>,
    /// Filters of the two directions.
    pub(super) taps: [super::resize::Taps; 2],
}

impl Scratch {
    /// No buffers yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            numbers: Vec::new(),
            words: Vec::new(),
            sums: (Vec::new(), Vec::new()),
            row: super::row::Row::new(),
            field: Vec::new(),
            taps: [super::resize::Taps::empty(), super::resize::Taps::empty()],
        }
    }

    /// A buffer of `len` values; what is in it is of no meaning.
    pub(crate) fn take<T: Element>(&mut self, len: usize) -> Vec<T> {
        let mut buffer = T::pool(self).pop().unwrap_or_default();
        buffer.resize(len, T::from_f32(0.0));
        buffer
    }

    /// Keeps a buffer for later.
    pub(crate) fn give<T: Element>(&mut self, buffer: Vec<T>) {
        // More than a step needs at a time is not worth its memory.
        const KEPT: usize = 8;
        let pool = T::pool(self);
        if pool.len() < KEPT {
            pool.push(buffer);
        }
    }
}

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl PartialEq for Scratch {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back() {
        let mut scratch = Scratch::new();
        let buffer: Vec<f32> = scratch.take(100);
        let address = buffer.as_ptr();
        scratch.give(buffer);
        let again: Vec<f32> = scratch.take(50);
        assert_eq!((again.as_ptr(), again.len()), (address, 50));
        assert!(scratch.take::<u8>(3).iter().all(|&v| v == 0));
    }
}
