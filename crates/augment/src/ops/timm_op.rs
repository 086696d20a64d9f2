//! timm's operations by level.

use super::policy_op::{PolicyOp, PolicyStyle};
use crate::{Plan, SampleMeta};
use firecraft_key::Rng;
use serde::{Deserialize, Serialize};

/// An operation of timm's policies, whose argument follows from a level, from
/// 0 to 10 and beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimmOp {
    /// The whole range of values.
    AutoContrast,
    /// All levels equally often.
    Equalize,
    /// The negative.
    Invert,
    /// Turned by up to 30 degrees.
    Rotate,
    /// Bits kept: none to 4, weaker with the level.
    Posterize,
    /// Bits kept: 4 to none, stronger with the level.
    PosterizeIncreasing,
    /// Bits kept: 4 to 8, weaker with the level.
    PosterizeOriginal,
    /// Threshold 0 to 256, weaker with the level.
    Solarize,
    /// Threshold 256 to 0, stronger with the level.
    SolarizeIncreasing,
    /// The shadows brightened by up to 110.
    SolarizeAdd,
    /// Colour times 0.1 to 1.9.
    Color,
    /// Colour, 1 plus or minus up to 0.9.
    ColorIncreasing,
    /// Contrast times 0.1 to 1.9.
    Contrast,
    /// Contrast, 1 plus or minus up to 0.9.
    ContrastIncreasing,
    /// Brightness times 0.1 to 1.9.
    Brightness,
    /// Brightness, 1 plus or minus up to 0.9.
    BrightnessIncreasing,
    /// Sharpness times 0.1 to 1.9.
    Sharpness,
    /// Sharpness, 1 plus or minus up to 0.9.
    SharpnessIncreasing,
    /// Slanted along x by up to 0.3.
    ShearX,
    /// Slanted along y by up to 0.3.
    ShearY,
    /// Shifted along x by up to 100 pixels.
    TranslateX,
    /// Shifted along y by up to 100 pixels.
    TranslateY,
    /// Shifted along x by up to 0.45 of the width.
    TranslateXRel,
    /// Shifted along y by up to 0.45 of the height.
    TranslateYRel,
    /// Half to all of the colour taken away.
    Desaturate,
    /// Softened by 0.1 to 2 pixels.
    GaussianBlur,
    /// Softened by a random amount, up to 2 pixels times level over 10.
    GaussianBlurRand,
}

/// What the level is divided by.
const LEVELS: f64 = 10.0;

impl TimmOp {
    /// The argument at a level: degrees, pixels, bits, a threshold or a
    /// factor. `None` for operations without one.
    ///
    /// The sign that geometry draws is left out, and the increasing factors
    /// are given as their distance to 1.
    ///
    /// ```
    /// use firecraft_augment::TimmOp;
    /// assert_eq!(TimmOp::Rotate.argument(5.0), Some(15.0));
    /// assert_eq!(TimmOp::PosterizeIncreasing.argument(5.0), Some(2.0));
    /// assert_eq!(TimmOp::Equalize.argument(5.0), None);
    /// ```
    #[must_use]
    pub fn argument(self, level: f64) -> Option<f64> {
        let part = level / LEVELS;
        Some(match self {
            Self::AutoContrast | Self::Equalize | Self::Invert => return None,
            Self::Rotate => part * 30.0,
            Self::Posterize => (part * 4.0).trunc(),
            Self::PosterizeIncreasing => 4.0 - (part * 4.0).trunc(),
            Self::PosterizeOriginal => (part * 4.0).trunc() + 4.0,
            Self::Solarize => (part * 256.0).trunc().min(256.0),
            Self::SolarizeIncreasing => 256.0 - (part * 256.0).trunc().min(256.0),
            Self::SolarizeAdd => (part * 110.0).trunc().min(128.0),
            Self::Color | Self::Contrast | Self::Brightness | Self::Sharpness => part * 1.8 + 0.1,
            Self::ColorIncreasing
            | Self::ContrastIncreasing
            | Self::BrightnessIncreasing
            | Self::SharpnessIncreasing => part * 0.9,
            Self::ShearX | Self::ShearY => part * 0.3,
            Self::TranslateX | Self::TranslateY => part * 100.0,
            Self::TranslateXRel | Self::TranslateYRel => part * 0.45,
            Self::Desaturate => 0.5 + part * 0.5,
            Self::GaussianBlur => 0.1 + part * 1.9,
            Self::GaussianBlurRand => part,
        })
    }

    /// What the operation does at a level. Takes four words.
    pub(crate) fn plan(self, level: f64, meta: &SampleMeta, rng: &mut Rng) -> Plan {
        let argument = self.argument(level).unwrap_or(0.0);
        let sign = if rng.chance(0.5) { -1.0 } else { 1.0 };
        let uniform = rng.uniform_f64();
        // Factors as `PolicyOp` takes them: the distance to 1.
        let (op, value) = match self {
            Self::AutoContrast => (PolicyOp::AutoContrast, 0.0),
            Self::Equalize => (PolicyOp::Equalize, 0.0),
            Self::Invert => (PolicyOp::Invert, 0.0),
            Self::Rotate => (PolicyOp::Rotate, sign * argument),
            Self::Posterize | Self::PosterizeIncreasing | Self::PosterizeOriginal => {
                (PolicyOp::Posterize, argument)
            }
            Self::Solarize | Self::SolarizeIncreasing => (PolicyOp::Solarize, argument / 255.0),
            Self::SolarizeAdd => (PolicyOp::SolarizeAdd, argument),
            Self::Color => (PolicyOp::Color, argument - 1.0),
            Self::ColorIncreasing => (PolicyOp::Color, (sign * argument).max(-0.9)),
            Self::Contrast => (PolicyOp::Contrast, argument - 1.0),
            Self::ContrastIncreasing => (PolicyOp::Contrast, (sign * argument).max(-0.9)),
            Self::Brightness => (PolicyOp::Brightness, argument - 1.0),
            Self::BrightnessIncreasing => (PolicyOp::Brightness, (sign * argument).max(-0.9)),
            Self::Sharpness => (PolicyOp::Sharpness, argument - 1.0),
            Self::SharpnessIncreasing => (PolicyOp::Sharpness, (sign * argument).max(-0.9)),
            Self::ShearX => (PolicyOp::ShearX, sign * argument),
            Self::ShearY => (PolicyOp::ShearY, sign * argument),
            Self::TranslateX => (PolicyOp::TranslateX, sign * argument),
            Self::TranslateY => (PolicyOp::TranslateY, sign * argument),
            Self::TranslateXRel => (PolicyOp::TranslateXRel, sign * argument),
            Self::TranslateYRel => (PolicyOp::TranslateYRel, sign * argument),
            Self::Desaturate => (PolicyOp::Desaturate, argument.min(1.0)),
            Self::GaussianBlur => (PolicyOp::GaussianBlur, argument),
            Self::GaussianBlurRand => {
                let most = (2.0 * argument).max(0.1);
                (PolicyOp::GaussianBlur, 0.1 + (most - 0.1) * uniform)
            }
        };
        op.plan(value, PolicyStyle::Timm, meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::{SIZE, meta};
    use firecraft_key::Key;

    #[test]
    fn increasing_factors_stay_above_a_tenth() {
        for seed in 0..40 {
            let mut rng = Key::from_seed(seed).rng();
            let plan = TimmOp::BrightnessIncreasing.plan(20.0, &meta(SIZE), &mut rng);
            let [Step::Brightness(step)] = &plan.steps[..] else {
                panic!("{plan:?}")
            };
            assert!(step.factor >= 0.0999, "{}", step.factor);
        }
    }
}
