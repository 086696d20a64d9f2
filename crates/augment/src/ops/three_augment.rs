//! Grey, solarised or blurred, then jitter: `three_augment`.

use super::{ColorJitter, TimmAutoAugment, TimmPolicy, plain_layer};
use crate::{AugmentError, HorizontalFlip, LayerTransform, Plan, SampleMeta, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// A flip, one of grey, solarised and blurred, and jitter of the colours:
/// Touvron et al., *DeiT III: Revenge of the ViT* (2022), as timm builds it.
/// The crop before it is left to you.
///
/// ```
/// use firecraft_augment::{SampleMeta, Size, ThreeAugment, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(32, 32), channels: 3 };
/// let plan = ThreeAugment::default().plan(&meta, Key::from_seed(1))?;
/// assert!((4..=5).contains(&plan.steps.len()));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThreeAugment {
    /// How far brightness, contrast and saturation go from 1, in `[0, 1]`.
    pub jitter: f64,
    /// Probability of the flip, in `0..=1`.
    pub flip: f64,
}

impl Default for ThreeAugment {
    fn default() -> Self {
        Self {
            jitter: 0.3,
            flip: 0.5,
        }
    }
}

impl Transform for ThreeAugment {
    plain_layer!("three_augment");

    fn validate(&self) -> Result<(), AugmentError> {
        for (field, value) in [("jitter", self.jitter), ("flip", self.flip)] {
            if !(0.0..=1.0).contains(&value) {
                let expected = "a number in [0, 1]";
                return Err(AugmentError::parameter(self.name(), field, value, expected));
            }
        }
        Ok(())
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut plan = HorizontalFlip::new(self.flip).plan(meta, key.fold(0))?;
        let three = TimmAutoAugment::new(TimmPolicy::ThreeAugment);
        plan.extend(three.plan(meta, key.fold(1))?);
        let jitter = ColorJitter::new(self.jitter, self.jitter, self.jitter, 0.0);
        plan.extend(jitter.plan(meta, key.fold(2))?);
        Ok(plan)
    }
}

impl LayerTransform for ThreeAugment {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::plan;
    use std::collections::BTreeSet;

    #[test]
    fn each_of_the_three_occurs() {
        let still = ThreeAugment {
            jitter: 0.0,
            flip: 0.0,
        };
        let kinds: BTreeSet<&str> = (0..60)
            .map(|seed| match &plan(&still, seed).steps[..] {
                [Step::Saturation(_)] => "grey",
                [Step::Solarize(_)] => "solarised",
                [Step::BoxBlur(_)] => "blurred",
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(kinds.len(), 3);
        assert!(
            ThreeAugment {
                jitter: 2.0,
                flip: 0.5
            }
            .validate()
            .is_err()
        );
    }
}
