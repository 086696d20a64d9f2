//! Turned, shifted, scaled and sheared at random: `random_affine`.

use super::{Affine, check_border, layer_transform, no_fill};
use crate::{
    AugmentError, Border, Factor, Interpolation, LayerTransform, Matrix, Plan, SampleMeta,
    Transform, Warp,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Turns, shifts, scales and shears each image by values of its own:
/// torchvision's `RandomAffine`.
///
/// ```
/// use firecraft_augment::{RandomAffine, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let affine = RandomAffine::new(10.0).with_translate((0.1, 0.1)).with_scale((0.9, 1.1));
/// let meta = SampleMeta { size: Size::new(28, 28), channels: 1 };
/// assert_eq!(affine.plan(&meta, Key::from_seed(0))?.steps.len(), 1);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomAffine {
    /// Range of the angle in degrees, inside `[-360, 360]`.
    pub degrees: Factor,
    /// Largest shift as a fraction of the width and of the height, in
    /// `[0, 1]`; shifts are whole pixels.
    #[serde(default)]
    pub translate: (f64, f64),
    /// Range of the scale, inside `[1e-3, 1000]`.
    #[serde(default = "unscaled")]
    pub scale: Factor,
    /// Range of the shear along x in degrees, inside `(-90, 90)`.
    #[serde(default = "unsheared")]
    pub shear_x: Factor,
    /// Range of the shear along y in degrees, inside `(-90, 90)`.
    #[serde(default = "unsheared")]
    pub shear_y: Factor,
    /// How values between pixels are made.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside the image; zeros by default.
    #[serde(default = "no_fill")]
    pub border: Border,
}

fn unscaled() -> Factor {
    (1.0, 1.0).into()
}

fn unsheared() -> Factor {
    (0.0, 0.0).into()
}

impl RandomAffine {
    /// Turns by up to that many degrees.
    #[must_use]
    pub fn new(degrees: impl Into<Factor>) -> Self {
        Self {
            degrees: degrees.into(),
            translate: (0.0, 0.0),
            scale: unscaled(),
            shear_x: unsheared(),
            shear_y: unsheared(),
            interpolation: Interpolation::default(),
            border: no_fill(),
        }
    }

    /// Sets the largest shift as fractions of the width and the height.
    #[must_use]
    pub const fn with_translate(mut self, translate: (f64, f64)) -> Self {
        self.translate = translate;
        self
    }

    /// Sets the range of the scale.
    #[must_use]
    pub fn with_scale(mut self, scale: impl Into<Factor>) -> Self {
        self.scale = scale.into();
        self
    }

    /// Sets the ranges of the shears in degrees.
    #[must_use]
    pub fn with_shear(mut self, x: impl Into<Factor>, y: impl Into<Factor>) -> Self {
        (self.shear_x, self.shear_y) = (x.into(), y.into());
        self
    }

    /// Sets how values between pixels are made.
    #[must_use]
    pub const fn with_interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    /// Sets what lies outside the image.
    #[must_use]
    pub fn with_border(mut self, border: Border) -> Self {
        self.border = border;
        self
    }
}

impl Transform for RandomAffine {
    layer_transform!("random_affine");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        let name = self.name();
        let expected = "an ordered pair in [-360, 360]";
        self.degrees
            .check(name, "degrees", -360.0..=360.0, expected)?;
        let expected = "an ordered pair in [1e-3, 1000]";
        self.scale.check(name, "scale", 1e-3..=1e3, expected)?;
        // Beyond, an image is seen edge on.
        let expected = "an ordered pair in [-89, 89]";
        self.shear_x
            .check(name, "shear_x", -89.0..=89.0, expected)?;
        self.shear_y
            .check(name, "shear_y", -89.0..=89.0, expected)?;
        let (x, y) = self.translate;
        if !((0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y)) {
            let (got, expected) = (format!("({x}, {y})"), "fractions in [0, 1]");
            return Err(AugmentError::parameter(name, "translate", got, expected));
        }
        Ok(())
    }
}

impl LayerTransform for RandomAffine {
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan {
        let mut rng = key.rng();
        let angle = self.degrees.draw(&mut rng);
        let mut shift = |fraction: f64, n: usize| {
            let most = fraction * n as f64;
            rng.range(-most, most).round()
        };
        let translate = (
            shift(self.translate.0, meta.size.width),
            shift(self.translate.1, meta.size.height),
        );
        let affine = Affine::new()
            .with_angle(angle)
            .with_translate(translate)
            .with_scale(self.scale.draw(&mut rng))
            .with_shear((self.shear_x.draw(&mut rng), self.shear_y.draw(&mut rng)));
        Plan::from(Warp {
            // Shears of opposite directions can cancel the area.
            matrix: affine
                .matrix(meta.size.centre())
                .unwrap_or(Matrix::IDENTITY),
            size: meta.size,
            interpolation: self.interpolation,
            border: self.border.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, plan};

    #[test]
    fn values_stay_inside_their_ranges() {
        let affine = RandomAffine::new(0.0)
            .with_translate((0.2, 0.5))
            .with_scale((2.0, 3.0));
        for seed in 0..200 {
            let plan = plan(&affine, seed);
            let (x, y) = plan.map_point(4.0, 2.5).unwrap();
            let (right, _) = plan.map_point(5.0, 2.5).unwrap();
            // The centre moves by whole pixels, the scale is the distance.
            assert!((x - 4.0).abs() < 2.0 + 1e-9 && (y - 2.5).abs() < 3.0 + 1e-9);
            assert!(((x - 4.0) - (x - 4.0).round()).abs() < 1e-9);
            assert!((2.0..3.0 + 1e-9).contains(&(right - x)));
        }
    }

    #[test]
    fn ranges_are_checked() {
        assert!(RandomAffine::new(400.0).validate().is_err());
        assert!(
            RandomAffine::new(0.0)
                .with_translate((0.0, 1.5))
                .validate()
                .is_err()
        );
        assert!(
            RandomAffine::new(0.0)
                .with_scale((0.0, 1.0))
                .validate()
                .is_err()
        );
        assert!(
            RandomAffine::new(0.0)
                .with_shear(90.0, 0.0)
                .validate()
                .is_err()
        );
        assert_eq!(
            plan(&RandomAffine::new(0.0), 0).fused(SIZE),
            Plan::identity()
        );
    }
}
