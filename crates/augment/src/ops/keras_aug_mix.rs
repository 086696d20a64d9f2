//! Keras' mixture of chains: `keras_aug_mix`.

use super::keras_op::{KerasOp, check_factor, strength};
use super::plain_layer;
use crate::{
    AugmentError, Blend, Factor, Interpolation, LayerTransform, Plan, SampleMeta, Transform,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Mixes the image with several chains of operations of it, those of
/// [`KerasRandAugment`](crate::KerasRandAugment): Keras' `AugMix`.
///
/// Each link of a chain is one of the operations or nothing, all equally likely.
/// The shares of the chains are drawn from a Dirichlet distribution and that of
/// the image from a Beta distribution, both of concentration `alpha`.
///
/// Keras draws once for a batch; here every image has its own. Masks are not
/// mixed but refused, as boxes are: see [`Blend`].
///
/// ```
/// use firecraft_augment::{KerasAugMix, SampleMeta, Size, Step, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(32, 32), channels: 3 };
/// let plan = KerasAugMix::default().plan(&meta, Key::from_seed(0))?;
/// let [Step::Blend(blend)] = &plan.steps[..] else { unreachable!() };
/// assert_eq!(blend.branches.len(), 4, "the image and three chains");
/// let sum: f32 = blend.branches.iter().map(|(weight, _)| weight).sum();
/// assert!((sum - 1.0).abs() < 1e-5);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KerasAugMix {
    /// Number of chains, in `1..=32`.
    pub num_chains: usize,
    /// Links of a chain, at most 32.
    pub chain_depth: usize,
    /// Range of the strength, inside `[0, 1]`; a single number is the range from
    /// 0 on.
    pub factor: Factor,
    /// Concentration of the shares, in `[1e-3, 1000]`.
    pub alpha: f64,
    /// Whether brightness, colour, contrast and sharpness are among the
    /// operations.
    pub all_ops: bool,
    /// How values between pixels are made.
    pub interpolation: Interpolation,
}

impl Default for KerasAugMix {
    fn default() -> Self {
        Self {
            num_chains: 3,
            chain_depth: 3,
            factor: 0.3.into(),
            alpha: 1.0,
            all_ops: true,
            interpolation: Interpolation::Bilinear,
        }
    }
}

impl Transform for KerasAugMix {
    plain_layer!("keras_aug_mix");

    fn validate(&self) -> Result<(), AugmentError> {
        let wrong = |field, got: String, expected| {
            Err(AugmentError::parameter(self.name(), field, got, expected))
        };
        if !(1..=32).contains(&self.num_chains) {
            let got = self.num_chains.to_string();
            return wrong("num_chains", got, "a number in 1..=32");
        }
        if self.chain_depth > 32 {
            return wrong("chain_depth", self.chain_depth.to_string(), "at most 32");
        }
        if !(1e-3..=1e3).contains(&self.alpha) {
            return wrong("alpha", self.alpha.to_string(), "a number in [1e-3, 1000]");
        }
        check_factor(self.name(), self.factor)
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let factor = strength(self.factor);
        let ops = if self.all_ops {
            &KerasOp::ALL[..]
        } else {
            &KerasOp::ALL[..KerasOp::PARTIAL]
        };
        let mut rng = key.rng();
        let [image, chains] = crate::mix::dirichlet::<2>(self.alpha, &mut rng);
        let shares: Vec<f64> = (0..self.num_chains)
            .map(|_| crate::mix::gamma(self.alpha, &mut rng).max(1e-30))
            .collect();
        let sum: f64 = shares.iter().sum();
        let mut branches = vec![(image as f32, Plan::identity())];
        for (i, share) in shares.into_iter().enumerate() {
            let key = key.fold(i as u64);
            let mut rng = key.rng();
            let mut chain = Plan::identity();
            for link in 0..self.chain_depth {
                // One more than there are operations: nothing.
                let nth = rng.below(ops.len() as u64 + 1) as usize;
                if let Some(op) = ops.get(nth) {
                    let key = key.fold(link as u64);
                    chain.extend(op.plan(factor, self.interpolation, meta, key)?);
                }
            }
            branches.push(((chains * share / sum) as f32, chain));
        }
        Ok(Plan::from(Blend { branches }))
    }
}

impl LayerTransform for KerasAugMix {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::{SIZE, apply, plan};

    #[test]
    fn links_are_operations_or_nothing() {
        let partial = KerasAugMix {
            all_ops: false,
            ..KerasAugMix::default()
        };
        let mut lengths = [0; 4];
        for seed in 0..100 {
            let [Step::Blend(blend)] = &plan(&partial, seed).steps[..] else {
                panic!("a blend")
            };
            for (_, chain) in &blend.branches[1..] {
                lengths[chain.steps.len()] += 1;
                assert!(!chain.steps.iter().any(|step| matches!(
                    step,
                    Step::Linear(_) | Step::Saturation(_) | Step::Contrast(_) | Step::Sharpness(_)
                )));
            }
        }
        // Seven eighths of three links are there.
        assert!(lengths[3] > 150 && lengths[2] > 40, "{lengths:?}");
    }

    #[test]
    fn a_mixture_stays_in_range() {
        let out = apply(&plan(&KerasAugMix::default(), 3), &[0.5; 54], SIZE);
        assert!(out.iter().all(|v| (-1e-5..=1.00001).contains(v)), "{out:?}");
    }

    #[test]
    fn parameters_are_checked() {
        let with = |change: fn(&mut KerasAugMix)| {
            let mut config = KerasAugMix::default();
            change(&mut config);
            config.validate()
        };
        assert!(with(|c| c.num_chains = 0).is_err());
        assert!(with(|c| c.chain_depth = 33).is_err());
        assert!(with(|c| c.alpha = 0.0).is_err());
        assert!(with(|c| c.factor = 1.1.into()).is_err());
        assert!(with(|c| c.factor = (0.2, 0.4).into()).is_ok());
    }
}
