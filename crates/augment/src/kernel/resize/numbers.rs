//! Resizing numbers.

use super::Taps;
use crate::kernel::Scratch;
use crate::kernel::filter::weigh;
use crate::kernel::simd::vectorised;

/// Across, then down. The source has rows of `width` pixels.
pub(in crate::kernel) fn separable(
    (source, width, channels): (&[f32], usize, usize),
    [columns, rows]: [&mut Taps; 2],
    target: &mut [f32],
    scratch: &mut Scratch,
) {
    let across = columns.spans.len() * channels;
    if across == 0 {
        return;
    }
    let needed = rows.range();
    let mut between: Vec<f32> = scratch.take(needed.len() * across);
    let lines = between.chunks_exact_mut(across);
    let pixels = columns.range();
    let mut wide: Vec<f32> = scratch.take(4 * pixels.len());
    for (y, line) in needed.clone().zip(lines) {
        // One pixel more, if there is one: vectors read beyond the last.
        let row = &source[(y * width + pixels.start) * channels..];
        let row = &row[..row.len().min((pixels.len() + 1) * channels)];
        match channels {
            1 => line_across::<1>(row, pixels.start, columns, &mut wide, line),
            3 => line_across::<3>(row, pixels.start, columns, &mut wide, line),
            4 => line_across::<4>(row, pixels.start, columns, &mut wide, line),
            _ => any_across(row, channels, pixels.start, columns, line),
        }
    }
    for (y, out) in target.chunks_exact_mut(across).enumerate() {
        let (start, weights) = rows.of(y);
        let line = |j: usize| &between[(start + j - needed.start) * across..];
        weigh(weights, line, out);
    }
    scratch.give(wide);
    scratch.give(between);
}

/// One line of pixels of `C` channels, of which `row` has those from `first`
/// on.
fn line_across<const C: usize>(
    row: &[f32],
    first: usize,
    columns: &Taps,
    wide: &mut [f32],
    line: &mut [f32],
) {
    // Every pixel gets four channels: one register, whose sums are taken at
    // once.
    let wide = wide.as_chunks_mut::<4>().0;
    vectorised(
        #[inline(always)]
        || {
            for (wide, pixel) in wide.iter_mut().zip(row.as_chunks::<C>().0) {
                let at = |c: usize| if c < C { pixel[c] } else { 0.0 };
                *wide = [at(0), at(1), at(2), at(3)];
            }
            for (i, (start, range)) in columns.spans.iter().enumerate() {
                let weights = &columns.weights[range.clone()];
                let pixels = &wide[start - first..][..weights.len()];
                let sum = match (pixels, weights) {
                    ([p, q], [v, w]) => sum4(scaled4(p, *v), scaled4(q, *w)),
                    ([p, q, r], [v, w, x]) => {
                        sum4(sum4(scaled4(p, *v), scaled4(q, *w)), scaled4(r, *x))
                    }
                    _ => pixels
                        .iter()
                        .zip(weights)
                        .fold([0.0; 4], |sum, (pixel, w)| sum4(sum, scaled4(pixel, *w))),
                };
                // The next pixel overwrites what is too much.
                let out = &mut line[i * C..];
                match out.first_chunk_mut::<4>() {
                    Some(out) => {
                        for (out, sum) in out.iter_mut().zip(sum) {
                            *out = sum;
                        }
                    }
                    None => {
                        for (out, sum) in out[..C].iter_mut().zip(sum) {
                            *out = sum;
                        }
                    }
                }
            }
        },
    );
}

#[inline(always)]
fn scaled4(pixel: &[f32; 4], weight: f32) -> [f32; 4] {
    let [a, b, c, d] = *pixel;
    [a * weight, b * weight, c * weight, d * weight]
}

#[inline(always)]
fn sum4(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
}

/// [`line_across`] for any number of channels.
fn any_across(row: &[f32], channels: usize, first: usize, columns: &Taps, line: &mut [f32]) {
    for (x, out) in line.chunks_exact_mut(channels).enumerate() {
        let (start, weights) = columns.of(x);
        for (c, out) in out.iter_mut().enumerate() {
            let pixels = row[(start - first) * channels + c..]
                .iter()
                .step_by(channels);
            let sum = pixels.zip(weights).map(|(v, weight)| weight * v);
            *out = sum.sum();
        }
    }
}
