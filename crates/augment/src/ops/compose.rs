//! Several transforms in order: `compose`.

use crate::{AugmentError, LayerTransform, Plan, Sample, SampleMeta, Transform, Transforms};
use firecraft_key::Key;
use firecraft_spec::{Registry, Spec, SpecError, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Several transforms, one after the other.
///
/// Transform number `i` plans with `key.fold(i)`, for the size and the channels
/// that those before it leave. The plan is fused (see [`Plan::fused_for`]) unless the
/// composition is [`Compose::exact`].
///
/// ```
/// use firecraft_augment::{Compose, RandomFlipConfig, RandomRotationConfig};
/// use firecraft_augment::{SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let chain = Compose::new()
///     .with(RandomFlipConfig::new())
///     .with(RandomRotationConfig::new(0.1))
///     .with(RandomRotationConfig::new(0.2));
/// let meta = SampleMeta { size: Size::new(32, 32), channels: 3 };
/// let plan = chain.plan(&meta, Key::from_seed(1))?;
/// assert_eq!(plan.steps.len(), 1, "one resampling for all three");
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Compose {
    transforms: Vec<Arc<dyn Transform>>,
    exact: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    transforms: Vec<Spec>,
    #[serde(default)]
    exact: bool,
}

impl Compose {
    /// No transform: the identity.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a transform.
    #[must_use]
    pub fn with(mut self, transform: impl Transform) -> Self {
        self.transforms.push(Arc::new(transform));
        self
    }

    /// Appends a transform that is already behind a pointer, as registries
    /// make them.
    #[must_use]
    pub fn with_boxed(mut self, transform: Box<dyn Transform>) -> Self {
        self.transforms.push(transform.into());
        self
    }

    /// Applies every step by itself, as the peers do: for comparing with
    /// them, and for measuring what fusing is worth.
    #[must_use]
    pub const fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    /// The transforms in order.
    pub fn transforms(&self) -> impl Iterator<Item = &dyn Transform> {
        self.transforms.iter().map(|transform| &**transform)
    }

    /// The transforms that `specs` describe, in order.
    ///
    /// # Errors
    /// What the registry reports, with the index of the spec.
    pub fn from_specs(specs: &[Spec], registry: &Registry<Transforms>) -> Result<Self, SpecError> {
        let mut compose = Self::new();
        for (i, spec) in specs.iter().enumerate() {
            let transform = registry.build(spec).map_err(|error| error.at(i))?;
            compose = compose.with_boxed(transform);
        }
        Ok(compose)
    }

    /// The specs of the transforms in order.
    pub(crate) fn specs(&self) -> Result<Vec<Value>, SpecError> {
        self.transforms()
            .enumerate()
            .map(|(i, transform)| transform.spec().map(Value::from).map_err(|e| e.at(i)))
            .collect()
    }

    /// What the constructors for registries read.
    pub(crate) fn describe(registry: &mut Registry<Transforms>) -> Result<(), SpecError> {
        registry.describe::<Fields>("compose")
    }

    /// The constructor for registries.
    pub(crate) fn build(
        spec: &Spec,
        registry: &Registry<Transforms>,
    ) -> Result<Box<dyn Transform>, SpecError> {
        let fields: Fields = spec.parse()?;
        let mut compose = Self::from_specs(&fields.transforms, registry)
            .map_err(|error| error.under("transforms"))?;
        compose.exact = fields.exact;
        Ok(Box::new(compose))
    }

    fn finish(&self, plan: Plan, meta: &SampleMeta) -> Plan {
        if self.exact {
            plan
        } else {
            plan.fused_for(meta)
        }
    }
}

impl Transform for Compose {
    fn name(&self) -> &'static str {
        "compose"
    }

    fn validate(&self) -> Result<(), AugmentError> {
        self.transforms().try_for_each(Transform::validate)
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        let mut plan = Plan::identity();
        for (i, transform) in self.transforms().enumerate() {
            let seen = plan.output_meta(meta);
            plan.extend(transform.plan(&seen, key.fold(i as u64))?);
        }
        Ok(self.finish(plan, meta))
    }

    /// Each transform that depends on the targets sees them as those before
    /// it leave them: the steps in front of it are applied to a copy.
    fn plan_sample(&self, sample: &Sample, key: Key) -> Result<Plan, AugmentError> {
        let Some(last) = self.transforms.iter().rposition(|t| t.needs_targets()) else {
            return self.plan(&sample.meta(), key);
        };
        let (mut plan, mut seen) = (Plan::identity(), sample.clone());
        let mut meta = sample.meta();
        for (i, transform) in self.transforms.iter().enumerate() {
            let key = key.fold(i as u64);
            let next = if i > last {
                let next = transform.plan(&meta, key)?;
                meta = next.output_meta(&meta);
                next
            } else {
                let next = transform.plan_sample(&seen, key)?;
                next.apply(&mut seen)?;
                meta = seen.meta();
                next
            };
            plan.extend(next);
        }
        Ok(self.finish(plan, &sample.meta()))
    }

    fn needs_targets(&self) -> bool {
        self.transforms().any(Transform::needs_targets)
    }

    fn spec(&self) -> Result<Spec, SpecError> {
        let transforms = self.specs().map_err(|error| error.under("transforms"))?;
        let spec = Spec::new(self.name()).with("transforms", transforms);
        Ok(if self.exact {
            spec.with("exact", true)
        } else {
            spec
        })
    }

    fn as_layer(&self) -> Option<&dyn LayerTransform> {
        self.transforms()
            .all(|transform| transform.as_layer().is_some())
            .then_some(self)
    }
}

impl LayerTransform for Compose {
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan {
        let mut plan = Plan::identity();
        // `as_layer` gives a composition away only if all parts are layers.
        let layers = self.transforms().filter_map(Transform::as_layer);
        for (i, layer) in layers.enumerate() {
            plan.extend(layer.draw(meta, key.fold(i as u64)));
        }
        self.finish(plan, meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{apply, meta, plan};
    use crate::{
        Boxes, Choice, FillMode, Grayscale, Image, RandomChannelPermutation, RandomFlipConfig,
        RandomIouCrop, RandomRotationConfig, RandomTranslationConfig, RandomZoomConfig, Size, Step,
        ToRgb,
    };
    use proptest::prelude::*;

    fn chain() -> Compose {
        Compose::new()
            .with(RandomFlipConfig::new())
            .with(RandomRotationConfig::new(0.05).with_fill_mode(FillMode::Nearest))
            .with(RandomTranslationConfig::new(0.1, 0.1).with_fill_mode(FillMode::Nearest))
            .with(RandomZoomConfig::new(0.1).with_fill_mode(FillMode::Nearest))
    }

    proptest! {
        #[test]
        fn fused_and_exact_agree_on_smooth_images(seed: u64) {
            let size = Size::new(40, 40);
            let wave = |x: usize, y: usize| {
                0.5 + 0.25 * (x as f32 / 12.0).sin() + 0.25 * (y as f32 / 9.0).cos()
            };
            let image: Vec<f32> = (0..size.area()).map(|i| wave(i % 40, i / 40)).collect();
            let key = Key::from_seed(seed);
            let fused = chain().plan(&meta(size), key).unwrap();
            let exact = chain().exact().plan(&meta(size), key).unwrap();
            prop_assert_eq!(fused.steps.len(), 1);
            prop_assert!(exact.steps.len() >= 3);
            let (one, many) = (apply(&fused, &image, size), apply(&exact, &image, size));
            // The middle: near the edges the two differ on purpose.
            for y in 12..28 {
                for x in 12..28 {
                    let (a, b) = (one[y * 40 + x], many[y * 40 + x]);
                    prop_assert!((a - b).abs() < 5e-3, "({x}, {y}): {a} {b}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_marker_lands_where_its_key_point_says(seed: u64, x in 10.0..22.0_f64, y in 10.0..22.0_f64) {
            let size = Size::new(32, 32);
            let spot = |px: usize, py: usize| {
                let (dx, dy) = (px as f64 - x, py as f64 - y);
                (-(dx * dx + dy * dy) / 4.0).exp() as f32
            };
            let image: Vec<f32> = (0..size.area()).map(|i| spot(i % 32, i / 32)).collect();
            let chain = Compose::new()
                .with(RandomFlipConfig::new())
                .with(RandomRotationConfig::new(0.5).with_fill_mode(FillMode::Constant))
                .with(RandomTranslationConfig::new(0.1, 0.1).with_fill_mode(FillMode::Constant))
                .with(RandomZoomConfig::new(0.2).with_fill_mode(FillMode::Constant));
            let plan = chain.plan(&meta(size), Key::from_seed(seed)).unwrap();
            let out = apply(&plan, &image, size);
            let mass: f64 = out.iter().copied().map(f64::from).sum();
            let centre = |axis: fn(usize) -> usize| {
                let moment = |(i, &v): (usize, &f32)| axis(i) as f64 * f64::from(v);
                out.iter().enumerate().map(moment).sum::<f64>() / mass
            };
            let (px, py) = plan.map_point(x, y).unwrap();
            // A spot that is cut off has its centre elsewhere.
            prop_assume!((6.0..25.0).contains(&px) && (6.0..25.0).contains(&py));
            // Bilinear resampling moves a centre of mass by far less than this.
            prop_assert!((centre(|i| i % 32) - px).abs() < 0.15, "{} {px}", centre(|i| i % 32));
            prop_assert!((centre(|i| i / 32) - py).abs() < 0.15, "{} {py}", centre(|i| i / 32));
        }
    }

    #[test]
    fn each_part_draws_from_its_own_stream() {
        let twice = Compose::new()
            .with(RandomRotationConfig::new(0.1))
            .with(RandomRotationConfig::new(0.1))
            .exact();
        let plan = plan(&twice, 9);
        assert_ne!(plan.steps[0], plan.steps[1]);
    }

    #[test]
    fn what_follows_a_change_of_channels_plans_for_the_new_ones() {
        let grey = SampleMeta {
            size: Size::new(2, 3),
            channels: 1,
        };
        let shuffle = RandomChannelPermutation::new(1.0);
        let chain = Compose::new()
            .with(ToRgb::default())
            .with(shuffle.clone())
            .with(Grayscale::new().single_channel())
            .with(shuffle.clone());
        let orders = |plan: &Plan| -> Vec<usize> {
            let order = |step: &Step| match step {
                Step::PermuteChannels(step) => Some(step.order.len()),
                _ => None,
            };
            plan.steps.iter().filter_map(order).collect()
        };
        let key = Key::from_seed(3);
        assert_eq!(orders(&chain.plan(&grey, key).unwrap()), [3, 1]);
        // The same after a transform that looks at the targets.
        let mut sample = Sample::new(Image::from_u8(vec![1; 6], grey.size, 1).unwrap());
        sample.boxes = Some(Boxes::new(vec![[0.0, 0.0, 2.0, 2.0]]));
        let chain = Compose::new().with(RandomIouCrop::new()).with(chain);
        let plan = chain.plan_sample(&sample, key).unwrap();
        assert_eq!(orders(&plan), [3, 1]);
        plan.apply(&mut sample).unwrap();
        let both = Choice::some_of(2, 2, Compose::new().with(ToRgb::default()).with(shuffle));
        assert_eq!(orders(&both.plan(&grey, key).unwrap()), [3]);
    }

    #[test]
    fn drawing_as_a_layer_is_planning() {
        let (chain, key) = (chain(), Key::from_seed(4));
        let meta = meta(Size::new(9, 7));
        assert_eq!(chain.plan(&meta, key).unwrap(), chain.draw(&meta, key));
    }
}
