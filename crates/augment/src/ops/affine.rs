//! A given turn, shift, scale and shear: `affine`.

use super::{check_border, no_fill, plain_transform};
use crate::geometry::sin_cos;
use crate::{AugmentError, Border, Interpolation, Matrix, Plan, SampleMeta, Transform, Warp};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Shears, scales, turns and then shifts: torchvision's `functional.affine`.
///
/// With the angle `a`, the shears `s` and `t` along x and y, the scale `k` and
/// the shift `v`, a point `p` relative to the centre goes to
/// `k R(a) S(s, t) p + v`, where
/// `R S = [[cos(a - t), -cos(a - t) tan s - sin a cos t], [sin(a - t), cos a cos t - sin(a - t) tan s]] / cos t`.
///
/// ```
/// use firecraft_augment::{Affine, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(9, 9), channels: 3 };
/// let shift = Affine::new().with_translate((3.0, -2.0)).with_scale(2.0);
/// let plan = shift.plan(&meta, Key::from_seed(0))?;
/// assert_eq!(plan.map_point(4.0, 4.0), Some((7.0, 2.0)));
/// assert_eq!(plan.map_point(5.0, 4.0), Some((9.0, 2.0)));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Affine {
    /// Angle in degrees; positive turns *clockwise*, as in torchvision.
    pub angle: f64,
    /// Shift `(x, y)` in pixels.
    pub translate: (f64, f64),
    /// Scale, above 0; more than 1 enlarges the content.
    pub scale: f64,
    /// Shear angles `(x, y)` in degrees, inside `(-90, 90)`.
    pub shear: (f64, f64),
    /// The point `(x, y)` that turning, scaling and shearing leave where it
    /// is, in pixels from the corner; the middle if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub center: Option<(f64, f64)>,
    /// How values between pixels are made.
    pub interpolation: Interpolation,
    /// What lies outside the image; zeros by default.
    pub border: Border,
}

impl Default for Affine {
    fn default() -> Self {
        Self {
            angle: 0.0,
            translate: (0.0, 0.0),
            scale: 1.0,
            shear: (0.0, 0.0),
            center: None,
            interpolation: Interpolation::default(),
            border: no_fill(),
        }
    }
}

impl Affine {
    /// The identity.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the angle in degrees, clockwise.
    #[must_use]
    pub const fn with_angle(mut self, angle: f64) -> Self {
        self.angle = angle;
        self
    }

    /// Sets the shift `(x, y)` in pixels.
    #[must_use]
    pub const fn with_translate(mut self, translate: (f64, f64)) -> Self {
        self.translate = translate;
        self
    }

    /// Sets the scale.
    #[must_use]
    pub const fn with_scale(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    /// Sets the shear angles in degrees.
    #[must_use]
    pub const fn with_shear(mut self, shear: (f64, f64)) -> Self {
        self.shear = shear;
        self
    }

    /// Sets the point that stays, in pixels from the corner of the image.
    #[must_use]
    pub const fn with_center(mut self, center: (f64, f64)) -> Self {
        self.center = Some(center);
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

    /// The sampling matrix for an image with that centre.
    pub(super) fn matrix(&self, centre: (f64, f64)) -> Option<Matrix> {
        let turns = |degrees: f64| degrees / 360.0;
        let (sin_a, cos_a) = sin_cos(turns(self.angle));
        let (sin_d, cos_d) = sin_cos(turns(self.angle - self.shear.1));
        let (sin_s, cos_s) = sin_cos(turns(self.shear.0));
        let (_, cos_t) = sin_cos(turns(self.shear.1));
        let (tan_s, k) = (sin_s / cos_s, self.scale);
        let forward = Matrix::affine([
            [k * cos_d / cos_t, k * (-cos_d * tan_s / cos_t - sin_a), 0.0],
            [k * sin_d / cos_t, k * (cos_a - sin_d * tan_s / cos_t), 0.0],
        ]);
        let back = Matrix::translation(-self.translate.0, -self.translate.1);
        Some(forward.inverse()?.about(centre).compose(back))
    }
}

impl Transform for Affine {
    plain_transform!("affine");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        let wrong = |field, got: String, expected| {
            Err(AugmentError::parameter(self.name(), field, got, expected))
        };
        let finite = |(x, y): (f64, f64)| x.is_finite() && y.is_finite();
        let right = |v: f64| v.abs() < 90.0;
        if !self.angle.is_finite() {
            return wrong(
                "angle",
                self.angle.to_string(),
                "a finite number of degrees",
            );
        }
        if !finite(self.translate) {
            return wrong(
                "translate",
                format!("{:?}", self.translate),
                "finite pixels",
            );
        }
        if !(1e-6..=1e6).contains(&self.scale) {
            return wrong("scale", self.scale.to_string(), "a number in [1e-6, 1e6]");
        }
        if !(right(self.shear.0) && right(self.shear.1)) {
            return wrong(
                "shear",
                format!("{:?}", self.shear),
                "degrees inside (-90, 90)",
            );
        }
        match self.center {
            Some(center) if !finite(center) => {
                wrong("center", format!("{center:?}"), "a finite point")
            }
            _ => Ok(()),
        }
    }

    fn plan(&self, meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let stays = self
            .center
            .map_or(meta.size.centre(), |(x, y)| (x - 0.5, y - 0.5));
        let matrix = self.matrix(stays).ok_or_else(|| {
            let shear = format!("{:?}", self.shear);
            AugmentError::parameter(self.name(), "shear", shear, "shears that leave an area")
        })?;
        Ok(Plan::from(Warp {
            matrix,
            size: meta.size,
            interpolation: self.interpolation,
            border: self.border.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rotate;
    use crate::ops::testing::{SIZE, meta};

    #[test]
    fn a_turn_is_a_rotation_the_other_way() {
        let key = Key::from_seed(0);
        let affine = Affine::new()
            .with_angle(20.0)
            .plan(&meta(SIZE), key)
            .unwrap();
        let rotate = Rotate::new(-20.0).plan(&meta(SIZE), key).unwrap();
        let (a, b) = (
            affine.map_point(1.0, 5.0).unwrap(),
            rotate.map_point(1.0, 5.0).unwrap(),
        );
        assert!((a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9);
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (affine, field) in [
            (Affine::new().with_scale(0.0), "scale = 0"),
            (Affine::new().with_shear((90.0, 0.0)), "shear = (90.0, 0.0)"),
            (
                Affine::new().with_translate((f64::NAN, 0.0)),
                "translate = (NaN, 0.0)",
            ),
        ] {
            let error = affine.validate().unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
