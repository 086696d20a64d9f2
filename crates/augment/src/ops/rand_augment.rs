//! A few operations of one strength: `rand_augment`.

use super::plain_layer;
use super::policy_op::PolicyStyle;
use super::policy_space::PolicySpace;
use crate::{AugmentError, LayerTransform, Plan, SampleMeta, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// `num_ops` operations drawn with replacement, all of one magnitude:
/// torchvision's `RandAugment`. Cubuk et al., *RandAugment: Practical
/// automated data augmentation with a reduced search space* (2020).
///
/// ```
/// use firecraft_augment::{RandAugment, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(32, 32), channels: 3 };
/// let plan = RandAugment::new(2, 9).plan(&meta, Key::from_seed(0))?;
/// assert!(plan.steps.len() <= 2);
/// assert!(RandAugment::new(2, 31).validate().is_err());
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandAugment {
    /// Number of operations, at most 64.
    pub num_ops: usize,
    /// Index of the magnitude, below `num_magnitude_bins`.
    pub magnitude: usize,
    /// Number of magnitudes, in `2..=1000`.
    pub num_magnitude_bins: usize,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self::new(2, 9)
    }
}

impl RandAugment {
    /// That many operations of that magnitude, of 31.
    #[must_use]
    pub const fn new(num_ops: usize, magnitude: usize) -> Self {
        Self {
            num_ops,
            magnitude,
            num_magnitude_bins: 31,
        }
    }
}

impl Transform for RandAugment {
    plain_layer!("rand_augment");

    fn validate(&self) -> Result<(), AugmentError> {
        let wrong = |field, got: usize, expected| {
            Err(AugmentError::parameter(self.name(), field, got, expected))
        };
        if self.num_ops > 64 {
            return wrong("num_ops", self.num_ops, "at most 64");
        }
        if !(2..=1000).contains(&self.num_magnitude_bins) {
            return wrong(
                "num_magnitude_bins",
                self.num_magnitude_bins,
                "a number in 2..=1000",
            );
        }
        if self.magnitude >= self.num_magnitude_bins {
            return wrong(
                "magnitude",
                self.magnitude,
                "an index below num_magnitude_bins",
            );
        }
        Ok(())
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let space = PolicySpace::RandAugment;
        let ops = space.operations();
        let (bins, level) = (self.num_magnitude_bins, self.magnitude);
        let mut rng = key.rng();
        let mut plan = Plan::identity();
        for _ in 0..self.num_ops {
            let op = ops[rng.below(ops.len() as u64) as usize];
            let negative = rng.chance(0.5);
            let value = space.magnitude(op, bins, level, meta.size);
            let value = if negative && op.is_signed() {
                -value
            } else {
                value
            };
            plan.extend(op.plan(value, PolicyStyle::Torchvision, meta));
        }
        Ok(plan)
    }
}

impl LayerTransform for RandAugment {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::plan;

    #[test]
    fn signs_are_fair_and_magnitudes_one() {
        let rand = RandAugment::new(1, 30);
        let factors: Vec<f32> = (0..3000)
            .filter_map(|seed| match &plan(&rand, seed).steps[..] {
                [Step::Brightness(step)] => Some(step.factor),
                _ => None,
            })
            .collect();
        // A fourteenth of 3000 is 214; five standard deviations are 71.
        assert!(factors.len().abs_diff(214) < 71, "{}", factors.len());
        let low = factors.iter().filter(|&&f| (f - 0.1).abs() < 1e-6).count();
        let high = factors.iter().filter(|&&f| (f - 1.9).abs() < 1e-6).count();
        assert_eq!(low + high, factors.len());
        assert!(low.abs_diff(high) < 75, "{low} {high}");
    }

    #[test]
    fn no_operation_is_the_identity() {
        assert_eq!(plan(&RandAugment::new(0, 9), 0), Plan::identity());
        assert!(RandAugment::new(65, 9).validate().is_err());
    }
}
