//! Rearranging bytes with shuffles, which loops don't become by themselves.

use super::resize::Span;
#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};

/// Puts `table[value]` in place of every byte.
pub(crate) fn look_up(data: &mut [u8], table: &[u8; 256]) {
    #[cfg(target_arch = "x86_64")]
    let data = x86::look_up(data, table);
    // Eight at a time: one read and one write of memory for all of them.
    let (words, rest) = data.as_chunks_mut::<8>();
    for word in words {
        let bytes = u64::from_le_bytes(*word);
        let at = |i: u32| u64::from(table[usize::from((bytes >> (8 * i)) as u8)]) << (8 * i);
        let low = at(0) | at(1) | at(2) | at(3);
        *word = (low | at(4) | at(5) | at(6) | at(7)).to_le_bytes();
    }
    for byte in rest {
        *byte = table[usize::from(*byte)];
    }
}

/// Writes the pixels of `source` in reverse order.
pub(crate) fn reverse<T: Copy, const C: usize>(source: &[[T; C]], target: &mut [[T; C]]) {
    for (out, pixel) in target.iter_mut().zip(source.iter().rev()) {
        *out = *pixel;
    }
}

/// [`reverse`] for pixels of three bytes.
pub(crate) fn reverse_rgb(source: &[[u8; 3]], target: &mut [[u8; 3]]) {
    #[cfg(target_arch = "x86_64")]
    let target = x86::reverse_rgb(source, target);
    reverse(&source[..target.len()], target);
}

/// Reorders the channels of pixels.
pub(crate) fn permute<T: Copy>(pixels: &mut [[T; 3]], [a, b, c]: [usize; 3]) {
    for pixel in pixels {
        *pixel = [pixel[a], pixel[b], pixel[c]];
    }
}

/// [`permute`] for bytes.
pub(crate) fn permute_rgb(pixels: &mut [[u8; 3]], order: [usize; 3]) {
    #[cfg(target_arch = "x86_64")]
    let pixels = x86::permute_rgb(pixels, order);
    permute(pixels, order);
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{bilinear_rgb, weighted_rgb};

/// Elsewhere, the loops that every type has do all pixels.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn bilinear_rgb(
    _data: &[u8],
    _below: usize,
    _offsets: &[u32],
    _weights: [&[f32]; 2],
    _target: &mut [u8],
) -> usize {
    0
}

/// Elsewhere, the loops that every type has do all pixels.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn weighted_rgb(
    _row: &[u8],
    _first: usize,
    _taps: (&[Span], &[f32]),
    _target: &mut [u8],
) -> usize {
    0
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Span, V3, V4};
    use pulp::{NullaryFnOnce, cast};
    use std::arch::x86_64::{__m128, __m128i, __m512i};

    /// Four bytes as numbers.
    #[inline(always)]
    fn four(simd: V3, bytes: [u8; 4]) -> __m128 {
        let word = simd.sse2._mm_cvtsi32_si128(i32::from_le_bytes(bytes));
        simd.sse2
            ._mm_cvtepi32_ps(simd.sse4_1._mm_cvtepu8_epi32(word))
    }

    /// Whole numbers as bytes, clipped.
    #[inline(always)]
    fn bytes(simd: V3, numbers: __m128i) -> [u8; 4] {
        let words = simd.sse2._mm_packs_epi32(numbers, numbers);
        let bytes = simd.sse2._mm_packus_epi16(words, words);
        simd.sse2._mm_cvtsi128_si32(bytes).to_le_bytes()
    }

    /// Writes what lies between pixels of three bytes: at `offsets`, their right
    /// neighbours and those `below`. Returns how many pixels of the beginning
    /// it has done: it leaves out the last, since pixels are written with the
    /// first byte of the next, and stops where the image ends.
    pub(crate) fn bilinear_rgb(
        data: &[u8],
        below: usize,
        offsets: &[u32],
        [right, lower]: [&[f32]; 2],
        target: &mut [u8],
    ) -> usize {
        V3::try_new().map_or(0, |simd| {
            simd.vectorize(Bilinear {
                simd,
                data,
                below,
                offsets,
                right,
                lower,
                target,
            })
        })
    }

    struct Bilinear<'a> {
        simd: V3,
        data: &'a [u8],
        below: usize,
        offsets: &'a [u32],
        right: &'a [f32],
        lower: &'a [f32],
        target: &'a mut [u8],
    }

    impl NullaryFnOnce for Bilinear<'_> {
        type Output = usize;

        #[inline(always)]
        fn call(self) -> usize {
            let (simd, below) = (self.simd, self.below);
            let weights = self.right.iter().zip(self.lower);
            for (i, (&offset, (&tx, &ty))) in self.offsets.iter().zip(weights).enumerate() {
                let offset = offset as usize * 3;
                let around = self.data.get(offset..offset + below + 7);
                let out = self.target.get_mut(3 * i..);
                let (Some(around), Some(out)) = (around, out) else {
                    return i;
                };
                let (Some(top), Some(low), Some(out)) = (
                    around.first_chunk::<7>(),
                    around.last_chunk::<7>(),
                    out.first_chunk_mut::<4>(),
                ) else {
                    return i;
                };
                let [a0, a1, a2, b0, b1, b2, b3] = *top;
                let [c0, c1, c2, d0, d1, d2, d3] = *low;
                let a = four(simd, [a0, a1, a2, b0]);
                let b = four(simd, [b0, b1, b2, b3]);
                let c = four(simd, [c0, c1, c2, d0]);
                let d = four(simd, [d0, d1, d2, d3]);
                let sse = simd.sse;
                let (tx, ty) = (sse._mm_set1_ps(tx), sse._mm_set1_ps(ty));
                let top = sse._mm_add_ps(a, sse._mm_mul_ps(tx, sse._mm_sub_ps(b, a)));
                let low = sse._mm_add_ps(c, sse._mm_mul_ps(tx, sse._mm_sub_ps(d, c)));
                let value = sse._mm_mul_ps(ty, sse._mm_sub_ps(low, top));
                // Rounds half to even.
                let whole = simd.sse2._mm_cvtps_epi32(sse._mm_add_ps(top, value));
                *out = bytes(simd, whole);
            }
            self.offsets.len()
        }
    }

    /// Writes the weighted sums of the pixels of a row, whose first is number
    /// `first`. Returns how many pixels of the beginning it has done, as
    /// [`bilinear_rgb`].
    pub(crate) fn weighted_rgb(
        row: &[u8],
        first: usize,
        (spans, weights): (&[Span], &[f32]),
        target: &mut [u8],
    ) -> usize {
        V3::try_new().map_or(0, |simd| {
            simd.vectorize(Weighted {
                simd,
                row,
                first,
                spans,
                weights,
                target,
            })
        })
    }

    struct Weighted<'a> {
        simd: V3,
        row: &'a [u8],
        first: usize,
        spans: &'a [Span],
        weights: &'a [f32],
        target: &'a mut [u8],
    }

    impl NullaryFnOnce for Weighted<'_> {
        type Output = usize;

        #[inline(always)]
        fn call(self) -> usize {
            let simd = self.simd;
            let sse = simd.sse;
            for (i, (start, range)) in self.spans.iter().enumerate() {
                let from = 3 * (start - self.first);
                let weights = &self.weights[range.clone()];
                let pixels = self.row.get(from..from + 3 * weights.len() + 1);
                let out = self.target.get_mut(3 * i..);
                let (Some(pixels), Some(out)) = (pixels, out) else {
                    return i;
                };
                let Some(out) = out.first_chunk_mut::<4>() else {
                    return i;
                };
                let mut sum = sse._mm_setzero_ps();
                for (j, &weight) in weights.iter().enumerate() {
                    if let Some(pixel) = pixels[3 * j..].first_chunk::<4>() {
                        let weight = sse._mm_set1_ps(weight);
                        sum = sse._mm_add_ps(sum, sse._mm_mul_ps(weight, four(simd, *pixel)));
                    }
                }
                // Rounds half up: what is negative is clipped anyway.
                let half = sse._mm_set1_ps(0.5);
                let whole = simd.sse2._mm_cvttps_epi32(sse._mm_add_ps(sum, half));
                *out = bytes(simd, whole);
            }
            self.spans.len()
        }
    }

    /// Handles as many whole vectors as there are; returns the rest.
    pub(super) fn look_up<'a>(data: &'a mut [u8], table: &[u8; 256]) -> &'a mut [u8] {
        let Some(simd) = V4::try_new() else {
            return data;
        };
        let (vectors, rest) = data.as_chunks_mut::<64>();
        // Bytes choose by their lowest four bits in a part of 16, and 0 if the
        // highest bit is set. With parts that hold the difference to the part
        // before, the sum of all parts up to the right one is what is wanted:
        // from part to part, 16 is subtracted until the byte is negative.
        let parts: [[u8; 16]; 16] = std::array::from_fn(|part| {
            std::array::from_fn(|i| {
                let before = if part % 8 == 0 {
                    0
                } else {
                    table[(part - 1) * 16 + i]
                };
                table[part * 16 + i] ^ before
            })
        });
        simd.vectorize(
            #[inline(always)]
            || {
                let bw = simd.avx512bw;
                let parts = parts.map(|part| {
                    let four: [[u8; 16]; 4] = [part; 4];
                    cast::<[[u8; 16]; 4], __m512i>(four)
                });
                let sixteen: __m512i = cast([16_u8; 64]);
                let half: __m512i = cast([128_u8; 64]);
                let xor = |a, b| simd.avx512f._mm512_xor_si512(a, b);
                for vector in vectors.iter_mut() {
                    let bytes: __m512i = cast(*vector);
                    let half_of = |from: usize, mut index: __m512i| {
                        let mut sum = bw._mm512_shuffle_epi8(parts[from], index);
                        for part in &parts[from + 1..from + 8] {
                            index = bw._mm512_sub_epi8(index, sixteen);
                            sum = xor(sum, bw._mm512_shuffle_epi8(*part, index));
                        }
                        sum
                    };
                    let low = half_of(0, bytes);
                    let high = half_of(8, xor(bytes, half));
                    let is_high = bw._mm512_movepi8_mask(bytes);
                    *vector = cast(bw._mm512_mask_blend_epi8(is_high, low, high));
                }
            },
        );
        rest
    }

    /// Sixteen pixels: three vectors.
    const GROUP: usize = 16;

    /// For each vector of the result, which bytes of each vector of the source
    /// it takes; `from(i)` is the source of byte `i`.
    fn orders(from: impl Fn(usize) -> usize) -> [[[u8; 16]; 3]; 3] {
        let byte = |to: usize, source: usize, i: usize| {
            let from = from(16 * to + i);
            // The highest bit makes a zero.
            if from / 16 == source {
                (from % 16) as u8
            } else {
                0x80
            }
        };
        std::array::from_fn(|to| {
            std::array::from_fn(|source| std::array::from_fn(|i| byte(to, source, i)))
        })
    }

    #[inline(always)]
    fn shuffled(simd: V3, [a, b, c]: [[u8; 16]; 3], orders: &[[__m128i; 3]; 3]) -> [[u8; 16]; 3] {
        let [a, b, c]: [__m128i; 3] = [cast(a), cast(b), cast(c)];
        let (shuffle, either) = (simd.ssse3, simd.sse2);
        let mut out = [[0; 16]; 3];
        // No closures: they would not be compiled for the instructions.
        for (out, [x, y, z]) in out.iter_mut().zip(orders) {
            let first = shuffle._mm_shuffle_epi8(a, *x);
            let second = shuffle._mm_shuffle_epi8(b, *y);
            let third = shuffle._mm_shuffle_epi8(c, *z);
            *out = cast(either._mm_or_si128(either._mm_or_si128(first, second), third));
        }
        out
    }

    fn groups(pixels: &[[u8; 3]]) -> &[[[u8; 16]; 3]] {
        pixels.as_flattened().as_chunks().0.as_chunks().0
    }

    fn groups_mut(pixels: &mut [[u8; 3]]) -> &mut [[[u8; 16]; 3]] {
        pixels
            .as_flattened_mut()
            .as_chunks_mut()
            .0
            .as_chunks_mut()
            .0
    }

    // Structs and no closures: only what is inlined for sure is compiled for
    // the instructions.
    struct Reverse<'a> {
        simd: V3,
        source: &'a [[[u8; 16]; 3]],
        target: &'a mut [[[u8; 16]; 3]],
        orders: [[__m128i; 3]; 3],
    }

    impl NullaryFnOnce for Reverse<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            for (out, group) in self.target.iter_mut().zip(self.source.iter().rev()) {
                *out = shuffled(self.simd, *group, &self.orders);
            }
        }
    }

    struct Permute<'a> {
        simd: V3,
        pixels: &'a mut [[[u8; 16]; 3]],
        orders: [[__m128i; 3]; 3],
    }

    impl NullaryFnOnce for Permute<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            for group in self.pixels {
                *group = shuffled(self.simd, *group, &self.orders);
            }
        }
    }

    /// Handles sixteen pixels at a time; returns the rest.
    pub(super) fn permute_rgb(pixels: &mut [[u8; 3]], channels: [usize; 3]) -> &mut [[u8; 3]] {
        let Some(simd) = V3::try_new() else {
            return pixels;
        };
        let orders = orders(|i| i / 3 * 3 + channels[i % 3]);
        let (pixels, rest) = pixels.split_at_mut(pixels.len() / GROUP * GROUP);
        simd.vectorize(Permute {
            simd,
            pixels: groups_mut(pixels),
            orders: cast(orders),
        });
        rest
    }

    /// Handles sixteen pixels at a time; returns the rest, which mirrors the
    /// first pixels of the source.
    pub(super) fn reverse_rgb<'a>(
        source: &[[u8; 3]],
        target: &'a mut [[u8; 3]],
    ) -> &'a mut [[u8; 3]] {
        let Some(simd) = V3::try_new() else {
            return target;
        };
        let orders = orders(|i| 3 * (GROUP - 1 - i / 3) + i % 3);
        let (target, rest) = target.split_at_mut(target.len() / GROUP * GROUP);
        let source = &source[rest.len()..];
        simd.vectorize(Reverse {
            simd,
            source: groups(source),
            target: groups_mut(target),
            orders: cast(orders),
        });
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_finds_its_entry() {
        let table: [u8; 256] = std::array::from_fn(|i| (i * 101 % 256) as u8 ^ 0x5a);
        for n in [0, 1, 63, 64, 65, 1000] {
            let before: Vec<u8> = (0..n).map(|i| (i * 7 % 256) as u8).collect();
            let mut after = before.clone();
            look_up(&mut after, &table);
            let expected: Vec<u8> = before.iter().map(|&v| table[usize::from(v)]).collect();
            assert_eq!(after, expected);
        }
    }

    #[test]
    fn channels_are_reordered() {
        for n in 0..20 {
            let source: Vec<[u8; 3]> = (0..n).map(|i| [i, i + 50, i + 100]).collect();
            let mut target = source.clone();
            permute_rgb(&mut target, [2, 0, 1]);
            for (a, b) in source.iter().zip(target) {
                assert_eq!(b, [a[2], a[0], a[1]]);
            }
        }
    }

    #[test]
    fn pixels_are_reversed() {
        for n in 0..40 {
            let source: Vec<[u8; 3]> = (0..n).map(|i| [i, i + 50, i + 100]).collect();
            let mut target = vec![[0; 3]; source.len()];
            reverse_rgb(&source, &mut target);
            assert!(target.iter().eq(source.iter().rev()));
        }
    }
}
