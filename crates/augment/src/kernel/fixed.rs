//! Source coordinates in fixed point: 32 bits of whole pixels, 32 of fraction.
//!
//! Integer steps along a row are exact, so the pixel in column 700 doesn't
//! depend on how the 699 before it were grouped, and floor and fraction are a
//! shift and a mask.

use crate::{Matrix, Size};

/// One pixel.
pub(super) const ONE: i64 = 1 << 32;
/// Half a pixel.
pub(super) const HALF: i64 = ONE / 2;
/// Coordinates are kept within this many pixels of the origin.
const REACH: f64 = (1_u64 << 29) as f64;

/// A coordinate in fixed point; what is too far away (or not a number) stays
/// outside of every image.
#[inline(always)]
pub(super) fn fixed(value: f64) -> i64 {
    if value.abs() <= REACH {
        (value * ONE as f64 + 0.5).floor_i64()
    } else if value > 0.0 {
        (REACH as i64) << 32
    } else {
        -((REACH as i64) << 32)
    }
}

/// The images for which [`nearly_fixed`] does have fewer pixels on a side.
pub(super) const NEAR: usize = 1 << 19;

/// [`fixed`] in operations that vectors have, for coordinates within [`NEAR`]
/// pixels of the origin; others end up there.
#[inline(always)]
pub(super) fn nearly_fixed(value: f64) -> i64 {
    const FAR: f64 = NEAR as f64;
    // Adding this leaves a whole number below 2^52 in the low bits.
    const SHIFT: f64 = 1.5 * (1_u64 << 52) as f64;
    let value = if value > -FAR { value } else { -FAR };
    let value = if value < FAR { value } else { FAR };
    let shifted = value * ONE as f64 + SHIFT;
    shifted.to_bits() as i64 - SHIFT.to_bits() as i64
}

trait FloorI64 {
    fn floor_i64(self) -> i64;
}

impl FloorI64 for f64 {
    // `floor` is a call on baseline x86-64.
    #[inline(always)]
    fn floor_i64(self) -> i64 {
        let whole = self as i64;
        whole - i64::from(self < whole as f64)
    }
}

/// The whole pixel of a coordinate.
#[inline(always)]
pub(super) const fn whole(coordinate: i64) -> i64 {
    coordinate >> 32
}

/// The resolution at which a coordinate counts as a tie: 2⁻¹⁶ pixels.
pub(super) const TIE: i64 = 1 << 16;

/// The nearest whole pixel of a coordinate, ties to the even one.
///
/// Whatever is within rounding of a tie counts as one, so that the result
/// doesn't depend on how a matrix was put together.
#[inline]
pub(super) const fn nearest(coordinate: i64) -> i64 {
    let coarse = (coordinate + TIE / 2) >> 16;
    (coarse + (TIE / 2 - 1) + ((coarse >> 16) & 1)) >> 16
}

/// The fraction of a coordinate, in `[0, 1)` with 24 bits.
#[inline(always)]
pub(super) const fn fraction(coordinate: i64) -> f32 {
    (coordinate as u32 >> 8) as i32 as f32 * (1.0 / (1_u32 << 24) as f32)
}

/// A point that moves by the same step from one column to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) start: [i64; 2],
    pub(super) step: [i64; 2],
}

impl Line {
    /// The source points of row `y`; `None` if the matrix is not affine or
    /// leaves the range of fixed point.
    pub(super) fn of_row(matrix: &Matrix, y: usize, width: usize) -> Option<Self> {
        let [rx, ry, _] = matrix.rows();
        let start = [rx, ry].map(|row| row[1] * y as f64 + row[2]);
        let step = [rx[0], ry[0]];
        let near = start
            .iter()
            .zip(step)
            .all(|(s, d)| s.abs() <= REACH && (s + d * width as f64).abs() <= REACH);
        (matrix.is_affine() && near).then(|| Self {
            start: start.map(fixed),
            step: step.map(fixed),
        })
    }

    /// The line moved by as much in both directions.
    pub(super) fn shifted(mut self, by: i64) -> Self {
        self.start = self.start.map(|v| v + by);
        self
    }

    #[inline]
    pub(super) const fn at(&self, x: usize) -> [i64; 2] {
        let x = x as i64;
        [
            self.start[0] + self.step[0] * x,
            self.start[1] + self.step[1] * x,
        ]
    }

    /// The columns in `0..width` whose coordinates are in `0..limit` pixels.
    pub(super) fn inside(&self, limit: Size, width: usize) -> (usize, usize) {
        let (x_low, x_high) = span(self.start[0], self.step[0], limit.width, width);
        let (y_low, y_high) = span(self.start[1], self.step[1], limit.height, width);
        let (low, high) = (x_low.max(y_low), x_high.min(y_high));
        if low < high { (low, high) } else { (0, 0) }
    }
}

/// The `x` in `0..n` with `0 <= start + step x < limit` pixels.
fn span(start: i64, step: i64, limit: usize, n: usize) -> (usize, usize) {
    let limit = (limit as i64) << 32;
    let (low, high) = match step {
        0 if (0..limit).contains(&start) => (0, n as i64),
        0 => (0, 0),
        1.. => (ceil_div(-start, step), ceil_div(limit - start, step)),
        _ => (
            (start - limit).div_euclid(-step) + 1,
            start.div_euclid(-step) + 1,
        ),
    };
    let clamp = |v: i64| v.clamp(0, n as i64) as usize;
    (clamp(low), clamp(high))
}

const fn ceil_div(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_inside_of_a_row_is_what_a_search_finds(
            x in -60.0..60.0_f64, y in -60.0..60.0_f64, dx in -3.0..3.0_f64, dy in -3.0..3.0_f64,
            still in any::<bool>(),
        ) {
            let line = Line {
                start: [fixed(x), fixed(y)],
                step: [if still { 0 } else { fixed(dx) }, fixed(dy)],
            };
            let limit = Size::new(31, 23);
            let (low, high) = line.inside(limit, 40);
            for column in 0..40 {
                let [x, y] = line.at(column).map(whole);
                let inside = (0..23).contains(&x) && (0..31).contains(&y);
                prop_assert_eq!(inside, (low..high).contains(&column), "column {}", column);
            }
        }
    }

    #[test]
    fn ties_go_to_the_even_pixel() {
        for (value, expected) in [
            (-1.5, -2),
            (-0.5, 0),
            (0.5, 0),
            (1.5, 2),
            (2.5, 2),
            (2.500_000_1, 2),
            (2.500_1, 3),
            (1.499_9, 1),
        ] {
            assert_eq!(nearest(fixed(value)), expected, "{value}");
        }
    }

    #[test]
    fn both_ways_to_fixed_point_agree() {
        for i in -5000..5000 {
            let value = f64::from(i) * 0.731;
            assert!((nearly_fixed(value) - fixed(value)).abs() <= 1, "{value}");
        }
        for far in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e9, -1e9] {
            assert_eq!(whole(nearly_fixed(far)).abs(), 1 << 19);
        }
    }

    #[test]
    fn whole_and_fraction_of_negative_coordinates() {
        assert_eq!(whole(fixed(-0.25)), -1);
        assert_eq!(fraction(fixed(-0.25)), 0.75);
        assert_eq!(whole(fixed(f64::NAN)), -(1 << 29));
        assert_eq!(whole(fixed(1e300)), 1 << 29);
    }
}
