//! A mixture of chains: `aug_mix`.

use super::plain_layer;
use super::policy_op::PolicyStyle;
use super::policy_space::PolicySpace;
use crate::kernel::Element;
use crate::{
    Apply, AugmentError, Image, LayerTransform, Plan, Sample, SampleMeta, Transform, Values,
};
use firecraft_key::{Key, Rng};
use serde::{Deserialize, Serialize};

/// The step that mixes what several plans make of an image: the sum of the
/// branches, each times its weight.
///
/// It can't move targets: a branch that does is an error if there are any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blend {
    /// Weight and plan of each branch; the weights sum to 1.
    pub branches: Vec<(f32, Plan)>,
}

impl Apply for Blend {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let targets = sample.boxes.is_some() || sample.points.is_some() || !sample.masks.is_empty();
        if targets && self.moves() {
            return Err(AugmentError::Image {
                operation: "blend",
                got: "boxes, key points or masks".into(),
                expected: "an image alone: a mixture has no one place for them; \
                           use operations on colours only"
                    .into(),
            });
        }
        let image = &sample.image;
        let mut sum = vec![0.0_f32; image.size().area() * image.channels()];
        for (weight, plan) in &self.branches {
            let mut branch = Sample::new(image.clone());
            plan.apply(&mut branch)?;
            let out = &branch.image;
            if (out.size(), out.channels()) != (image.size(), image.channels()) {
                return Err(AugmentError::BatchSize {
                    operation: "blend",
                    got: out.size(),
                    expected: image.size(),
                });
            }
            match out.values() {
                Values::U8(data) => add(&mut sum, data, *weight),
                Values::F32(data) => add(&mut sum, data, *weight),
            }
        }
        let (size, channels) = (image.size(), image.channels());
        sample.image = match image.values() {
            // The peers cut off.
            Values::U8(_) => {
                let bytes = sum.into_iter().map(|v| u8::from_f32_truncated(v + 1e-3));
                Image::from_u8(bytes.collect(), size, channels)?
            }
            Values::F32(_) => Image::from_f32(sum, size, channels)?,
        };
        Ok(())
    }

    fn moves(&self) -> bool {
        self.branches.iter().any(|(_, plan)| plan.moves())
    }

    fn map_point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        (!self.moves()).then_some((x, y))
    }
}

fn add<T: Element>(sum: &mut [f32], data: &[T], weight: f32) {
    for (sum, value) in sum.iter_mut().zip(data) {
        *sum += weight * value.to_f32();
    }
}

/// Mixes the image with several chains of random operations of it:
/// torchvision's `AugMix`. Hendrycks et al., *AugMix: A Simple Data Processing
/// Method to Improve Robustness and Uncertainty* (2020).
///
/// ```
/// use firecraft_augment::{AugMix, SampleMeta, Size, Step, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(32, 32), channels: 3 };
/// let plan = AugMix::default().plan(&meta, Key::from_seed(0))?;
/// let [Step::Blend(blend)] = &plan.steps[..] else { unreachable!() };
/// assert_eq!(blend.branches.len(), 4, "the image and three chains");
/// let sum: f32 = blend.branches.iter().map(|(weight, _)| weight).sum();
/// assert!((sum - 1.0).abs() < 1e-5);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugMix {
    /// The strength of the operations, in `1..=10`.
    pub severity: usize,
    /// Number of chains, in `1..=32`.
    pub mixture_width: usize,
    /// Operations per chain, at most 32; 0 draws 1, 2 or 3.
    pub chain_depth: usize,
    /// Concentration of the weights, in `[1e-3, 1000]`.
    pub alpha: f64,
    /// Whether brightness, colour, contrast and sharpness are among the
    /// operations.
    pub all_ops: bool,
    /// Whose way of doing the operations.
    pub style: PolicyStyle,
}

impl Default for AugMix {
    fn default() -> Self {
        Self {
            severity: 3,
            mixture_width: 3,
            chain_depth: 0,
            alpha: 1.0,
            all_ops: true,
            style: PolicyStyle::TorchvisionBilinear,
        }
    }
}

impl AugMix {
    fn chain(&self, meta: &SampleMeta, rng: &mut Rng) -> Plan {
        const LEVELS: usize = 10;
        let space = if self.all_ops {
            PolicySpace::AugMix
        } else {
            PolicySpace::AugMixPartial
        };
        let ops = space.operations();
        let depth = match self.chain_depth {
            0 => 1 + rng.below(3) as usize,
            depth => depth,
        };
        let mut plan = Plan::identity();
        for _ in 0..depth {
            let op = ops[rng.below(ops.len() as u64) as usize];
            let level = rng.below(self.severity as u64) as usize;
            let negative = rng.chance(0.5) && op.is_signed();
            let value = space.magnitude(op, LEVELS, level, meta.size);
            plan.extend(op.plan(if negative { -value } else { value }, self.style, meta));
        }
        plan
    }
}

impl Transform for AugMix {
    plain_layer!("aug_mix");

    fn validate(&self) -> Result<(), AugmentError> {
        let wrong = |field, got: usize, expected| {
            Err(AugmentError::parameter(self.name(), field, got, expected))
        };
        if !(1..=10).contains(&self.severity) {
            return wrong("severity", self.severity, "a number in 1..=10");
        }
        if !(1..=32).contains(&self.mixture_width) {
            return wrong("mixture_width", self.mixture_width, "a number in 1..=32");
        }
        if self.chain_depth > 32 {
            return wrong("chain_depth", self.chain_depth, "at most 32");
        }
        if !(1e-3..=1e3).contains(&self.alpha) {
            let expected = "a number in [1e-3, 1000]";
            return Err(AugmentError::parameter(
                self.name(),
                "alpha",
                self.alpha,
                expected,
            ));
        }
        Ok(())
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        let [image, chains] = crate::mix::dirichlet::<2>(self.alpha, &mut rng);
        let shares: Vec<f64> = (0..self.mixture_width)
            .map(|_| crate::mix::gamma(self.alpha, &mut rng).max(1e-30))
            .collect();
        let sum: f64 = shares.iter().sum();
        let mut branches = vec![(image as f32, Plan::identity())];
        for (i, share) in shares.into_iter().enumerate() {
            let chain = self.chain(meta, &mut key.fold(i as u64).rng());
            branches.push(((chains * share / sum) as f32, chain));
        }
        Ok(Plan::from(Blend { branches }))
    }
}

impl LayerTransform for AugMix {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, apply, plan};
    use crate::{Boxes, Invert};

    #[test]
    fn one_colour_without_geometry_stays_in_range() {
        let out = apply(&plan(&AugMix::default(), 3), &[0.5; 54], SIZE);
        assert!(out.iter().all(|v| (-1e-5..=1.00001).contains(v)), "{out:?}");
    }

    #[test]
    fn targets_under_moving_branches_are_refused() {
        let mut sample = Sample::new(Image::from_u8(vec![9; 54], SIZE, 1).unwrap());
        sample.boxes = Some(Boxes::new(vec![[0.0, 0.0, 2.0, 2.0]]));
        let half = |plan: Plan| Blend {
            branches: vec![(0.5, Plan::identity()), (0.5, plan)],
        };
        Plan::from(half(Invert::new().into()))
            .apply(&mut sample)
            .unwrap();
        assert_eq!(sample.image.as_u8().unwrap()[0], 127);
        let flip = crate::Warp::exact(crate::Matrix::horizontal_flip(SIZE), SIZE);
        assert!(Plan::from(half(flip.into())).apply(&mut sample).is_err());
    }

    #[test]
    fn parameters_are_checked() {
        for wrong in [
            AugMix {
                severity: 0,
                ..AugMix::default()
            },
            AugMix {
                severity: 11,
                ..AugMix::default()
            },
            AugMix {
                mixture_width: 0,
                ..AugMix::default()
            },
            AugMix {
                alpha: 0.0,
                ..AugMix::default()
            },
        ] {
            assert!(wrong.validate().is_err());
        }
    }
}
