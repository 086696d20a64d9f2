//! Initialisers by name.

use crate::initializers::{
    ClassPrior, Constant, DeltaOrthogonal, Dirac, FanUniform, Identity, Normal, Orthogonal, Scaled,
    Sparse, Stft, TruncatedNormal, Uniform, VarianceScaling,
};
use crate::{Activation, Distribution, FanMode, FanSource, InitError, Initializer};
use firecraft_spec::{Kind, Registries, Registry, Spec, SpecError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The kind under which initialisers are registered.
#[derive(Debug)]
pub struct Initializers;

impl Kind for Initializers {
    type Object = dyn Initializer;
    const NAME: &'static str = "initialiser";
}

/// Adds every initialiser of this crate.
///
/// ```
/// use firecraft_init::{Initializers, Layout, Target, register};
/// use firecraft_spec::{Registries, Spec};
///
/// let mut registries = Registries::new();
/// register(&mut registries)?;
/// let spec: Spec = serde_json::from_str(r#"{"type": "he_normal", "mode": "fan_out"}"#)?;
/// let init = registries.build::<Initializers>(&spec)?;
/// let (_, std) = init.moments(&Target::new(&[8, 2], Layout::LINEAR)).unwrap();
/// assert_eq!(std, 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`SpecError::Duplicate`] if one of the names is taken.
pub fn register(registries: &mut Registries) -> Result<(), SpecError> {
    let r = registries.get_mut::<Initializers>();
    fixed(r, "zeros", "0 everywhere", Constant::ZEROS)?;
    fixed(r, "ones", "1 everywhere", Constant::ONES)?;
    plain::<Constant>(r, "constant", "one value everywhere")?;
    plain::<Uniform>(r, "uniform", "uniform between two bounds")?;
    plain::<Normal>(r, "normal", "normal with mean and deviation")?;
    plain::<TruncatedNormal>(r, "truncated_normal", "normal cut to an interval")?;
    plain::<VarianceScaling>(r, "variance_scaling", "variance scale / fan")?;
    plain::<FanUniform>(
        r,
        "fan_uniform",
        "uniform within scale / √fan, for biases too",
    )?;
    plain::<Identity>(r, "identity", "the identity matrix times a gain")?;
    plain::<Dirac>(r, "dirac", "a convolution that passes its input through")?;
    plain::<Sparse>(
        r,
        "sparse",
        "normal with a fixed fraction of zeros per input",
    )?;
    plain::<Orthogonal>(r, "orthogonal", "a random orthogonal matrix times a gain")?;
    plain::<DeltaOrthogonal>(
        r,
        "delta_orthogonal",
        "orthogonal at the centre tap, else 0",
    )?;
    plain::<Stft>(r, "stft", "one side of the short-time Fourier transform")?;
    plain::<ClassPrior>(r, "class_prior", "a head bias at the class frequencies")?;
    r.register(
        "scaled",
        "another initialiser times a factor",
        |spec, registry| {
            let config: ScaledConfig = spec.parse()?;
            let inner = registry
                .build(&config.inner)
                .map_err(|error| error.under("inner"))?;
            valid(Scaled::new(inner, config.factor), spec)
        },
    )?;
    r.describe::<ScaledConfig>("scaled")?;
    r.register(
        "for_activation",
        "what suits the layers before an activation",
        |spec, _| {
            let config: ForActivation = spec.parse()?;
            let scheme = VarianceScaling::for_activation(config.activation);
            valid(scheme.map_err(|error| invalid(error, spec))?, spec)
        },
    )?;
    r.describe::<ForActivation>("for_activation")?;
    let schemes = [
        ("glorot_normal", VarianceScaling::glorot_normal()),
        ("glorot_uniform", VarianceScaling::glorot_uniform()),
        ("he_normal", VarianceScaling::he_normal()),
        ("he_uniform", VarianceScaling::he_uniform()),
        ("lecun_normal", VarianceScaling::lecun_normal()),
        ("lecun_uniform", VarianceScaling::lecun_uniform()),
    ];
    for (name, scheme) in schemes {
        let summary = format!("variance {} / {}", scheme.scale, scheme.mode);
        r.register(name, summary, move |spec, _| {
            let config: SchemeConfig = spec.parse()?;
            valid(config.apply(scheme.clone()), spec)
        })?;
        r.describe::<SchemeConfig>(name)?;
    }
    Ok(())
}

/// Parameters of the named schemes; what is absent stays as the name says.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SchemeConfig {
    gain: Option<f64>,
    mode: Option<FanMode>,
    fans: Option<FanSource>,
    truncated: bool,
}

impl SchemeConfig {
    fn apply(self, mut scheme: VarianceScaling) -> VarianceScaling {
        if let Some(gain) = self.gain {
            scheme = scheme.with_gain(gain);
        }
        if let Some(mode) = self.mode {
            scheme.mode = mode;
        }
        if let Some(fans) = self.fans {
            scheme.fans = fans;
        }
        if self.truncated && scheme.distribution == Distribution::Normal {
            scheme.distribution = Distribution::TruncatedNormal;
        }
        scheme
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaledConfig {
    inner: Spec,
    factor: f64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForActivation {
    activation: Activation,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn plain<I>(r: &mut Registry<Initializers>, name: &str, summary: &str) -> Result<(), SpecError>
where
    I: Initializer + DeserializeOwned + Serialize + 'static,
{
    r.register(name, summary, |spec, _| valid(spec.parse::<I>()?, spec))?;
    r.describe::<I>(name)
}

fn fixed(
    r: &mut Registry<Initializers>,
    name: &str,
    summary: &str,
    value: Constant,
) -> Result<(), SpecError> {
    r.register(name, summary, move |spec, _| {
        let Nothing {} = spec.parse()?;
        valid(value, spec)
    })?;
    r.describe::<Nothing>(name)
}

fn valid(
    initializer: impl Initializer + 'static,
    spec: &Spec,
) -> Result<Box<dyn Initializer>, SpecError> {
    match initializer.validate() {
        Ok(()) => Ok(Box::new(initializer)),
        Err(error) => Err(invalid(error, spec)),
    }
}

/// The error of a setting, under its field's name.
fn invalid(error: InitError, spec: &Spec) -> SpecError {
    let error = match error {
        InitError::Setting {
            field,
            value,
            expected,
            ..
        } => SpecError::field(field, format_args!("must be {expected}, got {value}")),
        other => SpecError::invalid(other),
    };
    error.of_type(&spec.type_name)
}

/// Lets `Arc`s from a registry serve as initialisers of a plan.
pub(crate) fn shared(
    registry: &Registry<Initializers>,
    spec: &Spec,
) -> Result<Arc<dyn Initializer>, SpecError> {
    registry.build(spec).map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, Link, Target};
    use firecraft_key::Key;

    fn registries() -> Registries {
        let mut registries = Registries::new();
        register(&mut registries).unwrap();
        registries
    }

    fn build(json: &str) -> Result<Box<dyn Initializer>, SpecError> {
        registries().build::<Initializers>(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn every_name_builds_from_its_defaults_or_says_what_is_missing() {
        let registries = registries();
        let registry = registries.get::<Initializers>().unwrap();
        assert!(registry.len() >= 23, "{registry:?}");
        for name in registry.names() {
            match registry.build(&Spec::new(name)) {
                Ok(initializer) => initializer.validate().unwrap(),
                Err(error) => assert!(error.to_string().contains("missing"), "{error}"),
            }
        }
    }

    #[test]
    fn descriptions_build_the_same_initialiser() {
        let registries = registries();
        let target = Target::new(&[4, 6, 3], Layout::CONV);
        let initializers: Vec<Box<dyn Initializer>> = vec![
            Box::new(Constant::new(0.3)),
            Box::new(Uniform::new(-1.0, 0.1)),
            Box::new(Normal::new(0.1, 0.2)),
            Box::new(TruncatedNormal::new(0.1, 0.2)),
            Box::new(VarianceScaling::he_uniform().with_fans(FanSource::Torch)),
            Box::new(FanUniform::new(FanMode::Out)),
            Box::new(Dirac::default().with_groups(2)),
            Box::new(Orthogonal::new(1.0 / 3.0)),
            Box::new(Scaled::new(Scaled::new(Normal::default(), 0.5), 0.1)),
        ];
        for initializer in initializers {
            let spec = initializer.to_spec().unwrap();
            let text = toml::to_string(&spec).unwrap();
            let spec: Spec = toml::from_str(&text).unwrap();
            let again = registries.build::<Initializers>(&spec).unwrap();
            let key = Key::from_seed(1);
            assert_eq!(
                again.values(&target, key).unwrap(),
                initializer.values(&target, key).unwrap(),
                "{text}"
            );
        }
        let prior = ClassPrior {
            weights: vec![0.2],
            link: Link::Sigmoid,
        };
        let again = registries
            .build::<Initializers>(&prior.to_spec().unwrap())
            .unwrap();
        assert_eq!(again.to_spec().unwrap(), prior.to_spec().unwrap());
    }

    #[test]
    fn mistakes_name_the_field_the_value_and_the_range() {
        for (json, expected) in [
            (
                r#"{"type":"normal","std":-1}"#,
                "normal: `std`: must be a finite number >= 0, got -1",
            ),
            (r#"{"type":"normal","sdt":1}"#, "did you mean `std`"),
            (r#"{"type":"he_norml"}"#, "did you mean `he_normal`"),
            (r#"{"type":"zeros","value":1}"#, "unknown field"),
            (r#"{"type":"he_normal","mode":"fan"}"#, "`mode`"),
            (
                r#"{"type":"scaled","factor":2,"inner":{"type":"normal","std":-1}}"#,
                "std",
            ),
        ] {
            let error = build(json).unwrap_err().to_string();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
