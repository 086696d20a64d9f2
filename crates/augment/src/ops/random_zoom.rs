//! Zooming at random: `random_zoom`.

use super::{FillMode, check_values, geometric_builders, layer_transform};
use crate::{
    AugmentError, Factor, Interpolation, LayerTransform, Matrix, Plan, SampleMeta, Transform, Warp,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Zooms each image about its centre by a factor of its own.
///
/// The arguments are those of Keras' `RandomZoom`: with a factor `f`, the
/// image shows `1 + f` times as much, so positive values zoom out and negative
/// ones zoom in. Without a `width_factor` both directions share one draw and
/// the aspect ratio stays.
///
/// ```
/// use firecraft_augment::{RandomZoomConfig, Transform};
/// let zoom_in = RandomZoomConfig::new((-0.2, 0.0));
/// assert!(zoom_in.validate().is_ok());
/// assert!(RandomZoomConfig::new((-1.0, 0.0)).validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomZoomConfig {
    /// Range of the vertical zoom, inside `[-0.99, 100]`.
    pub height_factor: Factor,
    /// Range of the horizontal zoom; the vertical draw if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width_factor: Option<Factor>,
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

impl RandomZoomConfig {
    /// Zooms both directions by one factor.
    #[must_use]
    pub fn new(height_factor: impl Into<Factor>) -> Self {
        Self {
            height_factor: height_factor.into(),
            width_factor: None,
            fill_mode: FillMode::default(),
            interpolation: Interpolation::default(),
            fill_value: 0.0,
        }
    }

    /// Gives the horizontal direction a range and a draw of its own.
    #[must_use]
    pub fn with_width_factor(mut self, width_factor: impl Into<Factor>) -> Self {
        self.width_factor = Some(width_factor.into());
        self
    }

    geometric_builders!();
}

impl Transform for RandomZoomConfig {
    layer_transform!("random_zoom");

    fn validate(&self) -> Result<(), AugmentError> {
        check_values(self.name(), "fill_value", &[self.fill_value])?;
        let check = |factor: Factor, field| {
            // At -1 the image would show a single point.
            let expected = "an ordered pair in [-0.99, 100]";
            factor.check(self.name(), field, -0.99..=100.0, expected)
        };
        check(self.height_factor, "height_factor")?;
        self.width_factor
            .map_or(Ok(()), |factor| check(factor, "width_factor"))
    }
}

impl LayerTransform for RandomZoomConfig {
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan {
        let mut rng = key.rng();
        let vertical = 1.0 + self.height_factor.draw(&mut rng);
        let horizontal = match self.width_factor {
            Some(factor) => 1.0 + factor.draw(&mut rng),
            None => vertical,
        };
        Plan::from(Warp {
            matrix: Matrix::scale(horizontal, vertical).about(meta.size.centre()),
            size: meta.size,
            interpolation: self.interpolation,
            border: self.fill_mode.border(self.fill_value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, plan};

    #[test]
    fn positive_factors_show_more() {
        let out = plan(&RandomZoomConfig::new((1.0, 1.0)), 0);
        let warp = out.steps[0].as_warp().unwrap();
        // Twice as much, about the centre (4, 2.5).
        assert_eq!(warp.matrix.map(0.0, 0.0), Some((-4.0, -2.5)));
        assert_eq!(warp.matrix.map(4.0, 2.5), Some((4.0, 2.5)));
        assert_eq!(warp.size, SIZE);
    }

    #[test]
    fn one_factor_keeps_the_aspect_ratio_and_two_do_not() {
        let ratio = |zoom: &RandomZoomConfig| {
            let plan = plan(zoom, 5);
            let warp = plan.steps[0].as_warp().unwrap();
            let [[x, _, _], [_, y, _], _] = warp.matrix.rows();
            x / y
        };
        let zoom = RandomZoomConfig::new(0.3);
        assert_eq!(ratio(&zoom), 1.0);
        assert_ne!(ratio(&zoom.with_width_factor(0.3)), 1.0);
    }
}
