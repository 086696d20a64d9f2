//! Turning at random: `random_rotation`.

use super::{FillMode, check_values, geometric_builders, layer_transform};
use crate::{
    AugmentError, Factor, Interpolation, LayerTransform, Matrix, Plan, SampleMeta, Transform, Warp,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Turns each image about its centre by an angle of its own.
///
/// The arguments are those of Keras' `RandomRotation`: `factor` is a fraction
/// of a full turn, positive values turn counter-clockwise. Quarter turns of
/// square images move whole pixels and are bit-exact.
///
/// ```
/// use firecraft_augment::{FillMode, RandomRotationConfig, Transform};
/// let ten_degrees = RandomRotationConfig::new(10.0 / 360.0).with_fill_mode(FillMode::Constant);
/// assert!(ten_degrees.validate().is_ok());
/// assert_eq!(
///     RandomRotationConfig::new((0.5, 0.1)).validate().unwrap_err().to_string(),
///     "random_rotation: factor = (0.5, 0.1) is not allowed; use an ordered pair in [-1, 1]",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomRotationConfig {
    /// Range of the angle in full turns, inside `[-1, 1]`.
    pub factor: Factor,
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

impl RandomRotationConfig {
    /// Turns by up to `factor` full turns, either way for a single number.
    #[must_use]
    pub fn new(factor: impl Into<Factor>) -> Self {
        Self {
            factor: factor.into(),
            fill_mode: FillMode::default(),
            interpolation: Interpolation::default(),
            fill_value: 0.0,
        }
    }

    geometric_builders!();
}

impl Transform for RandomRotationConfig {
    layer_transform!("random_rotation");

    fn validate(&self) -> Result<(), AugmentError> {
        check_values(self.name(), "fill_value", &[self.fill_value])?;
        self.factor.check(
            self.name(),
            "factor",
            -1.0..=1.0,
            "an ordered pair in [-1, 1]",
        )
    }
}

impl LayerTransform for RandomRotationConfig {
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan {
        let turns = self.factor.draw(&mut key.rng());
        Plan::from(Warp {
            matrix: Matrix::rotation(turns).about(meta.size.centre()),
            size: meta.size,
            interpolation: self.interpolation,
            border: self.fill_mode.border(self.fill_value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;
    use crate::ops::testing::{apply, meta};

    #[test]
    fn a_quarter_turn_is_counter_clockwise_and_exact() {
        let size = Size::new(3, 3);
        let image: Vec<f32> = (1..=9).map(|i| i as f32 / 7.0).collect();
        let plan = RandomRotationConfig::new((0.25, 0.25))
            .plan(&meta(size), Key::from_seed(0))
            .unwrap();
        let expected = [3, 6, 9, 2, 5, 8, 1, 4, 7].map(|i| image[i - 1]);
        assert_eq!(apply(&plan, &image, size), expected);
    }

    #[test]
    fn angles_fill_the_range() {
        let turns: Vec<f64> = (0..200)
            .map(|seed| {
                let plan = crate::ops::testing::plan(&RandomRotationConfig::new(0.1), seed);
                let warp = plan.steps[0].as_warp().unwrap();
                let [[cos, _, _], [sin, _, _], _] = warp.matrix.rows();
                sin.atan2(cos) / std::f64::consts::TAU
            })
            .collect();
        let (low, high) = turns
            .iter()
            .fold((1.0_f64, -1.0_f64), |(l, h), &t| (l.min(t), h.max(t)));
        assert!((-0.1..-0.09).contains(&low) && (0.09..0.1).contains(&high));
    }
}
