//! timm's learned policies: `timm_auto_augment`.

use super::plain_layer;
use super::timm_op::TimmOp::{
    self, AutoContrast, Color, Contrast, Desaturate, Equalize, GaussianBlurRand, Invert, Posterize,
    PosterizeIncreasing, PosterizeOriginal, Rotate, Sharpness, ShearX, ShearY, Solarize,
    SolarizeAdd, TranslateYRel,
};
use crate::{AugmentError, LayerTransform, Plan, SampleMeta, Transform};
use firecraft_key::{Key, Rng};
use serde::{Deserialize, Serialize};

/// One of timm's policies for ImageNet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimmPolicy {
    /// That of the paper (Cubuk et al., 2019).
    Original,
    /// That of the paper, with posterisation that grows stronger.
    Originalr,
    /// That of the EfficientNet training code.
    #[default]
    V0,
    /// That of the EfficientNet training code, with posterisation that grows
    /// stronger.
    V0r,
    /// Grey, solarised or blurred: 3-Augment (Touvron et al., *DeiT III*,
    /// 2022).
    #[serde(rename = "3a")]
    ThreeAugment,
}

/// An operation with its probability and its level.
type Entry = (TimmOp, f64, f64);

impl TimmPolicy {
    /// The sub-policies: operations in order, each with its probability and
    /// its level.
    ///
    /// ```
    /// use firecraft_augment::{TimmOp, TimmPolicy};
    /// let first = &TimmPolicy::V0.sub_policies()[0];
    /// assert_eq!(first[..], [(TimmOp::Equalize, 0.8, 1.0), (TimmOp::ShearY, 0.8, 4.0)]);
    /// ```
    #[must_use]
    pub fn sub_policies(self) -> Vec<Vec<Entry>> {
        let own = |table: &[[Entry; 2]]| table.iter().map(|pair| pair.to_vec()).collect();
        let stronger = |mut table: Vec<Vec<Entry>>| {
            for (op, ..) in table.iter_mut().flatten() {
                if matches!(op, Posterize | PosterizeOriginal) {
                    *op = PosterizeIncreasing;
                }
            }
            table
        };
        match self {
            Self::Original => own(ORIGINAL),
            Self::Originalr => stronger(own(ORIGINAL)),
            Self::V0 => own(V0),
            Self::V0r => stronger(own(V0)),
            Self::ThreeAugment => vec![
                vec![(Solarize, 1.0, 5.0)],
                vec![(Desaturate, 1.0, 10.0)],
                vec![(GaussianBlurRand, 1.0, 10.0)],
            ],
        }
    }
}

/// A level around `magnitude`: normal with deviation `std`, uniform from 0 if
/// `std` is infinite, in `0..=max`. Takes two words.
pub(super) fn noisy_level(magnitude: f64, std: f64, max: f64, rng: &mut Rng) -> f64 {
    let level = if std == f64::INFINITY {
        rng.range(0.0, magnitude)
    } else {
        let normal = f64::from(rng.normal());
        rng.next_u32();
        magnitude + std * normal
    };
    level.clamp(0.0, max)
}

/// One sub-policy per image, as timm's `AutoAugment` does it: on Pillow's
/// arithmetic, with grey outside.
///
/// ```
/// use firecraft_augment::{SampleMeta, Size, TimmAutoAugment, TimmPolicy, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(32, 32), channels: 3 };
/// let three = TimmAutoAugment::new(TimmPolicy::ThreeAugment);
/// assert_eq!(three.plan(&meta, Key::from_seed(0))?.steps.len(), 1);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimmAutoAugment {
    /// The policy.
    pub policy: TimmPolicy,
    /// Standard deviation of the levels, from 0 on.
    pub magnitude_std: f64,
}

impl TimmAutoAugment {
    /// That policy, with its levels as they are.
    #[must_use]
    pub const fn new(policy: TimmPolicy) -> Self {
        Self {
            policy,
            magnitude_std: 0.0,
        }
    }
}

impl Transform for TimmAutoAugment {
    plain_layer!("timm_auto_augment");

    fn validate(&self) -> Result<(), AugmentError> {
        if self.magnitude_std >= 0.0 {
            return Ok(());
        }
        let (got, expected) = (self.magnitude_std, "a number from 0 on");
        Err(AugmentError::parameter(
            self.name(),
            "magnitude_std",
            got,
            expected,
        ))
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        let policies = self.policy.sub_policies();
        let chosen = &policies[rng.below(policies.len() as u64) as usize];
        let mut plan = Plan::identity();
        for &(op, p, level) in chosen {
            // Everything is drawn, whatever acts.
            let acts = rng.chance(p);
            let level = noisy_level(level, self.magnitude_std, 10.0, &mut rng);
            let next = op.plan(level, meta, &mut rng);
            if acts {
                plan.extend(next);
            }
        }
        Ok(plan)
    }
}

impl LayerTransform for TimmAutoAugment {}

const ORIGINAL: &[[Entry; 2]] = &[
    [(PosterizeOriginal, 0.4, 8.0), (Rotate, 0.6, 9.0)],
    [(Solarize, 0.6, 5.0), (AutoContrast, 0.6, 5.0)],
    [(Equalize, 0.8, 8.0), (Equalize, 0.6, 3.0)],
    [(PosterizeOriginal, 0.6, 7.0), (PosterizeOriginal, 0.6, 6.0)],
    [(Equalize, 0.4, 7.0), (Solarize, 0.2, 4.0)],
    [(Equalize, 0.4, 4.0), (Rotate, 0.8, 8.0)],
    [(Solarize, 0.6, 3.0), (Equalize, 0.6, 7.0)],
    [(PosterizeOriginal, 0.8, 5.0), (Equalize, 1.0, 2.0)],
    [(Rotate, 0.2, 3.0), (Solarize, 0.6, 8.0)],
    [(Equalize, 0.6, 8.0), (PosterizeOriginal, 0.4, 6.0)],
    [(Rotate, 0.8, 8.0), (Color, 0.4, 0.0)],
    [(Rotate, 0.4, 9.0), (Equalize, 0.6, 2.0)],
    [(Equalize, 0.0, 7.0), (Equalize, 0.8, 8.0)],
    [(Invert, 0.6, 4.0), (Equalize, 1.0, 8.0)],
    [(Color, 0.6, 4.0), (Contrast, 1.0, 8.0)],
    [(Rotate, 0.8, 8.0), (Color, 1.0, 2.0)],
    [(Color, 0.8, 8.0), (Solarize, 0.8, 7.0)],
    [(Sharpness, 0.4, 7.0), (Invert, 0.6, 8.0)],
    [(ShearX, 0.6, 5.0), (Equalize, 1.0, 9.0)],
    [(Color, 0.4, 0.0), (Equalize, 0.6, 3.0)],
    [(Equalize, 0.4, 7.0), (Solarize, 0.2, 4.0)],
    [(Solarize, 0.6, 5.0), (AutoContrast, 0.6, 5.0)],
    [(Invert, 0.6, 4.0), (Equalize, 1.0, 8.0)],
    [(Color, 0.6, 4.0), (Contrast, 1.0, 8.0)],
    [(Equalize, 0.8, 8.0), (Equalize, 0.6, 3.0)],
];

const V0: &[[Entry; 2]] = &[
    [(Equalize, 0.8, 1.0), (ShearY, 0.8, 4.0)],
    [(Color, 0.4, 9.0), (Equalize, 0.6, 3.0)],
    [(Color, 0.4, 1.0), (Rotate, 0.6, 8.0)],
    [(Solarize, 0.8, 3.0), (Equalize, 0.4, 7.0)],
    [(Solarize, 0.4, 2.0), (Solarize, 0.6, 2.0)],
    [(Color, 0.2, 0.0), (Equalize, 0.8, 8.0)],
    [(Equalize, 0.4, 8.0), (SolarizeAdd, 0.8, 3.0)],
    [(ShearX, 0.2, 9.0), (Rotate, 0.6, 8.0)],
    [(Color, 0.6, 1.0), (Equalize, 1.0, 2.0)],
    [(Invert, 0.4, 9.0), (Rotate, 0.6, 0.0)],
    [(Equalize, 1.0, 9.0), (ShearY, 0.6, 3.0)],
    [(Color, 0.4, 7.0), (Equalize, 0.6, 0.0)],
    [(Posterize, 0.4, 6.0), (AutoContrast, 0.4, 7.0)],
    [(Solarize, 0.6, 8.0), (Color, 0.6, 9.0)],
    [(Solarize, 0.2, 4.0), (Rotate, 0.8, 9.0)],
    [(Rotate, 1.0, 7.0), (TranslateYRel, 0.8, 9.0)],
    [(ShearX, 0.0, 0.0), (Solarize, 0.8, 4.0)],
    [(ShearY, 0.8, 0.0), (Color, 0.6, 4.0)],
    [(Color, 1.0, 0.0), (Rotate, 0.6, 2.0)],
    [(Equalize, 0.8, 4.0), (Equalize, 0.0, 8.0)],
    [(Equalize, 1.0, 4.0), (AutoContrast, 0.6, 2.0)],
    [(ShearY, 0.4, 7.0), (SolarizeAdd, 0.6, 7.0)],
    [(Posterize, 0.8, 2.0), (Solarize, 0.6, 10.0)],
    [(Solarize, 0.6, 8.0), (Equalize, 0.6, 1.0)],
    [(Color, 0.8, 6.0), (Rotate, 0.4, 5.0)],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::plan;

    #[test]
    fn the_r_variants_have_increasing_posterisation_only() {
        for policy in [TimmPolicy::Originalr, TimmPolicy::V0r] {
            let ops: Vec<TimmOp> = policy.sub_policies().concat().iter().map(|e| e.0).collect();
            assert!(ops.contains(&PosterizeIncreasing));
            assert!(!ops.contains(&Posterize) && !ops.contains(&PosterizeOriginal));
        }
    }

    #[test]
    fn probabilities_are_kept() {
        let auto = TimmAutoAugment::new(TimmPolicy::V0);
        let expected = TimmPolicy::V0
            .sub_policies()
            .concat()
            .iter()
            .map(|e| e.1)
            .sum::<f64>();
        let steps: usize = (0..2000).map(|seed| plan(&auto, seed).steps.len()).sum();
        assert!((steps as f64 / 2000.0 - expected / 25.0).abs() < 0.08);
    }
}
