//! A learned policy: `auto_augment`.

use super::plain_layer;
use super::policy_op::PolicyOp::{
    self, AutoContrast, Brightness, Color, Contrast, Equalize, Invert, Posterize, Rotate,
    Sharpness, ShearX, ShearY, Solarize, TranslateX, TranslateY,
};
use super::policy_op::PolicyStyle;
use super::policy_space::PolicySpace;
use crate::{AugmentError, LayerTransform, Plan, SampleMeta, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Two operations in order: each with its probability and its magnitude in
/// `0..=9`, which those without an argument ignore.
pub type SubPolicy = [(PolicyOp, f64, usize); 2];

/// The data set a policy was learned on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoAugmentPolicy {
    /// ImageNet.
    #[default]
    Imagenet,
    /// CIFAR-10.
    Cifar10,
    /// Street View House Numbers.
    Svhn,
}

impl AutoAugmentPolicy {
    /// The 25 sub-policies.
    ///
    /// ```
    /// use firecraft_augment::{AutoAugmentPolicy, PolicyOp};
    /// let [first, second] = AutoAugmentPolicy::Imagenet.sub_policies()[0];
    /// assert_eq!(first, (PolicyOp::Posterize, 0.4, 8));
    /// assert_eq!(second, (PolicyOp::Rotate, 0.6, 9));
    /// ```
    #[must_use]
    pub const fn sub_policies(self) -> &'static [SubPolicy] {
        match self {
            Self::Imagenet => IMAGENET,
            Self::Cifar10 => CIFAR10,
            Self::Svhn => SVHN,
        }
    }
}

/// One sub-policy of a learned policy per image: torchvision's `AutoAugment`.
/// Cubuk et al., *AutoAugment: Learning Augmentation Policies from Data*
/// (2019).
///
/// ```
/// use firecraft_augment::{AutoAugment, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(32, 32), channels: 3 };
/// let plan = AutoAugment::default().plan(&meta, Key::from_seed(0))?;
/// assert!(plan.steps.len() <= 2);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AutoAugment {
    /// The policy.
    pub policy: AutoAugmentPolicy,
}

impl AutoAugment {
    /// The policy learned on that data set.
    #[must_use]
    pub const fn new(policy: AutoAugmentPolicy) -> Self {
        Self { policy }
    }
}

impl Transform for AutoAugment {
    plain_layer!("auto_augment");

    fn validate(&self) -> Result<(), AugmentError> {
        Ok(())
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        const BINS: usize = 10;
        let mut rng = key.rng();
        let policies = self.policy.sub_policies();
        let chosen = policies[rng.below(policies.len() as u64) as usize];
        let mut plan = Plan::identity();
        for (op, p, level) in chosen {
            // Both are always drawn, so that one doesn't move the other.
            let (acts, negative) = (rng.chance(p), rng.chance(0.5));
            if acts {
                let size = meta.size;
                let value = PolicySpace::AutoAugment.magnitude(op, BINS, level, size);
                let value = if negative && op.is_signed() {
                    -value
                } else {
                    value
                };
                plan.extend(op.plan(value, PolicyStyle::Torchvision, meta));
            }
        }
        Ok(plan)
    }
}

impl LayerTransform for AutoAugment {}

/// Learned on ImageNet.
const IMAGENET: &[SubPolicy] = &[
    [(Posterize, 0.4, 8), (Rotate, 0.6, 9)],
    [(Solarize, 0.6, 5), (AutoContrast, 0.6, 0)],
    [(Equalize, 0.8, 0), (Equalize, 0.6, 0)],
    [(Posterize, 0.6, 7), (Posterize, 0.6, 6)],
    [(Equalize, 0.4, 0), (Solarize, 0.2, 4)],
    [(Equalize, 0.4, 0), (Rotate, 0.8, 8)],
    [(Solarize, 0.6, 3), (Equalize, 0.6, 0)],
    [(Posterize, 0.8, 5), (Equalize, 1.0, 0)],
    [(Rotate, 0.2, 3), (Solarize, 0.6, 8)],
    [(Equalize, 0.6, 0), (Posterize, 0.4, 6)],
    [(Rotate, 0.8, 8), (Color, 0.4, 0)],
    [(Rotate, 0.4, 9), (Equalize, 0.6, 0)],
    [(Equalize, 0.0, 0), (Equalize, 0.8, 0)],
    [(Invert, 0.6, 0), (Equalize, 1.0, 0)],
    [(Color, 0.6, 4), (Contrast, 1.0, 8)],
    [(Rotate, 0.8, 8), (Color, 1.0, 2)],
    [(Color, 0.8, 8), (Solarize, 0.8, 7)],
    [(Sharpness, 0.4, 7), (Invert, 0.6, 0)],
    [(ShearX, 0.6, 5), (Equalize, 1.0, 0)],
    [(Color, 0.4, 0), (Equalize, 0.6, 0)],
    [(Equalize, 0.4, 0), (Solarize, 0.2, 4)],
    [(Solarize, 0.6, 5), (AutoContrast, 0.6, 0)],
    [(Invert, 0.6, 0), (Equalize, 1.0, 0)],
    [(Color, 0.6, 4), (Contrast, 1.0, 8)],
    [(Equalize, 0.8, 0), (Equalize, 0.6, 0)],
];

/// Learned on CIFAR-10.
const CIFAR10: &[SubPolicy] = &[
    [(Invert, 0.1, 0), (Contrast, 0.2, 6)],
    [(Rotate, 0.7, 2), (TranslateX, 0.3, 9)],
    [(Sharpness, 0.8, 1), (Sharpness, 0.9, 3)],
    [(ShearY, 0.5, 8), (TranslateY, 0.7, 9)],
    [(AutoContrast, 0.5, 0), (Equalize, 0.9, 0)],
    [(ShearY, 0.2, 7), (Posterize, 0.3, 7)],
    [(Color, 0.4, 3), (Brightness, 0.6, 7)],
    [(Sharpness, 0.3, 9), (Brightness, 0.7, 9)],
    [(Equalize, 0.6, 0), (Equalize, 0.5, 0)],
    [(Contrast, 0.6, 7), (Sharpness, 0.6, 5)],
    [(Color, 0.7, 7), (TranslateX, 0.5, 8)],
    [(Equalize, 0.3, 0), (AutoContrast, 0.4, 0)],
    [(TranslateY, 0.4, 3), (Sharpness, 0.2, 6)],
    [(Brightness, 0.9, 6), (Color, 0.2, 8)],
    [(Solarize, 0.5, 2), (Invert, 0.0, 0)],
    [(Equalize, 0.2, 0), (AutoContrast, 0.6, 0)],
    [(Equalize, 0.2, 0), (Equalize, 0.6, 0)],
    [(Color, 0.9, 9), (Equalize, 0.6, 0)],
    [(AutoContrast, 0.8, 0), (Solarize, 0.2, 8)],
    [(Brightness, 0.1, 3), (Color, 0.7, 0)],
    [(Solarize, 0.4, 5), (AutoContrast, 0.9, 0)],
    [(TranslateY, 0.9, 9), (TranslateY, 0.7, 9)],
    [(AutoContrast, 0.9, 0), (Solarize, 0.8, 3)],
    [(Equalize, 0.8, 0), (Invert, 0.1, 0)],
    [(TranslateY, 0.7, 9), (AutoContrast, 0.9, 0)],
];

/// Learned on SVHN.
const SVHN: &[SubPolicy] = &[
    [(ShearX, 0.9, 4), (Invert, 0.2, 0)],
    [(ShearY, 0.9, 8), (Invert, 0.7, 0)],
    [(Equalize, 0.6, 0), (Solarize, 0.6, 6)],
    [(Invert, 0.9, 0), (Equalize, 0.6, 0)],
    [(Equalize, 0.6, 0), (Rotate, 0.9, 3)],
    [(ShearX, 0.9, 4), (AutoContrast, 0.8, 0)],
    [(ShearY, 0.9, 8), (Invert, 0.4, 0)],
    [(ShearY, 0.9, 5), (Solarize, 0.2, 6)],
    [(Invert, 0.9, 0), (AutoContrast, 0.8, 0)],
    [(Equalize, 0.6, 0), (Rotate, 0.9, 3)],
    [(ShearX, 0.9, 4), (Solarize, 0.3, 3)],
    [(ShearY, 0.8, 8), (Invert, 0.7, 0)],
    [(Equalize, 0.9, 0), (TranslateY, 0.6, 6)],
    [(Invert, 0.9, 0), (Equalize, 0.6, 0)],
    [(Contrast, 0.3, 3), (Rotate, 0.8, 4)],
    [(Invert, 0.8, 0), (TranslateY, 0.0, 2)],
    [(ShearY, 0.7, 6), (Solarize, 0.4, 8)],
    [(Invert, 0.6, 0), (Rotate, 0.8, 4)],
    [(ShearY, 0.3, 7), (TranslateX, 0.9, 3)],
    [(ShearX, 0.1, 6), (Invert, 0.6, 0)],
    [(Solarize, 0.7, 2), (TranslateY, 0.6, 7)],
    [(ShearY, 0.8, 4), (Invert, 0.8, 0)],
    [(ShearX, 0.7, 9), (TranslateY, 0.8, 3)],
    [(ShearY, 0.8, 5), (AutoContrast, 0.7, 0)],
    [(ShearX, 0.7, 2), (Invert, 0.1, 0)],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::plan;

    #[test]
    fn policies_are_whole() {
        for policy in [
            AutoAugmentPolicy::Imagenet,
            AutoAugmentPolicy::Cifar10,
            AutoAugmentPolicy::Svhn,
        ] {
            let sub_policies = policy.sub_policies();
            assert_eq!(sub_policies.len(), 25);
            for (_, p, level) in sub_policies.iter().flatten() {
                assert!((0.0..=1.0).contains(p) && *level < 10);
            }
        }
    }

    #[test]
    fn probabilities_are_kept() {
        // The mean of the probabilities of all sub-policies is the mean number
        // of steps: nothing is fused away before `fused`.
        let policy = AutoAugmentPolicy::Imagenet;
        let expected: f64 = policy
            .sub_policies()
            .iter()
            .flatten()
            .map(|o| o.1)
            .sum::<f64>()
            / 25.0;
        let auto = AutoAugment::new(policy);
        let steps: usize = (0..2000).map(|seed| plan(&auto, seed).steps.len()).sum();
        assert!((steps as f64 / 2000.0 - expected).abs() < 0.08);
        let has_warp = |seed| {
            plan(&auto, seed)
                .steps
                .iter()
                .any(|s| matches!(s, Step::Warp(_)))
        };
        assert!((0..200).any(has_warp));
    }
}
