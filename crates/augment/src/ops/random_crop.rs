//! Cutting out a rectangle at random: `random_crop`.

use super::{Crop, check_border, check_size, no_fill, plain_transform};
use crate::{AugmentError, Border, Plan, SampleMeta, Size, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// A rectangle of a given size at a place drawn uniformly from the image with
/// a frame of `padding` pixels: torchvision's `RandomCrop`.
///
/// ```
/// use firecraft_augment::{RandomCrop, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let cifar = RandomCrop::new(Size::new(32, 32)).with_padding(4);
/// let meta = SampleMeta { size: Size::new(32, 32), channels: 3 };
/// let (x, y) = cifar.plan(&meta, Key::from_seed(1))?.map_point(0.0, 0.0).unwrap();
/// assert!(x.abs() <= 4.0 && y.abs() <= 4.0);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomCrop {
    /// Height and width of the result.
    pub size: Size,
    /// Width of the frame around the image.
    #[serde(default)]
    pub padding: usize,
    /// Pads images that are too small instead of refusing them.
    #[serde(default)]
    pub pad_if_needed: bool,
    /// What the frame shows; zeros by default.
    #[serde(default = "no_fill")]
    pub border: Border,
}

impl RandomCrop {
    /// A rectangle of that size.
    #[must_use]
    pub fn new(size: Size) -> Self {
        Self {
            size,
            padding: 0,
            pad_if_needed: false,
            border: no_fill(),
        }
    }

    /// Sets the width of the frame around the image.
    #[must_use]
    pub const fn with_padding(mut self, padding: usize) -> Self {
        self.padding = padding;
        self
    }

    /// Pads images that are too small instead of refusing them.
    #[must_use]
    pub const fn padding_if_needed(mut self) -> Self {
        self.pad_if_needed = true;
        self
    }

    /// Sets what the frame shows.
    #[must_use]
    pub fn with_border(mut self, border: Border) -> Self {
        self.border = border;
        self
    }
}

impl Transform for RandomCrop {
    plain_transform!("random_crop");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        if self.padding > 1 << 20 {
            let expected = "a number of pixels up to 2^20";
            return Err(AugmentError::parameter(
                self.name(),
                "padding",
                self.padding,
                expected,
            ));
        }
        check_size(self.name(), "size", self.size)
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        let mut start = |image: usize, crop: usize| {
            let rest = (image + 2 * self.padding) as i64 - crop as i64;
            // An image that is too small is framed evenly and then moved
            // inside the frame, as the peers do.
            let low = rest.min(0) - self.padding as i64;
            let room = rest.unsigned_abs();
            (rest >= 0 || self.pad_if_needed).then(|| low + rng.below(room + 1) as i64)
        };
        let top = start(meta.size.height, self.size.height);
        let left = start(meta.size.width, self.size.width);
        let (Some(top), Some(left)) = (top, left) else {
            return Err(AugmentError::Image {
                operation: self.name(),
                got: format!(
                    "an image of {} and {} pixels of padding",
                    meta.size, self.padding
                ),
                expected: format!("at least {}, or `pad_if_needed`", self.size),
            });
        };
        let crop = Crop::new(top, left, self.size).with_border(self.border.clone());
        Ok(crop.warp().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::meta;
    use std::collections::BTreeSet;

    fn corners(crop: &RandomCrop, size: Size) -> BTreeSet<(i64, i64)> {
        (0..500)
            .map(|seed| {
                let plan = crop.plan(&meta(size), Key::from_seed(seed)).unwrap();
                let (x, y) = plan.map_point(0.0, 0.0).unwrap();
                (-x as i64, -y as i64)
            })
            .collect()
    }

    #[test]
    fn every_place_occurs_and_no_other() {
        let crop = RandomCrop::new(Size::new(4, 5));
        let expected: BTreeSet<_> = (0..4).flat_map(|x| (0..3).map(move |y| (x, y))).collect();
        assert_eq!(corners(&crop, Size::new(6, 8)), expected);
    }

    #[test]
    fn padding_lets_the_crop_leave_the_image() {
        let crop = RandomCrop::new(Size::new(6, 6)).with_padding(1);
        let expected: BTreeSet<_> = (-1..2).flat_map(|x| (-1..2).map(move |y| (x, y))).collect();
        assert_eq!(corners(&crop, Size::new(6, 6)), expected);
    }

    #[test]
    fn an_image_that_is_too_small_is_refused_unless_it_may_be_padded() {
        let crop = RandomCrop::new(Size::new(9, 9));
        let small = meta(Size::new(6, 12));
        let error = crop.plan(&small, Key::from_seed(0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "random_crop: got an image of 6x12 (height x width) and 0 pixels of padding, \
             needs at least 9x9 (height x width), or `pad_if_needed`"
        );
        assert!(
            crop.padding_if_needed()
                .plan(&small, Key::from_seed(0))
                .is_ok()
        );
    }
}
