//! Memory that a plugin writes to.

use std::ffi::c_void;

use firecraft_augment::Values;
use firecraft_plugin::abi::DType;

/// Values on either side of what a plugin may write, in checked mode.
const CANARIES: usize = 64;
/// What they hold: no ordinary value, and a different one at each place.
const fn canary(at: usize) -> u8 {
    0xA5 ^ at as u8
}

/// An array to be written, in checked mode between canaries.
pub(crate) struct Fenced<T> {
    values: Vec<T>,
    margin: usize,
    len: usize,
}

impl<T: Copy + PartialEq + From<u8>> Fenced<T> {
    /// `len` times `value`.
    pub(crate) fn new(value: T, len: usize, checked: bool) -> Self {
        let margin = if checked { CANARIES } else { 0 };
        let mut fenced = Self {
            values: vec![value; len + 2 * margin],
            margin,
            len,
        };
        for at in fenced.canaries() {
            fenced.values[at] = T::from(canary(at));
        }
        fenced
    }

    fn canaries(&self) -> impl Iterator<Item = usize> + use<T> {
        let end = self.margin + self.len;
        (0..self.margin).chain(end..end + self.margin)
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Where the plugin may write.
    pub(crate) fn start(&mut self) -> *mut T {
        self.values.as_mut_ptr().wrapping_add(self.margin)
    }

    /// What the plugin wrote, or `None` if it wrote beside it.
    pub(crate) fn finish(mut self) -> Option<Vec<T>> {
        let whole = self
            .canaries()
            .all(|at| self.values[at] == T::from(canary(at)));
        if self.margin > 0 {
            self.values.drain(..self.margin);
            self.values.truncate(self.len);
        }
        whole.then_some(self.values)
    }
}

/// An array of the values of an image or a mask.
pub(crate) enum Output {
    U8(Fenced<u8>),
    F32(Fenced<f32>),
}

impl Output {
    /// `len` zeros of the type of `like`.
    pub(crate) fn new(like: &Values, len: usize, checked: bool) -> Self {
        match like {
            Values::U8(_) => Self::U8(Fenced::new(0, len, checked)),
            Values::F32(_) => Self::F32(Fenced::new(0.0, len, checked)),
        }
    }

    /// Where the plugin may write.
    pub(crate) fn start(&mut self) -> *mut c_void {
        match self {
            Self::U8(bytes) => bytes.start().cast(),
            Self::F32(floats) => floats.start().cast(),
        }
    }

    /// What the plugin wrote, or `None` if it wrote beside it.
    pub(crate) fn finish(self) -> Option<Values> {
        match self {
            Self::U8(bytes) => bytes.finish().map(Values::U8),
            Self::F32(floats) => floats.finish().map(Values::F32),
        }
    }
}

/// The type of values as the ABI has it.
pub(crate) const fn dtype(values: &Values) -> DType {
    match values {
        Values::U8(_) => DType::U8,
        Values::F32(_) => DType::F32,
    }
}

/// Whether a value is NaN or infinite. Reads everything, as fast as the memory
/// gives it.
pub(crate) fn not_finite(values: &Values) -> bool {
    match values {
        Values::U8(_) => false,
        Values::F32(floats) => {
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the CPU has AVX2.
                return unsafe { not_finite_avx2(floats) };
            }
            one_not_finite(floats)
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn not_finite_avx2(floats: &[f32]) -> bool {
    one_not_finite(floats)
}

/// Without the sign, which the shift drops, the bits of what is not finite are
/// the largest: several are compared at a time.
#[inline(always)]
fn one_not_finite(floats: &[f32]) -> bool {
    for chunk in floats.chunks(4096) {
        let mut largest = 0;
        for value in chunk {
            largest = largest.max(value.to_bits() << 1);
        }
        if largest >= f32::INFINITY.to_bits() << 1 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_on_either_side_is_found_and_one_inside_is_kept() {
        for like in [Values::U8(vec![]), Values::F32(vec![])] {
            for (at, fits) in [(-1_isize, false), (0, true), (3, true), (4, false)] {
                let mut output = Output::new(&like, 4, true);
                let start = output.start();
                // SAFETY: the canaries are part of the allocation.
                unsafe {
                    match like {
                        Values::U8(_) => *start.cast::<u8>().offset(at) = 7,
                        Values::F32(_) => *start.cast::<f32>().offset(at) = 7.0,
                    }
                }
                match output.finish() {
                    Some(Values::U8(bytes)) => {
                        assert_eq!((bytes.len(), bytes[at as usize]), (4, 7))
                    }
                    Some(Values::F32(floats)) => {
                        assert_eq!((floats.len(), floats[at as usize]), (4, 7.0));
                    }
                    None => assert!(!fits, "{at}"),
                }
            }
        }
    }

    #[test]
    fn rows_and_values_are_fenced_alike() {
        for at in [-1_isize, 2] {
            let mut values = Fenced::new(f64::NAN, 2, true);
            // SAFETY: the canaries are part of the allocation.
            unsafe { *values.start().offset(at) = 0.5 };
            assert_eq!(values.finish(), None);
        }
        let mut origins = Fenced::new(u32::MAX, 2, true);
        // SAFETY: the first of two.
        unsafe { *origins.start() = 7 };
        assert_eq!(origins.finish(), Some(vec![7, u32::MAX]));
    }

    #[test]
    fn unchecked_memory_is_just_what_was_asked_for() {
        let output = Output::new(&Values::U8(vec![]), 5, false);
        assert_eq!(output.finish(), Some(Values::U8(vec![0; 5])));
    }

    #[test]
    fn numbers_that_are_none_are_found_wherever_they_are() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            // Miri would take a minute for each.
            let places = if cfg!(miri) {
                &[4096][..]
            } else {
                &[0, 4095, 4096, 9999]
            };
            for &at in places {
                let mut floats = vec![f32::MAX; at + 1];
                assert!(!not_finite(&Values::F32(floats.clone())));
                floats[at] = bad;
                assert!(not_finite(&Values::F32(floats)));
            }
        }
    }
}
