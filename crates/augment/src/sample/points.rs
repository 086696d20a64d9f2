//! Key points.

use super::boxes::origins;
use crate::{AugmentError, Size};

/// Key points `(x, y)`, in pixels from the centre of the top left pixel: the
/// point `(3, 5)` is the centre of the pixel in row 5, column 3.
///
/// Some peers measure from the corner of the image; there that point is
/// `(3.5, 5.5)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// One row per point that is left.
    pub rows: Vec<[f32; 2]>,
    /// For each row, the row it was at the start: labels are kept outside and
    /// picked with it.
    pub source: Vec<usize>,
    /// Whether points that leave the image are dropped. By default they stay,
    /// with coordinates outside.
    pub drop_outside: bool,
}

impl Points {
    /// Points that may leave the image.
    #[must_use]
    pub fn new(rows: Vec<[f32; 2]>) -> Self {
        Self {
            source: (0..rows.len()).collect(),
            rows,
            drop_outside: false,
        }
    }

    /// Drops points as soon as they leave the image.
    #[must_use]
    pub const fn dropping_outside(mut self) -> Self {
        self.drop_outside = true;
        self
    }

    /// Drops the points outside an image of that size.
    pub(crate) fn drop_outside(&mut self, size: Size) {
        let inside = |v: f32, n: usize| v >= -0.5 && v <= n as f32 - 0.5;
        let inside = |[x, y]: [f32; 2]| inside(x, size.width) && inside(y, size.height);
        let kept = self.rows.iter().zip(&self.source);
        let kept: Vec<_> = kept.filter(|(row, _)| inside(**row)).collect();
        let (rows, source) = kept.into_iter().map(|(row, from)| (*row, *from)).unzip();
        self.rows = rows;
        self.source = source;
    }

    /// Puts the rows that a step outside this crate made in place of these.
    /// Row `i` was row `from[i]` of these.
    ///
    /// # Errors
    /// If there isn't one origin per row, an origin is no row, or a coordinate
    /// is not finite.
    pub fn replace(
        &mut self,
        rows: &[[f32; 2]],
        from: &[usize],
        size: Size,
    ) -> Result<(), AugmentError> {
        let source = origins(&self.source, rows.len(), from)?;
        if let Some(row) = rows.iter().find(|row| row.iter().any(|v| !v.is_finite())) {
            return Err(AugmentError::Image {
                operation: "points",
                got: format!("the point {row:?}"),
                expected: "finite numbers".into(),
            });
        }
        self.rows = rows.to_vec();
        self.source = source;
        self.map(size, &|x, y| (x, y));
        Ok(())
    }

    pub(super) fn map(&mut self, size: Size, map: &impl Fn(f64, f64) -> (f64, f64)) {
        let (mut rows, mut source) = (Vec::new(), Vec::new());
        for (&[x, y], &from) in self.rows.iter().zip(&self.source) {
            let (x, y) = map(f64::from(x), f64::from(y));
            let inside = |v: f64, n: usize| v >= -0.5 && v <= n as f64 - 0.5;
            if !self.drop_outside || inside(x, size.width) && inside(y, size.height) {
                rows.push([x as f32, y as f32]);
                source.push(from);
            }
        }
        self.rows = rows;
        self.source = source;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surviving_points_remember_where_they_came_from() {
        let mut points = Points::new(vec![[0.0, 0.0], [5.0, 5.0], [1.0, 1.0]]).dropping_outside();
        points.map(Size::new(4, 4), &|x, y| (x, y));
        assert_eq!(points.rows, [[0.0, 0.0], [1.0, 1.0]]);
        assert_eq!(points.source, [0, 2]);
    }
}
