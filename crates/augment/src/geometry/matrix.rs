//! Projective maps of the image plane.

use super::{Size, trig::sin_cos};
use serde::{Deserialize, Serialize};

/// A 3x3 matrix that maps points `(x, y, 1)` of the plane.
///
/// Entries keep 48 significant bits: enough for 1e-10 pixels in an image of
/// 20 000, and the five bits to spare make a matrix come back the same through
/// JSON readers that round the last digit.
///
/// ```
/// use firecraft_augment::{Matrix, Size};
/// let quarter = Matrix::rotation(0.25).about(Size::new(3, 3).centre());
/// // Turning the content counter-clockwise: the top left corner of the result
/// // shows what was at the top right.
/// assert_eq!(quarter.map(0.0, 0.0), Some((2.0, 0.0)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[[f64; 3]; 3]", into = "[[f64; 3]; 3]")]
pub struct Matrix {
    rows: [[f64; 3]; 3],
}

impl From<[[f64; 3]; 3]> for Matrix {
    fn from(rows: [[f64; 3]; 3]) -> Self {
        Self {
            rows: rows.map(|row| row.map(settle)),
        }
    }
}

impl From<Matrix> for [[f64; 3]; 3] {
    fn from(matrix: Matrix) -> Self {
        matrix.rows
    }
}

/// Rounds to 48 significant bits, which come back the same through JSON
/// readers that round the last digit.
pub(crate) fn settle(value: f64) -> f64 {
    const SPARE: u32 = 5;
    if !value.is_finite() {
        return value;
    }
    let half = 1_u64 << (SPARE - 1);
    let rounded = f64::from_bits(value.to_bits().wrapping_add(half) & !((1 << SPARE) - 1));
    // One zero, so that equal matrices have equal bits.
    rounded + 0.0
}

impl Matrix {
    /// Leaves every point where it is.
    pub const IDENTITY: Self = Self {
        rows: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    };

    /// The matrix with the upper two rows `[a, b, c]` and `[d, e, f]`:
    /// `x' = a x + b y + c`, `y' = d x + e y + f`.
    #[must_use]
    pub fn affine(upper: [[f64; 3]; 2]) -> Self {
        Self::from([upper[0], upper[1], [0.0, 0.0, 1.0]])
    }

    /// Adds `(dx, dy)`. As a sampling map it moves the content by `(-dx, -dy)`.
    #[must_use]
    pub fn translation(dx: f64, dy: f64) -> Self {
        Self::affine([[1.0, 0.0, dx], [0.0, 1.0, dy]])
    }

    /// Multiplies `x` and `y`. As a sampling map, factors above 1 shrink the
    /// content (zoom out).
    #[must_use]
    pub fn scale(x: f64, y: f64) -> Self {
        Self::affine([[x, 0.0, 0.0], [0.0, y, 0.0]])
    }

    /// Rotation by `turns` full turns about the origin; as a sampling map it
    /// turns the content counter-clockwise for positive values (`y` points
    /// down). Quarter turns are exact.
    #[must_use]
    pub fn rotation(turns: f64) -> Self {
        let (sin, cos) = sin_cos(turns);
        Self::affine([[cos, -sin, 0.0], [sin, cos, 0.0]])
    }

    /// Adds `x * y_shear` to y and `y * x_shear` to x.
    #[must_use]
    pub fn shear(x_shear: f64, y_shear: f64) -> Self {
        Self::affine([[1.0, x_shear, 0.0], [y_shear, 1.0, 0.0]])
    }

    /// Mirrors the columns of an image of that size.
    #[must_use]
    pub fn horizontal_flip(size: Size) -> Self {
        Self::affine([[-1.0, 0.0, size.width as f64 - 1.0], [0.0, 1.0, 0.0]])
    }

    /// Mirrors the rows of an image of that size.
    #[must_use]
    pub fn vertical_flip(size: Size) -> Self {
        Self::affine([[1.0, 0.0, 0.0], [0.0, -1.0, size.height as f64 - 1.0]])
    }

    /// Swaps rows and columns.
    #[must_use]
    pub fn transpose() -> Self {
        Self::affine([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    }

    /// The same map with `centre` in place of the origin.
    #[must_use]
    pub fn about(self, centre: (f64, f64)) -> Self {
        Self::translation(centre.0, centre.1)
            .compose(self)
            .compose(Self::translation(-centre.0, -centre.1))
    }

    /// The map that applies `first` and then `self` (the matrix product
    /// `self · first`).
    ///
    /// Sampling maps run backwards, from the result to the source, so images
    /// warped by `a` and then by `b` are warped by `a.compose(b)`.
    #[must_use]
    pub fn compose(self, first: Self) -> Self {
        let mut rows = [[0.0; 3]; 3];
        for (row, left) in rows.iter_mut().zip(self.rows) {
            for (j, value) in row.iter_mut().enumerate() {
                *value = left[0] * first.rows[0][j]
                    + left[1] * first.rows[1][j]
                    + left[2] * first.rows[2][j];
            }
        }
        Self::from(rows)
    }

    /// Where the point `(x, y)` goes; `None` if it goes to infinity.
    #[must_use]
    pub fn map(self, x: f64, y: f64) -> Option<(f64, f64)> {
        let [u, v, w] = self.rows.map(|row| row[0] * x + row[1] * y + row[2]);
        let (x, y) = if self.is_affine() {
            (u, v)
        } else {
            (u / w, v / w)
        };
        (x.is_finite() && y.is_finite()).then_some((x, y))
    }

    /// The inverse map; `None` if the matrix is singular.
    #[must_use]
    pub fn inverse(self) -> Option<Self> {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.rows;
        let cofactors = [
            [e * i - f * h, c * h - b * i, b * f - c * e],
            [f * g - d * i, a * i - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ];
        let determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0];
        let rows = cofactors.map(|row| row.map(|value| value / determinant));
        let last = rows[2][2];
        if determinant == 0.0 || !rows.iter().flatten().all(|value| value.is_finite()) {
            return None;
        }
        // Normalised so that the inverse of an affine map is one, too.
        Some(if self.is_affine() && last != 0.0 {
            Self::affine([rows[0].map(|v| v / last), rows[1].map(|v| v / last)])
        } else {
            Self::from(rows)
        })
    }

    /// The map that takes four points to four points; `None` if three of
    /// either lie on a line.
    ///
    /// ```
    /// use firecraft_augment::Matrix;
    /// let square = [(0.0, 0.0), (8.0, 0.0), (8.0, 8.0), (0.0, 8.0)];
    /// let tilted = [(1.0, 1.0), (7.0, 0.0), (8.0, 8.0), (0.0, 6.0)];
    /// let map = Matrix::between(square, tilted).unwrap();
    /// let (x, y) = map.map(8.0, 0.0).unwrap();
    /// assert!((x - 7.0).abs() < 1e-9 && y.abs() < 1e-9);
    /// assert_eq!(Matrix::between([(0.0, 0.0); 4], square), None);
    /// ```
    #[must_use]
    pub fn between(from: [(f64, f64); 4], to: [(f64, f64); 4]) -> Option<Self> {
        let from = unit_square_to(from)?;
        let to = unit_square_to(to)?;
        let map = to.compose(from.inverse()?);
        let last = map.rows[2][2];
        (last != 0.0).then(|| Self::from(map.rows.map(|row| row.map(|v| v / last))))
    }

    /// The rows of the matrix.
    #[must_use]
    pub const fn rows(self) -> [[f64; 3]; 3] {
        self.rows
    }

    /// Whether parallels stay parallel: the last row is `[0, 0, 1]`.
    #[must_use]
    pub fn is_affine(self) -> bool {
        self.rows[2] == [0.0, 0.0, 1.0]
    }

    /// The matrix in integers, if it is affine, turns axes into axes without
    /// scaling and moves by whole pixels: then every output pixel shows
    /// exactly one input pixel, and nothing has to be interpolated.
    #[must_use]
    pub fn as_pixel_map(self) -> Option<[[i64; 3]; 2]> {
        // Far below what f64 holds exactly, far above any image.
        const LIMIT: f64 = 1e9;
        let [x, y, _] = self.rows;
        let unit = |row: [f64; 3]| {
            matches!((row[0].abs(), row[1].abs()), (1.0, 0.0) | (0.0, 1.0))
                && row[2].fract() == 0.0
                && row[2].abs() < LIMIT
        };
        (self.is_affine() && unit(x) && unit(y) && (x[0] == 0.0) != (y[0] == 0.0))
            .then(|| [x.map(|v| v as i64), y.map(|v| v as i64)])
    }

    /// Whether every pixel of a result of size `output` shows one pixel inside
    /// an input of size `input`, so that neither interpolation nor the border
    /// plays a part: flips, quarter turns, crops.
    #[must_use]
    pub fn is_exact(self, input: Size, output: Size) -> bool {
        let inside = |x: f64, y: f64| {
            self.map(x, y).is_some_and(|(x, y)| {
                x >= 0.0 && y >= 0.0 && x < input.width as f64 && y < input.height as f64
            })
        };
        self.as_pixel_map().is_some()
            && (output.area() == 0
                || inside(0.0, 0.0)
                    && inside(output.width as f64 - 1.0, output.height as f64 - 1.0))
    }
}

/// The map from the corners of the unit square, in turn, to four points
/// (Heckbert, *Fundamentals of Texture Mapping*, 1989, section 2.2.3).
fn unit_square_to([p0, p1, p2, p3]: [(f64, f64); 4]) -> Option<Matrix> {
    let (dx1, dx2) = (p1.0 - p2.0, p3.0 - p2.0);
    let (dy1, dy2) = (p1.1 - p2.1, p3.1 - p2.1);
    let (sx, sy) = (p0.0 - p1.0 + p2.0 - p3.0, p0.1 - p1.1 + p2.1 - p3.1);
    let determinant = dx1 * dy2 - dx2 * dy1;
    let (g, h) = (
        (sx * dy2 - dx2 * sy) / determinant,
        (dx1 * sy - sx * dy1) / determinant,
    );
    let matrix = Matrix::from([
        [p1.0 - p0.0 + g * p1.0, p3.0 - p0.0 + h * p3.0, p0.0],
        [p1.1 - p0.1 + g * p1.1, p3.1 - p0.1 + h * p3.1, p0.1],
        [g, h, 1.0],
    ]);
    (determinant != 0.0 && matrix.inverse().is_some()).then_some(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_inverse_takes_points_back(
            turns in -1.0..1.0_f64, zoom in 0.2..4.0_f64, dx in -50.0..50.0_f64, g in -1e-3..1e-3_f64,
            x in 0.0..64.0_f64, y in 0.0..64.0_f64,
        ) {
            let map = Matrix::from([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [g, 0.0, 1.0]])
                .compose(Matrix::translation(dx, 1.0))
                .compose(Matrix::rotation(turns))
                .compose(Matrix::scale(zoom, 1.0 / zoom));
            let (u, v) = map.map(x, y).unwrap();
            let (back_x, back_y) = map.inverse().unwrap().map(u, v).unwrap();
            prop_assert!((back_x - x).abs() < 1e-7 && (back_y - y).abs() < 1e-7);
        }

        #[test]
        fn composing_is_applying_in_turn(a in -1.0..1.0_f64, b in 0.5..2.0_f64, x in -9.0..9.0_f64) {
            let (first, then) = (Matrix::scale(b, 1.5), Matrix::rotation(a).about((3.0, 4.0)));
            let (u, v) = first.map(x, 2.0).unwrap();
            let (one, two) = (then.map(u, v).unwrap(), then.compose(first).map(x, 2.0).unwrap());
            prop_assert!((one.0 - two.0).abs() < 1e-10 && (one.1 - two.1).abs() < 1e-10);
        }

        #[test]
        fn a_matrix_survives_json(turns in -1.0..1.0_f64, dx in -1e5..1e5_f64) {
            let matrix = Matrix::rotation(turns).about((dx, -dx / 3.0));
            let json = serde_json::to_string(&matrix).unwrap();
            prop_assert_eq!(serde_json::from_str::<Matrix>(&json).unwrap(), matrix);
        }
    }

    #[test]
    fn a_singular_matrix_has_no_inverse() {
        assert_eq!(Matrix::scale(0.0, 1.0).inverse(), None);
    }

    #[test]
    fn flips_and_quarter_turns_are_pixel_maps_and_zooms_are_not() {
        let size = Size::new(4, 7);
        assert!(Matrix::horizontal_flip(size).is_exact(size, size));
        assert!(Matrix::vertical_flip(size).is_exact(size, size));
        assert!(Matrix::transpose().is_exact(size, Size::new(7, 4)));
        assert!(!Matrix::transpose().is_exact(size, size));
        let square = Size::new(6, 6);
        assert!(
            Matrix::rotation(0.25)
                .about(square.centre())
                .is_exact(square, square)
        );
        assert_eq!(Matrix::scale(2.0, 1.0).as_pixel_map(), None);
        assert_eq!(Matrix::translation(0.5, 0.0).as_pixel_map(), None);
        assert!(!Matrix::translation(1.0, 0.0).is_exact(size, size));
    }
}
