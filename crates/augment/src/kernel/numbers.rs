//! What lies between the numbers of a plane, with the instructions that loops
//! don't become by themselves.

/// Writes what lies between numbers: at `offsets`, their right neighbours and
/// those `below`, with weights of the right and the lower ones.
pub(super) fn bilinear_plane(
    plane: &[f32],
    below: usize,
    offsets: &[u32],
    weights: [&[f32]; 2],
    target: &mut [f32],
) {
    #[cfg(target_arch = "x86_64")]
    if x86::bilinear_plane(plane, below, offsets, weights, target) {
        return;
    }
    plainly(plane, below, offsets, weights, target);
}

fn plainly(
    plane: &[f32],
    below: usize,
    offsets: &[u32],
    [right, lower]: [&[f32]; 2],
    target: &mut [f32],
) {
    let weights = right.iter().zip(lower);
    for (out, (&offset, (tx, ty))) in target.iter_mut().zip(offsets.iter().zip(weights)) {
        let around = &plane[offset as usize..][..below + 2];
        let (top, low) = (&around[..2], &around[below..]);
        *out = between([top[0], top[1], low[0], low[1]], *tx, *ty);
    }
}

/// Between `[top left, top right, bottom left, bottom right]`.
#[inline(always)]
pub(super) fn between([a, b, c, d]: [f32; 4], tx: f32, ty: f32) -> f32 {
    let (top, low) = (a + tx * (b - a), c + tx * (d - c));
    top + ty * (low - top)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::plainly;
    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, cast};
    use std::arch::x86_64::{__m128i, __m256};

    /// Pixels that are made at a time.
    const GROUP: usize = 8;

    /// Makes the pixels, if the instructions are there and it is worth it.
    pub(super) fn bilinear_plane(
        plane: &[f32],
        below: usize,
        offsets: &[u32],
        [right, lower]: [&[f32]; 2],
        target: &mut [f32],
    ) -> bool {
        match V3::try_new() {
            Some(simd) if offsets.len() >= GROUP => simd.vectorize(Bilinear {
                simd,
                plane,
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
        plane: &'a [f32],
        below: usize,
        offsets: &'a [u32],
        right: &'a [f32],
        lower: &'a [f32],
        target: &'a mut [f32],
    }

    impl NullaryFnOnce for Bilinear<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self {
                simd,
                plane,
                below,
                offsets,
                right,
                lower,
                target,
            } = self;
            // Of one length, so that one check does for both.
            let n = plane.len() - below.min(plane.len());
            let rows = [&plane[..n], &plane[below.min(plane.len())..][..n]];
            let work = Work { simd, rows };
            let places = offsets.as_chunks().0.iter();
            let weights = right.as_chunks().0.iter().zip(lower.as_chunks().0);
            let groups = places.zip(weights).zip(target.as_chunks_mut().0);
            for ((offsets, (tx, ty)), out) in groups {
                if work.group(offsets, [tx, ty], out).is_none() {
                    plainly(plane, below, offsets, [tx, ty], out);
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
                plainly(plane, below, offsets, [tx, ty], out);
            }
        }
    }

    #[derive(Clone, Copy)]
    struct Work<'a> {
        simd: V3,
        /// The plane, and the plane from the second row on.
        rows: [&'a [f32]; 2],
    }

    impl Work<'_> {
        /// `None` if an offset is wrong.
        #[inline(always)]
        fn group(
            &self,
            &[a, b, c, d, e, f, g, h]: &[u32; GROUP],
            [tx, ty]: [&[f32; GROUP]; 2],
            out: &mut [f32; GROUP],
        ) -> Option<()> {
            let (a, b) = (self.around(a)?, self.around(b)?);
            let (c, d) = (self.around(c)?, self.around(d)?);
            let (e, f) = (self.around(e)?, self.around(f)?);
            let (g, h) = (self.around(g)?, self.around(h)?);
            let [left, right] = self.apart([a[0], b[0], c[0], d[0]], [e[0], f[0], g[0], h[0]]);
            let (tx, ty): (__m256, __m256) = (cast(*tx), cast(*ty));
            let top = self.line(left, right, tx);
            let [left, right] = self.apart([a[1], b[1], c[1], d[1]], [e[1], f[1], g[1], h[1]]);
            let low = self.line(left, right, tx);
            *out = cast(self.line(top, low, ty));
            Some(())
        }

        /// As in [`between`](super::between).
        #[inline(always)]
        fn line(&self, a: __m256, b: __m256, t: __m256) -> __m256 {
            let avx = self.simd.avx;
            avx._mm256_add_ps(a, avx._mm256_mul_ps(t, avx._mm256_sub_ps(b, a)))
        }

        /// The first and the second of each pair.
        #[inline(always)]
        fn apart(&self, [a, b, c, d]: [i64; 4], [e, f, g, h]: [i64; 4]) -> [__m256; 2] {
            let (sse, avx) = (self.simd.sse2, self.simd.avx);
            let halves: [[__m128i; 2]; 2] = [
                [sse._mm_set_epi64x(b, a), sse._mm_set_epi64x(f, e)],
                [sse._mm_set_epi64x(d, c), sse._mm_set_epi64x(h, g)],
            ];
            let [one, two]: [__m256; 2] = cast(halves);
            [
                avx._mm256_shuffle_ps::<0b10_00_10_00>(one, two),
                avx._mm256_shuffle_ps::<0b11_01_11_01>(one, two),
            ]
        }

        /// The number at an offset and its right neighbour, and those below.
        #[inline(always)]
        fn around(&self, offset: u32) -> Option<[i64; 2]> {
            let at = offset as usize;
            let [top, low] = self.rows;
            let (top, low) = (top.get(at..at + 2)?, low.get(at..at + 2)?);
            Some([
                cast::<[f32; 2], i64>(*top.first_chunk()?),
                cast::<[f32; 2], i64>(*low.first_chunk()?),
            ])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn vectors_are_plain_loops(
            places in proptest::collection::vec((0..71_u32, 0.0..1.0_f32, 0.0..1.0_f32), 1..40),
        ) {
            let plane: Vec<f32> = (0..81).map(|i| (i * 101 % 256) as f32 / 7.0).collect();
            let offsets: Vec<u32> = places.iter().map(|p| p.0).collect();
            let right: Vec<f32> = places.iter().map(|p| p.1).collect();
            let lower: Vec<f32> = places.iter().map(|p| p.2).collect();
            let (mut fast, mut plain) = (vec![0.0; right.len()], vec![0.0; right.len()]);
            bilinear_plane(&plane, 9, &offsets, [&right, &lower], &mut fast);
            plainly(&plane, 9, &offsets, [&right, &lower], &mut plain);
            prop_assert_eq!(fast, plain);
        }
    }
}
