//! Keras' random operations: `keras_rand_augment`.

use super::keras_op::{KerasOp, check_factor, strength};
use super::plain_layer;
use crate::{AugmentError, Factor, Interpolation, LayerTransform, Plan, SampleMeta, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// `num_ops` of eleven layers, each of the strength `factor`, in its own unit:
/// Keras' `RandAugment`.
///
/// The layers are shear, translation, rotation, brightness, colour degeneration,
/// contrast, sharpness, posterisation, solarisation, automatic contrast and
/// equalisation, with the mirror image outside. Strengths are drawn from `[0,
/// factor]`: shifts go down and to the right, turns counter-clockwise by up to
/// `factor` full turns, and images get brighter only, unlike those of
/// [`RandAugment`](crate::RandAugment). An operation that is drawn twice does
/// the same twice, as in Keras.
///
/// Keras draws the operations once for a batch and lets boxes go through them in
/// another order than the image; here every image has its own, and boxes follow.
///
/// ```
/// use firecraft_augment::{KerasRandAugment, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(32, 32), channels: 3 };
/// let plan = KerasRandAugment::new(0.5).plan(&meta, Key::from_seed(0))?;
/// assert_eq!(plan.steps.len(), 2);
/// assert!(KerasRandAugment::new(1.5).validate().is_err());
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KerasRandAugment {
    /// Number of operations, at most 64; 2 by default.
    pub num_ops: usize,
    /// Range of the strength, inside `[0, 1]`; a single number is the range from
    /// 0 on. 0.5 by default.
    pub factor: Factor,
    /// How values between pixels are made; bilinear by default.
    pub interpolation: Interpolation,
}

impl Default for KerasRandAugment {
    fn default() -> Self {
        Self::new(0.5)
    }
}

impl KerasRandAugment {
    /// Two operations of that strength.
    #[must_use]
    pub fn new(factor: impl Into<Factor>) -> Self {
        Self {
            num_ops: 2,
            factor: factor.into(),
            interpolation: Interpolation::Bilinear,
        }
    }

    /// Sets the number of operations.
    #[must_use]
    pub const fn with_num_ops(mut self, num_ops: usize) -> Self {
        self.num_ops = num_ops;
        self
    }
}

impl Transform for KerasRandAugment {
    plain_layer!("keras_rand_augment");

    fn validate(&self) -> Result<(), AugmentError> {
        if self.num_ops > 64 {
            let (got, expected) = (self.num_ops, "at most 64");
            let error = AugmentError::parameter(self.name(), "num_ops", got, expected);
            return Err(error);
        }
        check_factor(self.name(), self.factor)
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        let mut plan = Plan::identity();
        for _ in 0..self.num_ops {
            let nth = rng.below(KerasOp::ALL.len() as u64);
            let op = KerasOp::ALL[nth as usize];
            let factor = strength(self.factor);
            plan.extend(op.plan(factor, self.interpolation, meta, key.fold(nth))?);
        }
        Ok(plan)
    }
}

impl LayerTransform for KerasRandAugment {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::plan;

    #[test]
    fn strengths_are_fractions_of_kerass_units() {
        let one = KerasRandAugment::new(0.3).with_num_ops(1);
        let (mut brighter, mut bits, mut shifts) = (0, 0, 0);
        for seed in 0..600 {
            match &plan(&one, seed).steps[..] {
                [Step::Linear(step)] => {
                    assert!((0.0..0.3).contains(&step.shift[0]));
                    brighter += 1;
                }
                [Step::Posterize(step)] => {
                    assert!((1..=2).contains(&step.bits));
                    bits += 1;
                }
                [Step::Warp(warp)] => {
                    let rows = warp.matrix.rows();
                    if (rows[0][0], rows[0][1]) == (1.0, 0.0) && rows[1][0] == 0.0 {
                        // Of nine columns, read from the left: to the right.
                        assert!((-2.7..=0.0).contains(&rows[0][2]), "{rows:?}");
                        shifts += 1;
                    }
                }
                _ => {}
            }
        }
        // An eleventh of 600 is 55; five standard deviations are 35.
        for n in [brighter, bits, shifts] {
            assert!(usize::abs_diff(n, 55) < 35, "{brighter} {bits} {shifts}");
        }
    }

    #[test]
    fn what_is_drawn_twice_does_the_same_twice() {
        let many = KerasRandAugment::new(0.5).with_num_ops(40);
        let steps = plan(&many, 3).steps;
        let mut kinds: Vec<String> = steps.iter().map(|step| format!("{step:?}")).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert!(kinds.len() <= KerasOp::ALL.len(), "{kinds:?}");
        assert!(
            KerasRandAugment::new(0.5)
                .with_num_ops(65)
                .validate()
                .is_err()
        );
    }
}
