//! At least that large: `pad_if_needed`.

use super::{check_border, check_size, no_fill, plain_transform};
use crate::{AugmentError, Border, Pad, Plan, SampleMeta, Size, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Where the image lies on its frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PadPlace {
    /// In the middle, an odd rest at the end.
    #[default]
    Center,
    /// At the top left.
    TopLeft,
    /// Anywhere.
    Random,
}

/// Adds a frame where the image is smaller than `min_size` or no multiple of
/// `divisor`: albumentations' `PadIfNeeded`, timm's `RandomPad`, kornia's
/// `PadTo`.
///
/// ```
/// use firecraft_augment::{PadIfNeeded, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(10, 50), channels: 3 };
/// let pad = PadIfNeeded::new(Size::new(20, 20)).with_divisor(16);
/// assert_eq!(pad.plan(&meta, Key::from_seed(0))?.output(meta.size), Size::new(32, 64));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PadIfNeeded {
    /// The smallest height and width.
    pub min_size: Size,
    /// What height and width are multiples of, in `1..=65536`.
    #[serde(default = "one")]
    pub divisor: usize,
    /// Where the image lies.
    #[serde(default)]
    pub place: PadPlace,
    /// What the frame shows; zeros by default.
    #[serde(default = "no_fill")]
    pub border: Border,
}

const fn one() -> usize {
    1
}

impl PadIfNeeded {
    /// At least that large, in the middle.
    #[must_use]
    pub fn new(min_size: Size) -> Self {
        Self {
            min_size,
            divisor: 1,
            place: PadPlace::Center,
            border: no_fill(),
        }
    }

    /// Sets what height and width are multiples of.
    #[must_use]
    pub const fn with_divisor(mut self, divisor: usize) -> Self {
        self.divisor = divisor;
        self
    }

    /// Sets where the image lies.
    #[must_use]
    pub const fn with_place(mut self, place: PadPlace) -> Self {
        self.place = place;
        self
    }
}

impl Transform for PadIfNeeded {
    plain_transform!("pad_if_needed");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        if !(1..=65536).contains(&self.divisor) {
            let expected = "a number in 1..=65536";
            return Err(AugmentError::parameter(
                self.name(),
                "divisor",
                self.divisor,
                expected,
            ));
        }
        check_size(self.name(), "min_size", self.min_size)
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        let mut split = |n: usize, min: usize| {
            let rest = n.max(min).next_multiple_of(self.divisor) - n;
            let before = match self.place {
                PadPlace::Center => rest / 2,
                PadPlace::TopLeft => 0,
                PadPlace::Random => rng.below(rest as u64 + 1) as usize,
            };
            (before, rest - before)
        };
        let (top, bottom) = split(meta.size.height, self.min_size.height);
        let (left, right) = split(meta.size.width, self.min_size.width);
        if (top, bottom, left, right) == (0, 0, 0, 0) {
            return Ok(Plan::identity());
        }
        let pad = Pad::new(left, top, right, bottom).with_border(self.border.clone());
        pad.plan(meta, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, plan};

    #[test]
    fn a_large_image_stays_and_a_small_one_grows() {
        assert_eq!(
            plan(&PadIfNeeded::new(Size::new(1, 1)), 0),
            Plan::identity()
        );
        for place in [PadPlace::Center, PadPlace::TopLeft, PadPlace::Random] {
            let plan = plan(&PadIfNeeded::new(Size::new(9, 20)).with_place(place), 3);
            assert_eq!(plan.output(SIZE), Size::new(9, 20));
            let (x, y) = plan.map_point(0.0, 0.0).unwrap();
            assert!((0.0..=11.0).contains(&x) && (0.0..=3.0).contains(&y));
        }
        assert!(PadIfNeeded::new(SIZE).with_divisor(0).validate().is_err());
    }
}
