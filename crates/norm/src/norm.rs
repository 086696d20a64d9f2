//! One layer type for every normalisation that a model can choose by name.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::Mode;
use firecraft_spec::{Kind, Registries, Spec, SpecError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    BatchNorm, BatchNormConfig, BatchRenorm, BatchRenormConfig, EvoNorm, EvoNormConfig,
    EvoNormVariant, FilterResponseNorm, FilterResponseNormConfig, GlobalResponseNorm,
    GlobalResponseNormConfig, GroupNorm, GroupNormConfig, InstanceNorm, InstanceNormConfig,
    LayerNorm, LayerNormConfig, NormError, RmsNorm, RmsNormConfig, error::or_panic,
};

/// The kind of the registry of normalisations; its objects are [`NormConfig`]s.
#[derive(Debug)]
pub struct Norms;

impl Kind for Norms {
    type Object = NormConfig;
    const NAME: &'static str = "normalisation";
}

/// The choice of a normalisation, without the number of features: a model
/// takes one and makes a layer from it wherever it normalises.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::{NormConfig, NormError};
/// use firecraft_spec::Spec;
///
/// let config = NormConfig::from_spec(&Spec::new("batch_norm").with("momentum", 0.05))?;
/// let layer = config.try_init(8, &Device::flex())?;
/// let y = layer.forward(Tensor::<4>::ones([2, 8, 3, 3], &Device::flex()));
/// assert_eq!(y.dims(), [2, 8, 3, 3]);
///
/// let error = NormConfig::from_spec(&Spec::new("bacth_norm")).unwrap_err();
/// assert!(error.to_string().contains("batch_norm"));
/// # Ok::<(), NormError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NormConfig {
    /// `none`: no normalisation.
    None,
    /// `batch_norm`, and `keras_batch_norm` with the defaults of keras.
    Batch(BatchNormConfig),
    /// `batch_renorm`.
    BatchRenorm(BatchRenormConfig),
    /// `layer_norm` over the last axis, `layer_norm2d` over the channels on
    /// axis 1.
    Layer(LayerNormConfig),
    /// `rms_norm` over the last axis, `rms_norm2d` over the channels on axis 1.
    Rms(RmsNormConfig),
    /// `group_norm`; at most as many groups as divide the features, see
    /// [`NormConfig::try_init`].
    Group(GroupNormConfig),
    /// `instance_norm`.
    Instance(InstanceNormConfig),
    /// `filter_response_norm`.
    FilterResponse(FilterResponseNormConfig),
    /// `global_response_norm`.
    GlobalResponse(GlobalResponseNormConfig),
    /// `evo_norm_b0` … `evo_norm_s2`.
    Evo(EvoNormConfig),
}

impl NormConfig {
    /// The configuration that a spec describes. The parameters are the fields
    /// of the layer's configuration, without the number of features.
    ///
    /// # Errors
    /// [`NormError::Spec`] for an unknown name, field or value.
    pub fn from_spec(spec: &Spec) -> Result<Self, NormError> {
        let mut registries = Registries::new();
        register(&mut registries)?;
        Ok(*registries.build::<Norms>(spec)?)
    }

    /// The layer for `num_features` features.
    ///
    /// A number of groups that does not divide `num_features` is replaced by
    /// their greatest common divisor, so that one choice serves a model whose
    /// widths differ.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, num_features: usize, device: &Device) -> Result<Norm, NormError> {
        let groups = |wanted| greatest_common_divisor(wanted, num_features);
        Ok(match self.clone() {
            Self::None => Norm::None(Identity),
            Self::Batch(mut config) => {
                config.num_features = num_features;
                Norm::Batch(config.try_init(device)?)
            }
            Self::BatchRenorm(mut config) => {
                config.num_features = num_features;
                Norm::BatchRenorm(config.try_init(device)?)
            }
            Self::Layer(mut config) => {
                config.normalized_shape = vec![num_features];
                Norm::Layer(config.try_init(device)?)
            }
            Self::Rms(mut config) => {
                config.normalized_shape = vec![num_features];
                Norm::Rms(config.try_init(device)?)
            }
            Self::Group(mut config) => {
                config.num_channels = num_features;
                config.num_groups = groups(config.num_groups);
                Norm::Group(config.try_init(device)?)
            }
            Self::Instance(mut config) => {
                config.num_features = num_features;
                Norm::Instance(config.try_init(device)?)
            }
            Self::FilterResponse(mut config) => {
                config.num_features = num_features;
                Norm::FilterResponse(config.try_init(device)?)
            }
            Self::GlobalResponse(mut config) => {
                config.num_features = num_features;
                Norm::GlobalResponse(config.try_init(device)?)
            }
            Self::Evo(mut config) => {
                config.num_features = num_features;
                config.num_groups = groups(config.num_groups);
                Norm::Evo(config.try_init(device)?)
            }
        })
    }

    /// [`try_init`](Self::try_init) in burn's manner.
    ///
    /// # Panics
    /// With the message of the error.
    #[must_use]
    #[track_caller]
    pub fn init(&self, num_features: usize, device: &Device) -> Norm {
        or_panic(self.try_init(num_features, device))
    }
}

/// A layer that gives back its input.
#[derive(Module, Debug, Default)]
pub struct Identity;

/// A normalisation layer that was chosen by name; made by [`NormConfig`].
#[derive(Module, Debug)]
#[non_exhaustive]
#[allow(
    clippy::large_enum_variant,
    reason = "a model holds a few dozen of them at most"
)]
pub enum Norm {
    /// No normalisation.
    None(Identity),
    /// Batch normalisation.
    Batch(BatchNorm),
    /// Batch renormalisation.
    BatchRenorm(BatchRenorm),
    /// Layer normalisation.
    Layer(LayerNorm),
    /// Root-mean-square normalisation.
    Rms(RmsNorm),
    /// Group normalisation.
    Group(GroupNorm),
    /// Instance normalisation.
    Instance(InstanceNorm),
    /// Filter response normalisation.
    FilterResponse(FilterResponseNorm),
    /// Global response normalisation.
    GlobalResponse(GlobalResponseNorm),
    /// EvoNorm.
    Evo(EvoNorm),
}

impl Norm {
    /// Normalises `x`; see the layer.
    ///
    /// # Panics
    /// With the message of [`try_forward`](Self::try_forward)'s error.
    #[must_use]
    #[track_caller]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        or_panic(self.try_forward(x))
    }

    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        match self {
            Self::None(_) => Ok(x),
            Self::Batch(layer) => layer.try_forward(x),
            Self::BatchRenorm(layer) => layer.try_forward(x),
            Self::Layer(layer) => layer.try_forward(x),
            Self::Rms(layer) => layer.try_forward(x),
            Self::Group(layer) => layer.try_forward(x),
            Self::Instance(layer) => layer.try_forward(x),
            Self::FilterResponse(layer) => layer.try_forward(x),
            Self::GlobalResponse(layer) => layer.try_forward(x),
            Self::Evo(layer) => layer.try_forward(x),
        }
    }

    /// [`try_forward`](Self::try_forward) in the given mode, whatever the mode
    /// of the layer. Layers that do the same in both ignore it.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn try_forward_mode<const D: usize>(
        &self,
        x: Tensor<D>,
        mode: Mode,
    ) -> Result<Tensor<D>, NormError> {
        match self {
            Self::Batch(layer) => layer.try_forward_mode(x, mode),
            Self::BatchRenorm(layer) => layer.try_forward_mode(x, mode),
            Self::Instance(layer) => layer.try_forward_mode(x, mode),
            Self::Evo(layer) => layer.try_forward_mode(x, mode),
            other => other.try_forward(x),
        }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

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
    for (name, variant) in [
        ("evo_norm_b0", EvoNormVariant::B0),
        ("evo_norm_b1", EvoNormVariant::B1),
        ("evo_norm_b2", EvoNormVariant::B2),
        ("evo_norm_s0", EvoNormVariant::S0),
        ("evo_norm_s1", EvoNormVariant::S1),
        ("evo_norm_s2", EvoNormVariant::S2),
    ] {
        norms.register(
            name,
            "searched normalisation with its activation",
            move |spec, _| config(spec, &EvoNormConfig::new(variant, 1), NormConfig::Evo),
        )?;
    }
    Ok(())
}

/// The defaults with the parameters of the spec in their place.
fn config<C: Serialize + DeserializeOwned>(
    spec: &Spec,
    defaults: &C,
    wrap: impl FnOnce(C) -> NormConfig,
) -> Result<Box<NormConfig>, SpecError> {
    const FEATURES: [&str; 3] = ["num_features", "num_channels", "normalized_shape"];
    if let Some(field) = FEATURES.iter().find(|f| spec.params.contains_key(f)) {
        return Err(SpecError::field(*field, "the model sets it; leave it out"));
    }
    let mut full = Spec::from_config(&spec.type_name, defaults)?;
    for (name, value) in spec.params.iter() {
        full.params.insert(name, value.clone());
    }
    Ok(Box::new(wrap(full.parse()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_json(json: &str) -> Result<NormConfig, NormError> {
        NormConfig::from_spec(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_spec_changes_the_named_fields_only() {
        let config = from_json(r#"{"type": "keras_batch_norm", "epsilon": 0.01}"#).unwrap();
        let expected = BatchNormConfig::keras(1).with_axis(1).with_epsilon(0.01);
        assert_eq!(config, NormConfig::Batch(expected));
        let config = from_json(r#"{"type": "batch_norm", "momentum": "cumulative"}"#).unwrap();
        assert_eq!(
            config,
            NormConfig::Batch(BatchNormConfig::new(1).with_momentum(None))
        );
    }

    #[test]
    fn wrong_specs_are_errors_that_name_the_field() {
        for (json, part) in [
            (r#""layer""#, "layer"),
            (r#"{"type": "batch_norm", "eps": 1}"#, "eps"),
            (
                r#"{"type": "batch_norm", "num_features": 3}"#,
                "the model sets it",
            ),
            (r#"{"type": "none", "epsilon": 3}"#, "takes no parameters"),
        ] {
            let message = from_json(json).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        let config = from_json(r#"{"type": "batch_norm", "epsilon": -1}"#).unwrap();
        assert!(config.try_init(3, &Device::flex()).is_err());
    }

    #[test]
    fn every_registered_norm_keeps_the_shape_of_images_and_sequences() {
        let mut registries = Registries::new();
        register(&mut registries).unwrap();
        let device = Device::flex().autodiff();
        let norms = registries.get::<Norms>().unwrap();
        for name in norms.names() {
            // 6 channels: no multiple of the usual 32 groups.
            let layer = norms.build(&Spec::new(name)).unwrap().init(6, &device);
            let image = Tensor::<4>::ones([2, 6, 6, 6], &device);
            assert_eq!(layer.forward(image).dims(), [2, 6, 6, 6], "{name}");
            let sequence = Tensor::<3>::ones([2, 6, 6], &device);
            assert_eq!(layer.forward(sequence).dims(), [2, 6, 6], "{name}");
        }
    }
}
