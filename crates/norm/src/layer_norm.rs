//! Layer normalisation.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::kernels::{Kernels, Moments, group_norm};
use serde::{Deserialize, Serialize};

use crate::axes::Axes;
use crate::precision::{cast, working};
use crate::{NormError, affine, check, error::or_panic};

const LAYER: &str = "LayerNorm";

/// The configuration of a [`LayerNorm`] layer.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::LayerNormConfig;
///
/// let device = Device::flex();
/// // A transformer's [batch, position, feature]:
/// let layer = LayerNormConfig::new([4]).init(&device);
/// let y = layer.forward(Tensor::<3>::ones([2, 7, 4], &device));
/// // The channels of an image [N, C, H, W], at every position:
/// let layer = LayerNormConfig::new([3]).with_axis(1).init(&device);
/// let y = layer.forward(Tensor::<4>::ones([2, 3, 8, 8], &device));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNormConfig {
    /// The lengths of the axes that are normalised together, each at least 1.
    pub normalized_shape: Vec<usize>,
    /// Added to the variance; finite and positive. Default 1e-5 (torch;
    /// keras 1e-3, timm and flax 1e-6).
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// Whether to learn the factor `gamma`. Default true.
    #[serde(default = "default_true")]
    pub scale: bool,
    /// Whether to learn the offset `beta`. Default true.
    #[serde(default = "default_true")]
    pub center: bool,
    /// The first of the normalised axes; negative counts from the end.
    /// Default: the axes are the last ones.
    #[serde(default)]
    pub axis: Option<isize>,
    /// Which implementation computes it. Default the fastest.
    #[serde(default)]
    pub kernels: Kernels,
}

fn default_epsilon() -> f64 {
    1e-5
}
fn default_true() -> bool {
    true
}

impl LayerNormConfig {
    /// torch's `LayerNorm` over the last axes: epsilon 1e-5, factor and offset.
    #[must_use]
    pub fn new(normalized_shape: impl Into<Vec<usize>>) -> Self {
        Self {
            normalized_shape: normalized_shape.into(),
            epsilon: default_epsilon(),
            scale: true,
            center: true,
            axis: None,
            kernels: Kernels::Auto,
        }
    }

    /// keras' `LayerNormalization`: epsilon 1e-3.
    #[must_use]
    pub fn keras(normalized_shape: impl Into<Vec<usize>>) -> Self {
        Self::new(normalized_shape).with_epsilon(1e-3)
    }

    /// Sets `epsilon`.
    #[must_use]
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// Sets `scale` and `center` together, torch's `elementwise_affine`.
    #[must_use]
    pub fn with_affine(self, affine: bool) -> Self {
        self.with_scale(affine).with_center(affine)
    }

    /// Sets `scale`.
    #[must_use]
    pub fn with_scale(self, scale: bool) -> Self {
        Self { scale, ..self }
    }

    /// Sets `center`.
    #[must_use]
    pub fn with_center(self, center: bool) -> Self {
        Self { center, ..self }
    }

    /// Sets the first of the normalised axes: 1 for the channels of
    /// `[N, C, H, W]`.
    #[must_use]
    pub fn with_axis(self, axis: isize) -> Self {
        Self {
            axis: Some(axis),
            ..self
        }
    }

    /// Sets `kernels`.
    #[must_use]
    pub fn with_kernels(self, kernels: Kernels) -> Self {
        Self { kernels, ..self }
    }

    /// The layer on a device.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<LayerNorm, NormError> {
        check::axes(LAYER, &self.normalized_shape)?;
        check::epsilon(LAYER, self.epsilon)?;
        let features = self.normalized_shape.iter().product();
        Ok(LayerNorm {
            gamma: affine::param(self.scale, features, 1.0, device),
            beta: affine::param(self.center, features, 0.0, device),
            config: self.clone(),
        })
    }

    /// The layer on a device, in burn's manner.
    ///
    /// # Panics
    /// With the message of [`try_init`](Self::try_init)'s error.
    #[must_use]
    #[track_caller]
    pub fn init(&self, device: &Device) -> LayerNorm {
        or_panic(self.try_init(device))
    }
}

/// Normalises the features of every sample, at every position, by their own
/// mean and biased variance:
/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`.
///
/// The same in training and evaluation, and independent of the batch. Half
/// precision is computed in `f32`; a mean that is large against the spread
/// costs no digits; non-finite input makes its own row non-finite. Records load
/// from burn's `LayerNorm` and back. Ba, Kiros and Hinton, *Layer
/// Normalization*, 2016.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::LayerNormConfig;
///
/// let layer = LayerNormConfig::new([2]).init(&Device::flex());
/// let y = layer.forward(Tensor::<2>::from_floats([[1.0, 3.0]], &Device::flex()));
/// assert_eq!(y.try_into_vec_as::<f32>()?, [-0.999995, 0.999995]);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// The learned factors, one per feature, row-major over several axes.
    pub gamma: Option<Param<Tensor<1>>>,
    /// The learned offsets, one per feature, row-major over several axes.
    pub beta: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: LayerNormConfig,
}

impl LayerNorm {
    /// The configuration that the layer was made from.
    #[must_use]
    pub fn config(&self) -> &LayerNormConfig {
        &self.config
    }

    /// Normalises `x`; the output has the same shape.
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
    /// [`NormError`] if the normalised axes of `x` don't have the configured
    /// lengths.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let lengths = &self.config.normalized_shape;
        let first = self.config.axis.unwrap_or(-(lengths.len() as isize));
        let axes = Axes::new(LAYER, x.dims(), first, lengths)?;
        if x.shape().num_elements() == 0 {
            return Ok(x);
        }
        let dtype = x.dtype();
        let rows = cast(axes.to_rows(x), working(dtype));
        let [count, features] = rows.dims();
        let gamma = affine::value(&self.gamma, rows.dtype());
        let beta = affine::value(&self.beta, rows.dtype());
        let y = group_norm(
            rows.reshape([count, 1, features, 1]),
            gamma,
            beta,
            Moments::MeanAndVariance,
            self.config.epsilon,
            self.config.kernels,
        );
        let y = y.output.reshape([count, features]);
        Ok(axes.restore(cast(y, dtype.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{FloatDType, TensorData};

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    #[test]
    fn every_position_is_normalised_over_the_channels() {
        let device = Device::flex();
        let x = Tensor::<3>::from_floats([[[1.0, 10.0], [3.0, 30.0]]], &device);
        let layer = LayerNormConfig::new([2]).with_axis(1).init(&device);
        let y = values(layer.forward(x));
        for (got, want) in y.iter().zip([-1.0, -1.0, 1.0, 1.0]) {
            assert!((got - want).abs() < 1e-5, "{got} is not {want}");
        }
    }

    #[test]
    fn several_axes_are_normalised_together() {
        let device = Device::flex();
        let x = Tensor::<3>::from_floats([[[1.0, 2.0], [3.0, 4.0]]], &device);
        let layer = LayerNormConfig::new([2, 2]).init(&device);
        let y = values(layer.forward(x));
        let unit = 1.0 / 1.25_f32.sqrt();
        for (got, want) in y.iter().zip([-1.5, -0.5, 0.5, 1.5]) {
            assert!((got - want * unit).abs() < 1e-5);
        }
    }

    #[test]
    fn a_row_of_equal_values_gives_beta_and_finite_gradients() {
        let device = Device::flex().autodiff();
        let layer = LayerNormConfig::new([4]).init(&device);
        let x = Tensor::<2>::full([2, 4], 3.0, &device).require_grad();
        let y = layer.forward(x.clone());
        assert_eq!(values(y.clone()), [0.0; 8]);
        let gradients = (y * Tensor::from_floats([[1.0, 2.0, 3.0, 4.0]], &device)).sum();
        let gradient = values(x.grad(&gradients.backward()).unwrap());
        assert!(gradient.iter().all(|g| g.is_finite()));
    }

    #[test]
    fn a_large_mean_costs_no_digits() {
        let device = Device::flex();
        let spread = [-1.5, -0.5, 0.5, 1.5];
        let x: Vec<f32> = spread.iter().map(|s| 1e4 + s).collect();
        let x = Tensor::<2>::from_data(TensorData::new(x, [1, 4]), &device);
        let y = values(LayerNormConfig::new([4]).init(&device).forward(x));
        for (got, s) in y.iter().zip(spread) {
            let want = f64::from(s) / (1.25_f64 + 1e-5).sqrt();
            assert!((f64::from(*got) - want).abs() < 2e-7);
        }
    }

    #[test]
    fn half_precision_does_not_overflow() {
        let x = Tensor::<2>::from_floats([[60000.0, -60000.0]], &Device::flex());
        let layer = LayerNormConfig::new([2]).init(&Device::flex());
        let y = layer.forward(x.cast(FloatDType::F16));
        assert_eq!(y.dtype(), FloatDType::F16.into());
        assert_eq!(values(y), [1.0, -1.0]);
    }

    #[test]
    fn records_load_from_burns_layer() {
        let device = Device::flex();
        let burns = burn::nn::LayerNormConfig::new(3).init(&device);
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 4.0]], &device);
        let want = values(burns.forward(x.clone()));
        let layer = LayerNormConfig::new([3]).init(&device);
        let got = values(layer.load_record(burns.into_record()).forward(x));
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-6);
        }
    }

    #[test]
    fn wrong_shapes_and_configurations_are_errors() {
        let device = Device::flex();
        let layer = LayerNormConfig::new([3]).init(&device);
        assert!(
            layer
                .try_forward(Tensor::<2>::zeros([3, 2], &device))
                .is_err()
        );
        assert!(LayerNormConfig::new([]).try_init(&device).is_err());
        assert!(LayerNormConfig::new([0]).try_init(&device).is_err());
        let zero = LayerNormConfig::new([3]).with_epsilon(0.0);
        assert!(zero.try_init(&device).is_err());
        let empty = TensorData::new(Vec::<f32>::new(), [0, 3]);
        let y = layer.forward(Tensor::<2>::from_data(empty, &device));
        assert_eq!(y.dims(), [0, 3]);
    }
}
