//! timm's random operations: `timm_rand_augment`.

use super::timm_auto_augment::noisy_level;
use super::timm_op::TimmOp::{self, *};
use super::{check_probability, half, plain_layer};
use crate::{AugmentError, LayerTransform, Plan, SampleMeta, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Operations in order of timm's `_RAND_TRANSFORMS`, with the weights it
/// offers.
const OPERATIONS: &[(TimmOp, TimmOp, f64)] = &[
    (AutoContrast, AutoContrast, 0.025),
    (Equalize, Equalize, 0.005),
    (Invert, Invert, 0.0),
    (Rotate, Rotate, 0.3),
    (Posterize, PosterizeIncreasing, 0.0),
    (Solarize, SolarizeIncreasing, 0.005),
    (SolarizeAdd, SolarizeAdd, 0.005),
    (Color, ColorIncreasing, 0.025),
    (Contrast, ContrastIncreasing, 0.005),
    (Brightness, BrightnessIncreasing, 0.005),
    (Sharpness, SharpnessIncreasing, 0.025),
    (ShearX, ShearX, 0.2),
    (ShearY, ShearY, 0.2),
    (TranslateXRel, TranslateXRel, 0.1),
    (TranslateYRel, TranslateYRel, 0.1),
];

/// `num_layers` operations, each done with probability `prob` at a level
/// around `magnitude`: timm's `RandAugment`, on Pillow's arithmetic, with grey
/// outside.
///
/// timm's configuration `rand-m9-mstd0.5-inc1` is
/// `TimmRandAugment { magnitude: 9.0, magnitude_std: 0.5, increasing: true, .. }`.
///
/// ```
/// use firecraft_augment::{SampleMeta, Size, TimmRandAugment, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(32, 32), channels: 3 };
/// let rand = TimmRandAugment { prob: 1.0, ..TimmRandAugment::default() };
/// assert_eq!(rand.plan(&meta, Key::from_seed(0))?.steps.len(), 2);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimmRandAugment {
    /// Number of operations, at most 15: timm's `n`.
    pub num_layers: usize,
    /// The level, in `[0, 100]`: timm's `m`.
    pub magnitude: f64,
    /// Standard deviation of the level, from 0 on; infinity draws it uniformly
    /// from 0 on: timm's `mstd`.
    pub magnitude_std: f64,
    /// The highest level, in `[0, 100]`: timm's `mmax`.
    pub magnitude_max: f64,
    /// Whether every operation grows stronger with the level: timm's `inc`.
    pub increasing: bool,
    /// Whether geometry is preferred and no operation comes twice: timm's
    /// `w0`.
    pub weighted: bool,
    /// Probability that an operation is done, in `0..=1`: timm's `p`.
    #[serde(default = "half")]
    pub prob: f64,
}

impl Default for TimmRandAugment {
    fn default() -> Self {
        Self {
            num_layers: 2,
            magnitude: 10.0,
            magnitude_std: 0.0,
            magnitude_max: 10.0,
            increasing: false,
            weighted: false,
            prob: 0.5,
        }
    }
}

impl Transform for TimmRandAugment {
    plain_layer!("timm_rand_augment");

    fn validate(&self) -> Result<(), AugmentError> {
        check_probability(self.name(), self.prob)?;
        let wrong = |field, got: f64, expected| {
            Err(AugmentError::parameter(self.name(), field, got, expected))
        };
        if self.num_layers > OPERATIONS.len() {
            return wrong("num_layers", self.num_layers as f64, "at most 15");
        }
        for (field, value) in [
            ("magnitude", self.magnitude),
            ("magnitude_max", self.magnitude_max),
        ] {
            if !(0.0..=100.0).contains(&value) {
                return wrong(field, value, "a number in [0, 100]");
            }
        }
        if self.magnitude_std.is_nan() || self.magnitude_std < 0.0 {
            return wrong("magnitude_std", self.magnitude_std, "a number from 0 on");
        }
        Ok(())
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        let mut weights: Vec<f64> = OPERATIONS
            .iter()
            .map(|(.., weight)| if self.weighted { *weight } else { 1.0 })
            .collect();
        let mut plan = Plan::identity();
        for _ in 0..self.num_layers {
            let mut rest = rng.range(0.0, weights.iter().sum());
            let chosen = weights.iter().position(|weight| {
                rest -= weight;
                rest < 0.0
            });
            let (acts, level) = (
                rng.chance(self.prob),
                noisy_level(
                    self.magnitude,
                    self.magnitude_std,
                    self.magnitude_max,
                    &mut rng,
                ),
            );
            // With weights, the operations can run out.
            let Some(chosen) = chosen else { continue };
            let (plain, increasing, _) = OPERATIONS[chosen];
            let op = if self.increasing { increasing } else { plain };
            let next = op.plan(level, meta, &mut rng);
            if acts {
                plan.extend(next);
            }
            if self.weighted {
                weights[chosen] = 0.0;
            }
        }
        Ok(plan)
    }
}

impl LayerTransform for TimmRandAugment {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::plan;

    #[test]
    fn weights_prefer_geometry() {
        let rand = TimmRandAugment {
            num_layers: 1,
            weighted: true,
            prob: 1.0,
            ..TimmRandAugment::default()
        };
        let warps = (0..1000)
            .filter(|&seed| matches!(plan(&rand, seed).steps[..], [Step::Warp(_)]))
            .count();
        // Nine tenths of the weight.
        assert!(warps.abs_diff(900) < 48, "{warps}");
    }

    #[test]
    fn levels_are_checked() {
        let wrong = |change: fn(&mut TimmRandAugment)| {
            let mut rand = TimmRandAugment::default();
            change(&mut rand);
            rand.validate().is_err()
        };
        assert!(wrong(|r| r.prob = 2.0));
        assert!(wrong(|r| r.magnitude = -1.0));
        assert!(wrong(|r| r.magnitude_std = f64::NAN));
        assert!(wrong(|r| r.num_layers = 16));
    }
}
