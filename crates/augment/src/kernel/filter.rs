//! Filters: every value becomes a mean of its neighbours.

use super::Scratch;
use super::box_bytes::box_bytes;
use super::pixels::Element;
use super::simd::vectorised;
use crate::{Border, Size};

/// Convolves with a symmetric filter across and one down, whose weights are
/// given from the centre outwards. Numbers stay numbers between the two; bytes
/// are rounded half to even at the end.
pub(crate) fn convolve<T: Element>(
    data: &mut [T],
    size: Size,
    channels: usize,
    [across, down]: [&[f32]; 2],
    border: &Border,
    scratch: &mut Scratch,
) {
    let line = size.width * channels;
    if data.is_empty() {
        return;
    }
    let (reach, below) = (across.len() - 1, down.len() - 1);
    // Only the rows around one are needed at a time, unless they come from the
    // other side. One more holds what lies outside.
    let kept = if *border == Border::Wrap || below >= size.height {
        size.height
    } else {
        (2 * below + 1).min(size.height)
    };
    let mut between: Vec<f32> = scratch.take((kept + 1) * line);
    let mut padded: Vec<f32> = scratch.take(line + 2 * reach * channels);
    let mut sum: Vec<f32> = scratch.take(line);
    for (i, value) in between[kept * line..].iter_mut().enumerate() {
        *value = border.fill(i % channels);
    }
    let mut ready = 0;
    for y in 0..size.height {
        let needed = if kept < size.height {
            (y + below + 1).min(size.height)
        } else {
            size.height
        };
        while ready < needed {
            pad(
                &data[ready * line..][..line],
                &mut padded,
                channels,
                reach,
                border,
            );
            let out = &mut between[ready % kept * line..][..line];
            weigh_symmetric(across, |j| &padded[j * channels..], out);
            ready += 1;
        }
        let row = |j: usize| {
            let at = border.resolve((y + j) as i64 - below as i64, size.height);
            &between[at.map_or(kept, |at| at % kept) * line..]
        };
        weigh_symmetric(down, row, &mut sum);
        let out = &mut data[y * line..][..line];
        vectorised(
            #[inline(always)]
            || {
                for (out, &sum) in out.iter_mut().zip(&sum) {
                    *out = T::from_f32(sum);
                }
            },
        );
    }
    scratch.give(sum);
    scratch.give(padded);
    scratch.give(between);
}

/// The row as numbers, with `reach` pixels of what lies outside on both sides.
fn pad<T: Element>(row: &[T], padded: &mut [f32], channels: usize, reach: usize, border: &Border) {
    let margin = reach * channels;
    vectorised(
        #[inline(always)]
        || {
            for (out, value) in padded[margin..].iter_mut().zip(row) {
                *out = value.to_f32();
            }
        },
    );
    let width = row.len() / channels;
    for x in (0..reach).chain(reach + width..width + 2 * reach) {
        let from = border.resolve(x as i64 - reach as i64, width);
        for c in 0..channels {
            padded[x * channels + c] = match from {
                Some(from) => row[from * channels + c].to_f32(),
                None => border.fill(c),
            };
        }
    }
}

/// The sum of the rows, each with the weight of its distance to the middle one.
fn weigh_symmetric<'a>(weights: &[f32], row: impl Fn(usize) -> &'a [f32], out: &mut [f32]) {
    let (n, Some((&centre, sides))) = (out.len(), weights.split_first()) else {
        return;
    };
    let reach = sides.len();
    let pair = |i: usize| [&row(reach - i)[..n], &row(reach + i)[..n]];
    let middle = &row(reach)[..n];
    vectorised(
        #[inline(always)]
        || {
            // Three pairs at a time, so that sums stay in registers.
            let (threes, rest) = sides.as_chunks::<3>();
            let first = 3 * threes.len();
            match *rest {
                [w, x] => {
                    let pairs = [pair(first + 1), pair(first + 2)];
                    let [[a, b], [c, d]] = pairs;
                    for (((((out, m), a), b), c), d) in
                        out.iter_mut().zip(middle).zip(a).zip(b).zip(c).zip(d)
                    {
                        *out = centre * m + w * (a + b) + x * (c + d);
                    }
                }
                [w] => {
                    let [a, b] = pair(first + 1);
                    for (((out, m), a), b) in out.iter_mut().zip(middle).zip(a).zip(b) {
                        *out = centre * m + w * (a + b);
                    }
                }
                _ => {
                    if let Some(&[w, x, y]) = threes.first() {
                        let [[a, b], [c, d], [e, f]] = [pair(1), pair(2), pair(3)];
                        let rows = middle.iter().zip(a).zip(b).zip(c).zip(d).zip(e).zip(f);
                        for (out, ((((((m, a), b), c), d), e), f)) in out.iter_mut().zip(rows) {
                            *out = centre * m + w * (a + b) + x * (c + d) + y * (e + f);
                        }
                    } else {
                        out.iter_mut()
                            .zip(middle)
                            .for_each(|(out, m)| *out = centre * m);
                    }
                }
            }
            let done = usize::from(rest.is_empty());
            for (i, &[w, x, y]) in threes.iter().enumerate().skip(done) {
                let at = 3 * i;
                let [[a, b], [c, d], [e, f]] = [pair(at + 1), pair(at + 2), pair(at + 3)];
                let rows = a.iter().zip(b).zip(c).zip(d).zip(e).zip(f);
                for (out, (((((a, b), c), d), e), f)) in out.iter_mut().zip(rows) {
                    *out = *out + w * (a + b) + x * (c + d) + y * (e + f);
                }
            }
        },
    );
}

/// `out[i] = sum over j of weights[j] * row(j)[i]`, in order.
pub(super) fn weigh<'a, T: Element>(
    weights: &[f32],
    row: impl Fn(usize) -> &'a [T],
    out: &mut [f32],
) {
    let n = out.len();
    let row = |j: usize| &row(j)[..n];
    vectorised(
        #[inline(always)]
        || {
            // Several rows at a time, so that sums stay in registers.
            let (fours, rest) = weights.as_chunks::<4>();
            for (j, &weights) in fours.iter().enumerate() {
                let rows = [row(4 * j), row(4 * j + 1), row(4 * j + 2), row(4 * j + 3)];
                weigh_four(weights, rows, out, j == 0);
            }
            let (first, fresh) = (weights.len() - rest.len(), fours.is_empty());
            match *rest {
                [] if fresh => out.fill(0.0),
                [w] => weigh_two([w, 0.0], [row(first), &[]], out, fresh),
                [w, x] => weigh_two([w, x], [row(first), row(first + 1)], out, fresh),
                [w, x, y] => {
                    weigh_two([w, x], [row(first), row(first + 1)], out, fresh);
                    weigh_two([y, 0.0], [row(first + 2), &[]], out, false);
                }
                _ => {}
            }
        },
    );
}

/// Adds four weighted rows to `out`, or makes them it.
#[inline(always)]
fn weigh_four<T: Element>(
    [w, x, y, z]: [f32; 4],
    [a, b, c, d]: [&[T]; 4],
    out: &mut [f32],
    fresh: bool,
) {
    let rows = a.iter().zip(b).zip(c).zip(d);
    if fresh {
        for (out, (((a, b), c), d)) in out.iter_mut().zip(rows) {
            let sum = w * a.to_f32() + x * b.to_f32();
            *out = (sum + y * c.to_f32()) + z * d.to_f32();
        }
    } else {
        for (out, (((a, b), c), d)) in out.iter_mut().zip(rows) {
            let sum = (*out + w * a.to_f32()) + x * b.to_f32();
            *out = (sum + y * c.to_f32()) + z * d.to_f32();
        }
    }
}

/// Adds one or two weighted rows to `out`, or makes them it; the second may be
/// empty.
#[inline(always)]
fn weigh_two<T: Element>([w, x]: [f32; 2], [a, b]: [&[T]; 2], out: &mut [f32], fresh: bool) {
    let one = out.iter_mut().zip(a);
    match (b.is_empty(), fresh) {
        (true, true) => one.for_each(|(out, a)| *out = w * a.to_f32()),
        (true, false) => one.for_each(|(out, a)| *out += w * a.to_f32()),
        (false, true) => one
            .zip(b)
            .for_each(|((out, a), b)| *out = w * a.to_f32() + x * b.to_f32()),
        (false, false) => one
            .zip(b)
            .for_each(|((out, a), b)| *out = (*out + w * a.to_f32()) + x * b.to_f32()),
    }
}

/// What a box filter adds up in.
pub(crate) trait BoxSum: Element {
    /// Exact for bytes, and more than their own precision for numbers.
    type Sum: Copy
        + Default
        + PartialEq
        + std::ops::Add<Output = Self::Sum>
        + std::ops::Sub<Output = Self::Sum>;
    fn to_sum(self) -> Self::Sum;
    fn weight(value: f64) -> Self::Sum;
    fn mean(inside: Self::Sum, ends: Self::Sum, weights: [Self::Sum; 2]) -> Self;
    /// Does all for a whole radius, if there is a quicker way.
    fn whole(
        _data: &mut [Self],
        _size: Size,
        _channels: usize,
        _reach: usize,
        _passes: u8,
        _scratch: &mut Scratch,
    ) -> bool {
        false
    }
    /// A buffer to add up in.
    fn sums(scratch: &mut Scratch) -> &mut Vec<Self::Sum>;
}

impl BoxSum for u8 {
    type Sum = f32;
    #[inline(always)]
    fn to_sum(self) -> f32 {
        f32::from(self)
    }
    fn weight(value: f64) -> f32 {
        value as f32
    }
    #[inline(always)]
    fn mean(inside: f32, ends: f32, [a, b]: [f32; 2]) -> Self {
        Self::from_f32_half_up(inside * a + ends * b)
    }
    fn whole(
        data: &mut [Self],
        size: Size,
        channels: usize,
        reach: usize,
        passes: u8,
        scratch: &mut Scratch,
    ) -> bool {
        box_bytes(data, size, channels, reach, passes, scratch)
    }
    fn sums(scratch: &mut Scratch) -> &mut Vec<f32> {
        &mut scratch.sums.0
    }
}

impl BoxSum for f32 {
    type Sum = f64;
    #[inline(always)]
    fn to_sum(self) -> f64 {
        f64::from(self)
    }
    fn weight(value: f64) -> f64 {
        value
    }
    #[inline(always)]
    fn mean(inside: f64, ends: f64, [a, b]: [f64; 2]) -> Self {
        (inside * a + ends * b) as f32
    }
    fn sums(scratch: &mut Scratch) -> &mut Vec<f64> {
        &mut scratch.sums.1
    }
}

/// The mean over boxes that reach `radius` pixels to either side, `passes`
/// times across and then down; the edge is repeated outside.
pub(crate) fn box_mean<T: BoxSum>(
    data: &mut [T],
    size: Size,
    channels: usize,
    radius: f32,
    passes: u8,
    scratch: &mut Scratch,
) {
    let line = size.width * channels;
    if data.is_empty() {
        return;
    }
    let whole = radius as usize;
    if radius.fract() == 0.0 && T::whole(data, size, channels, whole, passes, scratch) {
        return;
    }
    // Weights of a value inside and of one at the end of a box.
    let inside = 1.0 / (2.0 * f64::from(radius) + 1.0);
    let ends = if radius.fract() == 0.0 {
        0.0
    } else {
        (1.0 - (2 * whole + 1) as f64 * inside) / 2.0
    };
    let weights = [inside, ends].map(T::weight);
    let margin = (whole + 1) * channels;
    let mut padded: Vec<T> = scratch.take(line + 2 * margin);
    let mut sums = std::mem::take(T::sums(scratch));
    sums.resize(line, T::Sum::default());
    for row in data.chunks_exact_mut(line) {
        for _ in 0..passes {
            pad_edge(row, &mut padded, channels, whole + 1);
            box_row(&padded, row, &mut sums, channels, whole, weights);
        }
    }
    let mut before: Vec<T> = scratch.take(data.len());
    for _ in 0..passes {
        before.copy_from_slice(data);
        box_columns(&before, data, &mut sums, whole, weights);
    }
    *T::sums(scratch) = sums;
    scratch.give(before);
    scratch.give(padded);
}

pub(super) fn pad_edge<T: Copy>(row: &[T], padded: &mut [T], channels: usize, reach: usize) {
    let margin = reach * channels;
    padded[margin..margin + row.len()].copy_from_slice(row);
    let last = row.len() - channels;
    for x in 0..reach {
        padded[x * channels..][..channels].copy_from_slice(&row[..channels]);
        padded[margin + row.len() + x * channels..][..channels].copy_from_slice(&row[last..]);
    }
}

fn box_row<T: BoxSum>(
    padded: &[T],
    out: &mut [T],
    sums: &mut [T::Sum],
    channels: usize,
    whole: usize,
    weights: [T::Sum; 2],
) {
    // Longer boxes are cheaper by adding what comes and taking what goes.
    const SHORT: usize = 8;
    let n = out.len();
    let shifted = |j: usize| &padded[j * channels..][..n];
    if whole > SHORT {
        for c in 0..channels {
            let at = |x: usize| padded[x * channels + c].to_sum();
            let mut sum = (1..2 * whole + 2).fold(T::Sum::default(), |sum, x| sum + at(x));
            for (x, sums) in sums.iter_mut().skip(c).step_by(channels).enumerate() {
                *sums = sum;
                sum = sum + at(x + 2 * whole + 2) - at(x + 1);
            }
        }
    } else {
        vectorised(
            #[inline(always)]
            || {
                for (sum, value) in sums.iter_mut().zip(shifted(whole + 1)) {
                    *sum = value.to_sum();
                }
                for j in 1..=whole {
                    let pair = shifted(j).iter().zip(shifted(2 * whole + 2 - j));
                    for (sum, (a, b)) in sums.iter_mut().zip(pair) {
                        *sum = *sum + (a.to_sum() + b.to_sum());
                    }
                }
            },
        );
    }
    let ends = [shifted(0), shifted(2 * whole + 2)];
    means(out, sums, ends, weights);
}

fn means<T: BoxSum>(out: &mut [T], sums: &[T::Sum], ends: [&[T]; 2], weights: [T::Sum; 2]) {
    let none = T::Sum::default();
    vectorised(
        #[inline(always)]
        || {
            if weights[1] == none {
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = T::mean(*sum, none, weights);
                }
            } else {
                for (((out, sum), a), b) in out.iter_mut().zip(sums).zip(ends[0]).zip(ends[1]) {
                    *out = T::mean(*sum, a.to_sum() + b.to_sum(), weights);
                }
            }
        },
    );
}

fn box_columns<T: BoxSum>(
    before: &[T],
    out: &mut [T],
    sums: &mut [T::Sum],
    whole: usize,
    weights: [T::Sum; 2],
) {
    let line = sums.len();
    let height = before.len() / line;
    let row = |y: i64| &before[y.clamp(0, height as i64 - 1) as usize * line..][..line];
    let reach = whole as i64;
    sums.fill(T::Sum::default());
    vectorised(
        #[inline(always)]
        || {
            for y in -reach..=reach {
                for (sum, value) in sums.iter_mut().zip(row(y)) {
                    *sum = *sum + value.to_sum();
                }
            }
        },
    );
    for (y, out) in out.chunks_exact_mut(line).enumerate() {
        let y = y as i64;
        let (first, next) = (row(y - reach - 1), row(y + reach + 1));
        means(out, sums, [first, next], weights);
        vectorised(
            #[inline(always)]
            || {
                for ((sum, new), old) in sums.iter_mut().zip(next).zip(row(y - reach)) {
                    *sum = *sum + new.to_sum() - old.to_sum();
                }
            },
        );
    }
}

/// Blends with the image softened by `[[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13`:
/// `soft + factor * (x - soft)`, clipped. Outside is black; with `keep`, the
/// outermost pixels stay.
pub(crate) fn sharpen<T: Element>(
    data: &mut [T],
    size: Size,
    channels: usize,
    factor: f32,
    keep: bool,
    scratch: &mut Scratch,
) {
    let line = size.width * channels;
    let margin = usize::from(keep);
    if data.is_empty() || keep && (size.width < 3 || size.height < 3) {
        return;
    }
    // The rows above and below, since those above are overwritten, and sums of
    // three with black at both ends.
    let mut above: Vec<T> = scratch.take(line);
    let mut centre: Vec<T> = scratch.take(line);
    let mut three: Vec<f32> = scratch.take(line + 2 * channels);
    let black = T::from_f32(0.0);
    three[..channels].fill(0.0);
    three[line + channels..].fill(0.0);
    above.fill(black);
    for y in 0..size.height {
        let (row, below) = data[y * line..].split_at_mut(line);
        centre.copy_from_slice(row);
        let inside = &mut three[channels..line + channels];
        let sums = inside.iter_mut().zip(&above).zip(&centre);
        vectorised(
            #[inline(always)]
            || {
                if below.is_empty() {
                    sums.for_each(|((sum, a), b)| *sum = a.to_f32() + b.to_f32());
                } else {
                    sums.zip(&*below)
                        .for_each(|(((sum, a), b), c)| *sum = a.to_f32() + b.to_f32() + c.to_f32());
                }
            },
        );
        if !keep || y > 0 && y + 1 < size.height {
            let skipped = margin * channels;
            let out = &mut row[skipped..line - skipped];
            let at = |x: usize| &three[skipped + x * channels..];
            sharpen_row(&centre[skipped..], [at(0), at(1), at(2)], factor, out);
        }
        std::mem::swap(&mut above, &mut centre);
    }
    scratch.give(three);
    scratch.give(centre);
    scratch.give(above);
}

/// One row, from the sums of three neighbours down, seen from each of three
/// neighbours across.
fn sharpen_row<T: Element>(centre: &[T], [a, b, c]: [&[f32]; 3], factor: f32, out: &mut [T]) {
    const SCALE: f32 = 1.0 / 13.0;
    let rest = 1.0 - factor;
    vectorised(
        #[inline(always)]
        || {
            for ((((out, centre), a), b), c) in out.iter_mut().zip(centre).zip(a).zip(b).zip(c) {
                let centre = centre.to_f32();
                let soft = ((a + b + c) + 4.0 * centre) * SCALE;
                let soft = if T::IS_INTEGER {
                    f32::from(u8::from_f32_half_up(soft))
                } else {
                    soft
                };
                let value = centre + rest * (soft - centre);
                *out = T::from_f32_truncated(T::clipped(value));
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i * 37 % 101) as f32).collect()
    }

    fn border() -> impl Strategy<Value = Border> {
        prop_oneof![
            Just(Border::Constant(vec![3.0, 5.0, 7.0])),
            Just(Border::Replicate),
            Just(Border::Symmetric),
            Just(Border::Reflect),
            Just(Border::Wrap),
        ]
    }

    proptest! {
        #[test]
        fn convolving_is_its_definition(
            border in border(), height in 1_usize..9, width in 1_usize..40,
            channels in 1_usize..4, rx in 0_usize..9, ry in 0_usize..9,
        ) {
            let size = Size::new(height, width);
            let weights = |r: usize| (0..=r).map(|j| (j + 1) as f32 / 20.0).collect::<Vec<_>>();
            let (half_across, half_down) = (weights(rx), weights(ry));
            let whole = |half: &[f32]| half[1..].iter().rev().chain(half).copied().collect::<Vec<_>>();
            let (across, down) = (whole(&half_across), whole(&half_down));
            let before = image(size.area() * channels);
            let mut after = before.clone();
            let scratch = &mut Scratch::new();
            convolve(&mut after, size, channels, [&half_across, &half_down], &border, scratch);
            for (i, &got) in after.iter().enumerate() {
                let (y, x, c) = (i / channels / width, i / channels % width, i % channels);
                let at = |y: i64, x: i64| {
                    border.resolve(x, width).map_or(border.fill(c), |x| before[(y as usize * width + x) * channels + c])
                };
                let mut expected = 0.0_f64;
                for (j, wy) in down.iter().enumerate() {
                    let from = border.resolve((y + j) as i64 - ry as i64, height);
                    let row: f64 = match from {
                        None => f64::from(border.fill(c)),
                        Some(y) => across.iter().enumerate().map(|(k, wx)| {
                            f64::from(*wx) * f64::from(at(y as i64, (x + k) as i64 - rx as i64))
                        }).sum(),
                    };
                    expected += f64::from(*wy) * row;
                }
                prop_assert!((f64::from(got) - expected).abs() < 1e-4 * (1.0 + expected), "{got} {expected}");
            }
        }

        #[test]
        fn boxes_are_their_definition(
            height in 1_usize..9, width in 1_usize..40, channels in 1_usize..4, radius in 0.1..12.0_f32,
        ) {
            let size = Size::new(height, width);
            let before = image(size.area() * channels);
            let mut numbers = before.clone();
            let mut bytes: Vec<u8> = before.iter().map(|&v| v as u8).collect();
            let scratch = &mut Scratch::new();
            box_mean(&mut numbers, size, channels, radius, 1, scratch);
            box_mean(&mut bytes, size, channels, radius, 1, scratch);
            let whole = radius as i64;
            let rest = f64::from(radius) - whole as f64;
            let mean = |at: &dyn Fn(i64) -> f64| {
                let inside: f64 = (-whole..=whole).map(at).sum();
                (inside + rest * (at(-whole - 1) + at(whole + 1))) / (2.0 * f64::from(radius) + 1.0)
            };
            let clamp = |v: i64, n: usize| v.clamp(0, n as i64 - 1) as usize;
            for (i, &got) in numbers.iter().enumerate() {
                let (y, x, c) = (i / channels / width, i / channels % width, i % channels);
                let across = |y: usize| mean(&|dx| {
                    f64::from(before[(y * width + clamp(x as i64 + dx, width)) * channels + c])
                });
                let expected = mean(&|dy| across(clamp(y as i64 + dy, height)));
                prop_assert!((f64::from(got) - expected).abs() < 1e-3, "{got} {expected}");
                prop_assert!((f64::from(bytes[i]) - expected).abs() <= 1.01, "{} {expected}", bytes[i]);
            }
        }
    }

    #[test]
    fn nothing_is_sharpened_where_all_is_kept() {
        let before = image(2 * 5);
        let mut after = before.clone();
        sharpen(
            &mut after,
            Size::new(2, 5),
            1,
            0.0,
            true,
            &mut Scratch::new(),
        );
        assert_eq!(before, after);
    }
}
