//! Sums of blocks, and the mean and squared deviations that they make.

/// Running sums per reduction: enough for several vectors, so that additions
/// don't wait for each other.
pub(super) const LANES: usize = 32;

/// Two running sums, each in several lanes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes {
    sums: [[f32; LANES]; 2],
}

impl Lanes {
    pub(super) const ZERO: Self = Self {
        sums: [[0.0; LANES]; 2],
    };

    /// Adds `f` of every pair of elements of two slices of the same length.
    #[inline(always)]
    pub(super) fn add(&mut self, a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> [f32; 2]) {
        let (a_chunks, a_rest) = a.as_chunks::<LANES>();
        let (b_chunks, b_rest) = b.as_chunks::<LANES>();
        let [mut first, mut second] = self.sums;
        for (a, b) in a_chunks.iter().zip(b_chunks) {
            for i in 0..LANES {
                let [u, v] = f(a[i], b[i]);
                first[i] += u;
                second[i] += v;
            }
        }
        self.sums = [first, second];
        let [first, second] = &mut self.sums;
        let lanes = first.iter_mut().zip(second);
        for ((a, b), (first, second)) in a_rest.iter().zip(b_rest).zip(lanes) {
            let [u, v] = f(*a, *b);
            *first += u;
            *second += v;
        }
    }

    /// The sums over the lanes.
    #[inline(always)]
    pub(super) fn totals(&self) -> [f64; 2] {
        self.sums.map(|lanes| total(&lanes))
    }
}

/// The sum of some lanes, in an order that lets additions overlap.
#[inline(always)]
pub(super) fn total(lanes: &[f32; LANES]) -> f64 {
    const WIDTH: usize = 8;
    let mut sums = [0.0_f64; WIDTH];
    for part in lanes.as_chunks::<WIDTH>().0 {
        for (sum, lane) in sums.iter_mut().zip(part) {
            *sum += f64::from(*lane);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

/// Rows that [`add_rows`] takes at a time, so that the sums are read and written
/// once for all of them.
pub(super) const TOGETHER: usize = 4;

/// Adds two functions of the elements of `R` rows to two sums per column. `f`
/// gets the parameters of the column and an element of every one of the `V`
/// tensors that a row is of.
#[inline(always)]
pub(super) fn add_rows<const P: usize, const V: usize, const R: usize>(
    [first, second]: [&mut [f32]; 2],
    params: [&[f32]; P],
    rows: [[&[f32]; V]; R],
    f: impl Fn([f32; P], [f32; V]) -> [f32; 2],
) {
    let (first, first_rest) = first.as_chunks_mut::<LANES>();
    let (second, second_rest) = second.as_chunks_mut::<LANES>();
    let start = first.len() * LANES;
    for (c, (first, second)) in first.iter_mut().zip(second).enumerate() {
        // The sums are copies, since what may overlap isn't vectorised.
        let params = params.map(|values| &values.as_chunks::<LANES>().0[c]);
        let [mut u, mut v] = [*first, *second];
        for row in rows {
            let row = row.map(|values| &values.as_chunks::<LANES>().0[c]);
            for i in 0..LANES {
                let [a, b] = f(params.map(|p| p[i]), row.map(|x| x[i]));
                u[i] += a;
                v[i] += b;
            }
        }
        [*first, *second] = [u, v];
    }
    for (i, (first, second)) in first_rest.iter_mut().zip(second_rest).enumerate() {
        for row in rows {
            let element = |values: &[f32]| values[start + i];
            let [a, b] = f(params.map(element), row.map(element));
            *first += a;
            *second += b;
        }
    }
}

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

    /// The moments of `count` numbers from the sums of their differences to
    /// `shift` and of the squares of these.
    ///
    /// Exact to the last digits if the mean is near `shift`, compared with the
    /// spread.
    #[inline(always)]
    pub(super) fn shifted(count: usize, shift: f32, [first, second]: [f64; 2]) -> Self {
        let count = count as f64;
        Self {
            count,
            mean: f64::from(shift) + first / count,
            deviations: second - first * first / count,
        }
    }

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
    let shift = (sum(block, |x| x) / block.len() as f64) as f32;
    let sums = pair_sums(block, block, |x, _| {
        let d = x - shift;
        [d, d * d]
    });
    Moments::shifted(block.len(), shift, sums)
}

/// The sum of a function over a block.
#[inline(always)]
pub(super) fn sum(block: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    // The other sum is constant and compiled away.
    pair_sums(block, block, |x, _| [f(x), 0.0])[0]
}

/// Two sums over two blocks of the same length.
#[inline(always)]
pub(super) fn pair_sums(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> [f32; 2]) -> [f64; 2] {
    let mut lanes = Lanes::ZERO;
    lanes.add(a, b, f);
    lanes.totals()
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
