//! What operations that change every value by itself have in common.

use crate::change::Change;
use crate::kernel::{Tone, look_up, map_values};
use crate::{AugmentError, ColorMatrix, Sample, Values};

/// A change of single values. Bytes are a function of 256 values, numbers are
/// changed directly.
pub(crate) trait Pointwise {
    fn byte(&self, value: u8) -> u8;
    fn number(&self, value: f32) -> f32;
    /// The change as a matrix, if it is linear but for clipping.
    fn matrix(&self) -> Option<ColorMatrix> {
        None
    }
    /// The change of numbers, if any device can do it.
    fn on_numbers(&self, channels: usize) -> Option<Change> {
        let _ = channels;
        None
    }
    /// The change as a tone, if it is quick as one.
    fn tone(&self) -> Option<&dyn Tone> {
        None
    }
    /// Whether [`Pointwise::byte`] is plain arithmetic that vectorises.
    fn is_cheap(&self) -> bool {
        true
    }
}

pub(crate) fn table(map: &impl Pointwise) -> [u8; 256] {
    std::array::from_fn(|value| map.byte(value as u8))
}

pub(crate) fn apply(map: &impl Pointwise, sample: &mut Sample) -> Result<(), AugmentError> {
    match sample.image.values_mut() {
        Values::U8(data) => {
            // Arithmetic on many bytes at once beats a table.
            if map.is_cheap() {
                map_values(
                    data,
                    #[inline(always)]
                    |v| map.byte(v),
                );
            } else {
                look_up(data, &table(map));
            }
        }
        Values::F32(data) => map_values(
            data,
            #[inline(always)]
            |v| map.number(v),
        ),
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

            fn color_matrix(&self, _channels: usize) -> Option<$crate::ColorMatrix> {
                $crate::ops::pointwise::Pointwise::matrix(self)
            }

            fn on_numbers(&self, channels: usize) -> Option<$crate::change::Change> {
                $crate::ops::pointwise::Pointwise::on_numbers(self, channels)
            }

            fn tone(&self) -> Option<&dyn $crate::kernel::Tone> {
                $crate::ops::pointwise::Pointwise::tone(self)
            }
        }
    };
}
pub(crate) use pointwise_step;
