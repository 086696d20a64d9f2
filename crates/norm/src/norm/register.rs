//! The names of the normalisations.

use firecraft_spec::{Registries, Spec, SpecError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{NormConfig, Norms};
use crate::{
    BatchNormConfig, BatchRenormConfig, EvoNormConfig, EvoNormVariant, FilterResponseNormConfig,
    GlobalResponseNormConfig, GroupNormConfig, InstanceNormConfig, LayerNormConfig,
    LocalResponseNormConfig, RmsNormConfig, SimpleNormConfig, SplitBatchNormConfig, UnitNormConfig,
};

/// Adds the normalisations of this crate to the registry of [`Norms`].
///
/// # Errors
/// [`SpecError::Duplicate`] if one of the names is taken.
pub fn register(registries: &mut Registries) -> Result<(), SpecError> {
    let norms = registries.get_mut::<Norms>();
    norms.register("none", "no normalisation", |spec, _| {
        match spec.params.keys().next() {
            Some(field) => Err(SpecError::field(field, "`none` takes no parameters")),
            None => Ok(Box::new(NormConfig::None)),
        }
    })?;
    norms.register(
        "batch_norm",
        "statistics per channel over the batch, running ones in evaluation (torch)",
        |spec, _| config(spec, &BatchNormConfig::new(1), NormConfig::Batch),
    )?;
    norms.register(
        "keras_batch_norm",
        "batch_norm with the defaults of keras, on axis 1",
        |spec, _| {
            let defaults = BatchNormConfig::keras(1).with_axis(1);
            config(spec, &defaults, NormConfig::Batch)
        },
    )?;
    norms.register(
        "batch_renorm",
        "batch_norm corrected towards running statistics, for small batches",
        |spec, _| config(spec, &BatchRenormConfig::new(1), NormConfig::BatchRenorm),
    )?;
    norms.register(
        "split_batch_norm",
        "batch_norm with a layer per part of the batch (auxiliary batch norm)",
        |spec, _| split(spec),
    )?;
    norms.register(
        "layer_norm",
        "statistics per sample and position over the last axis",
        |spec, _| config(spec, &LayerNormConfig::new([1]), NormConfig::Layer),
    )?;
    norms.register(
        "layer_norm2d",
        "statistics per sample and position over the channels on axis 1",
        |spec, _| {
            let defaults = LayerNormConfig::new([1]).with_axis(1).with_epsilon(1e-6);
            config(spec, &defaults, NormConfig::Layer)
        },
    )?;
    norms.register("rms_norm", "layer_norm without the mean", |spec, _| {
        config(spec, &RmsNormConfig::new([1]), NormConfig::Rms)
    })?;
    norms.register("rms_norm2d", "layer_norm2d without the mean", |spec, _| {
        config(spec, &RmsNormConfig::new([1]).with_axis(1), NormConfig::Rms)
    })?;
    norms.register(
        "group_norm",
        "statistics per sample over groups of channels; 32 groups",
        |spec, _| config(spec, &GroupNormConfig::new(32, 32), NormConfig::Group),
    )?;
    norms.register(
        "instance_norm",
        "statistics per sample and channel",
        |spec, _| config(spec, &InstanceNormConfig::new(1), NormConfig::Instance),
    )?;
    norms.register(
        "filter_response_norm",
        "mean square per sample and channel, and a learned threshold",
        |spec, _| {
            let defaults = FilterResponseNormConfig::new(1);
            config(spec, &defaults, NormConfig::FilterResponse)
        },
    )?;
    norms.register(
        "global_response_norm",
        "competition of the channels of a sample (ConvNeXt V2)",
        |spec, _| {
            let defaults = GlobalResponseNormConfig::new(1);
            config(spec, &defaults, NormConfig::GlobalResponse)
        },
    )?;
    for (name, first) in [("simple_norm", None), ("simple_norm2d", Some(1))] {
        norms.register(
            name,
            "division by the standard deviation over the features alone",
            move |spec, _| {
                // Two features, so that the defaults are valid by themselves.
                let mut defaults = SimpleNormConfig::new([2]);
                defaults.axis = first;
                config(spec, &defaults, NormConfig::Simple)
            },
        )?;
    }
    norms.register(
        "local_response_norm",
        "competition with neighbouring channels (AlexNet)",
        |spec, _| {
            let defaults = LocalResponseNormConfig::new(5);
            config(spec, &defaults, NormConfig::LocalResponse)
        },
    )?;
    norms.register(
        "unit_norm",
        "length one over the channels on axis 1",
        |spec, _| {
            let defaults = UnitNormConfig::new().with_axis(1);
            config(spec, &defaults, NormConfig::Unit)
        },
    )?;
    for (name, variant, epsilon) in EVO {
        norms.register(
            name,
            "searched normalisation with its activation",
            move |spec, _| {
                let defaults = EvoNormConfig::new(variant, 1).with_epsilon(epsilon);
                config(spec, &defaults, NormConfig::Evo)
            },
        )?;
    }
    Ok(())
}

/// Names, expressions and epsilons of EvoNorm.
const EVO: [(&str, EvoNormVariant, f64); 9] = [
    ("evo_norm_b0", EvoNormVariant::B0, 1e-5),
    ("evo_norm_b1", EvoNormVariant::B1, 1e-5),
    ("evo_norm_b2", EvoNormVariant::B2, 1e-5),
    ("evo_norm_s0", EvoNormVariant::S0, 1e-5),
    ("evo_norm_s1", EvoNormVariant::S1, 1e-5),
    ("evo_norm_s2", EvoNormVariant::S2, 1e-5),
    ("evo_norm_s0a", EvoNormVariant::S0, 1e-3),
    ("evo_norm_s1a", EvoNormVariant::S1, 1e-3),
    ("evo_norm_s2a", EvoNormVariant::S2, 1e-3),
];

/// The parameters that the model sets.
const FEATURES: [&str; 3] = ["num_features", "num_channels", "normalized_shape"];

/// The spec of a configuration, with every parameter but those that the model
/// sets.
pub(super) fn spec(config: &NormConfig) -> Result<Spec, SpecError> {
    let mut spec = match config {
        NormConfig::None => Spec::new("none"),
        NormConfig::Batch(config) => Spec::from_config("batch_norm", config)?,
        NormConfig::BatchRenorm(config) => Spec::from_config("batch_renorm", config)?,
        NormConfig::Split(config) => Spec::from_config("split_batch_norm", &config.norm)?
            .with("num_splits", config.num_splits as i64),
        NormConfig::Layer(config) => Spec::from_config("layer_norm", config)?,
        NormConfig::Rms(config) => Spec::from_config("rms_norm", config)?,
        NormConfig::Simple(config) => Spec::from_config("simple_norm", config)?,
        NormConfig::Group(config) => Spec::from_config("group_norm", config)?,
        NormConfig::Instance(config) => Spec::from_config("instance_norm", config)?,
        NormConfig::FilterResponse(config) => Spec::from_config("filter_response_norm", config)?,
        NormConfig::GlobalResponse(config) => Spec::from_config("global_response_norm", config)?,
        NormConfig::Evo(config) => {
            let named = EVO
                .iter()
                .find(|(_, variant, _)| *variant == config.variant);
            Spec::from_config(named.map_or("evo_norm_s0", |(name, ..)| *name), config)?
        }
        NormConfig::LocalResponse(config) => Spec::from_config("local_response_norm", config)?,
        NormConfig::Unit(config) => Spec::from_config("unit_norm", config)?,
    };
    for name in FEATURES {
        spec.params.remove(name);
    }
    Ok(spec)
}

/// `split_batch_norm`: the parameters of `batch_norm` and `num_splits`.
fn split(spec: &Spec) -> Result<Box<NormConfig>, SpecError> {
    #[derive(Deserialize)]
    struct Parts {
        num_splits: usize,
    }
    let mut layer = spec.clone();
    let mut parts = Spec::new(&spec.type_name);
    if let Some(value) = layer.params.remove("num_splits") {
        parts = parts.with("num_splits", value);
    } else {
        parts = parts.with("num_splits", 2);
    }
    let Parts { num_splits } = parts.parse()?;
    config(&layer, &BatchNormConfig::new(1), |norm| {
        NormConfig::Split(SplitBatchNormConfig { norm, num_splits })
    })
}

/// The defaults with the parameters of the spec in their place.
fn config<C: Serialize + DeserializeOwned>(
    spec: &Spec,
    defaults: &C,
    wrap: impl FnOnce(C) -> NormConfig,
) -> Result<Box<NormConfig>, SpecError> {
    if let Some(field) = FEATURES.iter().find(|f| spec.params.contains_key(f)) {
        return Err(SpecError::field(*field, "the model sets it; leave it out"));
    }
    let mut full = Spec::from_config(&spec.type_name, defaults)?;
    for (name, value) in spec.params.iter() {
        full.params.insert(name, value.clone());
    }
    Ok(Box::new(wrap(full.parse()?)))
}
