//! Sometimes: `random_apply`.

use super::check_probability;
use crate::{AugmentError, LayerTransform, Plan, Sample, SampleMeta, Transform, Transforms};
use firecraft_key::Key;
use firecraft_spec::{Registry, Spec, SpecError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Does what another transform does, with probability `p`: the `p` of
/// torchvision's and albumentations' transforms, for any transform.
///
/// Whether it acts is drawn from the key, what it then does from
/// `key.fold(0)`.
///
/// ```
/// use firecraft_augment::{Invert, RandomApply, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let sometimes = RandomApply::new(0.25, Invert::new());
/// let meta = SampleMeta { size: Size::new(4, 4), channels: 1 };
/// let acts = (0..400)
///     .filter(|&seed| !sometimes.plan(&meta, Key::from_seed(seed)).unwrap().steps.is_empty())
///     .count();
/// assert_eq!(acts, 109);
/// ```
#[derive(Clone, Debug)]
pub struct RandomApply {
    p: f64,
    transform: Arc<dyn Transform>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default = "super::half")]
    p: f64,
    transform: Spec,
}

impl RandomApply {
    /// Does what `transform` does with probability `p`.
    #[must_use]
    pub fn new(p: f64, transform: impl Transform) -> Self {
        Self {
            p,
            transform: Arc::new(transform),
        }
    }

    /// What the constructors for registries read.
    pub(crate) fn describe(registry: &mut Registry<Transforms>) -> Result<(), SpecError> {
        registry.describe::<Fields>("random_apply")
    }

    pub(crate) fn build(
        spec: &Spec,
        registry: &Registry<Transforms>,
    ) -> Result<Box<dyn Transform>, SpecError> {
        let fields: Fields = spec.parse()?;
        let transform = registry
            .build(&fields.transform)
            .map_err(|error| error.under("transform"))?;
        let apply = Self {
            p: fields.p,
            transform: transform.into(),
        };
        check_probability(apply.name(), apply.p)?;
        Ok(Box::new(apply))
    }
}

impl Transform for RandomApply {
    fn name(&self) -> &'static str {
        "random_apply"
    }

    fn validate(&self) -> Result<(), AugmentError> {
        check_probability(self.name(), self.p)?;
        self.transform.validate()
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        check_probability(self.name(), self.p)?;
        if key.rng().chance(self.p) {
            self.transform.plan(meta, key.fold(0))
        } else {
            Ok(Plan::identity())
        }
    }

    fn plan_sample(&self, sample: &Sample, key: Key) -> Result<Plan, AugmentError> {
        check_probability(self.name(), self.p)?;
        if key.rng().chance(self.p) {
            self.transform.plan_sample(sample, key.fold(0))
        } else {
            Ok(Plan::identity())
        }
    }

    fn needs_targets(&self) -> bool {
        self.transform.needs_targets()
    }

    fn spec(&self) -> Result<Spec, SpecError> {
        let transform = self.transform.spec().map_err(|e| e.under("transform"))?;
        Ok(Spec::new(self.name())
            .with("p", self.p)
            .with("transform", transform))
    }

    fn as_layer(&self) -> Option<&dyn LayerTransform> {
        self.transform
            .as_layer()
            .map(|_| self as &dyn LayerTransform)
    }
}

impl LayerTransform for RandomApply {
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan {
        match self.transform.as_layer() {
            Some(layer) if key.rng().chance(self.p) => layer.draw(meta, key.fold(0)),
            _ => Plan::identity(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, meta, plan};
    use crate::{Invert, RandomRotationConfig};

    #[test]
    fn the_ends_of_the_probability() {
        assert_eq!(
            plan(&RandomApply::new(0.0, Invert::new()), 0),
            Plan::identity()
        );
        assert_eq!(
            plan(&RandomApply::new(1.0, Invert::new()), 0),
            Invert::new().into()
        );
        assert!(RandomApply::new(-0.1, Invert::new()).validate().is_err());
    }

    #[test]
    fn what_can_be_a_layer_stays_one() {
        let rotation = RandomApply::new(0.5, RandomRotationConfig::new(0.1));
        let layer = rotation.as_layer().unwrap();
        for seed in 0..20 {
            let key = Key::from_seed(seed);
            assert_eq!(layer.draw(&meta(SIZE), key), plan(&rotation, seed));
        }
    }
}
