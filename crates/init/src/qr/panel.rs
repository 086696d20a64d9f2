//! Householder vectors in blocks, and what they do to other columns.

// Registers in arrays are named by their index, as in the formulas.
#![allow(clippy::needless_range_loop)]

use super::vector::Real;
use crate::width::Width;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Partial sums of a dot product, whatever the registers hold.
pub(super) const LANES: usize = 16;
/// Columns of a panel.
pub(super) const PANEL: usize = 32;
/// Columns updated together.
const GROUP: usize = 4;

/// Householder vectors of up to [`PANEL`] columns and their triangular factor:
/// `H₁ ⋯ Hₖ = I − V T Vᵀ`.
pub(super) struct Panel<T> {
    /// First lane block that the vectors touch.
    start: usize,
    /// `[block][vector][lane]`, from `start` on.
    vectors: Vec<T>,
    triangle: Box<[[T; PANEL]; PANEL]>,
}

/// Householder reduction of a few columns.
pub(super) struct Factor<'a, T> {
    pub(super) columns: &'a mut [T],
    pub(super) height: usize,
    /// Row of the first pivot.
    pub(super) diagonal: usize,
    /// Takes the signs of the diagonal of R.
    pub(super) signs: &'a mut Vec<T>,
}

impl<T: Real> WithSimd for Factor<'_, T> {
    type Output = Panel<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Panel<T> {
        match LANES / T::lanes::<S>() {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            4 => self.run::<S, 4>(simd),
            8 => self.run::<S, 8>(simd),
            _ => self.run::<S, 16>(simd),
        }
    }
}

impl<T: Real> Factor<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const K: usize>(self, simd: S) -> Panel<T> {
        let Self {
            columns,
            height,
            diagonal,
            signs,
        } = self;
        let zero = T::default();
        let count = columns.len() / height;
        let start = diagonal / (2 * LANES) * 2;
        let top = start * LANES;
        let mut triangle = Box::new([[zero; PANEL]; PANEL]);
        for k in 0..count {
            let pivot = diagonal + k;
            let (before, rest) = columns.split_at_mut(k * height);
            let (column, after) = rest.split_at_mut(height);
            let alpha = column[pivot];
            // The vector starts at the pivot: what lies above belongs to R.
            column[top..=pivot].fill(zero);
            let below = dot::<T, S, K>(simd, &column[top..], &column[top..]);
            let (beta, tau) = if below > zero {
                let norm = (alpha * alpha + below).sqrt();
                let beta = if alpha < zero { norm } else { -norm };
                let scale = T::ONE / (alpha - beta);
                column[top..].iter_mut().for_each(|x| *x = *x * scale);
                (beta, (beta - alpha) / beta)
            } else {
                (alpha, zero)
            };
            column[pivot] = T::ONE;
            signs.push(if beta < zero { -T::ONE } else { T::ONE });
            for other in after.chunks_exact_mut(height) {
                let factor = tau * dot::<T, S, K>(simd, &column[top..], &other[top..]);
                let factor = T::splat(simd, factor);
                let vector = T::registers::<S>(&column[top..]);
                for (x, &v) in T::registers_mut::<S>(&mut other[top..])
                    .iter_mut()
                    .zip(vector)
                {
                    *x = T::subtract_product(simd, *x, v, factor);
                }
            }
            // T[..k, k] = -tau · T[..k, ..k] · (V[:, ..k]ᵀ v)
            let mut products = [zero; PANEL];
            for (product, other) in products.iter_mut().zip(before.chunks_exact(height)) {
                *product = dot::<T, S, K>(simd, &column[top..], &other[top..]);
            }
            for i in 0..k {
                let sum = (i..k).fold(zero, |sum, j| sum + triangle[i][j] * products[j]);
                triangle[i][k] = -(tau * sum);
            }
            triangle[k][k] = tau;
        }
        let blocks = height / LANES - start;
        let mut vectors = vec![zero; blocks * PANEL * LANES];
        for (k, column) in columns.chunks_exact(height).enumerate() {
            for (block, lanes) in column[top..].chunks_exact(LANES).enumerate() {
                vectors[(block * PANEL + k) * LANES..][..LANES].copy_from_slice(lanes);
            }
        }
        Panel {
            start,
            vectors,
            triangle,
        }
    }
}

/// Sixteen interleaved partial sums, added up halves first.
#[inline(always)]
fn dot<T: Real, S: Simd, const K: usize>(simd: S, a: &[T], b: &[T]) -> T {
    let (a, _) = T::registers::<S>(a).as_chunks::<K>();
    let (b, _) = T::registers::<S>(b).as_chunks::<K>();
    let mut sum = [T::splat(simd, T::default()); K];
    for (a, b) in a.iter().zip(b) {
        for k in 0..K {
            sum[k] = T::add_product(simd, sum[k], a[k], b[k]);
        }
    }
    total::<T, S, K>(sum)
}

#[inline(always)]
fn total<T: Real, S: Simd, const K: usize>(sum: [T::Register<S>; K]) -> T {
    let mut lanes = [T::default(); LANES];
    T::registers_mut::<S>(&mut lanes).copy_from_slice(&sum);
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = lanes[lane] + lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// `C ← C − V Tᵀ (Vᵀ C)` (`transposed`) or `C ← C − V T (Vᵀ C)`, in parallel
/// over the columns, each of which is computed by itself.
pub(super) fn update<T: Real>(
    width: Width,
    panel: &Panel<T>,
    transposed: bool,
    columns: &mut [T],
    height: usize,
) {
    (columns.par_chunks_mut(GROUP * height)).for_each(|columns| {
        width.run(Update {
            panel,
            transposed,
            columns,
            height,
        });
    });
}

struct Update<'a, T> {
    panel: &'a Panel<T>,
    transposed: bool,
    columns: &'a mut [T],
    height: usize,
}

impl<T: Real> WithSimd for Update<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Sums that are kept in registers at once: as many as there are
        // registers for, which doesn't show in the result.
        match LANES / T::lanes::<S>() {
            1 => self.run::<S, 1, 4>(simd),
            2 => self.run::<S, 2, 2>(simd),
            4 => self.run::<S, 4, 1>(simd),
            8 => self.run::<S, 8, 1>(simd),
            _ => self.run::<S, 16, 1>(simd),
        }
    }
}

impl<T: Real> Update<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const K: usize, const P: usize>(mut self, simd: S) {
        if self.columns.len() == GROUP * self.height {
            self.group::<S, GROUP, K, P>(simd, 0);
        } else {
            for first in 0..self.columns.len() / self.height {
                self.group::<S, 1, K, P>(simd, first);
            }
        }
    }

    #[inline(always)]
    fn group<S: Simd, const N: usize, const K: usize, const P: usize>(
        &mut self,
        simd: S,
        first: usize,
    ) {
        let top = self.panel.start * LANES;
        let zero = T::splat(simd, T::default());
        let (vectors, _) = T::registers::<S>(&self.panel.vectors).as_chunks::<K>();
        let mut split = self.columns[first * self.height..].chunks_exact_mut(self.height);
        let columns: [&mut [[T::Register<S>; K]]; N] = std::array::from_fn(|_| {
            let column = split.next().unwrap_or_default();
            T::registers_mut::<S>(&mut column[top..])
                .as_chunks_mut::<K>()
                .0
        });

        let mut products = [[T::default(); N]; PANEL];
        for first in (0..PANEL).step_by(P) {
            let mut sums = [[[zero; K]; N]; P];
            for (block, vectors) in vectors.chunks_exact(PANEL).enumerate() {
                let mut v = [[zero; K]; P];
                v.copy_from_slice(&vectors[first..first + P]);
                for n in 0..N {
                    let c = columns[n][block];
                    for p in 0..P {
                        for k in 0..K {
                            sums[p][n][k] = T::add_product(simd, sums[p][n][k], v[p][k], c[k]);
                        }
                    }
                }
            }
            for p in 0..P {
                for n in 0..N {
                    products[first + p][n] = total::<T, S, K>(sums[p][n]);
                }
            }
        }

        let triangle = &self.panel.triangle;
        let mut factors = [[T::default(); N]; PANEL];
        for i in 0..PANEL {
            for j in 0..PANEL {
                let t = if self.transposed {
                    triangle[j][i]
                } else {
                    triangle[i][j]
                };
                for n in 0..N {
                    factors[i][n] = factors[i][n] + t * products[j][n];
                }
            }
        }

        for (pair, vectors) in vectors.chunks_exact(2 * PANEL).enumerate() {
            let (upper, lower) = vectors.split_at(PANEL);
            let mut a: [[T::Register<S>; K]; N] = std::array::from_fn(|n| columns[n][2 * pair]);
            let mut b: [[T::Register<S>; K]; N] = std::array::from_fn(|n| columns[n][2 * pair + 1]);
            for ((upper, lower), factors) in upper.iter().zip(lower).zip(&factors) {
                for n in 0..N {
                    let factor = T::splat(simd, factors[n]);
                    for k in 0..K {
                        a[n][k] = T::subtract_product(simd, a[n][k], upper[k], factor);
                        b[n][k] = T::subtract_product(simd, b[n][k], lower[k], factor);
                    }
                }
            }
            for n in 0..N {
                columns[n][2 * pair] = a[n];
                columns[n][2 * pair + 1] = b[n];
            }
        }
    }
}
