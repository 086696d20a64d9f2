//! The last pass: from bytes of interleaved channels to planes of numbers.

use super::pixels::Element;
use super::simd::vectorised;

/// Writes plane after plane of `(value - of(c)[0]) * of(c)[1]`, from pixels of
/// `channels` interleaved values.
pub(crate) fn to_planes<T: Element>(
    source: &[T],
    channels: usize,
    target: &mut [f32],
    of: impl Fn(usize) -> [f32; 2],
) {
    match channels {
        1 => write::<T, 1>(source, target, [of(0)]),
        3 => write::<T, 3>(source, target, [of(0), of(1), of(2)]),
        4 => write::<T, 4>(source, target, [of(0), of(1), of(2), of(3)]),
        _ => {
            let area = source.len() / channels.max(1);
            for (c, plane) in target.chunks_exact_mut(area.max(1)).enumerate() {
                let [mean, scale] = of(c);
                let values = source.iter().skip(c).step_by(channels);
                for (out, value) in plane.iter_mut().zip(values) {
                    *out = (value.to_f32() - mean) * scale;
                }
            }
        }
    }
}

fn write<T: Element, const C: usize>(source: &[T], target: &mut [f32], of: [[f32; 2]; C]) {
    const BLOCK: usize = 256;
    let (pixels, _) = source.as_chunks::<C>();
    let area = pixels.len();
    let mut lanes = [[T::from_f32(0.0); BLOCK]; C];
    for (i, block) in pixels.chunks(BLOCK).enumerate() {
        if C == 3
            && let [red, green, blue, ..] = lanes.as_mut_slice()
        {
            let block = block.as_flattened().as_chunks().0;
            T::deinterleave(block, [red, green, blue]);
        } else {
            for (at, pixel) in block.iter().enumerate() {
                for (lane, value) in lanes.iter_mut().zip(pixel) {
                    lane[at] = *value;
                }
            }
        }
        for (c, (lane, constants)) in lanes.iter().zip(of).enumerate() {
            let out = &mut target[c * area + i * BLOCK..][..block.len()];
            convert(lane, out, constants);
        }
    }
}

/// One plane: `(value - mean) * scale`.
pub(super) fn convert<T: Element>(source: &[T], target: &mut [f32], [mean, scale]: [f32; 2]) {
    vectorised(
        #[inline(always)]
        || {
            for (out, value) in target.iter_mut().zip(source) {
                *out = (value.to_f32() - mean) * scale;
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_the_channels_in_turn() {
        for channels in [1, 2, 3, 4] {
            let source: Vec<u8> = (0..channels * 131).map(|i| (i % 251) as u8).collect();
            let mut target = vec![f32::NAN; source.len()];
            to_planes(&source, channels, &mut target, |c| [c as f32, 0.5]);
            for (i, &value) in source.iter().enumerate() {
                let (pixel, c) = (i / channels, i % channels);
                let expected = (f32::from(value) - c as f32) * 0.5;
                assert_eq!(target[c * 131 + pixel], expected);
            }
        }
    }
}
