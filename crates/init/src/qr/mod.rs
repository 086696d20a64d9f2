//! The orthogonal factor of a matrix, bit for bit the same everywhere.
//!
//! Blocked Householder QR in compact WY form (Bischof & Van Loan 1987; Schreiber
//! & Van Loan 1989).
//!
//! Why not a linear-algebra crate: `faer` (and `gemm` below it) choose the width
//! of registers and fused multiply-adds by the processor at run time, and a sum
//! has one partial sum per lane, so that the last bits of a factor differ
//! between AVX2, AVX-512 and NEON even on one thread. A model's initial values
//! must not depend on the machine that made them (invariant 8 of
//! ARCHITECTURE.md). The few loops that are needed are therefore here: every sum
//! has a fixed order of 16 interleaved partial sums, products are rounded before
//! they are added, and threads only share out whole columns.

mod panel;
mod vector;

use crate::width::Width;
use panel::{Factor, LANES, PANEL, Panel, update};
use rayon::prelude::*;
use vector::Real;

/// The orthogonal factor of the row-major matrix `a` with `rows` and `columns`,
/// in place: `Q · diag(sign(diag R))` of `a = QR` if it is tall, the transpose
/// of that of its transpose if it is wide. That factor is unique, and for
/// normal entries uniform among all (semi-)orthogonal matrices (Mezzadri 2007).
pub(crate) fn orthogonal_factor<T: Real>(a: &mut [T], rows: usize, columns: usize) {
    factor_with(Width::detect(), a, rows, columns);
}

fn factor_with<T: Real>(width: Width, a: &mut [T], rows: usize, columns: usize) {
    let tall = rows >= columns;
    let (long, short) = if tall {
        (rows, columns)
    } else {
        (columns, rows)
    };
    if short == 0 {
        return;
    }
    let mut matrix = Matrix::new(long, short);
    if tall {
        matrix.columns().enumerate().for_each(|(j, column)| {
            (column.iter_mut().zip(a.iter().skip(j).step_by(columns))).for_each(|(x, &a)| *x = a);
        });
    } else {
        matrix
            .columns()
            .zip(a.par_chunks(long))
            .for_each(|(column, row)| {
                column[..long].copy_from_slice(row);
            });
    }
    let (panels, signs) = matrix.factor(width);
    let q = Matrix::form(width, short, long, &panels, &signs);
    if tall {
        a.par_chunks_mut(columns).enumerate().for_each(|(i, row)| {
            (row.iter_mut().zip(q.data.iter().skip(i).step_by(q.height)))
                .for_each(|(a, &x)| *a = x);
        });
    } else {
        a.par_chunks_mut(long)
            .zip(q.data.par_chunks(q.height))
            .for_each(|(row, column)| row.copy_from_slice(&column[..long]));
    }
}

/// Columns one after the other, each padded with zeros to `height`.
struct Matrix<T> {
    data: Vec<T>,
    height: usize,
    count: usize,
}

impl<T: Real> Matrix<T> {
    fn new(rows: usize, count: usize) -> Self {
        // Two lane blocks at a time in the update.
        let height = rows.next_multiple_of(2 * LANES);
        Self {
            data: vec![T::default(); height * count],
            height,
            count,
        }
    }

    fn columns(&mut self) -> rayon::slice::ChunksMut<'_, T> {
        self.data.par_chunks_mut(self.height)
    }

    /// The panels, and the signs of the diagonal of R.
    fn factor(mut self, width: Width) -> (Vec<Panel<T>>, Vec<T>) {
        let mut panels = Vec::with_capacity(self.count.div_ceil(PANEL));
        let mut signs = Vec::with_capacity(self.count);
        for first in (0..self.count).step_by(PANEL) {
            let count = PANEL.min(self.count - first);
            let (done, rest) = self.data.split_at_mut((first + count) * self.height);
            let panel = width.run(Factor {
                columns: &mut done[first * self.height..],
                height: self.height,
                diagonal: first,
                signs: &mut signs,
            });
            update(width, &panel, true, rest, self.height);
            panels.push(panel);
        }
        (panels, signs)
    }

    /// `H₁ ⋯ Hₙ · [diag(signs); 0]`.
    fn form(width: Width, columns: usize, rows: usize, panels: &[Panel<T>], signs: &[T]) -> Self {
        let mut q = Self::new(rows, columns);
        for (j, &sign) in signs.iter().enumerate() {
            q.data[j * q.height + j] = sign;
        }
        for (i, panel) in panels.iter().enumerate().rev() {
            let untouched = i * PANEL * q.height;
            update(width, panel, false, &mut q.data[untouched..], q.height);
        }
        q
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firecraft_key::{Key, convert};
    use proptest::prelude::*;

    fn normals(n: usize) -> Vec<f64> {
        let key = Key::from_seed(1);
        (0..n as u64)
            .map(|i| f64::from(convert::normal(key.word(i))))
            .collect()
    }

    /// Largest deviation of the smaller Gram matrix from the identity.
    fn gram_error(q: &[f64], rows: usize, columns: usize) -> f64 {
        let short = rows.min(columns);
        let at = |i: usize, j: usize| {
            if rows >= columns {
                q[i * columns + j]
            } else {
                q[j * columns + i]
            }
        };
        let mut worst: f64 = 0.0;
        for a in 0..short {
            for b in 0..=a {
                let sum: f64 = (0..rows.max(columns)).map(|i| at(i, a) * at(i, b)).sum();
                worst = worst.max((sum - if a == b { 1.0 } else { 0.0 }).abs());
            }
        }
        worst
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn factors_are_orthonormal_and_leave_a_triangle_with_positive_diagonal(
            rows in 1..100_usize, columns in 1..100_usize,
        ) {
            let a = normals(rows * columns);
            let mut q = a.clone();
            orthogonal_factor(&mut q, rows, columns);
            prop_assert!(gram_error(&q, rows, columns) < 1e-12);
            // R = Qᵀ A of the tall orientation.
            let (long, short) = (rows.max(columns), rows.min(columns));
            let at = |m: &[f64], i: usize, j: usize| {
                if rows >= columns { m[i * columns + j] } else { m[j * columns + i] }
            };
            for i in 0..short {
                for j in 0..=i {
                    let r: f64 = (0..long).map(|k| at(&q, k, i) * at(&a, k, j)).sum();
                    if i == j {
                        prop_assert!(r > 0.0);
                    } else {
                        prop_assert!(r.abs() < 1e-10, "{i} {j} {r}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_number_of_threads_gives_the_same_bits() {
        let a: Vec<f32> = normals(150 * 130).into_iter().map(|x| x as f32).collect();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let mut q = a.clone();
            pool.install(|| orthogonal_factor(&mut q, 150, 130));
            q.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let expected = run(1);
        assert!(run(2) == expected && run(8) == expected);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let a = normals(90 * 70);
        let run = |width: Width| {
            let mut q = a.clone();
            factor_with(width, &mut q, 70, 90);
            let mut single: Vec<f32> = a.iter().map(|&x| x as f32).collect();
            factor_with(width, &mut single, 90, 70);
            let single = single.into_iter().map(|x| u64::from(x.to_bits()));
            q.into_iter()
                .map(f64::to_bits)
                .chain(single)
                .collect::<Vec<_>>()
        };
        let expected = run(Width::Baseline);
        for width in Width::all() {
            assert!(run(width) == expected, "{width:?}");
        }
    }

    #[test]
    fn single_precision_stays_orthonormal_in_large_matrices() {
        let mut q: Vec<f32> = normals(300 * 300).into_iter().map(|x| x as f32).collect();
        orthogonal_factor(&mut q, 300, 300);
        let q: Vec<f64> = q.into_iter().map(f64::from).collect();
        let error = gram_error(&q, 300, 300);
        assert!(error < 1e-5, "{error}");
    }

    #[test]
    fn columns_of_zeros_become_unit_vectors() {
        let mut q = [0.0_f64; 6];
        orthogonal_factor(&mut q, 3, 2);
        assert_eq!(q, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    }
}
