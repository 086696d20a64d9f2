//! One operation of any strength: `trivial_augment`.

use super::plain_layer;
use super::policy_op::PolicyStyle;
use super::policy_space::PolicySpace;
use crate::{AugmentError, LayerTransform, Plan, SampleMeta, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// One operation with one magnitude, both drawn uniformly: torchvision's
/// `TrivialAugmentWide`. Müller and Hutter, *TrivialAugment: Tuning-free Yet
/// State-of-the-Art Data Augmentation* (2021). There is nothing to tune.
///
/// ```
/// use firecraft_augment::{SampleMeta, Size, Transform, TrivialAugment};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(32, 32), channels: 3 };
/// let plan = TrivialAugment::new().plan(&meta, Key::from_seed(0))?;
/// assert!(plan.steps.len() <= 1);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrivialAugment {
    /// Number of magnitudes, in `2..=1000`.
    pub num_magnitude_bins: usize,
}

impl Default for TrivialAugment {
    fn default() -> Self {
        Self::new()
    }
}

impl TrivialAugment {
    /// 31 magnitudes.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            num_magnitude_bins: 31,
        }
    }
}

impl Transform for TrivialAugment {
    plain_layer!("trivial_augment");

    fn validate(&self) -> Result<(), AugmentError> {
        if (2..=1000).contains(&self.num_magnitude_bins) {
            return Ok(());
        }
        let (got, expected) = (self.num_magnitude_bins, "a number in 2..=1000");
        Err(AugmentError::parameter(
            self.name(),
            "num_magnitude_bins",
            got,
            expected,
        ))
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let space = PolicySpace::TrivialAugmentWide;
        let (ops, bins) = (space.operations(), self.num_magnitude_bins);
        let mut rng = key.rng();
        let op = ops[rng.below(ops.len() as u64) as usize];
        let level = rng.below(bins as u64) as usize;
        let negative = rng.chance(0.5);
        let value = space.magnitude(op, bins, level, meta.size);
        let value = if negative && op.is_signed() {
            -value
        } else {
            value
        };
        Ok(op.plan(value, PolicyStyle::Torchvision, meta))
    }
}

impl LayerTransform for TrivialAugment {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::plan;
    use std::collections::BTreeSet;

    #[test]
    fn every_magnitude_occurs() {
        let bits: BTreeSet<u8> = (0..3000)
            .filter_map(|seed| match &plan(&TrivialAugment::new(), seed).steps[..] {
                [Step::Posterize(step)] => Some(step.bits),
                _ => None,
            })
            .collect();
        assert_eq!(bits.into_iter().collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8]);
        assert!(
            TrivialAugment {
                num_magnitude_bins: 1
            }
            .validate()
            .is_err()
        );
    }
}
