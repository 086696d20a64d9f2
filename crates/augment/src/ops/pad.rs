//! A frame around the image: `pad`.

use super::{check_area, check_border, no_fill, plain_transform};
use crate::{AugmentError, Border, Interpolation, Matrix, Plan, SampleMeta, Size, Transform, Warp};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Adds rows and columns on each side: torchvision's `functional.pad`.
///
/// Boxes and key points move with the image under every border; the copies
/// that a mirroring border shows have none.
///
/// ```
/// use firecraft_augment::{Border, Image, Pad, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_u8(vec![1, 2], Size::new(1, 2), 1)?);
/// let pad = Pad::new(2, 0, 1, 0).with_border(Border::Symmetric);
/// pad.plan(&sample.meta(), Key::from_seed(0))?.apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[2, 1, 1, 2, 2][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pad {
    /// Columns added on the left.
    pub left: usize,
    /// Rows added at the top.
    pub top: usize,
    /// Columns added on the right.
    pub right: usize,
    /// Rows added at the bottom.
    pub bottom: usize,
    /// What they show; zeros by default.
    pub border: Border,
}

impl Default for Pad {
    fn default() -> Self {
        Self::new(0, 0, 0, 0)
    }
}

impl Pad {
    /// Adds that many columns and rows.
    #[must_use]
    pub fn new(left: usize, top: usize, right: usize, bottom: usize) -> Self {
        Self {
            left,
            top,
            right,
            bottom,
            border: no_fill(),
        }
    }

    /// Sets what the frame shows.
    #[must_use]
    pub fn with_border(mut self, border: Border) -> Self {
        self.border = border;
        self
    }
}

impl Transform for Pad {
    plain_transform!("pad");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        for (field, value) in [
            ("left", self.left),
            ("top", self.top),
            ("right", self.right),
            ("bottom", self.bottom),
        ] {
            if value > 1 << 20 {
                let expected = "a number of pixels up to 2^20";
                return Err(AugmentError::parameter(self.name(), field, value, expected));
            }
        }
        Ok(())
    }

    fn plan(&self, meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let size = Size::new(
            meta.size.height.saturating_add(self.top + self.bottom),
            meta.size.width.saturating_add(self.left + self.right),
        );
        check_area(self.name(), "the framed image", size)?;
        Ok(Plan::from(Warp {
            matrix: Matrix::translation(-(self.left as f64), -(self.top as f64)),
            size,
            interpolation: Interpolation::Nearest,
            border: self.border.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, meta};

    #[test]
    fn the_frame_is_where_it_was_asked_for() {
        let plan = Pad::new(1, 2, 3, 4)
            .plan(&meta(SIZE), Key::from_seed(0))
            .unwrap();
        assert_eq!(
            plan.output(SIZE),
            Size::new(SIZE.height + 6, SIZE.width + 4)
        );
        assert_eq!(plan.map_point(0.0, 0.0), Some((1.0, 2.0)));
        assert!(Pad::new(usize::MAX, 0, 0, 0).validate().is_err());
        let vast = Pad::new(1 << 20, 1 << 20, 0, 0);
        let error = vast.plan(&meta(SIZE), Key::from_seed(0)).unwrap_err();
        assert!(error.to_string().contains("at most 2^28 pixels"), "{error}");
    }
}
