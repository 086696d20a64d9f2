//! Weight normalisation.

use burn::module::{Module, Param, Reparameterization};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::attach::Prepare;
use super::{WeightAxis, apply_to_models};
use crate::NormError;
use crate::precision::{cast, working};
use crate::weights::{Weight, split};

/// The configuration of weight normalisation, see [`WeightNorm`].
///
/// ```
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::{WeightNorm, WeightNormConfig};
///
/// let device = Device::flex();
/// let plain = LinearConfig::new(4, 3).init(&device);
/// let layer = WeightNormConfig::new().apply(plain.clone())?;
/// let g = layer.weight.reparameterization::<WeightNorm>().unwrap().g.val();
/// assert_eq!(g.dims(), [3]); // one length per output
///
/// // Nothing changes until it is trained, nor when it is removed again.
/// let x = Tensor::<2>::ones([1, 4], &device);
/// let want = plain.forward(x.clone());
/// let difference = (layer.forward(x.clone()) - want.clone()).abs().max();
/// assert!(difference.into_scalar::<f32>() < 1e-6);
/// let removed = layer.materialize();
/// assert!(removed.weight.reparameterization::<WeightNorm>().is_none());
/// assert!((removed.forward(x) - want).abs().max().into_scalar::<f32>() < 1e-6);
/// # Ok::<(), firecraft_norm::NormError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightNormConfig {
    /// The axis whose entries have a length each. Default: the output features.
    #[serde(default)]
    pub axis: WeightAxis,
}

impl WeightNormConfig {
    /// One length per output feature: torch's `weight_norm` of a linear layer
    /// or convolution. (torch's default for a transposed convolution is one per
    /// input, [`WeightAxis::Axis`] 0.)
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

setters!(WeightNormConfig {
    /// Sets `axis`.
    with_axis(axis: WeightAxis);
});
apply_to_models!(WeightNormConfig);

/// Keeps the length and the direction of a weight apart: `w = g * v / |v|`,
/// with one `g` per entry of the axis and `|v|` over all other axes.
///
/// Gradient steps then turn the direction and change the length independently,
/// and without any dependence on the batch. A direction of zeros gives a weight
/// of zeros. Salimans and Kingma, *Weight Normalization*, NIPS 2016.
#[derive(Module, Debug)]
pub struct WeightNorm {
    /// The lengths, `[n]` for an axis of `n` entries.
    pub g: Param<Tensor<1>>,
    #[module(skip)]
    axis: Option<usize>,
}

impl Reparameterization for WeightNorm {
    const NAME: &'static str = "weight_norm";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let dims = base.dims();
        let dtype = base.dtype();
        let v = cast(base, working(dtype)).reshape(split(&dims, self.axis));
        let g = cast(self.g.val(), working(dtype));
        let entries = g.dims()[0];
        let scale = g.reshape([1, entries, 1]) / length(v.clone());
        cast((v * scale).reshape(dims), dtype.into())
    }
}

/// The length of every entry, `[1, n, 1]`, never 0.
fn length(v: Tensor<3>) -> Tensor<3> {
    let square = v.square().sum_dim(2).sum_dim(0);
    square.clamp_min(f32::MIN_POSITIVE).sqrt()
}

impl Prepare for WeightNormConfig {
    const LAYER: &'static str = "WeightNorm";
    type Reparam = WeightNorm;

    fn check(&self, weight: &Weight) -> Result<(), NormError> {
        self.axis.of(Self::LAYER, weight).map(|_| ())
    }

    fn prepare<const D: usize>(
        &self,
        weight: &Weight,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<WeightNorm>) {
        let Ok(axis) = self.axis.of(Self::LAYER, weight) else {
            return (param, None);
        };
        let value = param.val();
        let (tracked, trained) = (value.is_autodiff(), value.is_require_grad());
        let dtype = value.dtype();
        let v = cast(value.without_autodiff(), working(dtype)).reshape(split(&weight.shape, axis));
        let [_, entries, _] = v.dims();
        let g = cast(length(v).reshape([entries]), dtype.into());
        let g = if tracked {
            Param::from_tensor(g.autodiff()).set_require_grad(trained)
        } else {
            Param::from_tensor(g)
        };
        (param, Some(WeightNorm { g, axis }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::nn::conv::{Conv2dConfig, ConvTranspose2dConfig};
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    #[test]
    fn every_layer_computes_what_it_did() {
        let device = Device::flex();
        macro_rules! check {
            ($layer:expr, $x:expr) => {{
                let plain = $layer.init(&device);
                for axis in [WeightAxis::Output, WeightAxis::Axis(0), WeightAxis::Whole] {
                    let config = WeightNormConfig::new().with_axis(axis);
                    let layer = config.apply(plain.clone()).unwrap();
                    let error = (plain.forward($x) - layer.forward($x)).abs().max();
                    assert!(error.into_scalar::<f32>() < 1e-5);
                }
            }};
        }
        check!(LinearConfig::new(4, 3), random([2, 4], 1));
        check!(Conv2dConfig::new([2, 4], [3, 3]), random([1, 2, 5, 5], 1));
        check!(
            ConvTranspose2dConfig::new([2, 3], [2, 2]),
            random([1, 2, 4, 4], 1)
        );
    }

    fn layer(device: &Device) -> Linear {
        let mut layer = LinearConfig::new(3, 2).init(device);
        layer.weight = Param::from_tensor({
            let weight = random([3, 2], 5);
            if device.is_autodiff() {
                weight.autodiff()
            } else {
                weight
            }
        });
        WeightNormConfig::new().apply(layer).unwrap()
    }

    #[test]
    fn a_direction_of_zeros_is_a_weight_of_zeros_with_finite_gradients() {
        let device = Device::flex().autodiff();
        let mut layer = LinearConfig::new(3, 2).init(&device);
        layer.weight = Param::from_tensor(Tensor::zeros([3, 2], &device));
        let layer = WeightNormConfig::new().apply(layer).unwrap();
        assert_eq!(values(layer.weight.val()), [0.0; 6]);
        let gradients = layer.weight.val().sum().backward();
        let gradient = layer.weight.base().grad(&gradients).unwrap();
        assert!(values(gradient).iter().all(|g| g.is_finite()));
    }

    #[test]
    fn records_carry_length_and_direction_and_clones_do_not_alias() {
        let device = Device::flex();
        let saved = layer(&device);
        let other = WeightNormConfig::new()
            .apply(LinearConfig::new(3, 2).init(&device))
            .unwrap();
        let before = values(other.weight.val());
        let loaded = other.clone().load_record(saved.clone().into_record());
        assert_eq!(values(loaded.weight.val()), values(saved.weight.val()));
        assert_eq!(values(other.weight.val()), before);
    }

    #[test]
    fn wrong_uses_are_errors() {
        let device = Device::flex();
        let plain = LinearConfig::new(3, 2).init(&device);
        let config = WeightNormConfig::new();
        let axis = config.clone().with_axis(WeightAxis::Axis(2));
        let error = axis.apply(plain.clone()).unwrap_err().to_string();
        assert!(error.contains("2 for weight [3, 2]"), "{error}");
        let twice = config.apply(layer(&device)).unwrap_err();
        assert!(matches!(twice, NormError::Reparametrized { .. }));
        let none = config.apply_where(plain, |_| false).unwrap_err();
        assert!(matches!(none, NormError::NothingSelected { .. }));
    }

    #[test]
    fn configurations_survive_serde() {
        let config = WeightNormConfig::new().with_axis(WeightAxis::Axis(1));
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<WeightNormConfig>(&json).unwrap(),
            config
        );
        assert!(serde_json::from_str::<WeightNormConfig>(r#"{"dim": 0}"#).is_err());
    }
}
