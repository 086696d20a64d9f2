//! One layer type for every normalisation that a model can choose by name.

mod register;

pub use register::register;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::Mode;
use firecraft_spec::{Kind, Registries, Spec};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    BatchNorm, BatchNormConfig, BatchRenorm, BatchRenormConfig, EvoNorm, EvoNormConfig,
    FilterResponseNorm, FilterResponseNormConfig, GlobalResponseNorm, GlobalResponseNormConfig,
    GroupNorm, GroupNormConfig, InstanceNorm, InstanceNormConfig, LayerNorm, LayerNormConfig,
    LocalResponseNorm, LocalResponseNormConfig, NormError, RmsNorm, RmsNormConfig, SimpleNorm,
    SimpleNormConfig, SplitBatchNorm, SplitBatchNormConfig, SyncBatchNorm, UnitNorm,
    UnitNormConfig, error::or_panic,
};

/// The kind of the registry of normalisations; its objects are [`NormConfig`]s.
#[derive(Debug)]
pub struct Norms;

impl Kind for Norms {
    type Object = NormConfig;
    const NAME: &'static str = "normalisation";
}

/// A layer that gives back its input.
#[derive(Module, Debug, Default)]
pub struct Identity;

/// The choice and the layer of every normalisation:
/// `Variant(Layer, Config) modes = |config, num_features| what the model sets;`
/// where `modes` says whether the layer has modes.
macro_rules! norms {
    ($(
        $(#[$doc:meta])*
        $Variant:ident($Layer:ident, $Config:ident) $modes:ident = |$config:ident, $n:ident| $set:expr;
    )*) => {
        /// The choice of a normalisation, without the number of features: a model
        /// takes one and makes a layer from it wherever it normalises.
        ///
        /// Serialised as its spec: the registered name with the parameters that
        /// differ per layer.
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
            $($(#[$doc])* $Variant($Config),)*
        }

        /// A normalisation layer that was chosen by name; made by
        /// [`NormConfig`].
        #[derive(Module, Debug)]
        #[non_exhaustive]
        #[allow(
            clippy::large_enum_variant,
            reason = "a model holds a few dozen of them at most"
        )]
        pub enum Norm {
            /// No normalisation.
            None(Identity),
            $($(#[$doc])* $Variant($Layer),)*
            /// Batch normalisation over the batches of all devices; has no
            /// name, as it needs to know how to reach them.
            Sync(SyncBatchNorm),
        }

        impl NormConfig {
            /// The layer for `num_features` features.
            ///
            /// A number of groups that does not divide `num_features` is
            /// replaced by their greatest common divisor, so that one choice
            /// serves a model whose widths differ.
            ///
            /// # Errors
            /// [`NormError::Config`] if a field is out of its range.
            pub fn try_init(
                &self,
                num_features: usize,
                device: &Device,
            ) -> Result<Norm, NormError> {
                Ok(match self.clone() {
                    Self::None => Norm::None(Identity),
                    $(Self::$Variant(mut $config) => {
                        let $n = num_features;
                        $set;
                        Norm::$Variant($config.try_init(device)?)
                    })*
                })
            }
        }

        impl Norm {
            /// [`forward`](Self::forward) with an error instead of a panic.
            ///
            /// # Errors
            /// Those of the layer.
            pub fn try_forward<const D: usize>(
                &self,
                x: Tensor<D>,
            ) -> Result<Tensor<D>, NormError> {
                match self {
                    Self::None(_) => Ok(x),
                    $(Self::$Variant(layer) => layer.try_forward(x),)*
                    Self::Sync(layer) => layer.try_forward(x),
                }
            }

            /// [`try_forward`](Self::try_forward) in the given mode, whatever
            /// the mode of the layer. Layers that do the same in both ignore
            /// it.
            ///
            /// # Errors
            /// Those of the layer.
            pub fn try_forward_mode<const D: usize>(
                &self,
                x: Tensor<D>,
                mode: Mode,
            ) -> Result<Tensor<D>, NormError> {
                match self {
                    Self::None(_) => Ok(x),
                    $(Self::$Variant(layer) => norms!(@$modes layer, x, mode),)*
                    Self::Sync(layer) => layer.try_forward_mode(x, mode),
                }
            }
        }
    };
    (@by_mode $layer:ident, $x:ident, $mode:ident) => { $layer.try_forward_mode($x, $mode) };
    (@always $layer:ident, $x:ident, $mode:ident) => { $layer.try_forward($x) };
}

norms! {
    /// `batch_norm`, and `keras_batch_norm` with the defaults of keras.
    Batch(BatchNorm, BatchNormConfig) by_mode = |config, n| config.num_features = n;
    /// `batch_renorm`.
    BatchRenorm(BatchRenorm, BatchRenormConfig) by_mode = |config, n| config.num_features = n;
    /// `split_batch_norm`.
    Split(SplitBatchNorm, SplitBatchNormConfig) by_mode = |config, n| config.norm.num_features = n;
    /// `layer_norm` over the last axis, `layer_norm2d` over the channels on
    /// axis 1.
    Layer(LayerNorm, LayerNormConfig) always = |config, n| config.normalized_shape = vec![n];
    /// `rms_norm` over the last axis, `rms_norm2d` over the channels on axis 1.
    Rms(RmsNorm, RmsNormConfig) always = |config, n| config.normalized_shape = vec![n];
    /// `simple_norm` over the last axis, `simple_norm2d` over the channels on
    /// axis 1.
    Simple(SimpleNorm, SimpleNormConfig) always = |config, n| config.normalized_shape = vec![n];
    /// `group_norm`; at most as many groups as divide the features, see
    /// [`NormConfig::try_init`].
    Group(GroupNorm, GroupNormConfig) always = |config, n| {
        config.num_channels = n;
        config.num_groups = greatest_common_divisor(config.num_groups, n);
    };
    /// `instance_norm`.
    Instance(InstanceNorm, InstanceNormConfig) by_mode = |config, n| config.num_features = n;
    /// `filter_response_norm`.
    FilterResponse(FilterResponseNorm, FilterResponseNormConfig) always =
        |config, n| config.num_features = n;
    /// `global_response_norm`.
    GlobalResponse(GlobalResponseNorm, GlobalResponseNormConfig) always =
        |config, n| config.num_features = n;
    /// `evo_norm_b0` … `evo_norm_s2`, and `evo_norm_s0a` … with the larger
    /// epsilon.
    Evo(EvoNorm, EvoNormConfig) by_mode = |config, n| {
        config.num_features = n;
        config.num_groups = greatest_common_divisor(config.num_groups, n);
    };
    /// `local_response_norm`.
    LocalResponse(LocalResponseNorm, LocalResponseNormConfig) always =
        |config, n| any_width(&mut config, n);
    /// `unit_norm` over the channels on axis 1.
    Unit(UnitNorm, UnitNormConfig) always = |config, n| any_width(&mut config, n);
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

    /// The spec that [`from_spec`](Self::from_spec) makes this configuration
    /// from, up to the number of features.
    ///
    /// # Errors
    /// [`NormError::Spec`] if a field can't be written as a value.
    pub fn to_spec(&self) -> Result<Spec, NormError> {
        Ok(register::spec(self)?)
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

impl Serialize for NormConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let spec = self.to_spec().map_err(serde::ser::Error::custom)?;
        spec.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NormConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spec = Spec::deserialize(deserializer)?;
        Self::from_spec(&spec).map_err(serde::de::Error::custom)
    }
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
}

/// For layers that don't know how many features they get.
fn any_width<C>(_config: &mut C, _num_features: usize) {}

pub(crate) fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

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
    fn every_registered_norm_survives_serde() {
        let mut registries = Registries::new();
        register(&mut registries).unwrap();
        let norms = registries.get::<Norms>().unwrap();
        for name in norms.names() {
            let config = *norms.build(&Spec::new(name)).unwrap();
            let json = serde_json::to_value(&config).unwrap();
            let back: NormConfig = serde_json::from_value(json).unwrap();
            assert_eq!(back, config, "{name}");
        }
        let made = NormConfig::Batch(BatchNormConfig::new(7).with_momentum(None));
        let json = serde_json::to_string(&made).unwrap();
        let want = NormConfig::Batch(BatchNormConfig::new(1).with_momentum(None));
        assert_eq!(serde_json::from_str::<NormConfig>(&json).unwrap(), want);
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
            let empty = Tensor::<3>::zeros([0, 6, 6], &Device::flex());
            let empty = layer.valid().try_forward(empty).unwrap();
            assert_eq!(empty.dims(), [0, 6, 6], "{name}");
            let sequence = Tensor::<3>::ones([2, 6, 6], &device);
            assert_eq!(layer.forward(sequence).dims(), [2, 6, 6], "{name}");
        }
    }

    /// Every registered layer for 6 channels, with its name.
    fn layers(device: &Device) -> Vec<(String, Norm)> {
        let mut registries = Registries::new();
        register(&mut registries).unwrap();
        let norms = registries.get::<Norms>().unwrap();
        let layer = |name: &str| norms.build(&Spec::new(name)).unwrap().init(6, device);
        norms.names().map(|n| (n.to_owned(), layer(n))).collect()
    }

    #[test]
    fn another_number_of_channels_is_an_error() {
        let device = Device::flex().autodiff();
        let x = Tensor::<4>::ones([2, 5, 6, 5], &device);
        for (name, layer) in layers(&device) {
            let any = ["none", "unit_norm", "local_response_norm"].contains(&name.as_str());
            assert_eq!(layer.try_forward(x.clone()).is_ok(), any, "{name}");
        }
    }

    #[test]
    fn non_finite_values_stay_in_their_sample_or_channel() {
        let device = Device::flex().autodiff();
        let x = random([2, 6, 6, 6], 1);
        let hole = Tensor::full([1, 1, 1, 1], f32::NAN, &Device::flex());
        let x = x.slice_assign([0..1, 0..1, 0..1, 0..1], hole).autodiff();
        for (name, layer) in layers(&device) {
            let y = layer.forward(x.clone()).slice([1..2, 1..6, 0..6, 0..6]);
            let y = y.try_into_vec_as::<f32>().unwrap();
            // The one at [0, 0, 0, 0] is in a row of its own for norms of rows.
            assert!(y.iter().all(|y| y.is_finite()), "{name}");
        }
    }

    #[test]
    fn half_precision_neither_overflows_nor_changes_the_format() {
        let device = Device::flex().autodiff();
        // Squares are beyond the largest number of the format, 65504.
        let x = random([2, 6, 6, 6], 1) * 400.0;
        let x = x.autodiff().cast(burn::tensor::FloatDType::F16);
        for (name, layer) in layers(&device) {
            let y = layer.forward(x.clone());
            assert_eq!(y.dtype(), burn::tensor::DType::F16, "{name}");
            let y = y.try_into_vec_as::<f32>().unwrap();
            assert!(y.iter().all(|y| y.is_finite()), "{name}");
        }
    }
}
