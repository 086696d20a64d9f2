//! The magnitudes that policies choose from.

use super::policy_op::PolicyOp::{self, *};
use crate::Size;

/// The operations of a policy and the magnitudes of each, as in torchvision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicySpace {
    /// Of [`AutoAugment`](crate::AutoAugment).
    AutoAugment,
    /// Of [`RandAugment`](crate::RandAugment).
    RandAugment,
    /// Of [`TrivialAugment`](crate::TrivialAugment): wider.
    TrivialAugmentWide,
    /// Of [`AugMix`](crate::AugMix).
    AugMix,
    /// Of [`AugMix`](crate::AugMix) without brightness, colour, contrast and
    /// sharpness.
    AugMixPartial,
}

const RAND: &[PolicyOp] = &[
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
];

const AUTO: &[PolicyOp] = &[
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
    Invert,
];

const MIX: &[PolicyOp] = &[
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
    Brightness,
    Color,
    Contrast,
    Sharpness,
];

impl PolicySpace {
    /// The operations to choose from.
    #[must_use]
    pub const fn operations(self) -> &'static [PolicyOp] {
        match self {
            Self::AutoAugment => AUTO,
            Self::RandAugment | Self::TrivialAugmentWide => RAND,
            Self::AugMix => MIX,
            Self::AugMixPartial => MIX.split_at(9).0,
        }
    }

    /// The magnitudes of an operation on an image of that size, in `bins`
    /// steps; `None` for operations without an argument.
    ///
    /// ```
    /// use firecraft_augment::{PolicyOp, PolicySpace, Size};
    /// let of = |op| PolicySpace::RandAugment.magnitudes(op, 31, Size::new(32, 32));
    /// assert_eq!(of(PolicyOp::Rotate).unwrap()[30], 30.0);
    /// assert_eq!(of(PolicyOp::Equalize), None);
    /// ```
    #[must_use]
    pub fn magnitudes(self, op: PolicyOp, bins: usize, size: Size) -> Option<Vec<f64>> {
        let wide = self == Self::TrivialAugmentWide;
        let last = (bins.max(2) - 1) as f64;
        let line = |from: f64, to: f64| {
            let at = |i: usize| from + (to - from) * i as f64 / last;
            Some((0..bins).map(at).collect())
        };
        // 150 of the 331 pixels of the images the policies were learned on.
        let mix = matches!(self, Self::AugMix | Self::AugMixPartial);
        let shift = |n: usize| match (wide, mix) {
            (true, _) => 32.0,
            (_, true) => n as f64 / 3.0,
            _ => 150.0 / 331.0 * n as f64,
        };
        match op {
            ShearX | ShearY => line(0.0, if wide { 0.99 } else { 0.3 }),
            TranslateX => line(0.0, shift(size.width)),
            TranslateY => line(0.0, shift(size.height)),
            Rotate => line(0.0, if wide { 135.0 } else { 30.0 }),
            Brightness | Color | Contrast | Sharpness => line(0.0, if wide { 0.99 } else { 0.9 }),
            Posterize => {
                let dropped = if wide { 6.0 } else { 4.0 };
                let most = if mix { 4.0 } else { 8.0 };
                let bits = |i: usize| most - (i as f64 * dropped / last).round_ties_even();
                Some((0..bins).map(bits).collect())
            }
            Solarize => line(1.0, 0.0),
            _ => None,
        }
    }

    /// One of the magnitudes, the last one beyond; 0 without an argument.
    pub(crate) fn magnitude(self, op: PolicyOp, bins: usize, level: usize, size: Size) -> f64 {
        let magnitudes = self.magnitudes(op, bins, size).unwrap_or_default();
        let last = magnitudes.last();
        magnitudes.get(level).or(last).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_with_a_sign_starts_where_it_does_nothing() {
        for space in [
            PolicySpace::AutoAugment,
            PolicySpace::RandAugment,
            PolicySpace::TrivialAugmentWide,
        ] {
            for &op in space.operations() {
                let magnitudes = space.magnitudes(op, 31, Size::new(20, 30));
                if op.is_signed() {
                    assert_eq!(magnitudes.unwrap()[0], 0.0);
                }
            }
        }
    }

    #[test]
    fn posterize_ends_at_two_or_four_bits() {
        let last = |space: PolicySpace| space.magnitude(Posterize, 31, 30, Size::new(1, 1));
        assert_eq!(last(PolicySpace::RandAugment), 4.0);
        assert_eq!(last(PolicySpace::TrivialAugmentWide), 2.0);
    }
}
