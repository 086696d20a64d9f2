//! Slanting at random: `random_shear`.

use super::{FillMode, check_values, geometric_builders, layer_transform};
use crate::{
    AugmentError, Factor, Interpolation, LayerTransform, Matrix, Plan, SampleMeta, Transform, Warp,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Slants each image by factors of its own: Keras' `RandomShear`, about the
/// top left corner of the image.
///
/// ```
/// use firecraft_augment::{RandomShearConfig, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(8, 8), channels: 1 };
/// let slant = RandomShearConfig::new((0.5, 0.5), 0.0);
/// // A point seven rows down moves three and a half columns to the left.
/// let (x, y) = slant.plan(&meta, Key::from_seed(0))?.map_point(7.0, 7.0).unwrap();
/// assert!((x - 3.25).abs() < 1e-9 && (y - 7.0).abs() < 1e-9);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomShearConfig {
    /// Range of the columns moved per row, inside `[-1, 1]`; Keras allows
    /// none below 0.
    pub x_factor: Factor,
    /// Range of the rows moved per column, inside `[-0.99, 0.99]`.
    pub y_factor: Factor,
    /// What lies outside the image; its mirror image by default.
    #[serde(default)]
    pub fill_mode: FillMode,
    /// How values between pixels are made; bilinear by default.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// The value outside the image for [`FillMode::Constant`]; 0 by default.
    #[serde(default)]
    pub fill_value: f32,
}

impl RandomShearConfig {
    /// Slants by up to these factors.
    #[must_use]
    pub fn new(x_factor: impl Into<Factor>, y_factor: impl Into<Factor>) -> Self {
        Self {
            x_factor: x_factor.into(),
            y_factor: y_factor.into(),
            fill_mode: FillMode::default(),
            interpolation: Interpolation::default(),
            fill_value: 0.0,
        }
    }

    geometric_builders!();
}

impl Transform for RandomShearConfig {
    layer_transform!("random_shear");

    fn validate(&self) -> Result<(), AugmentError> {
        check_values(self.name(), "fill_value", &[self.fill_value])?;
        let expected = "an ordered pair in [-1, 1]";
        self.x_factor
            .check(self.name(), "x_factor", -1.0..=1.0, expected)?;
        // Two shears by 1 would fold the image onto a line.
        let expected = "an ordered pair in [-0.99, 0.99]";
        self.y_factor
            .check(self.name(), "y_factor", -0.99..=0.99, expected)
    }
}

impl LayerTransform for RandomShearConfig {
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan {
        let mut rng = key.rng();
        let (x, y) = (self.x_factor.draw(&mut rng), self.y_factor.draw(&mut rng));
        Plan::from(Warp {
            matrix: Matrix::shear(x, y).about((-0.5, -0.5)),
            size: meta.size,
            interpolation: self.interpolation,
            border: self.fill_mode.border(self.fill_value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::plan;

    #[test]
    fn no_shear_is_the_identity() {
        let still = plan(&RandomShearConfig::new(0.0, 0.0), 5);
        assert_eq!(still.map_point(3.0, 2.0), Some((3.0, 2.0)));
        assert!(RandomShearConfig::new(2.0, 0.0).validate().is_err());
        assert!(RandomShearConfig::new(0.0, 1.0).validate().is_err());
    }
}
