//! Slices whose disjoint parts are written by several threads, in an order that
//! `chunks_mut` doesn't have.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

/// A mutable slice that hands out its parts without tracking them.
pub(super) struct Scatter<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a `&mut [T]` whose parts are handed out by `part`; whoever calls
// that sees to it that no two threads have the same part at once.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for Scatter<'_, T> {}

impl<'a, T> Scatter<'a, T> {
    pub(super) fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            slice: PhantomData,
        }
    }

    /// A part of the slice.
    ///
    /// # Safety
    /// While the part is held, no other part that overlaps it may be.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    #[inline(always)]
    pub(super) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: the range was checked, the slice is borrowed for `'a`, and the
        // caller sees to it that nobody else has these elements.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

/// The gradient of the output, and the place for that of the input.
pub(super) trait Gradient: Sync {
    /// The gradient of the output.
    ///
    /// # Safety
    /// While it is held, no other call may have an overlapping range.
    #[allow(unsafe_code)]
    unsafe fn upstream(&self, range: Range<usize>) -> &[f32];

    /// Replaces every element by `f` of its number in the range and itself.
    ///
    /// # Safety
    /// Nothing that overlaps the range may be held.
    #[allow(unsafe_code)]
    unsafe fn update(&self, range: Range<usize>, f: impl Fn(usize, f32) -> f32);
}

/// A gradient that nobody else holds: its own place.
pub(super) struct InPlace<'a>(pub(super) Scatter<'a, f32>);

#[allow(unsafe_code)]
impl Gradient for InPlace<'_> {
    #[inline(always)]
    unsafe fn upstream(&self, range: Range<usize>) -> &[f32] {
        // SAFETY: the caller sees to it that nothing else overlaps.
        unsafe { self.0.part(range) }
    }

    #[inline(always)]
    unsafe fn update(&self, range: Range<usize>, f: impl Fn(usize, f32) -> f32) {
        // SAFETY: the caller sees to it that nothing else overlaps.
        let part = unsafe { self.0.part(range) };
        for (i, g) in part.iter_mut().enumerate() {
            *g = f(i, *g);
        }
    }
}

/// A gradient that others hold too, and new memory.
pub(super) struct Fresh<'a> {
    pub(super) upstream: &'a [f32],
    pub(super) place: Scatter<'a, MaybeUninit<f32>>,
}

#[allow(unsafe_code)]
impl Gradient for Fresh<'_> {
    #[inline(always)]
    unsafe fn upstream(&self, range: Range<usize>) -> &[f32] {
        &self.upstream[range]
    }

    #[inline(always)]
    unsafe fn update(&self, range: Range<usize>, f: impl Fn(usize, f32) -> f32) {
        let upstream = &self.upstream[range.clone()];
        // SAFETY: the caller sees to it that nothing else overlaps.
        let part = unsafe { self.place.part(range) };
        for (i, (y, g)) in part.iter_mut().zip(upstream).enumerate() {
            y.write(f(i, *g));
        }
    }
}
