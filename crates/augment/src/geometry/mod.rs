//! The geometry of the image plane: sizes, matrices, borders and warps.
//!
//! One convention for all: the centre of the pixel in row `i`, column `j` is
//! the point `(x, y) = (j, i)`, so an image of `W` columns covers
//! `-0.5 ..= W - 0.5` and its centre is `(W - 1) / 2`. Matrices map *output*
//! points to *input* points, which is the direction in which an image is
//! resampled; [`Matrix::inverse`] moves boxes and key points.

mod matrix;
mod sampling;
mod trig;
mod warp;

pub use matrix::Matrix;
pub(crate) use matrix::settle;
pub(crate) use sampling::cubic_weights;
pub use sampling::{Border, Interpolation};
pub(crate) use trig::sin_cos;
pub use warp::{Warp, fuse};

use serde::{Deserialize, Serialize};
use std::fmt;

/// Height and width of an image in pixels.
///
/// ```
/// use firecraft_augment::Size;
/// let size = Size::new(13, 17);
/// assert_eq!(size.to_string(), "13x17 (height x width)");
/// assert_eq!(size.area(), 221);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
}

impl Size {
    /// A size of `height` rows and `width` columns.
    #[must_use]
    pub const fn new(height: usize, width: usize) -> Self {
        Self { height, width }
    }

    /// Number of pixels.
    #[must_use]
    pub const fn area(self) -> usize {
        self.height * self.width
    }

    /// The centre of the image, `((W - 1) / 2, (H - 1) / 2)`.
    #[must_use]
    pub fn centre(self) -> (f64, f64) {
        (
            (self.width as f64 - 1.0) / 2.0,
            (self.height as f64 - 1.0) / 2.0,
        )
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{} (height x width)", self.height, self.width)
    }
}

/// A rectangle of whole pixels inside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Number of rows and columns.
    pub size: Size,
}

impl Region {
    /// All of an image of that size.
    #[must_use]
    pub const fn all(size: Size) -> Self {
        Self {
            top: 0,
            left: 0,
            size,
        }
    }

    /// Whether the rectangle has pixels, and all of them are in an image of
    /// that size.
    #[must_use]
    pub fn is_inside(self, size: Size) -> bool {
        let fits = |start: usize, n: usize, all: usize| {
            n > 0 && start.checked_add(n).is_some_and(|end| end <= all)
        };
        fits(self.top, self.size.height, size.height)
            && fits(self.left, self.size.width, size.width)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at row {}, column {}", self.size, self.top, self.left)
    }
}
