//! Mirroring left and right with a probability: `horizontal_flip`.

use super::{check_probability, layer_transform};
use crate::{AugmentError, LayerTransform, Matrix, Plan, SampleMeta, Transform, Warp};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Mirrors left and right with probability `p`; bit-exact. torchvision's
/// `RandomHorizontalFlip`, albumentations' `HorizontalFlip`.
///
/// ```
/// use firecraft_augment::{HorizontalFlip, Image, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_u8(vec![1, 2, 3], Size::new(1, 3), 1)?);
/// let always = HorizontalFlip::new(1.0);
/// always.plan(&sample.meta(), Key::from_seed(0))?.apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[3, 2, 1][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HorizontalFlip {
    /// Probability, in `0..=1`.
    #[serde(default = "super::half")]
    pub p: f64,
}

impl HorizontalFlip {
    /// Mirrors with probability `p`.
    #[must_use]
    pub const fn new(p: f64) -> Self {
        Self { p }
    }
}

impl Transform for HorizontalFlip {
    layer_transform!("horizontal_flip");

    fn validate(&self) -> Result<(), AugmentError> {
        check_probability(self.name(), self.p)
    }
}

impl LayerTransform for HorizontalFlip {
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan {
        if key.rng().chance(self.p) {
            Warp::exact(Matrix::horizontal_flip(meta.size), meta.size).into()
        } else {
            Plan::identity()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::plan;

    #[test]
    fn the_probability_is_kept() {
        let flips = |p| {
            let flip = HorizontalFlip::new(p);
            (0..1000)
                .filter(|&seed| plan(&flip, seed) != Plan::identity())
                .count()
        };
        assert_eq!((flips(0.0), flips(1.0)), (0, 1000));
        assert!(flips(0.2).abs_diff(200) < 64, "five standard deviations");
    }

    #[test]
    fn a_probability_above_one_is_refused() {
        let error = HorizontalFlip::new(1.5).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "horizontal_flip: p = 1.5 is not allowed; use a probability in [0, 1]"
        );
    }
}
