//! What lies between bytes, in whole numbers: the same on every CPU.
//!
//! The four weights have 14 bits and add up to one, so that areas of one colour
//! keep it. The sum is rounded half to even.

use crate::kernel::simd::vectorised;

/// Fraction bits of the weights.
const BITS: u32 = 14;
const ONE: i32 = 1 << BITS;

/// Between `[top left, top right, bottom left, bottom right]`.
#[inline(always)]
pub(crate) fn between(around: [u8; 4], tx: f32, ty: f32) -> u8 {
    let (x, y) = ((tx * ONE as f32) as i32, (ty * ONE as f32) as i32);
    let both = (x * y + ONE / 2) >> BITS;
    let [a, b, c, d] = around.map(i32::from);
    let sum = a * (ONE - x - y + both) + b * (x - both) + c * (y - both) + d * both;
    ((sum + (ONE / 2 - 1) + ((sum >> BITS) & 1)) >> BITS) as u8
}

/// Writes what lies between bytes of a plane; see [`bilinear_rgb`].
pub(crate) fn bilinear_plane(
    plane: &[u8],
    below: usize,
    offsets: &[u32],
    [right, lower]: [&[f32]; 2],
    target: &mut [u8],
) {
    let weights = right.iter().zip(lower);
    vectorised(
        #[inline(always)]
        || {
            for (out, (&offset, (tx, ty))) in target.iter_mut().zip(offsets.iter().zip(weights)) {
                let around = &plane[offset as usize..][..below + 2];
                let (top, low) = (&around[..2], &around[below..]);
                *out = between([top[0], top[1], low[0], low[1]], *tx, *ty);
            }
        },
    );
}

/// Writes what lies between pixels of three bytes: at `offsets`, their right
/// neighbours and those `below`, with weights of the right and the lower ones.
pub(crate) fn bilinear_rgb(
    data: &[u8],
    below: usize,
    offsets: &[u32],
    weights: [&[f32]; 2],
    target: &mut [u8],
) {
    #[cfg(target_arch = "x86_64")]
    if x86::bilinear_rgb(data, below, offsets, weights, target) {
        return;
    }
    plainly(data, below, offsets, weights, target);
}

fn plainly(
    data: &[u8],
    below: usize,
    offsets: &[u32],
    [right, lower]: [&[f32]; 2],
    target: &mut [u8],
) {
    let weights = right.iter().zip(lower);
    let places = offsets.iter().zip(weights);
    for (out, (&offset, (tx, ty))) in target.as_chunks_mut::<3>().0.iter_mut().zip(places) {
        let top = &data[offset as usize * 3..][..below + 6];
        let low = &top[below..];
        for (c, out) in out.iter_mut().enumerate() {
            *out = between([top[c], top[c + 3], low[c], low[c + 3]], *tx, *ty);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{BITS, ONE, plainly};
    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, cast};
    use std::arch::x86_64::__m256i;

    /// Pixels that are made at a time.
    const GROUP: usize = 8;

    /// Per half, from `[a0 a1 a2 b0 b1 b2 ..]` to `[a0 b0 a1 b1 a2 b2 0 0]` in words.
    const NEIGHBOURS: [u8; 16] = [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, 0x80, 0x80, 0x80, 0x80];
    /// Per half, four pixels without the zero behind each.
    const CLOSE: [u8; 16] = [
        0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0x80, 0x80, 0x80, 0x80,
    ];

    /// Makes the pixels, if the instructions are there and it is worth it.
    pub(super) fn bilinear_rgb(
        data: &[u8],
        below: usize,
        offsets: &[u32],
        [right, lower]: [&[f32]; 2],
        target: &mut [u8],
    ) -> bool {
        match V3::try_new() {
            Some(simd) if offsets.len() >= GROUP => simd.vectorize(Bilinear {
                simd,
                data,
                below,
                offsets,
                right,
                lower,
                target,
            }),
            _ => return false,
        }
        true
    }

    // A struct and no closures: only what is inlined for sure is compiled for
    // the instructions.
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
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self {
                simd,
                data,
                below,
                offsets,
                right,
                lower,
                target,
            } = self;
            // Of one length, so that one check does for both.
            let n = data.len() - below.min(data.len());
            let rows = [&data[..n], &data[below.min(data.len())..][..n]];
            let work = Work { simd, rows };
            let places = offsets.as_chunks().0.iter();
            let weights = right.as_chunks().0.iter().zip(lower.as_chunks().0);
            let groups = places.zip(weights).zip(target.as_chunks_mut().0);
            for ((offsets, (tx, ty)), out) in groups {
                if work.group(offsets, [tx, ty], out).is_none() {
                    plainly(data, below, offsets, [tx, ty], out);
                }
            }
            // The last group makes some pixels again.
            if let (Some(offsets), Some(tx), Some(ty), Some(out)) = (
                offsets.last_chunk::<GROUP>(),
                right.last_chunk(),
                lower.last_chunk(),
                target.last_chunk_mut(),
            ) && work.group(offsets, [tx, ty], out).is_none()
            {
                plainly(data, below, offsets, [tx, ty], out);
            }
        }
    }

    #[derive(Clone, Copy)]
    struct Work<'a> {
        simd: V3,
        /// The image, and the image from the second row on.
        rows: [&'a [u8]; 2],
    }

    impl Work<'_> {
        /// Eight pixels, of which the first four lie in the lower half of each
        /// vector; `None` if the image ends, where there is nothing to read ahead.
        #[inline(always)]
        fn group(
            &self,
            &[a, b, c, d, e, f, g, h]: &[u32; GROUP],
            weights: [&[f32; GROUP]; 2],
            out: &mut [u8; 3 * GROUP],
        ) -> Option<()> {
            let (simd, avx2) = (self.simd, self.simd.avx2);
            let [top, low] = self.weights(weights);
            let first = [
                avx2._mm256_shuffle_epi32::<0b00_00_00_00>(top),
                avx2._mm256_shuffle_epi32::<0b00_00_00_00>(low),
            ];
            let second = [
                avx2._mm256_shuffle_epi32::<0b01_01_01_01>(top),
                avx2._mm256_shuffle_epi32::<0b01_01_01_01>(low),
            ];
            let third = [
                avx2._mm256_shuffle_epi32::<0b10_10_10_10>(top),
                avx2._mm256_shuffle_epi32::<0b10_10_10_10>(low),
            ];
            let fourth = [
                avx2._mm256_shuffle_epi32::<0b11_11_11_11>(top),
                avx2._mm256_shuffle_epi32::<0b11_11_11_11>(low),
            ];
            let (first, second) = (self.pair([a, e], first)?, self.pair([b, f], second)?);
            let (third, fourth) = (self.pair([c, g], third)?, self.pair([d, h], fourth)?);
            let bytes = avx2._mm256_packus_epi16(
                avx2._mm256_packs_epi32(first, second),
                avx2._mm256_packs_epi32(third, fourth),
            );
            let bytes = avx2._mm256_shuffle_epi8(bytes, cast([CLOSE; 2]));
            let bytes = avx2._mm256_permutevar8x32_epi32(bytes, cast([0, 1, 2, 4, 5, 6, 7, 7]));
            let low: [u8; 16] = cast(simd.avx._mm256_castsi256_si128(bytes));
            let [high, _]: [[u8; 8]; 2] = cast(avx2._mm256_extracti128_si256::<1>(bytes));
            *out.first_chunk_mut()? = low;
            *out.last_chunk_mut()? = high;
            Some(())
        }

        /// For each of eight pixels the weights of the upper two neighbours, and
        /// of the lower two.
        #[inline(always)]
        fn weights(&self, [right, lower]: [&[f32; GROUP]; 2]) -> [__m256i; 2] {
            let (avx, avx2) = (self.simd.avx, self.simd.avx2);
            let scale = avx._mm256_set1_ps(ONE as f32);
            let x = avx._mm256_cvttps_epi32(avx._mm256_mul_ps(cast(*right), scale));
            let y = avx._mm256_cvttps_epi32(avx._mm256_mul_ps(cast(*lower), scale));
            // Both are words, with zeros above.
            let product = avx2._mm256_madd_epi16(x, y);
            let half = avx._mm256_set1_epi32(ONE / 2);
            let both =
                avx2._mm256_srli_epi32::<{ BITS as i32 }>(avx2._mm256_add_epi32(product, half));
            let b = avx2._mm256_sub_epi32(x, both);
            let c = avx2._mm256_sub_epi32(y, both);
            let rest = avx2._mm256_sub_epi32(avx._mm256_set1_epi32(ONE), x);
            let a = avx2._mm256_sub_epi32(rest, c);
            [
                avx2._mm256_or_si256(a, avx2._mm256_slli_epi32::<16>(b)),
                avx2._mm256_or_si256(c, avx2._mm256_slli_epi32::<16>(both)),
            ]
        }

        /// Two pixels, one in each half, as numbers.
        #[inline(always)]
        fn pair(&self, [one, two]: [u32; 2], [top, low]: [__m256i; 2]) -> Option<__m256i> {
            let (avx, avx2) = (self.simd.avx, self.simd.avx2);
            let (one, two) = (self.around(one)?, self.around(two)?);
            let upper = avx2._mm256_madd_epi16(self.neighbours([one[0], two[0]]), top);
            let lower = avx2._mm256_madd_epi16(self.neighbours([one[1], two[1]]), low);
            let sum = avx2._mm256_add_epi32(upper, lower);
            let odd = avx2._mm256_and_si256(
                avx2._mm256_srli_epi32::<{ BITS as i32 }>(sum),
                avx._mm256_set1_epi32(1),
            );
            let almost = avx2._mm256_add_epi32(sum, avx._mm256_set1_epi32(ONE / 2 - 1));
            let sum = avx2._mm256_add_epi32(almost, odd);
            Some(avx2._mm256_srli_epi32::<{ BITS as i32 }>(sum))
        }

        /// Pixels side by side in each half: channel by channel, in words.
        #[inline(always)]
        fn neighbours(&self, [one, two]: [i64; 2]) -> __m256i {
            let both = self.simd.sse2._mm_set_epi64x(two, one);
            let words = self.simd.avx2._mm256_cvtepu8_epi16(both);
            self.simd
                .avx2
                ._mm256_shuffle_epi8(words, cast([NEIGHBOURS; 2]))
        }

        /// The pixel at an offset and its right neighbour, and those below, each
        /// with the two bytes after it.
        #[inline(always)]
        fn around(&self, offset: u32) -> Option<[i64; 2]> {
            let at = offset as usize * 3;
            let [top, low] = self.rows;
            let (top, low) = (top.get(at..at + 8)?, low.get(at..at + 8)?);
            Some([
                i64::from_le_bytes(*top.first_chunk()?),
                i64::from_le_bytes(*low.first_chunk()?),
            ])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Groups, the last of them and the end of the image.
        #[test]
        fn vectors_are_plain_loops(
            places in proptest::collection::vec((0..7_u32, 0..8_u32, 0..99_u8, 0..99_u8), 1..40),
            seed: u8,
        ) {
            let (width, height) = (9, 9);
            let data: Vec<u8> = (0..3 * width * height)
                .map(|i| (i * 101 % 256) as u8 ^ seed)
                .collect();
            let mut offsets: Vec<u32> = places.iter().map(|p| p.0 * 9 + p.1).collect();
            offsets.push(7 * 9 + 7);
            let weight = |v: u8| f32::from(v) / 99.0;
            let right: Vec<f32> = places.iter().map(|p| weight(p.2)).chain([0.5]).collect();
            let lower: Vec<f32> = places.iter().map(|p| weight(p.3)).chain([0.25]).collect();
            let (mut fast, mut plain) = (vec![0; 3 * right.len()], vec![0; 3 * right.len()]);
            bilinear_rgb(&data, 27, &offsets, [&right, &lower], &mut fast);
            plainly(&data, 27, &offsets, [&right, &lower], &mut plain);
            prop_assert_eq!(fast, plain);
        }

        #[test]
        fn bytes_are_near_numbers(around: [u8; 4], tx in 0.0..0.9999_f32, ty in 0.0..0.9999_f32) {
            let [a, b, c, d] = around.map(f32::from);
            let (top, low) = (a + tx * (b - a), c + tx * (d - c));
            let exact = top + ty * (low - top);
            let got = f32::from(between(around, tx, ty));
            prop_assert!((got - exact).abs() < 0.55, "{} {}", got, exact);
            prop_assert_eq!(between([around[0]; 4], tx, ty), around[0]);
        }
    }

    #[test]
    fn ties_go_to_the_even_byte() {
        assert_eq!(between([0, 1, 0, 1], 0.5, 0.0), 0);
        assert_eq!(between([1, 2, 1, 2], 0.5, 0.0), 2);
        assert_eq!(between([0, 10, 0, 10], 0.25, 0.75), 2);
    }
}
