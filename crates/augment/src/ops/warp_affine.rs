//! A given matrix: `warp_affine`.

use super::{check_border, no_fill, plain_transform};
use crate::{AugmentError, Border, Interpolation, Matrix, Plan, SampleMeta, Transform, Warp};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Reads each output point `(x, y)` at `(a x + b y + c, d x + e y + f)`:
/// Pillow's `Image.transform(AFFINE)`, OpenCV's `warpAffine` with the inverse
/// map.
///
/// Points are measured from the corner of the image, as in Pillow.
///
/// ```
/// use firecraft_augment::{Border, Image, Sample, Size, Transform, WarpAffine};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_u8(vec![1, 2, 3], Size::new(1, 3), 1)?);
/// let left = WarpAffine::new([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]);
/// left.plan(&sample.meta(), Key::from_seed(0))?.apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[2, 3, 0][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarpAffine {
    /// `[[a, b, c], [d, e, f]]`.
    pub matrix: [[f64; 3]; 2],
    /// How values between pixels are made.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside the image; zeros by default.
    #[serde(default = "no_fill")]
    pub border: Border,
}

impl WarpAffine {
    /// Reads along that matrix.
    #[must_use]
    pub fn new(matrix: [[f64; 3]; 2]) -> Self {
        Self {
            matrix,
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
}

impl Transform for WarpAffine {
    plain_transform!("warp_affine");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        if self.matrix.iter().flatten().all(|v| v.is_finite()) {
            return Ok(());
        }
        let got = format!("{:?}", self.matrix);
        Err(AugmentError::parameter(
            self.name(),
            "matrix",
            got,
            "finite numbers",
        ))
    }

    fn plan(&self, meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        Ok(Plan::from(Warp {
            matrix: Matrix::translation(-0.5, -0.5)
                .compose(Matrix::affine(self.matrix))
                .compose(Matrix::translation(0.5, 0.5)),
            size: meta.size,
            interpolation: self.interpolation,
            border: self.border.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, plan};

    #[test]
    fn the_corner_is_the_origin() {
        let zoom = WarpAffine::new([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]);
        // The corner stays, the opposite one goes twice as far.
        let plan = plan(&zoom, 0);
        assert_eq!(plan.map_point(-0.5, -0.5), Some((-0.5, -0.5)));
        assert_eq!(plan.map_point(8.5, 5.5), Some((17.5, 11.5)));
        assert_eq!(plan.output(SIZE), SIZE);
        assert!(WarpAffine::new([[f64::NAN; 3]; 2]).validate().is_err());
    }
}
