//! The operations of Keras' policies.

use crate::{
    AugmentError, AutoContrast, Equalize, EqualizeMethod, Factor, Interpolation, Plan,
    RandomBrightness, RandomColorDegeneration, RandomContrast, RandomPosterization,
    RandomRotationConfig, RandomSharpness, RandomShearConfig, RandomSolarization,
    RandomTranslationConfig, SampleMeta, Transform,
};
use firecraft_key::Key;

/// A layer of Keras that its policies choose, of one strength for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KerasOp {
    Shear,
    Translation,
    Rotation,
    Posterization,
    Solarization,
    AutoContrast,
    Equalization,
    Brightness,
    ColorDegeneration,
    Contrast,
    Sharpness,
}

impl KerasOp {
    /// Those that leave the brightness, the colours and the sharpness alone come
    /// first.
    pub(super) const ALL: [Self; 11] = [
        Self::Shear,
        Self::Translation,
        Self::Rotation,
        Self::Posterization,
        Self::Solarization,
        Self::AutoContrast,
        Self::Equalization,
        Self::Brightness,
        Self::ColorDegeneration,
        Self::Contrast,
        Self::Sharpness,
    ];
    /// How many leave them alone.
    pub(super) const PARTIAL: usize = 7;

    /// Draws one operation of strength `factor`, inside `[0, 1]`.
    pub(super) fn plan(
        self,
        factor: Factor,
        interpolation: Interpolation,
        meta: &SampleMeta,
        key: Key,
    ) -> Result<Plan, AugmentError> {
        let draw = |transform: &dyn Transform| transform.plan(meta, key);
        match self {
            Self::Shear => {
                // A shear by 1 in both directions would fold the image.
                let y = Factor::from((factor.low().min(0.99), factor.high().min(0.99)));
                draw(&RandomShearConfig::new(factor, y).with_interpolation(interpolation))
            }
            Self::Translation => {
                let shift = RandomTranslationConfig::new(factor, factor);
                draw(&shift.with_interpolation(interpolation))
            }
            Self::Rotation => {
                draw(&RandomRotationConfig::new(factor).with_interpolation(interpolation))
            }
            Self::Posterization => {
                let bits = (8.0 * factor.high()).floor().max(1.0);
                draw(&RandomPosterization::new((1.0, bits)))
            }
            Self::Solarization => draw(&RandomSolarization::new(factor, factor)),
            Self::AutoContrast => draw(&AutoContrast::new()),
            Self::Equalization => draw(&Equalize::new().with_method(EqualizeMethod::OpenCv)),
            Self::Brightness => draw(&RandomBrightness::new(factor)),
            Self::ColorDegeneration => draw(&RandomColorDegeneration::new(factor)),
            // Keras' pair `(lower, upper)` draws from `(1 - lower, 1 + upper)`.
            Self::Contrast => draw(&RandomContrast::new((-factor.low(), factor.high()))),
            Self::Sharpness => draw(&RandomSharpness::new(factor)),
        }
    }
}

/// The range of strengths; a single number is the range from 0 on.
pub(super) fn strength(factor: Factor) -> Factor {
    factor.cut_below(0.0)
}

pub(super) fn check_factor(operation: &'static str, factor: Factor) -> Result<(), AugmentError> {
    let expected = "an ordered pair in [0, 1]";
    strength(factor).check(operation, "factor", 0.0..=1.0, expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, meta};

    #[test]
    fn every_operation_can_be_drawn_at_every_strength() {
        for op in KerasOp::ALL {
            for factor in [(0.0, 0.0), (0.0, 0.5), (0.25, 1.0), (1.0, 1.0)] {
                let plan = op.plan(
                    factor.into(),
                    Interpolation::Bilinear,
                    &meta(SIZE),
                    Key::from_seed(1),
                );
                assert_eq!(plan.unwrap().steps.len(), 1, "{op:?} {factor:?}");
            }
        }
    }
}
