//! Seen from another side: `perspective`.

use super::{check_border, no_fill, plain_transform};
use crate::{AugmentError, Border, Interpolation, Matrix, Plan, SampleMeta, Transform, Warp};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Moves four points of the image to four others: torchvision's
/// `functional.perspective`.
///
/// ```
/// use firecraft_augment::{Perspective, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let corners = [(0.0, 0.0), (17.0, 0.0), (17.0, 13.0), (0.0, 13.0)];
/// let tilted = [(2.0, 1.0), (15.0, 0.0), (17.0, 13.0), (1.0, 12.0)];
/// let meta = SampleMeta { size: Size::new(13, 17), channels: 3 };
/// let plan = Perspective::new(corners, tilted).plan(&meta, Key::from_seed(0))?;
/// let (x, y) = plan.map_point(-0.5, -0.5).unwrap();
/// assert!((x - 1.5).abs() < 1e-9 && (y - 0.5).abs() < 1e-9);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Perspective {
    /// Four points `(x, y)` of the input, in pixels from its corner.
    pub start: [(f64, f64); 4],
    /// Where they go.
    pub end: [(f64, f64); 4],
    /// How values between pixels are made.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside the image; zeros by default.
    #[serde(default = "no_fill")]
    pub border: Border,
}

impl Perspective {
    /// Moves the points `start` to `end`.
    #[must_use]
    pub fn new(start: [(f64, f64); 4], end: [(f64, f64); 4]) -> Self {
        Self {
            start,
            end,
            interpolation: Interpolation::default(),
            border: no_fill(),
        }
    }

    /// Sets how values between pixels are made.
    #[must_use]
    pub const fn with_interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    /// Sets what lies outside the image.
    #[must_use]
    pub fn with_border(mut self, border: Border) -> Self {
        self.border = border;
        self
    }

    fn matrix(&self) -> Option<Matrix> {
        let centred = |points: [(f64, f64); 4]| points.map(|(x, y)| (x - 0.5, y - 0.5));
        Matrix::between(centred(self.end), centred(self.start))
    }
}

impl Transform for Perspective {
    plain_transform!("perspective");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        match self.matrix() {
            Some(_) => Ok(()),
            None => Err(AugmentError::parameter(
                self.name(),
                "start, end",
                format!("{:?}, {:?}", self.start, self.end),
                "points of which no three lie on a line",
            )),
        }
    }

    fn plan(&self, meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        Ok(Plan::from(Warp {
            matrix: self.matrix().unwrap_or(Matrix::IDENTITY),
            size: meta.size,
            interpolation: self.interpolation,
            border: self.border.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_line_are_refused() {
        let square = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)];
        let line = [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (0.0, 4.0)];
        assert!(Perspective::new(square, line).validate().is_err());
        assert!(Perspective::new(line, square).validate().is_err());
        assert!(Perspective::new(square, square).validate().is_ok());
    }
}
