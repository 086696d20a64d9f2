//! Rearranging bytes with shuffles, which loops don't become by themselves.

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

/// Takes pixels apart into planes, which may be longer.
pub(crate) fn deinterleave_rgb(pixels: &[[u8; 3]], planes: [&mut [u8]; 3]) {
    let n = pixels.len();
    let mut planes = planes.map(|plane| &mut plane[..n]);
    #[cfg(target_arch = "x86_64")]
    let done = x86::deinterleave_rgb(pixels, &mut planes);
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    let [red, green, blue] = planes;
    for (i, [r, g, b]) in pixels.iter().enumerate().skip(done) {
        (red[i], green[i], blue[i]) = (*r, *g, *b);
    }
}

/// Makes pixels of planes, which may be longer.
pub(crate) fn interleave_rgb(planes: [&[u8]; 3], pixels: &mut [[u8; 3]]) {
    let n = pixels.len();
    let planes = planes.map(|plane| &plane[..n]);
    #[cfg(target_arch = "x86_64")]
    let done = x86::interleave_rgb(planes, pixels);
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    let [red, green, blue] = planes;
    for (i, pixel) in pixels.iter_mut().enumerate().skip(done) {
        *pixel = [red[i], green[i], blue[i]];
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, cast};
    use std::arch::x86_64::{__m128i, __m256i};

    /// Sixteen pixels: three vectors.
    const GROUP: usize = 16;

    /// For each vector of the result, which bytes of each vector of the source
    /// it takes.
    type Orders = [[[u8; 16]; 3]; 3];

    /// The orders that take byte `i` from `from[i]`.
    const fn orders(from: [usize; 3 * GROUP]) -> Orders {
        // The highest bit makes a zero.
        let mut orders = [[[0x80; 16]; 3]; 3];
        let mut i = 0;
        while i < from.len() {
            orders[i / 16][from[i] / 16][i % 16] = (from[i] % 16) as u8;
            i += 1;
        }
        orders
    }

    const fn reversed() -> Orders {
        let mut from = [0; 3 * GROUP];
        let mut i = 0;
        while i < from.len() {
            from[i] = 3 * (GROUP - 1 - i / 3) + i % 3;
            i += 1;
        }
        orders(from)
    }

    const REVERSED: Orders = reversed();

    /// Twice [`GROUP`] pixels: a group in each half of three vectors. The byte
    /// at place `p` of vector `v` belongs to channel `(v + p) % 3`, since a half
    /// has `5 * 3 + 1` bytes; so each channel has other places in each vector.
    const PAIR: usize = 2;

    /// For each rest, the places that leave it when divided by three.
    const PLACES: [[u8; 32]; 3] = {
        let mut places = [[0; 32]; 3];
        let mut i = 0;
        while i < 32 {
            places[i % 16 % 3][i] = 0xff;
            i += 1;
        }
        places
    };

    /// For each channel and pixel its place: from pixels to planes.
    const APART: [[u8; 32]; 3] = {
        let mut orders = [[0; 32]; 3];
        let mut i = 0;
        while i < 3 * 32 {
            let (channel, pixel) = (i / 32, i % 16);
            orders[channel][i % 32] = ((3 * pixel + channel) % 16) as u8;
            i += 1;
        }
        orders
    };

    /// For each channel and place its pixel: from planes to pixels.
    const TOGETHER: [[u8; 32]; 3] = {
        let mut orders = [[0; 32]; 3];
        let mut i = 0;
        while i < 3 * 32 {
            let (channel, half, pixel) = (i / 32, i % 32 / 16, i % 16);
            orders[channel][16 * half + (3 * pixel + channel) % 16] = pixel as u8;
            i += 1;
        }
        orders
    };

    /// Three vectors, each with some places taken from the second and the third.
    #[inline(always)]
    fn blended(simd: V3, [a, b, c]: [__m256i; 3], [second, third]: [__m256i; 2]) -> __m256i {
        let first = simd.avx2._mm256_blendv_epi8(a, b, second);
        simd.avx2._mm256_blendv_epi8(first, c, third)
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
        let orders = orders(std::array::from_fn(|i| i / 3 * 3 + channels[i % 3]));
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
        let (target, rest) = target.split_at_mut(target.len() / GROUP * GROUP);
        let source = &source[rest.len()..];
        simd.vectorize(Reverse {
            simd,
            source: groups(source),
            target: groups_mut(target),
            orders: cast(REVERSED),
        });
        rest
    }

    /// Handles pairs of groups; returns how many pixels.
    pub(super) fn deinterleave_rgb(pixels: &[[u8; 3]], planes: &mut [&mut [u8]; 3]) -> usize {
        let Some(simd) = V3::try_new() else {
            return 0;
        };
        let pairs = groups(pixels).as_chunks().0;
        let [red, green, blue] = planes;
        simd.vectorize(Apart {
            simd,
            pixels: pairs,
            planes: [
                red.as_chunks_mut().0,
                green.as_chunks_mut().0,
                blue.as_chunks_mut().0,
            ],
        });
        pairs.len() * PAIR * GROUP
    }

    struct Apart<'a> {
        simd: V3,
        pixels: &'a [[[[u8; 16]; 3]; PAIR]],
        planes: [&'a mut [[u8; 32]]; 3],
    }

    impl NullaryFnOnce for Apart<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let (simd, avx2) = (self.simd, self.simd.avx2);
            let [p0, p1, p2]: [__m256i; 3] = cast(PLACES);
            let [first, second, third]: [__m256i; 3] = cast(APART);
            let [red, green, blue] = self.planes;
            for ((([one, two], r), g), b) in self.pixels.iter().zip(red).zip(green).zip(blue) {
                let vectors: [__m256i; 3] = [
                    cast([one[0], two[0]]),
                    cast([one[1], two[1]]),
                    cast([one[2], two[2]]),
                ];
                let reds = blended(simd, vectors, [p2, p1]);
                let greens = blended(simd, vectors, [p0, p2]);
                let blues = blended(simd, vectors, [p1, p0]);
                *r = cast(avx2._mm256_shuffle_epi8(reds, first));
                *g = cast(avx2._mm256_shuffle_epi8(greens, second));
                *b = cast(avx2._mm256_shuffle_epi8(blues, third));
            }
        }
    }

    /// Handles pairs of groups; returns how many pixels.
    pub(super) fn interleave_rgb(planes: [&[u8]; 3], pixels: &mut [[u8; 3]]) -> usize {
        let Some(simd) = V3::try_new() else {
            return 0;
        };
        let pairs = groups_mut(pixels).as_chunks_mut().0;
        let done = pairs.len() * PAIR * GROUP;
        simd.vectorize(Together {
            simd,
            planes: planes.map(|plane| plane.as_chunks().0),
            pixels: pairs,
        });
        done
    }

    struct Together<'a> {
        simd: V3,
        planes: [&'a [[u8; 32]]; 3],
        pixels: &'a mut [[[[u8; 16]; 3]; PAIR]],
    }

    impl NullaryFnOnce for Together<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let (simd, avx2) = (self.simd, self.simd.avx2);
            let [p0, p1, p2]: [__m256i; 3] = cast(PLACES);
            let [first, second, third]: [__m256i; 3] = cast(TOGETHER);
            let [red, green, blue] = self.planes;
            for ((([one, two], r), g), b) in self.pixels.iter_mut().zip(red).zip(green).zip(blue) {
                let colours = [
                    avx2._mm256_shuffle_epi8(cast(*r), first),
                    avx2._mm256_shuffle_epi8(cast(*g), second),
                    avx2._mm256_shuffle_epi8(cast(*b), third),
                ];
                [one[0], two[0]] = cast(blended(simd, colours, [p1, p2]));
                [one[1], two[1]] = cast(blended(simd, colours, [p0, p1]));
                [one[2], two[2]] = cast(blended(simd, colours, [p2, p0]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn pixels_are_taken_apart_and_put_together() {
        for n in 0..80 {
            let pixels: Vec<[u8; 3]> = (0..n).map(|i| [i, i + 80, i + 160]).collect();
            let mut planes = vec![0; 3 * 90];
            let (red, rest) = planes.split_at_mut(90);
            let (green, blue) = rest.split_at_mut(90);
            deinterleave_rgb(&pixels, [red, green, blue]);
            for (i, pixel) in pixels.iter().enumerate() {
                assert_eq!(*pixel, [planes[i], planes[90 + i], planes[180 + i]]);
            }
            let mut back = vec![[0; 3]; pixels.len()];
            interleave_rgb([&planes, &planes[90..], &planes[180..]], &mut back);
            assert_eq!(pixels, back);
        }
    }
}
