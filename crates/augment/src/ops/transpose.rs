//! Swapping rows and columns: `transpose`.

use super::{check_probability, plain_transform};
use crate::{AugmentError, Matrix, Plan, SampleMeta, Size, Transform, Warp};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Swaps rows and columns with probability `p`; bit-exact. albumentations'
/// `Transpose`.
///
/// ```
/// use firecraft_augment::{Image, Sample, Size, Transform, Transpose};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_u8((0..6).collect(), Size::new(2, 3), 1)?);
/// Transpose::new(1.0).plan(&sample.meta(), Key::from_seed(0))?.apply(&mut sample)?;
/// assert_eq!(sample.image.size(), Size::new(3, 2));
/// assert_eq!(sample.image.as_u8(), Some(&[0, 3, 1, 4, 2, 5][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transpose {
    /// Probability, in `0..=1`.
    #[serde(default = "super::half")]
    pub p: f64,
}

impl Transpose {
    /// Swaps with probability `p`.
    #[must_use]
    pub const fn new(p: f64) -> Self {
        Self { p }
    }
}

impl Transform for Transpose {
    plain_transform!("transpose");

    fn validate(&self) -> Result<(), AugmentError> {
        check_probability(self.name(), self.p)
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        Ok(if key.rng().chance(self.p) {
            let size = Size::new(meta.size.width, meta.size.height);
            Warp::exact(Matrix::transpose(), size).into()
        } else {
            Plan::identity()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, meta, plan};

    #[test]
    fn twice_is_the_identity() {
        let transpose = Transpose::new(1.0);
        let mut twice = plan(&transpose, 0);
        let turned = meta(twice.output(SIZE));
        twice.extend(transpose.plan(&turned, Key::from_seed(0)).unwrap());
        assert_eq!(twice.fused(SIZE), Plan::identity());
        assert_eq!(plan(&Transpose::new(0.0), 0), Plan::identity());
    }
}
