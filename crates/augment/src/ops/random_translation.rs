//! Shifting at random: `random_translation`.

use super::{FillMode, check_values, geometric_builders, layer_transform};
use crate::{
    AugmentError, Factor, Interpolation, LayerTransform, Matrix, Plan, SampleMeta, Transform, Warp,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Shifts each image by a distance of its own.
///
/// The arguments are those of Keras' `RandomTranslation`: the factors are
/// fractions of the height and the width, positive values shift down and to
/// the right.
///
/// ```
/// use firecraft_augment::{RandomTranslationConfig, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let right = RandomTranslationConfig::new(0.0, (0.25, 0.25));
/// let meta = SampleMeta { size: Size::new(8, 8), channels: 1 };
/// let plan = right.plan(&meta, Key::from_seed(0))?;
/// assert_eq!(plan.map_point(0.0, 0.0), Some((2.0, 0.0)));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomTranslationConfig {
    /// Range of the shift in image heights, inside `[-1, 1]`.
    pub height_factor: Factor,
    /// Range of the shift in image widths, inside `[-1, 1]`.
    pub width_factor: Factor,
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

impl RandomTranslationConfig {
    /// Shifts by up to these fractions of the height and the width.
    #[must_use]
    pub fn new(height_factor: impl Into<Factor>, width_factor: impl Into<Factor>) -> Self {
        Self {
            height_factor: height_factor.into(),
            width_factor: width_factor.into(),
            fill_mode: FillMode::default(),
            interpolation: Interpolation::default(),
            fill_value: 0.0,
        }
    }

    geometric_builders!();
}

impl Transform for RandomTranslationConfig {
    layer_transform!("random_translation");

    fn validate(&self) -> Result<(), AugmentError> {
        check_values(self.name(), "fill_value", &[self.fill_value])?;
        let check = |factor: Factor, field| {
            factor.check(self.name(), field, -1.0..=1.0, "an ordered pair in [-1, 1]")
        };
        check(self.height_factor, "height_factor")?;
        check(self.width_factor, "width_factor")
    }
}

impl LayerTransform for RandomTranslationConfig {
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan {
        let mut rng = key.rng();
        let down = self.height_factor.draw(&mut rng) * meta.size.height as f64;
        let right = self.width_factor.draw(&mut rng) * meta.size.width as f64;
        Plan::from(Warp {
            matrix: Matrix::translation(-right, -down),
            size: meta.size,
            interpolation: self.interpolation,
            border: self.fill_mode.border(self.fill_value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, apply, plan};

    #[test]
    fn the_content_moves_down_and_right() {
        let image: Vec<f32> = (0..SIZE.area()).map(|i| i as f32).collect();
        let shift = RandomTranslationConfig::new((1.0 / 3.0, 1.0 / 3.0), (1.0 / 3.0, 1.0 / 3.0))
            .with_fill_mode(FillMode::Constant)
            .with_fill_value(-1.0);
        let out = apply(&plan(&shift, 0), &image, SIZE);
        for (i, value) in out.iter().enumerate() {
            let (y, x) = (i / SIZE.width, i % SIZE.width);
            let expected = if y < 2 || x < 3 {
                -1.0
            } else {
                image[(y - 2) * SIZE.width + x - 3]
            };
            assert!(
                (value - expected).abs() < 1e-5,
                "row {y} column {x}: {value}"
            );
        }
    }

    #[test]
    fn a_shift_beyond_the_image_is_refused() {
        let error = RandomTranslationConfig::new(0.1, 1.5)
            .validate()
            .unwrap_err();
        assert!(
            error.to_string().contains("width_factor = (-1.5, 1.5)"),
            "{error}"
        );
    }
}
