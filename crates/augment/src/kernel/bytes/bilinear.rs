//! What lies between pixels of three bytes.

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

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::bilinear_rgb;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, cast};
    use std::arch::x86_64::{__m256, __m256i};

    /// Four bytes of each of two pixels as numbers.
    #[inline(always)]
    fn eight(simd: V3, [first, second]: [[u8; 4]; 2]) -> __m256 {
        let word = simd.sse2._mm_cvtsi32_si128(i32::from_le_bytes(first));
        let words = simd
            .sse4_1
            ._mm_insert_epi32::<1>(word, i32::from_le_bytes(second));
        simd.avx
            ._mm256_cvtepi32_ps(simd.avx2._mm256_cvtepu8_epi32(words))
    }

    /// Whole numbers as four bytes of each of two pixels, clipped.
    #[inline(always)]
    fn bytes(simd: V3, numbers: __m256i) -> [[u8; 4]; 2] {
        let words = simd.avx2._mm256_packs_epi32(numbers, numbers);
        let bytes = simd.avx2._mm256_packus_epi16(words, words);
        let parts: [[u8; 4]; 8] = cast(bytes);
        [parts[0], parts[4]]
    }

    /// One weight for each of two pixels.
    #[inline(always)]
    fn spread(simd: V3, [first, second]: [f32; 2]) -> __m256 {
        let both = simd.avx._mm256_set1_ps(first);
        simd.avx
            ._mm256_insertf128_ps::<1>(both, simd.sse._mm_set1_ps(second))
    }

    /// The pixel at an offset and its right neighbour, and those below, each with
    /// the byte after it.
    #[inline(always)]
    fn around(data: &[u8], below: usize, offset: u32) -> Option<[[u8; 4]; 4]> {
        let offset = offset as usize * 3;
        let around = data.get(offset..offset + below + 7)?;
        let (top, low) = (around.first_chunk::<7>()?, around.last_chunk::<7>()?);
        // Four bytes at once: one read each.
        Some([
            *top.first_chunk()?,
            *top.last_chunk()?,
            *low.first_chunk()?,
            *low.last_chunk()?,
        ])
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
            let (simd, avx) = (self.simd, self.simd.avx);
            let weights = self
                .right
                .as_chunks()
                .0
                .iter()
                .zip(self.lower.as_chunks().0);
            let pairs = self.offsets.as_chunks::<2>().0;
            for (i, ([one, two], (&tx, &ty))) in pairs.iter().zip(weights).enumerate() {
                let (Some(first), Some(second), Some(out)) = (
                    around(self.data, self.below, *one),
                    around(self.data, self.below, *two),
                    self.target
                        .get_mut(6 * i..)
                        .and_then(<[u8]>::first_chunk_mut::<7>),
                ) else {
                    return 2 * i;
                };
                let a = eight(simd, [first[0], second[0]]);
                let b = eight(simd, [first[1], second[1]]);
                let c = eight(simd, [first[2], second[2]]);
                let d = eight(simd, [first[3], second[3]]);
                let (tx, ty) = (spread(simd, tx), spread(simd, ty));
                let top = avx._mm256_add_ps(a, avx._mm256_mul_ps(tx, avx._mm256_sub_ps(b, a)));
                let low = avx._mm256_add_ps(c, avx._mm256_mul_ps(tx, avx._mm256_sub_ps(d, c)));
                let step = avx._mm256_mul_ps(ty, avx._mm256_sub_ps(low, top));
                // Rounds half to even.
                let whole = avx._mm256_cvtps_epi32(avx._mm256_add_ps(top, step));
                let [first, second] = bytes(simd, whole);
                if let Some(out) = out.first_chunk_mut() {
                    *out = first;
                }
                if let Some(out) = out.last_chunk_mut() {
                    *out = second;
                }
            }
            2 * pairs.len()
        }
    }
}
