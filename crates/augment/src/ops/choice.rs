//! Some of several: `one_of`, `some_of`, `random_order`.

use crate::{
    AugmentError, Compose, LayerTransform, Plan, Sample, SampleMeta, Transform, Transforms,
};
use firecraft_key::{Key, Rng};
use firecraft_spec::{Registry, Spec, SpecError};
use serde::{Deserialize, Serialize};

/// How a [`Choice`] picks.
#[derive(Clone, Debug, PartialEq)]
enum Pick {
    /// One, by weight.
    One { weights: Vec<f64> },
    /// A number between two, each once, in the order they are given.
    Some { low: usize, high: usize },
    /// All, in a random order.
    Order,
}

/// Picks among several transforms for every sample anew.
///
/// The picks come from the key; transform number `i` then plans with
/// `key.fold(i)`, whether others are picked or not.
///
/// ```
/// use firecraft_augment::{Choice, Compose, Hue, Invert, Posterize, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let three = || Compose::new().with(Invert::new()).with(Posterize::new(4)).with(Hue::new(0.1));
/// let meta = SampleMeta { size: Size::new(4, 4), channels: 3 };
/// let steps = |choice: Choice| choice.plan(&meta, Key::from_seed(2)).unwrap().steps.len();
/// assert_eq!(steps(Choice::one_of(three())), 1);
/// assert_eq!(steps(Choice::some_of(2, 2, three())), 2);
/// assert_eq!(steps(Choice::random_order(three())), 3);
/// ```
#[derive(Clone, Debug)]
pub struct Choice {
    pick: Pick,
    transforms: Compose,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneOf {
    transforms: Vec<Spec>,
    #[serde(default)]
    weights: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SomeOf {
    transforms: Vec<Spec>,
    low: usize,
    high: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RandomOrder {
    transforms: Vec<Spec>,
}

impl Choice {
    /// One of them, each equally likely: torchvision's `RandomChoice`,
    /// albumentations' `OneOf`.
    #[must_use]
    pub const fn one_of(transforms: Compose) -> Self {
        Self {
            pick: Pick::One {
                weights: Vec::new(),
            },
            transforms,
        }
    }

    /// One of them, with a probability proportional to its weight.
    #[must_use]
    pub const fn weighted(transforms: Compose, weights: Vec<f64>) -> Self {
        Self {
            pick: Pick::One { weights },
            transforms,
        }
    }

    /// Between `low` and `high` of them, uniformly, each at most once:
    /// albumentations' `SomeOf` without replacement.
    #[must_use]
    pub const fn some_of(low: usize, high: usize, transforms: Compose) -> Self {
        Self {
            pick: Pick::Some { low, high },
            transforms,
        }
    }

    /// All of them in a random order: torchvision's `RandomOrder`.
    #[must_use]
    pub const fn random_order(transforms: Compose) -> Self {
        Self {
            pick: Pick::Order,
            transforms,
        }
    }

    fn indices(&self, rng: &mut Rng) -> Vec<usize> {
        let n = self.transforms.transforms().count();
        match &self.pick {
            Pick::One { weights } if weights.is_empty() => {
                if n == 0 {
                    vec![]
                } else {
                    vec![rng.below(n as u64) as usize]
                }
            }
            Pick::One { weights } => {
                let mut rest = rng.range(0.0, weights.iter().sum());
                let found = weights.iter().position(|weight| {
                    rest -= weight;
                    rest < 0.0
                });
                found
                    .or_else(|| weights.iter().rposition(|&w| w > 0.0))
                    .into_iter()
                    .collect()
            }
            Pick::Some { low, high } => {
                let count = low + rng.below((high - low + 1) as u64) as usize;
                let mut indices: Vec<usize> = (0..n).collect();
                rng.shuffle(&mut indices);
                indices.truncate(count);
                indices.sort_unstable();
                indices
            }
            Pick::Order => {
                let mut indices: Vec<usize> = (0..n).collect();
                rng.shuffle(&mut indices);
                indices
            }
        }
    }

    /// What the constructors for registries read.
    pub(crate) fn describe(registry: &mut Registry<Transforms>) -> Result<(), SpecError> {
        registry.describe::<OneOf>("one_of")?;
        registry.describe::<SomeOf>("some_of")?;
        registry.describe::<RandomOrder>("random_order")
    }

    pub(crate) fn build_one_of(
        spec: &Spec,
        registry: &Registry<Transforms>,
    ) -> Result<Box<dyn Transform>, SpecError> {
        let fields: OneOf = spec.parse()?;
        Self::finish(
            &fields.transforms,
            registry,
            Pick::One {
                weights: fields.weights,
            },
        )
    }

    pub(crate) fn build_some_of(
        spec: &Spec,
        registry: &Registry<Transforms>,
    ) -> Result<Box<dyn Transform>, SpecError> {
        let fields: SomeOf = spec.parse()?;
        let pick = Pick::Some {
            low: fields.low,
            high: fields.high,
        };
        Self::finish(&fields.transforms, registry, pick)
    }

    pub(crate) fn build_random_order(
        spec: &Spec,
        registry: &Registry<Transforms>,
    ) -> Result<Box<dyn Transform>, SpecError> {
        let fields: RandomOrder = spec.parse()?;
        Self::finish(&fields.transforms, registry, Pick::Order)
    }

    fn finish(
        specs: &[Spec],
        registry: &Registry<Transforms>,
        pick: Pick,
    ) -> Result<Box<dyn Transform>, SpecError> {
        let transforms =
            Compose::from_specs(specs, registry).map_err(|error| error.under("transforms"))?;
        let choice = Self { pick, transforms };
        choice.validate()?;
        Ok(Box::new(choice))
    }

    fn check(&self) -> Result<(), AugmentError> {
        let n = self.transforms.transforms().count();
        match &self.pick {
            Pick::One { weights } if !weights.is_empty() => {
                let valid = weights.len() == n
                    && weights.iter().all(|w| *w >= 0.0 && w.is_finite())
                    && weights.iter().sum::<f64>() > 0.0;
                if !valid {
                    let got = format!("{weights:?}");
                    let expected = "one number from 0 on per transform, not all 0";
                    return Err(AugmentError::parameter("one_of", "weights", got, expected));
                }
            }
            Pick::Some { low, high } if low > high || *high > n => {
                let got = format!("{low}, {high} of {n} transforms");
                let expected = "low <= high <= the number of transforms";
                return Err(AugmentError::parameter(
                    "some_of",
                    "low, high",
                    got,
                    expected,
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Transform for Choice {
    fn name(&self) -> &'static str {
        match self.pick {
            Pick::One { .. } => "one_of",
            Pick::Some { .. } => "some_of",
            Pick::Order => "random_order",
        }
    }

    fn validate(&self) -> Result<(), AugmentError> {
        self.check()?;
        self.transforms.validate()
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.check()?;
        let transforms: Vec<&dyn Transform> = self.transforms.transforms().collect();
        let mut plan = Plan::identity();
        for i in self.indices(&mut key.rng()) {
            let seen = plan.output_meta(meta);
            plan.extend(transforms[i].plan(&seen, key.fold(i as u64))?);
        }
        Ok(plan)
    }

    /// As [`Compose`] does it.
    fn plan_sample(&self, sample: &Sample, key: Key) -> Result<Plan, AugmentError> {
        if !self.needs_targets() {
            return self.plan(&sample.meta(), key);
        }
        self.check()?;
        let transforms: Vec<&dyn Transform> = self.transforms.transforms().collect();
        let (mut plan, mut seen) = (Plan::identity(), sample.clone());
        for i in self.indices(&mut key.rng()) {
            let next = transforms[i].plan_sample(&seen, key.fold(i as u64))?;
            next.apply(&mut seen)?;
            plan.extend(next);
        }
        Ok(plan)
    }

    fn needs_targets(&self) -> bool {
        self.transforms.needs_targets()
    }

    fn as_layer(&self) -> Option<&dyn LayerTransform> {
        self.transforms
            .as_layer()
            .map(|_| self as &dyn LayerTransform)
    }

    fn spec(&self) -> Result<Spec, SpecError> {
        let transforms = self.transforms.specs().map_err(|e| e.under("transforms"))?;
        let spec = Spec::new(self.name()).with("transforms", transforms);
        Ok(match &self.pick {
            Pick::One { weights } if !weights.is_empty() => spec.with("weights", weights.clone()),
            Pick::Some { low, high } => {
                let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
                spec.with("low", number(*low)).with("high", number(*high))
            }
            _ => spec,
        })
    }
}

impl LayerTransform for Choice {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::plan;
    use crate::{Invert, Posterize, Solarize, Step};
    use std::collections::BTreeMap;

    fn three() -> Compose {
        Compose::new()
            .with(Invert::new())
            .with(Posterize::new(4))
            .with(Solarize::new(128.0))
    }

    fn counts(choice: &Choice) -> BTreeMap<Vec<char>, u32> {
        let mut counts = BTreeMap::new();
        for seed in 0..600 {
            let steps = plan(choice, seed).steps;
            let names = steps.iter().map(|step| match step {
                Step::Invert(_) => 'i',
                Step::Posterize(_) => 'p',
                _ => 's',
            });
            *counts.entry(names.collect()).or_insert(0) += 1;
        }
        counts
    }

    #[test]
    fn one_of_is_fair_and_follows_weights() {
        let fair = counts(&Choice::one_of(three()));
        assert_eq!(fair.len(), 3);
        // Five standard deviations are 58.
        assert!(fair.values().all(|n| n.abs_diff(200) < 58), "{fair:?}");
        let weighted = counts(&Choice::weighted(three(), vec![0.0, 3.0, 1.0]));
        assert_eq!(weighted.len(), 2);
        assert!(weighted[&vec!['p']].abs_diff(450) < 53, "{weighted:?}");
    }

    #[test]
    fn some_of_keeps_the_order_and_random_order_does_not() {
        let pairs = counts(&Choice::some_of(2, 2, three()));
        let expected = [vec!['i', 'p'], vec!['i', 's'], vec!['p', 's']];
        assert_eq!(pairs.keys().cloned().collect::<Vec<_>>(), expected);
        assert_eq!(counts(&Choice::some_of(0, 3, three())).len(), 8);
        assert_eq!(counts(&Choice::random_order(three())).len(), 6);
    }

    #[test]
    fn impossible_choices_are_refused() {
        assert!(Choice::weighted(three(), vec![1.0]).validate().is_err());
        assert!(Choice::weighted(three(), vec![0.0; 3]).validate().is_err());
        assert!(Choice::some_of(2, 1, three()).validate().is_err());
        let error = Choice::some_of(1, 4, three()).validate().unwrap_err();
        assert!(error.to_string().contains("4 of 3 transforms"), "{error}");
        assert_eq!(plan(&Choice::one_of(Compose::new()), 0), Plan::identity());
    }
}
