//! Tables of bytes.

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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use pulp::x86::{V3, V4};
    use pulp::{NullaryFnOnce, cast};
    use std::arch::x86_64::{__m256i, __m512i};

    /// Bytes choose by their lowest four bits in a part of 16, and 0 if the
    /// highest bit is set. With parts that hold the difference to the part
    /// before, the sum of all parts up to the right one is what is wanted:
    /// from part to part, 16 is subtracted until the byte is negative.
    fn parts(table: &[u8; 256]) -> [[u8; 16]; 16] {
        std::array::from_fn(|part| {
            std::array::from_fn(|i| {
                let before = if part % 8 == 0 {
                    0
                } else {
                    table[(part - 1) * 16 + i]
                };
                table[part * 16 + i] ^ before
            })
        })
    }

    /// Handles as many whole vectors as there are; returns the rest.
    pub(super) fn look_up<'a>(data: &'a mut [u8], table: &[u8; 256]) -> &'a mut [u8] {
        let parts = parts(table);
        if let Some(simd) = V4::try_new() {
            let (vectors, rest) = data.as_chunks_mut();
            simd.vectorize(Long {
                simd,
                vectors,
                parts: &parts,
            });
            rest
        } else if let Some(simd) = V3::try_new() {
            let (vectors, rest) = data.as_chunks_mut();
            simd.vectorize(Short {
                simd,
                vectors,
                parts: &parts,
            });
            rest
        } else {
            data
        }
    }

    struct Long<'a> {
        simd: V4,
        vectors: &'a mut [[u8; 64]],
        parts: &'a [[u8; 16]; 16],
    }

    impl NullaryFnOnce for Long<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let (bw, f) = (self.simd.avx512bw, self.simd.avx512f);
            let mut parts: [__m512i; 16] = [cast([0_u8; 64]); 16];
            for (wide, part) in parts.iter_mut().zip(self.parts) {
                let four: [[u8; 16]; 4] = [*part; 4];
                *wide = cast(four);
            }
            let sixteen: __m512i = cast([16_u8; 64]);
            let half: __m512i = cast([128_u8; 64]);
            for vector in self.vectors {
                let bytes: __m512i = cast(*vector);
                let (mut low, mut high) = (bytes, f._mm512_xor_si512(bytes, half));
                let mut sums = [
                    bw._mm512_shuffle_epi8(parts[0], low),
                    bw._mm512_shuffle_epi8(parts[8], high),
                ];
                for i in 1..8 {
                    low = bw._mm512_sub_epi8(low, sixteen);
                    high = bw._mm512_sub_epi8(high, sixteen);
                    let found = bw._mm512_shuffle_epi8(parts[i], low);
                    sums[0] = f._mm512_xor_si512(sums[0], found);
                    let found = bw._mm512_shuffle_epi8(parts[8 + i], high);
                    sums[1] = f._mm512_xor_si512(sums[1], found);
                }
                let is_high = bw._mm512_movepi8_mask(bytes);
                *vector = cast(bw._mm512_mask_blend_epi8(is_high, sums[0], sums[1]));
            }
        }
    }

    struct Short<'a> {
        simd: V3,
        vectors: &'a mut [[u8; 32]],
        parts: &'a [[u8; 16]; 16],
    }

    impl NullaryFnOnce for Short<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let avx2 = self.simd.avx2;
            let mut parts: [__m256i; 16] = [cast([0_u8; 32]); 16];
            for (wide, part) in parts.iter_mut().zip(self.parts) {
                let two: [[u8; 16]; 2] = [*part; 2];
                *wide = cast(two);
            }
            let sixteen: __m256i = cast([16_u8; 32]);
            let half: __m256i = cast([128_u8; 32]);
            for vector in self.vectors {
                let bytes: __m256i = cast(*vector);
                let (mut low, mut high) = (bytes, avx2._mm256_xor_si256(bytes, half));
                let mut sums = [
                    avx2._mm256_shuffle_epi8(parts[0], low),
                    avx2._mm256_shuffle_epi8(parts[8], high),
                ];
                for i in 1..8 {
                    low = avx2._mm256_sub_epi8(low, sixteen);
                    high = avx2._mm256_sub_epi8(high, sixteen);
                    let found = avx2._mm256_shuffle_epi8(parts[i], low);
                    sums[0] = avx2._mm256_xor_si256(sums[0], found);
                    let found = avx2._mm256_shuffle_epi8(parts[8 + i], high);
                    sums[1] = avx2._mm256_xor_si256(sums[1], found);
                }
                *vector = cast(avx2._mm256_blendv_epi8(sums[0], sums[1], bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_finds_its_entry() {
        let table: [u8; 256] = std::array::from_fn(|i| (i * 101 % 256) as u8 ^ 0x5a);
        for n in [0, 1, 31, 32, 63, 64, 65, 1000] {
            let before: Vec<u8> = (0..n).map(|i| (i * 7 % 256) as u8).collect();
            let mut after = before.clone();
            look_up(&mut after, &table);
            let expected: Vec<u8> = before.iter().map(|&v| table[usize::from(v)]).collect();
            assert_eq!(after, expected);
        }
    }
}
