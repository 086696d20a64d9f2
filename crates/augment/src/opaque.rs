//! Steps that code outside this crate does: those of plugins.

use crate::plan::Apply;
use crate::{AugmentError, Sample, Size, Transforms};
use firecraft_spec::{Registry, Spec, SpecError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// What does an [`Opaque`] step: the transform that planned it.
pub trait External: fmt::Debug + Send + Sync {
    /// The spec from which a registry makes the transform again.
    fn spec(&self) -> &Spec;

    /// Does what the step says to the image and to every target. Leaves an
    /// image of the size that the step announces and of as many channels as
    /// before, or an error.
    ///
    /// # Errors
    /// If the sample doesn't suit the step, or the code outside fails.
    fn apply(&self, step: &Opaque, sample: &mut Sample) -> Result<(), AugmentError>;
}

/// A step whose meaning is known only to the transform that planned it.
///
/// Nothing fuses across it. It is data as every other step is: written down,
/// it names the spec of its transform, and [`Plan::bind`](crate::Plan::bind)
/// finds that transform again after it was read.
#[derive(Clone)]
pub struct Opaque {
    author: Author,
    version: u32,
    plan: Vec<u8>,
    before: Size,
    size: Size,
}

#[derive(Clone)]
enum Author {
    Here(Arc<dyn External>),
    Named(Spec),
}

impl Opaque {
    /// A step of that transform: its plan, in a form of its own that has this
    /// version, from an image of size `before` to one of size `size`.
    #[must_use]
    pub fn new(
        author: Arc<dyn External>,
        version: u32,
        plan: Vec<u8>,
        before: Size,
        size: Size,
    ) -> Self {
        Self {
            author: Author::Here(author),
            version,
            plan,
            before,
            size,
        }
    }

    /// The spec of the transform that planned it.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        match &self.author {
            Author::Here(external) => external.spec(),
            Author::Named(spec) => spec,
        }
    }

    /// The version of the form of the plan.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// The plan, in the transform's own form.
    #[must_use]
    pub fn plan(&self) -> &[u8] {
        &self.plan
    }

    /// The size of the image that it was planned for, and alone suits.
    #[must_use]
    pub const fn before(&self) -> Size {
        self.before
    }

    /// The size of the result.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Looks for the transform, unless the step knows it already.
    pub(crate) fn bind(&mut self, transforms: &Registry<Transforms>) -> Result<(), SpecError> {
        if let Author::Named(spec) = &self.author {
            let external = transforms.build(spec)?.external().ok_or_else(|| {
                SpecError::invalid("this transform has no steps of its own")
                    .of_type(&spec.type_name)
            })?;
            self.author = Author::Here(external);
        }
        Ok(())
    }
}

impl Apply for Opaque {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        sample.validate()?;
        // Code outside lays out its memory by the plan: another size would be
        // written where there is no room for it.
        if sample.image.size() != self.before {
            return Err(AugmentError::External {
                operation: self.spec().type_name.clone(),
                message: format!(
                    "the step was planned for an image of {}, this one has {}; plan again",
                    self.before,
                    sample.image.size()
                ),
            });
        }
        let channels = sample.image.channels();
        match &self.author {
            Author::Here(external) => {
                external.apply(self, sample)?;
                // What follows was planned for as many.
                let got = sample.image.channels();
                if got == channels {
                    return Ok(());
                }
                Err(AugmentError::External {
                    operation: self.spec().type_name.clone(),
                    message: format!("it left {got} channels of {channels}; the number must stay"),
                })
            }
            Author::Named(spec) => Err(AugmentError::External {
                operation: spec.type_name.clone(),
                message: "this step was read from a file; load its plugin and bind the plan".into(),
            }),
        }
    }

    fn output(&self, _input: Size) -> Size {
        self.size
    }

    /// Nobody knows; a plan with such a step has no inverse.
    fn moves(&self) -> bool {
        true
    }

    fn map_point(&self, _x: f64, _y: f64) -> Option<(f64, f64)> {
        None
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opaque")
            .field("spec", self.spec())
            .field("version", &self.version)
            .field("plan", &String::from_utf8_lossy(&self.plan))
            .field("before", &self.before)
            .field("size", &self.size)
            .finish()
    }
}

impl PartialEq for Opaque {
    fn eq(&self, other: &Self) -> bool {
        self.spec() == other.spec()
            && self.version == other.version
            && self.plan == other.plan
            && self.before == other.before
            && self.size == other.size
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    spec: Spec,
    version: u32,
    /// Hexadecimal digits: the plan may be any bytes.
    plan: String,
    before: Size,
    size: Size,
}

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written {
            spec: self.spec().clone(),
            version: self.version,
            plan: self.plan.iter().map(|byte| format!("{byte:02x}")).collect(),
            before: self.before,
            size: self.size,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let plan = bytes(&written.plan)
            .ok_or_else(|| serde::de::Error::custom("`plan` is not hexadecimal"))?;
        Ok(Self {
            author: Author::Named(written.spec),
            version: written.version,
            plan,
            before: written.before,
            size: written.size,
        })
    }
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16);
    digits
        .chunks(2)
        .map(|pair| Some((value(pair[0])? * 16 + value(pair[1])?) as u8))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compose, HorizontalFlip, Image, Plan, SampleMeta, Step, Transform, VerticalFlip};
    use firecraft_key::Key;
    use firecraft_spec::Registries;

    /// Adds its plan's one byte to every byte.
    #[derive(Debug)]
    struct Add {
        spec: Spec,
    }

    impl Add {
        fn arc() -> Arc<Self> {
            let spec = Spec::new("add");
            Arc::new(Self { spec })
        }
    }

    impl External for Add {
        fn spec(&self) -> &Spec {
            &self.spec
        }

        fn apply(&self, step: &Opaque, sample: &mut Sample) -> Result<(), AugmentError> {
            for byte in sample.image.bytes_mut().unwrap() {
                *byte += step.plan()[0];
            }
            Ok(())
        }
    }

    #[derive(Debug)]
    struct Adding(Arc<Add>);

    impl Transform for Adding {
        fn name(&self) -> &'static str {
            "add"
        }
        fn validate(&self) -> Result<(), AugmentError> {
            Ok(())
        }
        fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
            let by = key.word(0) as u8 % 8 + 1;
            Ok(Opaque::new(self.0.clone(), 1, vec![by], meta.size, meta.size).into())
        }
        fn spec(&self) -> Result<Spec, SpecError> {
            Ok(self.0.spec.clone())
        }
        fn external(&self) -> Option<Arc<dyn External>> {
            Some(self.0.clone())
        }
    }

    fn sample() -> Sample {
        Sample::new(Image::from_u8((0..12).collect(), Size::new(3, 4), 1).unwrap())
    }

    #[test]
    fn nothing_fuses_across_an_opaque_step() {
        let flips = |chain: Compose| {
            chain
                .with(HorizontalFlip::new(1.0))
                .with(VerticalFlip::new(1.0))
        };
        let chain = flips(flips(Compose::new()).with(Adding(Add::arc())));
        let plan = chain.plan(&sample().meta(), Key::from_seed(1)).unwrap();
        let kinds: Vec<bool> = plan
            .steps
            .iter()
            .map(|step| matches!(step, Step::Opaque(_)))
            .collect();
        assert_eq!(kinds, [false, true, false]);
        assert!(plan.inverse(sample().meta().size).is_err());
        let mut fused = sample();
        plan.apply(&mut fused).unwrap();
        let by = chain.plan(&sample().meta(), Key::from_seed(1)).unwrap();
        assert_eq!(by, plan);
        // Turned by half a turn twice, and one number added.
        let bytes = fused.image.as_u8().unwrap();
        assert!(
            bytes
                .iter()
                .zip(0..)
                .all(|(a, i): (_, u8)| *a - i == bytes[0])
        );
    }

    #[test]
    fn a_plan_that_was_read_is_bound_before_it_is_applied() {
        let plan = Adding(Add::arc())
            .plan(&sample().meta(), Key::from_seed(3))
            .unwrap();
        let json = serde_json::to_string(&plan).unwrap();
        let mut read: Plan = serde_json::from_str(&json).unwrap();
        assert_eq!(read, plan);
        let error = read.apply(&mut sample()).unwrap_err().to_string();
        assert!(error.contains("load its plugin"), "{error}");

        let mut registries = Registries::new();
        let transforms = registries.get_mut::<Transforms>();
        assert!(read.bind(transforms).is_err());
        transforms
            .register("add", "", |_, _| Ok(Box::new(Adding(Add::arc()))))
            .unwrap();
        read.bind(transforms).unwrap();
        let (mut a, mut b) = (sample(), sample());
        read.apply(&mut a).unwrap();
        plan.apply(&mut b).unwrap();
        assert_eq!(a, b);
    }

    #[test]
    fn a_sample_of_another_size_or_with_odd_masks_is_refused() {
        let plan = Adding(Add::arc())
            .plan(&sample().meta(), Key::from_seed(3))
            .unwrap();
        let mut larger =
            Sample::new(Image::from_u8((0..20).collect(), Size::new(5, 4), 1).unwrap());
        let before = larger.clone();
        let error = plan.apply(&mut larger).unwrap_err().to_string();
        assert_eq!(
            error,
            "add: the step was planned for an image of 3x4 (height x width), this one has 5x4 (height x width); plan again"
        );
        assert_eq!(larger, before);

        let mut odd = sample();
        odd.masks = vec![before.image];
        assert!(plan.steps[0].as_apply().apply(&mut odd).is_err());
    }

    #[test]
    fn plans_inside_of_a_mixture_are_bound_too() {
        let inner = Adding(Add::arc())
            .plan(&sample().meta(), Key::from_seed(3))
            .unwrap();
        let branches = vec![(1.0, inner)];
        let plan = Plan::from(crate::ops::Blend { branches });
        let json = serde_json::to_string(&plan).unwrap();
        let mut read: Plan = serde_json::from_str(&json).unwrap();
        let mut registries = Registries::new();
        let transforms = registries.get_mut::<Transforms>();
        transforms
            .register("add", "", |_, _| Ok(Box::new(Adding(Add::arc()))))
            .unwrap();
        read.bind(transforms).unwrap();
        let (mut a, mut b) = (sample(), sample());
        read.apply(&mut a).unwrap();
        plan.apply(&mut b).unwrap();
        assert_eq!(a, b);
    }

    #[test]
    fn digits_that_are_none_are_refused() {
        assert_eq!(bytes("00ff7A"), Some(vec![0, 255, 122]));
        for broken in ["0", "0g", "+1", "é"] {
            assert_eq!(bytes(broken), None, "{broken}");
        }
    }
}
