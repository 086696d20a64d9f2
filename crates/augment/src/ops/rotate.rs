//! Turning by a given angle: `rotate`.

use super::{check_border, no_fill, plain_transform};
use crate::{AugmentError, Border, Interpolation, Matrix, Plan, SampleMeta, Size, Transform, Warp};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Turns by a fixed angle: torchvision's `functional.rotate`.
///
/// ```
/// use firecraft_augment::{Image, Rotate, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_u8(vec![1, 2, 3], Size::new(1, 3), 1)?);
/// let quarter = Rotate::new(90.0).expanding();
/// quarter.plan(&sample.meta(), Key::from_seed(0))?.apply(&mut sample)?;
/// assert_eq!(sample.image.size(), Size::new(3, 1));
/// assert_eq!(sample.image.as_u8(), Some(&[3, 2, 1][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Angle in degrees; positive turns counter-clockwise.
    pub angle: f64,
    /// Makes the output large enough for the whole turned image.
    #[serde(default)]
    pub expand: bool,
    /// The point `(x, y)` that stays, in pixels from the corner of the image;
    /// the middle if absent. Not used with `expand`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub center: Option<(f64, f64)>,
    /// How values between pixels are made.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside the image; zeros by default.
    #[serde(default = "no_fill")]
    pub border: Border,
}

impl Rotate {
    /// Turns by `angle` degrees about the middle.
    #[must_use]
    pub fn new(angle: f64) -> Self {
        Self {
            angle,
            expand: false,
            center: None,
            interpolation: Interpolation::default(),
            border: no_fill(),
        }
    }

    /// Makes the output large enough for the whole turned image.
    #[must_use]
    pub const fn expanding(mut self) -> Self {
        self.expand = true;
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
}

impl Transform for Rotate {
    plain_transform!("rotate");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        let finite = |(x, y): (f64, f64)| x.is_finite() && y.is_finite();
        if !self.angle.is_finite() {
            return Err(AugmentError::parameter(
                self.name(),
                "angle",
                self.angle,
                "a finite number of degrees",
            ));
        }
        match self.center {
            Some(center) if !finite(center) => Err(AugmentError::parameter(
                self.name(),
                "center",
                format!("{center:?}"),
                "a finite point",
            )),
            _ => Ok(()),
        }
    }

    fn plan(&self, meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let turn = Matrix::rotation(self.angle / 360.0);
        let input = meta.size.centre();
        let (matrix, size) = if self.expand {
            let size = expanded(turn, meta.size);
            super::check_area(self.name(), "the expanded image", size)?;
            let output = size.centre();
            let matrix = Matrix::translation(input.0, input.1)
                .compose(turn)
                .compose(Matrix::translation(-output.0, -output.1));
            (matrix, size)
        } else {
            let stays = self.center.map_or(input, |(x, y)| (x - 0.5, y - 0.5));
            (turn.about(stays), meta.size)
        };
        Ok(Plan::from(Warp {
            matrix,
            size,
            interpolation: self.interpolation,
            border: self.border.clone(),
        }))
    }
}

/// The size of the upright box around an image after a linear map.
fn expanded(linear: Matrix, size: Size) -> Size {
    let half = [size.width as f64 / 2.0, size.height as f64 / 2.0];
    let extent = |axis: usize| {
        let row = linear.rows()[axis];
        let reach = (row[0] * half[0]).abs() + (row[1] * half[1]).abs();
        // From the corner of the input; rounding must not add a pixel.
        let trim = |v: f64| (v * 1e4).trunc() / 1e4;
        (trim(half[axis] + reach).ceil() - trim(half[axis] - reach).floor()) as usize
    };
    Size::new(extent(1), extent(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, meta};

    #[test]
    fn the_expanded_size_holds_every_corner() {
        for degrees in 0..72 {
            let rotate = Rotate::new(f64::from(degrees) * 5.0).expanding();
            let plan = rotate.plan(&meta(SIZE), Key::from_seed(0)).unwrap();
            let size = plan.output(SIZE);
            for (x, y) in [(0.0, 0.0), (8.0, 0.0), (0.0, 5.0), (8.0, 5.0)] {
                let (x, y) = plan.map_point(x, y).unwrap();
                assert!(
                    (-0.5..size.width as f64 - 0.5).contains(&x),
                    "{degrees}: {x}"
                );
                assert!(
                    (-0.5..size.height as f64 - 0.5).contains(&y),
                    "{degrees}: {y}"
                );
            }
        }
    }

    #[test]
    fn the_centre_stays() {
        let rotate = Rotate::new(33.0).with_center((2.5, 3.5));
        let plan = rotate.plan(&meta(SIZE), Key::from_seed(0)).unwrap();
        let (x, y) = plan.map_point(2.0, 3.0).unwrap();
        assert!((x - 2.0).abs() < 1e-9 && (y - 3.0).abs() < 1e-9);
    }

    #[test]
    fn an_infinite_angle_is_refused() {
        let error = Rotate::new(f64::INFINITY).validate().unwrap_err();
        assert!(
            error.to_string().starts_with("rotate: angle = inf"),
            "{error}"
        );
    }
}
