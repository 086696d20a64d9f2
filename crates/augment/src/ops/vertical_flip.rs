//! Mirroring up and down with a probability: `vertical_flip`.

use super::{check_probability, layer_transform};
use crate::{AugmentError, LayerTransform, Matrix, Plan, SampleMeta, Transform, Warp};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Mirrors up and down with probability `p`; bit-exact. torchvision's
/// `RandomVerticalFlip`, albumentations' `VerticalFlip`.
///
/// ```
/// use firecraft_augment::{VerticalFlip, Image, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_u8(vec![1, 2, 3], Size::new(3, 1), 1)?);
/// let always = VerticalFlip::new(1.0);
/// always.plan(&sample.meta(), Key::from_seed(0))?.apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[3, 2, 1][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerticalFlip {
    /// Probability, in `0..=1`.
    #[serde(default = "super::half")]
    pub p: f64,
}

impl VerticalFlip {
    /// Mirrors with probability `p`.
    #[must_use]
    pub const fn new(p: f64) -> Self {
        Self { p }
    }
}

impl Transform for VerticalFlip {
    layer_transform!("vertical_flip");

    fn validate(&self) -> Result<(), AugmentError> {
        check_probability(self.name(), self.p)
    }
}

impl LayerTransform for VerticalFlip {
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan {
        if key.rng().chance(self.p) {
            Warp::exact(Matrix::vertical_flip(meta.size), meta.size).into()
        } else {
            Plan::identity()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, apply, plan};

    #[test]
    fn rows_swap_and_columns_stay() {
        let image: Vec<f32> = (0..SIZE.area()).map(|i| i as f32).collect();
        let out = apply(&plan(&VerticalFlip::new(1.0), 0), &image, SIZE);
        let (last, width) = (SIZE.height - 1, SIZE.width);
        assert_eq!(out[..width], image[last * width..]);
        assert_eq!(out[last * width..], image[..width]);
    }

    #[test]
    fn a_probability_above_one_is_refused() {
        let error = VerticalFlip::new(1.5).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "vertical_flip: p = 1.5 is not allowed; use a probability in [0, 1]"
        );
    }
}
