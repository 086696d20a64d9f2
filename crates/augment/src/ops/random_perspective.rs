//! Seen from another side at random: `random_perspective`.

use super::{check_border, check_probability, no_fill, plain_layer};
use crate::{
    AugmentError, Border, Interpolation, LayerTransform, Perspective, Plan, SampleMeta, Transform,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Moves each corner inwards by a distance of its own: torchvision's
/// `RandomPerspective`.
///
/// ```
/// use firecraft_augment::{RandomPerspective, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let tilt = RandomPerspective::new(0.5).with_p(1.0);
/// let meta = SampleMeta { size: Size::new(64, 64), channels: 3 };
/// let (x, y) = tilt.plan(&meta, Key::from_seed(0))?.map_point(-0.5, -0.5).unwrap();
/// assert!((-0.5..=15.5).contains(&x) && (-0.5..=15.5).contains(&y));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomPerspective {
    /// The largest distance, as a fraction of half the height and width, in
    /// `[0, 1]`.
    pub distortion_scale: f64,
    /// Probability, in `0..=1`.
    #[serde(default = "super::half")]
    pub p: f64,
    /// How values between pixels are made.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside the image; zeros by default.
    #[serde(default = "no_fill")]
    pub border: Border,
}

impl RandomPerspective {
    /// With probability 1/2, moves the corners by up to that fraction.
    #[must_use]
    pub fn new(distortion_scale: f64) -> Self {
        Self {
            distortion_scale,
            p: 0.5,
            interpolation: Interpolation::default(),
            border: no_fill(),
        }
    }

    /// Sets the probability.
    #[must_use]
    pub const fn with_p(mut self, p: f64) -> Self {
        self.p = p;
        self
    }

    /// Sets what lies outside the image.
    #[must_use]
    pub fn with_border(mut self, border: Border) -> Self {
        self.border = border;
        self
    }
}

impl Transform for RandomPerspective {
    plain_layer!("random_perspective");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        check_probability(self.name(), self.p)?;
        // At 1 two corners could meet.
        if (0.0..=0.99).contains(&self.distortion_scale) {
            return Ok(());
        }
        let (got, expected) = (self.distortion_scale, "a number in [0, 0.99]");
        Err(AugmentError::parameter(
            self.name(),
            "distortion_scale",
            got,
            expected,
        ))
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        if !rng.chance(self.p) || meta.size.area() == 0 {
            return Ok(Plan::identity());
        }
        let (width, height) = (meta.size.width as f64, meta.size.height as f64);
        let start = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)];
        let end = start.map(|(x, y)| {
            let mut inward = |n: f64| rng.range(0.0, self.distortion_scale * n / 2.0);
            let (dx, dy) = (inward(width), inward(height));
            (
                if x == 0.0 { dx } else { width - dx },
                if y == 0.0 { dy } else { height - dy },
            )
        });
        let perspective = Perspective {
            start,
            end,
            interpolation: self.interpolation,
            border: self.border.clone(),
        };
        perspective.plan(meta, key)
    }
}

impl LayerTransform for RandomPerspective {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;
    use crate::ops::testing::meta;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn corners_move_inwards_only(seed: u64, scale in 0.0..0.99_f64) {
            let size = Size::new(20, 30);
            let tilt = RandomPerspective::new(scale).with_p(1.0);
            let plan = tilt.plan(&meta(size), Key::from_seed(seed)).unwrap();
            let reach = (scale * 15.0, scale * 10.0);
            for (x, y) in [(0.0, 0.0), (30.0, 0.0), (30.0, 20.0), (0.0, 20.0)] {
                let (u, v) = plan.map_point(x - 0.5, y - 0.5).unwrap();
                prop_assert!(((u + 0.5) - x).abs() <= reach.0 + 1e-6);
                prop_assert!(((v + 0.5) - y).abs() <= reach.1 + 1e-6);
                prop_assert!((-0.5 - 1e-6..29.5 + 1e-6).contains(&u));
            }
        }
    }

    #[test]
    fn the_distortion_is_checked() {
        assert!(RandomPerspective::new(1.5).validate().is_err());
        assert!(RandomPerspective::new(0.5).with_p(2.0).validate().is_err());
    }
}
