//! Resizing bytes, in whole numbers: the same on every CPU.
//!
//! A pixel between two neighbours is `a + round(w (b - a))`, with `w` in units
//! of 2⁻¹⁵; one made of more pixels is a sum with weights of 16 bits, scaled so
//! that the largest just fits. Both round half up and clip after each direction.

use super::Taps;
use super::taps::Span;
use crate::kernel::Scratch;
use crate::kernel::bytes::{deinterleave_rgb, interleave_rgb};
use crate::kernel::simd::vectorised;

/// Output pixels that are made at a time.
const BLOCK: usize = 16;
/// What reading vectors may touch behind the last pixel.
const MARGIN: usize = 32;

/// The weights of one direction, in fixed point.
#[derive(Debug, Default)]
pub(super) struct ByteTaps {
    /// First source pixel of each output pixel, from the first that is needed.
    starts: Vec<u32>,
    /// `count` per output pixel; of two neighbours only that of the second.
    weights: Vec<i16>,
    count: usize,
    /// Fraction bits of the weights of more than two.
    bits: u32,
    #[cfg(target_arch = "x86_64")]
    shuffles: x86::Shuffles,
}

impl ByteTaps {
    pub(super) const fn empty() -> Self {
        Self {
            starts: Vec::new(),
            weights: Vec::new(),
            count: 0,
            bits: 0,
            #[cfg(target_arch = "x86_64")]
            shuffles: x86::Shuffles::empty(),
        }
    }

    /// Makes them from `spans` of `weights`; `first` is the first source pixel.
    fn set(&mut self, spans: &[Span], weights: &[f32], first: usize) {
        self.starts.clear();
        self.weights.clear();
        self.starts
            .extend(spans.iter().map(|(start, _)| (start - first) as u32));
        let longest = spans.iter().map(|(_, range)| range.len()).max();
        let longest = longest.unwrap_or(0);
        if longest <= 2 && weights.iter().all(|w| (0.0..=1.0).contains(w)) {
            self.count = 1;
            self.weights.extend(spans.iter().map(|(_, range)| {
                let right = weights.get(range.start + 1).filter(|_| range.len() == 2);
                right.map_or(0, |w| (w * 32_768.0 + 0.5).min(32_767.0) as i16)
            }));
            return;
        }
        self.count = longest.next_multiple_of(2);
        let largest = weights.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
        let fits = |bits: &u32| f64::from(largest) * f64::from(1 << bits) + 0.5 < 32_768.0;
        self.bits = (1..=22).rev().find(fits).unwrap_or(1);
        let scale = (1_u32 << self.bits) as f32;
        for (_, range) in spans {
            let end = self.weights.len() + self.count;
            let fixed = weights[range.clone()].iter().map(|w| {
                let rounded = w * scale + if *w < 0.0 { -0.5 } else { 0.5 };
                rounded as i16
            });
            self.weights.extend(fixed);
            self.weights.resize(end, 0);
        }
    }

    /// Whether each pixel lies between two neighbours.
    const fn is_pairs(&self) -> bool {
        self.count == 1
    }

    fn of(&self, i: usize) -> (usize, &[i16]) {
        let weights = &self.weights[i * self.count..][..self.count];
        (self.starts[i] as usize, weights)
    }
}

/// Across, then down.
pub(in crate::kernel) fn separable(
    (source, source_width, channels): (&[u8], usize, usize),
    [columns, rows]: [&mut Taps; 2],
    target: &mut [u8],
    scratch: &mut Scratch,
) {
    let width = columns.spans.len();
    let line = width * channels;
    if line == 0 {
        return;
    }
    let (across, down) = (columns.range(), rows.range());
    columns
        .bytes
        .set(&columns.spans, &columns.weights, across.start);
    #[cfg(target_arch = "x86_64")]
    columns.bytes.arrange();
    rows.bytes.set(&rows.spans, &rows.weights, down.start);
    let (columns, rows) = (&columns.bytes, &rows.bytes);
    // Channel by channel, in whole vectors.
    let stride = width.next_multiple_of(BLOCK);
    let plane = across.len() + columns.count + MARGIN;
    let mut planes: Vec<u8> = scratch.take(plane * channels);
    let mut between: Vec<u8> = scratch.take(down.len() * channels * stride);
    planes.fill(0);
    for (y, lines) in down
        .clone()
        .zip(between.chunks_exact_mut(channels * stride))
    {
        let row = &source[(y * source_width + across.start) * channels..];
        split(
            &row[..across.len() * channels],
            channels,
            &mut planes,
            plane,
        );
        for (plane, out) in planes
            .chunks_exact_mut(plane)
            .zip(lines.chunks_exact_mut(stride))
        {
            // Where there is no second neighbour, its weight is zero.
            make_across(plane, columns, out);
        }
    }
    let mut made: Vec<u8> = scratch.take(channels * stride);
    for (y, out) in target.chunks_exact_mut(line).enumerate() {
        make_down(&between, rows, y, &mut made);
        join(&made, stride, channels, out);
    }
    scratch.give(made);
    scratch.give(between);
    scratch.give(planes);
}

/// Pixels to planes, which start `stride` bytes apart.
fn split(row: &[u8], channels: usize, planes: &mut [u8], stride: usize) {
    match channels {
        1 => planes[..row.len()].copy_from_slice(row),
        3 => {
            let (red, rest) = planes.split_at_mut(stride);
            let (green, blue) = rest.split_at_mut(stride);
            deinterleave_rgb(row.as_chunks().0, [red, green, blue]);
        }
        _ => {
            for (c, plane) in planes.chunks_exact_mut(stride).enumerate() {
                let values = row.iter().skip(c).step_by(channels);
                plane.iter_mut().zip(values).for_each(|(out, v)| *out = *v);
            }
        }
    }
}

/// Planes, which start `stride` bytes apart, to pixels.
fn join(planes: &[u8], stride: usize, channels: usize, row: &mut [u8]) {
    match channels {
        1 => row.copy_from_slice(&planes[..row.len()]),
        3 => {
            let plane = |c: usize| &planes[c * stride..][..stride];
            interleave_rgb([plane(0), plane(1), plane(2)], row.as_chunks_mut().0);
        }
        _ => {
            for (c, plane) in planes.chunks_exact(stride).enumerate() {
                let out = row.iter_mut().skip(c).step_by(channels);
                out.zip(plane).for_each(|(out, v)| *out = *v);
            }
        }
    }
}

/// What lies between two bytes.
#[inline(always)]
fn between(a: u8, b: u8, weight: i16) -> u8 {
    let step = (i32::from(b) - i32::from(a)) * i32::from(weight);
    // One instruction for vectors, in this form.
    (i32::from(a) + (((step >> 14) + 1) >> 1)) as u8
}

/// One row of one channel; `out` has whole blocks.
fn make_across(plane: &[u8], taps: &ByteTaps, out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if x86::make_across(plane, taps, out) {
        return;
    }
    across_plainly(plane, taps, out);
}

fn across_plainly(plane: &[u8], taps: &ByteTaps, out: &mut [u8]) {
    if taps.is_pairs() {
        for ((out, &start), &weight) in out.iter_mut().zip(&taps.starts).zip(&taps.weights) {
            let start = start as usize;
            *out = between(plane[start], plane[start + 1], weight);
        }
        return;
    }
    for (i, out) in out.iter_mut().take(taps.starts.len()).enumerate() {
        let (start, weights) = taps.of(i);
        *out = rounded(dot(&plane[start..], weights), taps.bits);
    }
}

fn dot(values: &[u8], weights: &[i16]) -> i32 {
    vectorised(
        #[inline(always)]
        || {
            let products = values.iter().zip(weights);
            products.map(|(v, w)| i32::from(*v) * i32::from(*w)).sum()
        },
    )
}

#[inline(always)]
fn rounded(sum: i32, bits: u32) -> u8 {
    ((sum + (1 << (bits - 1))) >> bits).clamp(0, 255) as u8
}

/// Lines of equal length, one after the other.
#[derive(Clone, Copy)]
struct Lines<'a> {
    data: &'a [u8],
    len: usize,
    /// The one that counts as number 0.
    first: usize,
}

impl<'a> Lines<'a> {
    /// What is behind the last one has no weight: the last does for it.
    #[inline(always)]
    fn at(&self, i: usize) -> &'a [u8] {
        let i = (self.first + i).min(self.data.len() / self.len - 1);
        &self.data[i * self.len..][..self.len]
    }
}

/// Row `y` of the result, channel by channel, from lines of the same length.
fn make_down(data: &[u8], taps: &ByteTaps, y: usize, out: &mut [u8]) {
    let (first, weights) = taps.of(y);
    let len = out.len();
    let lines = Lines { data, len, first };
    if let [weight] = *weights {
        if weight == 0 {
            return out.copy_from_slice(lines.at(0));
        }
        let pair = [lines.at(0), lines.at(1)];
        #[cfg(target_arch = "x86_64")]
        if x86::between_lines(pair, weight, out) {
            return;
        }
        return between_plainly(pair, weight, out);
    }
    #[cfg(target_arch = "x86_64")]
    if x86::make_down(lines, weights, taps.bits, out) {
        return;
    }
    down_plainly(lines, weights, taps.bits, out);
}

fn between_plainly([first, second]: [&[u8]; 2], weight: i16, out: &mut [u8]) {
    for ((out, a), b) in out.iter_mut().zip(first).zip(second) {
        *out = between(*a, *b, weight);
    }
}

fn down_plainly(lines: Lines<'_>, weights: &[i16], bits: u32, out: &mut [u8]) {
    for (i, out) in out.iter_mut().enumerate() {
        let products = weights.iter().enumerate();
        let sum = products.map(|(j, w)| i32::from(lines.at(j)[i]) * i32::from(*w));
        *out = rounded(sum.sum(), bits);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{BLOCK, ByteTaps, Lines};
    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, cast};
    use std::arch::x86_64::__m256i;

    /// Which bytes of which windows of 16 bytes make the pixels of each block.
    #[derive(Debug, Default)]
    pub(super) struct Shuffles {
        /// Pairs: the first bytes of two windows, of eight pixels each. Else
        /// four of four pixels each.
        windows: Vec<[u32; 4]>,
        /// Pairs: the left and the right neighbours as words. Else both
        /// neighbours, for pixels 0 to 3 and 8 to 11, and for 4 to 7 and 12 to
        /// 15, which is the order in which they are packed.
        orders: Vec<[[u8; 32]; 2]>,
        /// Pairs: one weight per pixel, the second entry unused. Else two per
        /// pixel, entry by entry of `orders`; one block's after the other's.
        weights: Vec<[[i16; 16]; 2]>,
    }

    impl Shuffles {
        pub(super) const fn empty() -> Self {
            Self {
                windows: Vec::new(),
                orders: Vec::new(),
                weights: Vec::new(),
            }
        }
    }

    /// The byte of a window as the low byte of a word.
    const ZERO: u8 = 0x80;

    impl ByteTaps {
        /// Finds the shuffles, if the neighbours of the pixels of each block
        /// are near enough to each other; else there are none.
        pub(super) fn arrange(&mut self) {
            let shuffles = &mut self.shuffles;
            shuffles.windows.clear();
            shuffles.orders.clear();
            shuffles.weights.clear();
            let each = if self.count == 1 { 8 } else { 4 };
            for first in (0..self.starts.len()).step_by(BLOCK) {
                let at = |i: usize| self.starts[(first + i).min(self.starts.len() - 1)];
                let mut windows = [0; 4];
                let mut offsets = [0_u8; BLOCK];
                for (window, low) in windows.iter_mut().enumerate().take(BLOCK / each) {
                    let pixels = window * each..(window + 1) * each;
                    *low = pixels.clone().map(at).min().unwrap_or(0);
                    for i in pixels {
                        let offset = at(i) - *low;
                        if offset > 14 {
                            shuffles.windows.clear();
                            return;
                        }
                        offsets[i] = offset as u8;
                    }
                }
                shuffles.windows.push(windows);
                let weight = |i: usize, j: usize| {
                    let at = (first + i) * self.count + j;
                    self.weights.get(at).copied().unwrap_or(0)
                };
                if self.count == 1 {
                    shuffles.orders.push([0, 1].map(|side| {
                        std::array::from_fn(|b| {
                            if b % 2 == 0 {
                                offsets[b / 2] + side
                            } else {
                                ZERO
                            }
                        })
                    }));
                    let weights = std::array::from_fn(|i| weight(i, 0));
                    shuffles.weights.push([weights, [0; 16]]);
                } else {
                    // Lane by lane: four pixels.
                    let pixel = |half: usize, lane: usize, i: usize| 4 * half + 8 * lane + i;
                    shuffles.orders.push([0, 1].map(|half| {
                        std::array::from_fn(|b| {
                            let offset = offsets[pixel(half, b / 16, b % 16 / 4)];
                            if b % 2 == 0 {
                                offset + (b % 4 / 2) as u8
                            } else {
                                ZERO
                            }
                        })
                    }));
                    for j in (0..self.count).step_by(2) {
                        shuffles.weights.push([0, 1].map(|half| {
                            std::array::from_fn(|w| {
                                weight(pixel(half, w / 8, w % 8 / 2), j + w % 2)
                            })
                        }));
                    }
                }
            }
        }
    }

    /// Makes a row, if the instructions are there.
    pub(super) fn make_across(plane: &[u8], taps: &ByteTaps, out: &mut [u8]) -> bool {
        let Some(simd) = V3::try_new() else {
            return false;
        };
        if taps.shuffles.windows.is_empty() {
            return false;
        }
        let out = out.as_chunks_mut().0;
        simd.vectorize(Across {
            simd,
            plane,
            taps,
            out,
        });
        true
    }

    struct Across<'a> {
        simd: V3,
        plane: &'a [u8],
        taps: &'a ByteTaps,
        out: &'a mut [[u8; BLOCK]],
    }

    impl NullaryFnOnce for Across<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            if self.taps.count == 1 {
                self.pairs();
            } else {
                self.sums();
            }
        }
    }

    impl Across<'_> {
        #[inline(always)]
        fn pairs(self) {
            let Shuffles {
                windows,
                orders,
                weights,
            } = &self.taps.shuffles;
            let avx2 = self.simd.avx2;
            let tables = windows.iter().zip(orders).zip(weights);
            for (out, (([low, high, ..], [left, right]), [weights, _])) in
                self.out.iter_mut().zip(tables)
            {
                let window = window(self.plane, [*low, *high]);
                let left = avx2._mm256_shuffle_epi8(window, cast(*left));
                let right = avx2._mm256_shuffle_epi8(window, cast(*right));
                let step = avx2._mm256_sub_epi16(right, left);
                let step = avx2._mm256_mulhrs_epi16(step, cast(*weights));
                *out = packed(self.simd, avx2._mm256_add_epi16(left, step));
            }
        }

        #[inline(always)]
        fn sums(self) {
            let Shuffles {
                windows,
                orders,
                weights,
            } = &self.taps.shuffles;
            let avx2 = self.simd.avx2;
            let pairs = self.taps.count / 2;
            let half = self.simd.avx._mm256_set1_epi32(1 << (self.taps.bits - 1));
            let bits = self.simd.sse2._mm_cvtsi32_si128(self.taps.bits as i32);
            let tables = windows.iter().zip(orders).zip(weights.chunks_exact(pairs));
            for (out, (([a, b, c, d], [first, second]), weights)) in self.out.iter_mut().zip(tables)
            {
                let (mut low, mut high) = (half, half);
                let mut at = [*a, *c, *b, *d];
                for [left, right] in weights {
                    let [a, c, b, d] = at;
                    let taken = avx2._mm256_shuffle_epi8(window(self.plane, [a, c]), cast(*first));
                    low = avx2._mm256_add_epi32(low, avx2._mm256_madd_epi16(taken, cast(*left)));
                    let taken = avx2._mm256_shuffle_epi8(window(self.plane, [b, d]), cast(*second));
                    high = avx2._mm256_add_epi32(high, avx2._mm256_madd_epi16(taken, cast(*right)));
                    at = [a + 2, c + 2, b + 2, d + 2];
                }
                let low = avx2._mm256_sra_epi32(low, bits);
                let high = avx2._mm256_sra_epi32(high, bits);
                *out = packed(self.simd, avx2._mm256_packs_epi32(low, high));
            }
        }
    }

    /// Two windows of 16 bytes.
    #[inline(always)]
    fn window(plane: &[u8], [low, high]: [u32; 2]) -> __m256i {
        cast([sixteen(plane, low as usize), sixteen(plane, high as usize)])
    }

    /// There is a margin, so that they are always there.
    #[inline(always)]
    fn sixteen(bytes: &[u8], at: usize) -> [u8; 16] {
        match bytes.get(at..at + 16) {
            Some(part) => *part.first_chunk().unwrap_or(&[0; 16]),
            None => [0; 16],
        }
    }

    /// Words as bytes, clipped.
    #[inline(always)]
    fn packed(simd: V3, words: __m256i) -> [u8; BLOCK] {
        let bytes = simd.avx2._mm256_packus_epi16(words, words);
        let bytes = simd.avx2._mm256_permute4x64_epi64::<0b1000>(bytes);
        let [low, _]: [[u8; BLOCK]; 2] = cast(bytes);
        low
    }

    /// Makes a line between two, if the instructions are there.
    pub(super) fn between_lines([first, second]: [&[u8]; 2], weight: i16, out: &mut [u8]) -> bool {
        let Some(simd) = V3::try_new() else {
            return false;
        };
        simd.vectorize(Between {
            simd,
            first: first.as_chunks().0,
            second: second.as_chunks().0,
            weight,
            out: out.as_chunks_mut().0,
        });
        true
    }

    struct Between<'a> {
        simd: V3,
        first: &'a [[u8; BLOCK]],
        second: &'a [[u8; BLOCK]],
        weight: i16,
        out: &'a mut [[u8; BLOCK]],
    }

    impl NullaryFnOnce for Between<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let avx2 = self.simd.avx2;
            let weight = self.simd.avx._mm256_set1_epi16(self.weight);
            for ((out, a), b) in self.out.iter_mut().zip(self.first).zip(self.second) {
                let a = avx2._mm256_cvtepu8_epi16(cast(*a));
                let b = avx2._mm256_cvtepu8_epi16(cast(*b));
                let step = avx2._mm256_mulhrs_epi16(avx2._mm256_sub_epi16(b, a), weight);
                *out = packed(self.simd, avx2._mm256_add_epi16(a, step));
            }
        }
    }

    /// Makes a line, if the instructions are there.
    pub(super) fn make_down(lines: Lines<'_>, weights: &[i16], bits: u32, out: &mut [u8]) -> bool {
        let Some(simd) = V3::try_new() else {
            return false;
        };
        simd.vectorize(Down {
            simd,
            lines,
            weights: weights.as_chunks().0,
            bits,
            out: out.as_chunks_mut().0,
        });
        true
    }

    struct Down<'a> {
        simd: V3,
        lines: Lines<'a>,
        weights: &'a [[i16; 2]],
        bits: u32,
        out: &'a mut [[u8; BLOCK]],
    }

    impl NullaryFnOnce for Down<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let (simd, avx2) = (self.simd, self.simd.avx2);
            let half = simd.avx._mm256_set1_epi32(1 << (self.bits - 1));
            let bits = simd.sse2._mm_cvtsi32_si128(self.bits as i32);
            for (i, out) in self.out.iter_mut().enumerate() {
                let (mut low, mut high) = (half, half);
                for (j, weights) in self.weights.iter().enumerate() {
                    let weights = simd.avx._mm256_set1_epi32(cast(*weights));
                    let a = words(simd, self.lines.at(2 * j), BLOCK * i);
                    let b = words(simd, self.lines.at(2 * j + 1), BLOCK * i);
                    let first = avx2._mm256_unpacklo_epi16(a, b);
                    let second = avx2._mm256_unpackhi_epi16(a, b);
                    low = avx2._mm256_add_epi32(low, avx2._mm256_madd_epi16(first, weights));
                    high = avx2._mm256_add_epi32(high, avx2._mm256_madd_epi16(second, weights));
                }
                let low = avx2._mm256_sra_epi32(low, bits);
                let high = avx2._mm256_sra_epi32(high, bits);
                *out = packed(simd, avx2._mm256_packs_epi32(low, high));
            }
        }
    }

    /// Sixteen bytes as words.
    #[inline(always)]
    fn words(simd: V3, line: &[u8], at: usize) -> __m256i {
        simd.avx2._mm256_cvtepu8_epi16(cast(sixteen(line, at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResizeFilter;
    use crate::kernel::resize::taps::Weights;
    use proptest::prelude::*;

    fn bytes(n: usize) -> Vec<u8> {
        (0..n)
            .map(|i| (i * 101 % 256) as u8 ^ (i / 7) as u8)
            .collect()
    }

    fn taps(from: usize, to: usize, filter: ResizeFilter, antialias: bool) -> Taps {
        let mut taps = Taps::empty();
        taps.set(0, from, to, Weights::Filter(filter), antialias);
        taps
    }

    fn filter() -> impl Strategy<Value = ResizeFilter> {
        prop_oneof![
            Just(ResizeFilter::Nearest),
            Just(ResizeFilter::Bilinear),
            Just(ResizeFilter::Area),
            Just(ResizeFilter::Bicubic),
            Just(ResizeFilter::Lanczos3),
        ]
    }

    proptest! {
        /// Vectors, plain loops and numbers agree: the first two exactly.
        #[test]
        fn vectors_are_plain_loops(
            from in 1_usize..90, to in 1_usize..90, filter in filter(), antialias: bool,
            mirrored: bool,
        ) {
            let mut taps = taps(from, to, filter, antialias);
            if mirrored {
                taps.spans.reverse();
            }
            let first = taps.range().start;
            taps.bytes.set(&taps.spans, &taps.weights, first);
            #[cfg(target_arch = "x86_64")]
            taps.bytes.arrange();
            let mut plane = bytes(from);
            plane.extend([0; MARGIN]);
            plane.extend(vec![0; taps.bytes.count]);
            let plane = &plane[first..];
            let mut fast = vec![0; to.next_multiple_of(BLOCK)];
            let mut plain = fast.clone();
            make_across(plane, &taps.bytes, &mut fast);
            across_plainly(plane, &taps.bytes, &mut plain);
            prop_assert_eq!(&fast[..to], &plain[..to]);
            for (i, got) in plain[..to].iter().enumerate() {
                let (start, weights) = taps.of(i);
                let values = weights.iter().zip(&plane[start - first..]);
                let sum: f64 = values.map(|(w, v)| f64::from(*w) * f64::from(*v)).sum();
                let sum = sum.clamp(0.0, 255.0);
                prop_assert!((f64::from(*got) - sum).abs() <= 0.55, "{got} {sum}");
            }
            let n = 3 * BLOCK;
            let lines = bytes((from + taps.bytes.count) * n);
            let (mut fast, mut plain) = (vec![0; n], vec![0; n]);
            for y in 0..to {
                make_down(&lines, &taps.bytes, y, &mut fast);
                let (start, weights) = taps.bytes.of(y);
                let lines = Lines { data: &lines, len: n, first: start };
                if let [weight] = *weights {
                    between_plainly([lines.at(0), lines.at(1)], weight, &mut plain);
                } else {
                    down_plainly(lines, weights, taps.bytes.bits, &mut plain);
                }
                prop_assert_eq!(&fast, &plain);
            }
        }
    }
}
