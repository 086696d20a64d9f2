//! Cutting out a given rectangle: `crop`.

use super::{check_border, no_fill, plain_transform};
use crate::{AugmentError, Border, Interpolation, Matrix, Plan, SampleMeta, Size, Transform, Warp};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// The rectangle of `height` rows and `width` columns from row `top` and
/// column `left` on; what it has outside the image is the border.
/// torchvision's `functional.crop`.
///
/// ```
/// use firecraft_augment::{Crop, Image, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_u8((0..9).collect(), Size::new(3, 3), 1)?);
/// let crop = Crop::new(1, 1, Size::new(2, 3));
/// crop.plan(&sample.meta(), Key::from_seed(0))?.apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[4, 5, 0, 7, 8, 0][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// First row; may be negative.
    pub top: i64,
    /// First column; may be negative.
    pub left: i64,
    /// Height and width of the result.
    pub size: Size,
    /// What lies outside the image; zeros by default.
    #[serde(default = "no_fill")]
    pub border: Border,
}

impl Crop {
    /// The rectangle of that size from that row and column on.
    #[must_use]
    pub fn new(top: i64, left: i64, size: Size) -> Self {
        Self {
            top,
            left,
            size,
            border: no_fill(),
        }
    }

    /// Sets what lies outside the image.
    #[must_use]
    pub fn with_border(mut self, border: Border) -> Self {
        self.border = border;
        self
    }

    /// The step that does it.
    #[must_use]
    pub fn warp(&self) -> Warp {
        Warp {
            matrix: Matrix::translation(self.left as f64, self.top as f64),
            size: self.size,
            interpolation: Interpolation::Nearest,
            border: self.border.clone(),
        }
    }
}

impl Transform for Crop {
    plain_transform!("crop");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        const LIMIT: i64 = 1 << 28;
        for (field, value) in [("top", self.top), ("left", self.left)] {
            if value.abs() > LIMIT {
                let expected = "a number of pixels up to 2^28";
                return Err(AugmentError::parameter(self.name(), field, value, expected));
            }
        }
        super::check_size(self.name(), "size", self.size)
    }

    fn plan(&self, _meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        Ok(self.warp().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_crop_is_refused() {
        let error = Crop::new(0, 0, Size::new(0, 4)).validate().unwrap_err();
        assert!(error.to_string().contains("size = 0x4"), "{error}");
        assert!(
            Crop::new(i64::MIN + 1, 0, Size::new(1, 4))
                .validate()
                .is_err()
        );
    }
}
