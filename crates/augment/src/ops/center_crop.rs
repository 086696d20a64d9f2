//! Cutting out the middle: `center_crop`.

use super::{Crop, check_size, plain_transform};
use crate::{AugmentError, Plan, SampleMeta, Size, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Which pixel an odd rest goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OddRest {
    /// The crop starts at `floor(rest / 2)`: Keras, albumentations.
    #[default]
    Down,
    /// The crop starts at `rest / 2`, ties to even: torchvision.
    Even,
}

/// The middle of the image; zeros around it where the image is smaller.
///
/// ```
/// use firecraft_augment::{CenterCrop, OddRest, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(13, 17), channels: 3 };
/// let top_left = |crop: CenterCrop| {
///     crop.plan(&meta, Key::from_seed(0)).unwrap().map_point(0.0, 0.0).unwrap()
/// };
/// let crop = CenterCrop::new(Size::new(6, 8));
/// assert_eq!(top_left(crop.clone()), (-4.0, -3.0));
/// assert_eq!(top_left(crop.with_odd_rest(OddRest::Even)), (-4.0, -4.0));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterCrop {
    /// Height and width of the result.
    pub size: Size,
    /// Which pixel an odd rest goes to.
    #[serde(default)]
    pub odd_rest: OddRest,
}

impl CenterCrop {
    /// The middle, `size` large.
    #[must_use]
    pub const fn new(size: Size) -> Self {
        Self {
            size,
            odd_rest: OddRest::Down,
        }
    }

    /// Sets which pixel an odd rest goes to.
    #[must_use]
    pub const fn with_odd_rest(mut self, odd_rest: OddRest) -> Self {
        self.odd_rest = odd_rest;
        self
    }

    fn start(&self, image: usize, crop: usize) -> i64 {
        let rest = image as i64 - crop as i64;
        let down = rest.div_euclid(2);
        match self.odd_rest {
            OddRest::Even if rest > 0 && rest % 2 == 1 && down % 2 == 1 => down + 1,
            // Where the image is too small, the larger pad is at the end.
            _ if rest < 0 => -((-rest) / 2),
            _ => down,
        }
    }
}

impl Transform for CenterCrop {
    plain_transform!("center_crop");

    fn validate(&self) -> Result<(), AugmentError> {
        check_size(self.name(), "size", self.size)
    }

    fn plan(&self, meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let top = self.start(meta.size.height, self.size.height);
        let left = self.start(meta.size.width, self.size.width);
        Ok(Crop::new(top, left, self.size).warp().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::meta;

    #[test]
    fn small_images_get_a_frame() {
        let plan = CenterCrop::new(Size::new(5, 4))
            .plan(&meta(Size::new(2, 2)), Key::from_seed(0))
            .unwrap();
        assert_eq!(plan.map_point(0.0, 0.0), Some((1.0, 1.0)));
        assert_eq!(plan.output(Size::new(2, 2)), Size::new(5, 4));
    }
}
