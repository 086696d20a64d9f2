//! Channels in a random order: `random_channel_permutation`.

use super::{check_probability, plain_layer};
use crate::{AugmentError, LayerTransform, PermuteChannels, Plan, SampleMeta, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Puts the channels into a random order with probability `p`: torchvision's
/// `RandomChannelPermutation`, kornia's and albumentations' channel shuffle.
///
/// ```
/// use firecraft_augment::{RandomChannelPermutation, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(8, 8), channels: 5 };
/// let plan = RandomChannelPermutation::new(1.0).plan(&meta, Key::from_seed(0))?;
/// assert_eq!(plan.steps.len(), 1);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomChannelPermutation {
    /// Probability, in `0..=1`; 1 by default.
    #[serde(default = "always")]
    pub p: f64,
}

const fn always() -> f64 {
    1.0
}

impl RandomChannelPermutation {
    /// Acts with that probability.
    #[must_use]
    pub const fn new(p: f64) -> Self {
        Self { p }
    }
}

impl Transform for RandomChannelPermutation {
    plain_layer!("random_channel_permutation");

    fn validate(&self) -> Result<(), AugmentError> {
        check_probability(self.name(), self.p)
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        let mut order: Vec<usize> = (0..meta.channels).collect();
        if !rng.chance(self.p) || order.is_empty() {
            return Ok(Plan::identity());
        }
        rng.shuffle(&mut order);
        Ok(PermuteChannels::new(order).into())
    }
}

impl LayerTransform for RandomChannelPermutation {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_order_occurs() {
        let meta = SampleMeta {
            size: crate::ops::testing::SIZE,
            channels: 3,
        };
        let orders: BTreeSet<String> = (0..200)
            .map(|seed| {
                let shuffle = RandomChannelPermutation::new(1.0);
                format!("{:?}", shuffle.plan(&meta, Key::from_seed(seed)).unwrap())
            })
            .collect();
        assert_eq!(orders.len(), 6);
    }
}
