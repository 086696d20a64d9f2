//! The source points of a row of pixels.

use super::fixed::{Line, fraction, whole};
use super::simd::vectorised;
use crate::{Matrix, Size};

/// Source positions of the pixels of one row.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Index of the top left neighbour of each pixel that lies inside.
    pub(super) offset: Vec<u32>,
    /// Weights of the right neighbour.
    right: Vec<f32>,
    /// Weights of the lower neighbour.
    lower: Vec<f32>,
    /// Points in fixed point, where they follow no line.
    pub(super) points: Vec<[i64; 2]>,
}

impl Row {
    /// Positions of pixels that lie inside, with all of their neighbours.
    pub(super) fn set(&mut self, line: &Line, columns: std::ops::Range<usize>, width: usize) {
        let n = columns.len();
        self.offset.resize(n, 0);
        self.right.resize(n, 0.0);
        self.lower.resize(n, 0.0);
        let [start_x, start_y] = line.at(columns.start);
        let [step_x, step_y] = line.step;
        vectorised(
            #[inline(always)]
            || {
                let weights = self.right.iter_mut().zip(&mut self.lower);
                for (i, (offset, (right, lower))) in self.offset.iter_mut().zip(weights).enumerate()
                {
                    let (x, y) = (start_x + step_x * i as i64, start_y + step_y * i as i64);
                    *offset = (whole(y) as u32)
                        .wrapping_mul(width as u32)
                        .wrapping_add(whole(x) as u32);
                    *right = fraction(x);
                    *lower = fraction(y);
                }
            },
        );
    }

    /// The offset of pixels that don't lie inside with all of their neighbours.
    pub(super) const OUTSIDE: u32 = u32::MAX;

    /// Positions of `points` in an image of that size.
    pub(super) fn set_scattered(&mut self, size: Size) {
        let n = self.points.len();
        self.offset.resize(n, 0);
        self.right.resize(n, 0.0);
        self.lower.resize(n, 0.0);
        // The right and lower neighbours have to be inside, too.
        let (right, bottom) = (size.width as u32 - 1, size.height as u32 - 1);
        let width = size.width as u32;
        vectorised(
            #[inline(always)]
            || {
                let weights = self.right.iter_mut().zip(&mut self.lower);
                let places = self.offset.iter_mut().zip(weights);
                for ((offset, (tx, ty)), &[sx, sy]) in places.zip(&self.points) {
                    let (x, y) = (whole(sx) as u32, whole(sy) as u32);
                    let place = y.wrapping_mul(width).wrapping_add(x);
                    let inside = (x < right) & (y < bottom);
                    *offset = if inside { place } else { Self::OUTSIDE };
                    (*tx, *ty) = (fraction(sx), fraction(sy));
                }
            },
        );
    }

    pub(super) fn all(&self) -> Places<'_> {
        self.part(0..self.offset.len())
    }

    pub(super) fn part(&self, range: std::ops::Range<usize>) -> Places<'_> {
        Places {
            offset: &self.offset[range.clone()],
            right: &self.right[range.clone()],
            lower: &self.lower[range],
        }
    }

    pub(super) const fn new() -> Self {
        Self {
            offset: Vec::new(),
            right: Vec::new(),
            lower: Vec::new(),
            points: Vec::new(),
        }
    }
}

/// Source positions of neighbouring pixels: see [`Row`].
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    pub(super) offset: &'a [u32],
    pub(super) right: &'a [f32],
    pub(super) lower: &'a [f32],
}

impl<'a> Places<'a> {
    /// The weights of each pixel.
    #[inline(always)]
    pub(super) fn weights(self) -> impl Iterator<Item = [f32; 2]> + 'a {
        self.right.iter().zip(self.lower).map(|(x, y)| [*x, *y])
    }
}

/// The source points of row `y` under a projective map.
#[inline(always)]
pub(super) fn project(
    matrix: &Matrix,
    y: usize,
    width: usize,
    points: &mut Vec<[i64; 2]>,
    to_fixed: impl Fn(f64) -> i64,
) {
    let [rx, ry, rz] = matrix.rows();
    let y = y as f64;
    let start = [rx, ry, rz].map(|row| row[1] * y + row[2]);
    let step = [rx[0], ry[0], rz[0]];
    points.resize(width, [0; 2]);
    let points = points.as_mut_slice();
    vectorised(
        #[inline(always)]
        move || {
            for (x, point) in points.iter_mut().enumerate() {
                let x = f64::from(x as i32);
                // Infinity and what is no number end up outside of all images.
                let inverse = 1.0 / (start[2] + step[2] * x);
                *point = [
                    to_fixed((start[0] + step[0] * x) * inverse),
                    to_fixed((start[1] + step[1] * x) * inverse),
                ];
            }
        },
    );
}
