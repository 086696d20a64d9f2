//! Mean and squared deviations of blocks, and how blocks are merged.

/// Running sums per reduction: enough for four vectors of 8 lanes, so that
/// additions don't wait for each other.
const LANES: usize = 32;

/// Count, mean and sum of squared deviations from the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moments {
    pub(super) count: f64,
    pub(super) mean: f64,
    pub(super) deviations: f64,
}

impl Moments {
    pub(super) const EMPTY: Self = Self {
        count: 0.0,
        mean: 0.0,
        deviations: 0.0,
    };

    /// The biased variance.
    pub(super) fn variance(self) -> f64 {
        self.deviations / self.count.max(1.0)
    }

    /// The moments of both sets together: Chan, Golub and LeVeque, *Updating
    /// Formulae and a Pairwise Algorithm for Computing Sample Variances*, 1979.
    pub(super) fn merge(self, other: Self) -> Self {
        if self.count == 0.0 {
            return other;
        }
        if other.count == 0.0 {
            return self;
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        let part = other.count / count;
        Self {
            count,
            mean: self.mean + delta * part,
            deviations: self.deviations + other.deviations + delta * delta * self.count * part,
        }
    }
}

/// The moments of one block: a mean in `f32` first, then the exact differences
/// to it, whose own mean and squares are small numbers.
#[inline(always)]
pub(super) fn moments(block: &[f32]) -> Moments {
    let count = block.len() as f64;
    let shift = (sum(block, |x| x) / count) as f32;
    let [first, second] = sums(block, |x| {
        let d = x - shift;
        [d, d * d]
    });
    Moments {
        count,
        mean: f64::from(shift) + first / count,
        deviations: second - first * first / count,
    }
}

/// The sum of a function over a block.
#[inline(always)]
pub(super) fn sum(block: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let (chunks, rest) = block.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += f(chunk[i]);
        }
    }
    let tail: f64 = rest.iter().map(|x| f64::from(f(*x))).sum();
    lanes.iter().map(|x| f64::from(*x)).sum::<f64>() + tail
}

/// Two sums over a block.
#[inline(always)]
fn sums(block: &[f32], f: impl Fn(f32) -> [f32; 2]) -> [f64; 2] {
    pair_sums(block, block, |x, _| f(x))
}

/// Two sums over two blocks of the same length.
#[inline(always)]
pub(super) fn pair_sums(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> [f32; 2]) -> [f64; 2] {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut first = [0.0_f32; LANES];
    let mut second = [0.0_f32; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for i in 0..LANES {
            let [u, v] = f(a[i], b[i]);
            first[i] += u;
            second[i] += v;
        }
    }
    let mut total = [0.0_f64; 2];
    for i in 0..LANES {
        total[0] += f64::from(first[i]);
        total[1] += f64::from(second[i]);
    }
    for (a, b) in a_rest.iter().zip(b_rest) {
        let [u, v] = f(*a, *b);
        total[0] += f64::from(u);
        total[1] += f64::from(v);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        let deviations = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum();
        (mean, deviations)
    }

    proptest! {
        #[test]
        fn blocks_merge_to_the_moments_of_the_whole(
            values in prop::collection::vec(-2.0..2.0_f32, 1..300),
            shift in prop::sample::select(vec![0.0_f32, 1e4, -3e5]),
            cut in 0..300_usize,
        ) {
            let values: Vec<f32> = values.iter().map(|x| x + shift).collect();
            let cut = cut.min(values.len());
            let merged = [&values[..cut], &values[cut..]]
                .into_iter()
                .filter(|part| !part.is_empty())
                .fold(Moments::EMPTY, |all, part| all.merge(moments(part)));
            let (mean, deviations) = exact(&values);
            prop_assert!((merged.mean - mean).abs() <= 1e-6 * (1.0 + mean.abs() * 1e-3));
            prop_assert!((merged.deviations - deviations).abs() <= 1e-5 * (1.0 + deviations));
        }
    }
}
