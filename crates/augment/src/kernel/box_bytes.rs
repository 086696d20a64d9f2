//! Means over boxes of whole pixels, of bytes, in whole numbers.

use super::Scratch;
use super::filter::pad_edge;
use super::simd::vectorised;
use crate::Size;

/// The largest box whose sums fit words and whose means [`Divisor`] finds.
const LARGEST: usize = 127;

/// Longer boxes are cheaper by adding what comes and taking what goes.
const SHORT: usize = 8;

/// Division of sums of `n` bytes by `n`, rounded: `n` is odd, so that there are
/// no ties.
#[derive(Clone, Copy)]
struct Divisor {
    half: u16,
    factor: u16,
    shift: u32,
}

impl Divisor {
    /// With `2^s <= n < 2^(s + 1)`, the factor `ceil(2^(16 + s) / n)` errs by
    /// less than `n / 2^(16 + s)` per unit of a sum below `256 n`, which makes
    /// less than the `1 / n` that is left up to the next whole number.
    const fn new(n: usize) -> Self {
        let shift = n.ilog2();
        Self {
            half: n as u16 / 2,
            factor: (1_u32 << (16 + shift)).div_ceil(n as u32) as u16,
            shift,
        }
    }

    #[inline(always)]
    const fn mean(self, sum: u16) -> u8 {
        let product = (sum + self.half) as u32 * self.factor as u32;
        ((product >> 16) as u16 >> self.shift) as u8
    }
}

/// As [`box_mean`](super::filter::box_mean) for a whole radius; `false` if it
/// is too large or nothing to do.
pub(super) fn box_bytes(
    data: &mut [u8],
    size: Size,
    channels: usize,
    reach: usize,
    passes: u8,
    scratch: &mut Scratch,
) -> bool {
    let n = 2 * reach + 1;
    if n > LARGEST || n == 1 || passes == 0 {
        return false;
    }
    let line = size.width * channels;
    let divisor = Divisor::new(n);
    let mut across: Vec<u8> = scratch.take(data.len());
    let mut padded: Vec<u8> = scratch.take(line + 2 * reach * channels);
    let mut sums = std::mem::take(&mut scratch.words);
    sums.resize(line, 0);
    for (row, out) in data.chunks_exact(line).zip(across.chunks_exact_mut(line)) {
        pad_edge(row, &mut padded, channels, reach);
        mean_across(&padded, out, &mut sums, channels, divisor);
        for _ in 1..passes {
            pad_edge(out, &mut padded, channels, reach);
            mean_across(&padded, out, &mut sums, channels, divisor);
        }
    }
    mean_down(&across, data, &mut sums, reach, divisor);
    for _ in 1..passes {
        across.copy_from_slice(data);
        mean_down(&across, data, &mut sums, reach, divisor);
    }
    scratch.words = sums;
    scratch.give(padded);
    scratch.give(across);
    true
}

fn mean_across(padded: &[u8], out: &mut [u8], sums: &mut [u16], channels: usize, divisor: Divisor) {
    let (n, reach) = (out.len(), usize::from(divisor.half));
    let shifted = |j: usize| &padded[j * channels..][..n];
    if reach > SHORT {
        for c in 0..channels {
            let at = |x: usize| u16::from(padded[x * channels + c]);
            let mut sum = (0..2 * reach).map(at).sum::<u16>();
            for (x, sums) in sums.iter_mut().skip(c).step_by(channels).enumerate() {
                sum += at(x + 2 * reach);
                *sums = sum;
                sum -= at(x);
            }
        }
    } else {
        let (first, last) = (shifted(0), shifted(2 * reach));
        vectorised(
            #[inline(always)]
            || {
                let ends = first.iter().zip(last).zip(shifted(reach));
                for (sum, ((a, b), c)) in sums.iter_mut().zip(ends) {
                    *sum = u16::from(*a) + u16::from(*b) + u16::from(*c);
                }
                for j in 1..reach {
                    let pair = shifted(j).iter().zip(shifted(2 * reach - j));
                    for (sum, (a, b)) in sums.iter_mut().zip(pair) {
                        *sum += u16::from(*a) + u16::from(*b);
                    }
                }
            },
        );
    }
    vectorised(
        #[inline(always)]
        || {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = divisor.mean(*sum);
            }
        },
    );
}

fn mean_down(before: &[u8], out: &mut [u8], sums: &mut [u16], reach: usize, divisor: Divisor) {
    let line = sums.len();
    let last = before.len() / line - 1;
    let row = |y: usize| &before[y.saturating_sub(reach).min(last) * line..][..line];
    sums.fill(0);
    vectorised(
        #[inline(always)]
        || {
            for y in 0..2 * reach {
                for (sum, value) in sums.iter_mut().zip(row(y)) {
                    *sum += u16::from(*value);
                }
            }
        },
    );
    for (y, out) in out.chunks_exact_mut(line).enumerate() {
        let (new, old) = (row(y + 2 * reach), row(y));
        vectorised(
            #[inline(always)]
            || {
                let rows = out.iter_mut().zip(new).zip(old);
                for (sum, ((out, new), old)) in sums.iter_mut().zip(rows) {
                    let whole = *sum + u16::from(*new);
                    *out = divisor.mean(whole);
                    *sum = whole - u16::from(*old);
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_round_every_sum() {
        for n in (3..=LARGEST).step_by(2) {
            let divisor = Divisor::new(n);
            for sum in 0..=255 * n {
                let expected = (2 * sum + n) / (2 * n);
                assert_eq!(
                    usize::from(divisor.mean(sum as u16)),
                    expected,
                    "{sum} / {n}"
                );
            }
        }
    }
}
