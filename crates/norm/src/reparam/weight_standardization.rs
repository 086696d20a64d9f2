//! Weight standardisation, plain and scaled.

use burn::module::{Module, Param, Reparameterization};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::attach::Prepare;
use super::{WeightAxis, apply_to_models};
use crate::precision::{cast, working};
use crate::weights::{Weight, split};
use crate::{NormError, check};

const LAYER: &str = "WeightStandardization";

/// The configuration of weight standardisation, see [`WeightStandardization`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightStandardizationConfig {
    /// Added to the variance; finite and positive. Default 1e-6 (timm).
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// What the gain of the activation before, `gamma`, is in the scaled form;
    /// `None` is the plain form. Default `None`.
    #[serde(default)]
    pub gamma: Option<f64>,
    /// What the learned gains of the scaled form start from. Default 1.
    #[serde(default = "one")]
    pub initial_gain: f64,
    /// The axis whose entries are standardised each. Default: the output
    /// features.
    #[serde(default)]
    pub axis: WeightAxis,
}

fn default_epsilon() -> f64 {
    1e-6
}
fn one() -> f64 {
    1.0
}

impl Default for WeightStandardizationConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl WeightStandardizationConfig {
    /// timm's `StdConv2d`: mean 0 and variance 1 for every output feature.
    #[must_use]
    pub fn new() -> Self {
        Self {
            epsilon: default_epsilon(),
            gamma: None,
            initial_gain: one(),
            axis: WeightAxis::Output,
        }
    }

    /// timm's `ScaledStdConv2d`, for networks without normalisation (NFNet):
    /// variance `gamma^2 / fan_in` times a learned gain, so that the layer
    /// keeps the variance of its input. `gamma` is the gain of the activation
    /// before the layer: 1 for none, about 1.7139588594436646 for ReLU.
    #[must_use]
    pub fn scaled(gamma: f64) -> Self {
        Self {
            gamma: Some(gamma),
            ..Self::new()
        }
    }
}

setters!(WeightStandardizationConfig {
    /// Sets `epsilon`.
    with_epsilon(epsilon: f64);
    /// Sets `initial_gain`.
    with_initial_gain(initial_gain: f64);
    /// Sets `axis`.
    with_axis(axis: WeightAxis);
});
apply_to_models!(WeightStandardizationConfig);

/// Gives the weights of every output feature mean 0 and variance 1:
/// `w = (base - mean) / sqrt(variance + epsilon)`, in the scaled form times
/// `gain * gamma / sqrt(fan_in)`, with a learned `gain` per output feature.
///
/// Plain, it goes with group normalisation, whose statistics no longer drift
/// with those of the weights (Qiao et al., *Micro-Batch Training with
/// Batch-Channel Normalization and Weight Standardization*, 2019; "ResNetV2
/// with GroupNorm and StdConv" in BiT). Scaled, it replaces normalisation (Brock
/// et al., *Characterizing signal propagation to close the performance gap in
/// unnormalized ResNets*, ICLR 2021). An output feature whose weights are all
/// equal becomes zero.
///
/// ```
/// use burn::{nn::conv::Conv2dConfig, tensor::Device};
/// use firecraft_norm::WeightStandardizationConfig;
///
/// let conv = Conv2dConfig::new([3, 8], [3, 3]).init(&Device::flex());
/// let conv = WeightStandardizationConfig::new().apply(conv)?;
/// let weight = conv.weight.val().reshape([8, 27]);
/// assert!(weight.clone().mean_dim(1).abs().max().into_scalar::<f32>() < 1e-5);
/// assert!((weight.square().mean().into_scalar::<f32>() - 1.0).abs() < 1e-3);
/// # Ok::<(), firecraft_norm::NormError>(())
/// ```
#[derive(Module, Debug)]
pub struct WeightStandardization {
    /// The learned gains of the scaled form, one per output feature.
    pub gain: Option<Param<Tensor<1>>>,
    #[module(skip)]
    axis: Option<usize>,
    #[module(skip)]
    config: WeightStandardizationConfig,
}

impl Reparameterization for WeightStandardization {
    const NAME: &'static str = "weight_standardization";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let dims = base.dims();
        let dtype = base.dtype();
        let view = split(&dims, self.axis);
        let weight = cast(base, working(dtype)).reshape(view);
        let mean = |w: Tensor<3>| w.mean_dim(2).mean_dim(0);
        let centred = weight.clone() - mean(weight);
        let variance = mean(centred.clone().square());
        let mut scale = variance.add_scalar(self.config.epsilon).sqrt().recip();
        if let Some(gain) = &self.gain {
            let gain = cast(gain.val(), working(dtype)).reshape([1, view[1], 1]);
            let fan_in = (view[0] * view[2]) as f64;
            let gamma = self.config.gamma.unwrap_or(1.0);
            scale = scale * gain * (gamma / fan_in.sqrt());
        }
        cast((centred * scale).reshape(dims), dtype.into())
    }
}

impl Prepare for WeightStandardizationConfig {
    const LAYER: &'static str = LAYER;
    type Reparam = WeightStandardization;

    fn check(&self, weight: &Weight) -> Result<(), NormError> {
        check::epsilon(LAYER, self.epsilon)?;
        check::finite(LAYER, "initial_gain", self.initial_gain)?;
        if let Some(gamma) = self.gamma {
            check::finite(LAYER, "gamma", gamma)?;
        }
        self.axis.of(LAYER, weight).map(|_| ())
    }

    fn prepare<const D: usize>(
        &self,
        weight: &Weight,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<WeightStandardization>) {
        let Ok(axis) = self.axis.of(LAYER, weight) else {
            return (param, None);
        };
        let entries = split(&weight.shape, axis)[1];
        let value = param.val();
        let gain = self.gamma.map(|_| {
            let gain = Tensor::full([entries], self.initial_gain, &value.device());
            let gain = Param::from_tensor(cast(gain, value.dtype().into()));
            if value.is_autodiff() {
                gain.set_require_grad(value.is_require_grad())
            } else {
                gain
            }
        });
        let standardization = WeightStandardization {
            gain,
            axis,
            config: self.clone(),
        };
        (param, Some(standardization))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::Device;

    #[test]
    fn the_scaled_form_keeps_the_variance_of_its_input() {
        let device = Device::flex();
        let conv = Conv2dConfig::new([16, 32], [3, 3])
            .with_bias(false)
            .init(&device);
        let conv = WeightStandardizationConfig::scaled(1.0)
            .apply(conv)
            .unwrap();
        let y = conv.forward(random([4, 16, 12, 12], 8));
        let power = y.square().mean().into_scalar::<f32>();
        assert!((power - 1.0).abs() < 0.15, "{power}");
    }

    #[test]
    fn equal_weights_become_zero() {
        let device = Device::flex();
        let mut conv = Conv2dConfig::new([1, 1], [2, 2]).init(&device);
        conv.weight = Param::from_tensor(Tensor::full([1, 1, 2, 2], 3.0, &device));
        let conv = WeightStandardizationConfig::new().apply(conv).unwrap();
        let weight = conv.weight.val().try_into_vec_as::<f32>().unwrap();
        assert_eq!(weight, [0.0; 4]);
    }

    #[test]
    fn wrong_configurations_are_errors() {
        let device = Device::flex();
        let plain = Conv2dConfig::new([1, 1], [2, 2]).init(&device);
        let nan = WeightStandardizationConfig::scaled(f64::NAN);
        assert!(nan.apply(plain.clone()).is_err());
        let zero = WeightStandardizationConfig::new().with_epsilon(0.0);
        assert!(zero.apply(plain).is_err());
    }
}
