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
pub(crate) struct Output {
    values: Values,
    margin: usize,
    len: usize,
}

impl Output {
    /// `len` zeros of the type of `like`.
    pub(crate) fn new(like: &Values, len: usize, checked: bool) -> Self {
        let margin = if checked { CANARIES } else { 0 };
        let mut output = Self {
            values: match like {
                Values::U8(_) => Values::U8(vec![0; len + 2 * margin]),
                Values::F32(_) => Values::F32(vec![0.0; len + 2 * margin]),
            },
            margin,
            len,
        };
        for at in output.canaries() {
            match &mut output.values {
                Values::U8(bytes) => bytes[at] = canary(at),
                Values::F32(floats) => floats[at] = f32::from(canary(at)),
            }
        }
        output
    }

    fn canaries(&self) -> impl Iterator<Item = usize> + use<> {
        let end = self.margin + self.len;
        (0..self.margin).chain(end..end + self.margin)
    }

    /// Where the plugin may write.
    pub(crate) fn start(&mut self) -> *mut c_void {
        match &mut self.values {
            Values::U8(bytes) => bytes[self.margin..].as_mut_ptr().cast(),
            Values::F32(floats) => floats[self.margin..].as_mut_ptr().cast(),
        }
    }

    /// What the plugin wrote, or `None` if it wrote beside it.
    pub(crate) fn finish(self) -> Option<Values> {
        let whole = self.canaries().all(|at| match &self.values {
            Values::U8(bytes) => bytes[at] == canary(at),
            Values::F32(floats) => floats[at] == f32::from(canary(at)),
        });
        let (margin, len) = (self.margin, self.len);
        whole.then(|| match self.values {
            Values::U8(bytes) => Values::U8(trim(bytes, margin, len)),
            Values::F32(floats) => Values::F32(trim(floats, margin, len)),
        })
    }
}

fn trim<T>(mut values: Vec<T>, margin: usize, len: usize) -> Vec<T> {
    if margin > 0 {
        values.drain(..margin);
        values.truncate(len);
    }
    values
}

/// The type of values as the ABI has it.
pub(crate) const fn dtype(values: &Values) -> DType {
    match values {
        Values::U8(_) => DType::U8,
        Values::F32(_) => DType::F32,
    }
}

/// Whether a value is NaN or infinite. Reads everything, which a processor does
/// several values at a time.
pub(crate) fn not_finite(values: &Values) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    match values {
        Values::U8(_) => false,
        Values::F32(floats) => floats.chunks(4096).any(|chunk| {
            let bad = |found: bool, v: &f32| found | (v.to_bits() & EXPONENT == EXPONENT);
            chunk.iter().fold(false, bad)
        }),
    }
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
    fn unchecked_memory_is_just_what_was_asked_for() {
        let output = Output::new(&Values::U8(vec![]), 5, false);
        assert_eq!(output.finish(), Some(Values::U8(vec![0; 5])));
    }

    #[test]
    fn numbers_that_are_none_are_found_wherever_they_are() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 4095, 4096, 9999] {
                let mut floats = vec![f32::MAX; 10_000];
                assert!(!not_finite(&Values::F32(floats.clone())));
                floats[at] = bad;
                assert!(not_finite(&Values::F32(floats)));
            }
        }
    }
}
