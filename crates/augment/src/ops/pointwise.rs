//! What operations that change every value by itself have in common.

use crate::{AugmentError, Sample, Values};

/// A change of single values. Bytes are a function of 256 values, numbers are
/// changed directly.
pub(crate) trait Pointwise {
    fn byte(&self, value: u8) -> u8;
    fn number(&self, value: f32) -> f32;
}

pub(crate) fn table(map: &impl Pointwise) -> [u8; 256] {
    std::array::from_fn(|value| map.byte(value as u8))
}

pub(crate) fn apply(map: &impl Pointwise, sample: &mut Sample) -> Result<(), AugmentError> {
    match sample.image.values_mut() {
        Values::U8(data) => {
            let table = table(map);
            data.iter_mut().for_each(|v| *v = table[usize::from(*v)]);
        }
        Values::F32(data) => data.iter_mut().for_each(|v| *v = map.number(*v)),
    }
    Ok(())
}

/// `Apply` for a `Pointwise`.
macro_rules! pointwise_step {
    ($step:ty) => {
        impl $crate::Apply for $step {
            fn apply(&self, sample: &mut $crate::Sample) -> Result<(), $crate::AugmentError> {
                $crate::ops::pointwise::apply(self, sample)
            }

            fn byte_map(&self) -> Option<[u8; 256]> {
                Some($crate::ops::pointwise::table(self))
            }
        }
    };
}
pub(crate) use pointwise_step;
