//! Cutting out a given rectangle and resizing it: `resized_crop`.

use super::{ResizeRegion, check_size, plain_transform};
use crate::{AugmentError, Plan, Region, ResizeFilter, SampleMeta, Size, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Cuts out a rectangle and changes its size, in one pass: torchvision's
/// `functional.resized_crop`.
///
/// ```
/// use firecraft_augment::{Image, Region, ResizedCrop, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_u8((0..16).collect(), Size::new(4, 4), 1)?);
/// let region = Region { top: 1, left: 1, size: Size::new(2, 2) };
/// let crop = ResizedCrop::new(region, Size::new(1, 1));
/// crop.plan(&sample.meta(), Key::from_seed(0))?.apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[8][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizedCrop {
    /// The rectangle.
    pub region: Region,
    /// Size of the result.
    pub size: Size,
    /// How the pixels are made.
    #[serde(default)]
    pub filter: ResizeFilter,
    /// Whether the filter widens where the image shrinks.
    #[serde(default = "super::yes")]
    pub antialias: bool,
}

impl ResizedCrop {
    /// The rectangle, smoothly resized.
    #[must_use]
    pub const fn new(region: Region, size: Size) -> Self {
        Self {
            region,
            size,
            filter: ResizeFilter::Bilinear,
            antialias: true,
        }
    }

    /// Sets how the pixels are made.
    #[must_use]
    pub const fn with_filter(mut self, filter: ResizeFilter) -> Self {
        self.filter = filter;
        self
    }
}

impl Transform for ResizedCrop {
    plain_transform!("resized_crop");

    fn validate(&self) -> Result<(), AugmentError> {
        check_size(self.name(), "size", self.size)?;
        check_size(self.name(), "region", self.region.size)
    }

    fn plan(&self, meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        if !self.region.is_inside(meta.size) {
            return Err(AugmentError::Image {
                operation: self.name(),
                got: format!("an image of {}", meta.size),
                expected: format!("one that holds {}", self.region),
            });
        }
        Ok(Plan::from(ResizeRegion {
            region: self.region,
            size: self.size,
            filter: self.filter,
            antialias: self.antialias,
            flipped: (false, false),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, meta};

    #[test]
    fn a_rectangle_outside_is_refused() {
        let region = Region {
            top: 4,
            left: 0,
            size: Size::new(3, 3),
        };
        let error = ResizedCrop::new(region, Size::new(2, 2)).plan(&meta(SIZE), Key::from_seed(0));
        assert_eq!(
            error.unwrap_err().to_string(),
            "resized_crop: got an image of 6x9 (height x width), \
             needs one that holds 3x3 (height x width) at row 4, column 0"
        );
    }
}
