//! The operations that learned policies are made of.

use crate::{
    AutoContrast, Border, BoxBlur, Brightness, Contrast, Equalize, GreyMean, Interpolation, Invert,
    Plan, Posterize, Rotate, SampleMeta, Saturation, Sharpness, Solarize, SolarizeAdd, Transform,
    WarpAffine,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// An operation of a policy, under the name that torchvision and timm share.
///
/// Its argument is a number whose meaning depends on the operation, as it is
/// written in the policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyOp {
    /// Nothing.
    Identity,
    /// Shear along x; the argument is its tangent.
    ShearX,
    /// Shear along y; the argument is its tangent.
    ShearY,
    /// Shift along x in pixels.
    TranslateX,
    /// Shift along y in pixels.
    TranslateY,
    /// Shift along x as a fraction of the width.
    TranslateXRel,
    /// Shift along y as a fraction of the height.
    TranslateYRel,
    /// Turn by degrees.
    Rotate,
    /// [`Brightness`]; the argument is the distance of the factor to 1.
    Brightness,
    /// [`Saturation`]; the argument is the distance of the factor to 1.
    Color,
    /// [`Contrast`]; the argument is the distance of the factor to 1.
    Contrast,
    /// [`Sharpness`]; the argument is the distance of the factor to 1.
    Sharpness,
    /// [`Posterize`]; the argument is the number of bits.
    Posterize,
    /// [`Solarize`]; the argument is the threshold as a fraction of white.
    Solarize,
    /// [`SolarizeAdd`]; the argument is the summand, with 255 for white.
    SolarizeAdd,
    /// [`AutoContrast`].
    AutoContrast,
    /// [`Equalize`].
    Equalize,
    /// [`Invert`].
    Invert,
    /// [`Saturation`] with one minus the argument.
    Desaturate,
    /// [`BoxBlur::gaussian`]; the argument is its deviation.
    GaussianBlur,
}

/// Whose way of doing the operations a policy follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyStyle {
    /// torchvision's: nearest neighbours, black outside, shears about the
    /// corner, whole pixels.
    #[default]
    Torchvision,
    /// torchvision's, linear between neighbours: its `AugMix`.
    TorchvisionBilinear,
    /// timm's on Pillow: bilinear, grey outside, fractions of pixels, rounded
    /// mean grey.
    Timm,
}

impl PolicyOp {
    /// Whether the argument gets a random sign.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(
            self,
            Self::ShearX
                | Self::ShearY
                | Self::TranslateX
                | Self::TranslateY
                | Self::TranslateXRel
                | Self::TranslateYRel
                | Self::Rotate
                | Self::Brightness
                | Self::Color
                | Self::Contrast
                | Self::Sharpness
        )
    }

    /// The plan of the operation with an argument whose sign is drawn.
    #[must_use]
    pub(crate) fn plan(self, argument: f64, style: PolicyStyle, meta: &SampleMeta) -> Plan {
        // Nothing is left to chance, and arguments are made valid first.
        let plan = |transform: &dyn Transform| {
            transform
                .plan(meta, Key::from_words([0, 0]))
                .unwrap_or_default()
        };
        let strength = (1.0 + argument).max(0.0) as f32;
        match self {
            Self::Identity => Plan::identity(),
            Self::ShearX
            | Self::ShearY
            | Self::TranslateX
            | Self::TranslateY
            | Self::TranslateXRel
            | Self::TranslateYRel
            | Self::Rotate => plan(&*self.geometry(argument, style, meta)),
            Self::Brightness => plan(&Brightness::new(strength)),
            Self::Color => plan(&Saturation::new(strength)),
            Self::Contrast => plan(&Contrast::new(strength).with_mean(match style {
                PolicyStyle::Torchvision | PolicyStyle::TorchvisionBilinear => GreyMean::Exact,
                PolicyStyle::Timm => GreyMean::Rounded,
            })),
            Self::Sharpness => plan(&Sharpness::new(strength)),
            Self::Posterize => plan(&Posterize::new(argument.clamp(0.0, 8.0) as u8)),
            Self::Solarize => plan(&Solarize::new((argument * 255.0).clamp(0.0, 256.0) as f32)),
            Self::SolarizeAdd => plan(&SolarizeAdd::new(argument.clamp(-255.0, 255.0) as f32)),
            Self::AutoContrast => plan(&AutoContrast::new()),
            Self::Equalize => plan(&Equalize::new()),
            Self::Invert => plan(&Invert::new()),
            Self::Desaturate => plan(&Saturation::new((1.0 - argument).max(0.0) as f32)),
            Self::GaussianBlur => plan(&BoxBlur::gaussian(argument.clamp(0.0, 100.0) as f32)),
        }
    }

    fn geometry(self, argument: f64, style: PolicyStyle, meta: &SampleMeta) -> Box<dyn Transform> {
        let (width, height) = (meta.size.width as f64, meta.size.height as f64);
        let (mut dx, mut dy, mut sx, mut sy) = (0.0, 0.0, 0.0, 0.0);
        match self {
            Self::ShearX => sx = argument,
            Self::ShearY => sy = argument,
            Self::TranslateX => dx = argument,
            Self::TranslateY => dy = argument,
            Self::TranslateXRel => dx = argument * width,
            Self::TranslateYRel => dy = argument * height,
            _ => {}
        }
        match style {
            PolicyStyle::Torchvision | PolicyStyle::TorchvisionBilinear => {
                let interpolation = match style {
                    PolicyStyle::Torchvision => Interpolation::Nearest,
                    _ => Interpolation::Bilinear,
                };
                if self == Self::Rotate {
                    return Box::new(Rotate::new(argument).with_interpolation(interpolation));
                }
                // The tangent of the shear, about the corner: as a matrix,
                // which needs no arc tangent.
                let warp = WarpAffine::new([[1.0, sx, -dx.trunc()], [sy, 1.0, -dy.trunc()]]);
                Box::new(warp.with_interpolation(interpolation))
            }
            PolicyStyle::Timm => {
                let grey = Border::ConstantHard(vec![128.0]);
                if self == Self::Rotate {
                    Box::new(Rotate::new(argument).with_border(grey))
                } else {
                    let warp = WarpAffine::new([[1.0, sx, dx], [sy, 1.0, dy]]);
                    Box::new(warp.with_border(grey))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Affine;
    use crate::ops::testing::{SIZE, meta};

    #[test]
    fn shears_are_torchvisions_affine() {
        // A shear about the corner by the angle whose tangent is the argument.
        let degrees = 0.3_f64.atan().to_degrees();
        let affine = Affine::new()
            .with_shear((degrees, 0.0))
            .with_center((0.0, 0.0))
            .plan(&meta(SIZE), Key::from_seed(0))
            .unwrap();
        let policy = PolicyOp::ShearX.plan(0.3, PolicyStyle::Torchvision, &meta(SIZE));
        for (x, y) in [(0.0, 0.0), (8.0, 0.0), (3.0, 5.0)] {
            let (a, b) = (
                affine.map_point(x, y).unwrap(),
                policy.map_point(x, y).unwrap(),
            );
            assert!(
                (a.0 - b.0).abs() < 1e-6 && (a.1 - b.1).abs() < 1e-6,
                "{a:?} {b:?}"
            );
        }
    }

    #[test]
    fn no_argument_makes_an_invalid_operation() {
        for op in [
            PolicyOp::ShearX,
            PolicyOp::TranslateY,
            PolicyOp::TranslateXRel,
            PolicyOp::Rotate,
            PolicyOp::Brightness,
            PolicyOp::Color,
            PolicyOp::Contrast,
            PolicyOp::Sharpness,
            PolicyOp::Posterize,
            PolicyOp::Solarize,
            PolicyOp::SolarizeAdd,
            PolicyOp::Desaturate,
            PolicyOp::GaussianBlur,
            PolicyOp::Equalize,
            PolicyOp::AutoContrast,
            PolicyOp::Invert,
        ] {
            for style in [PolicyStyle::Torchvision, PolicyStyle::Timm] {
                for argument in [-1000.0, -0.5, 0.0, 0.5, 1000.0] {
                    let plan = op.plan(argument, style, &meta(SIZE));
                    assert_eq!(plan.steps.len(), 1, "{op:?} {argument}");
                }
            }
        }
        assert_eq!(
            PolicyOp::Identity.plan(1.0, PolicyStyle::Timm, &meta(SIZE)),
            Plan::identity()
        );
    }
}
