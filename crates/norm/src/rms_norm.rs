//! Root-mean-square normalisation.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::kernels::{Kernels, Moments, group_norm};
use serde::{Deserialize, Serialize};

use crate::axes::Axes;
use crate::precision::{cast, working};
use crate::{NormError, affine, check, error::or_panic};

const LAYER: &str = "RmsNorm";

/// The configuration of an [`RmsNorm`] layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RmsNormConfig {
    /// The lengths of the axes that are normalised together, each at least 1.
    pub normalized_shape: Vec<usize>,
    /// Added to the mean square; finite and positive. Default 1e-6 (keras,
    /// timm, flax).
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// Whether to learn the factor `gamma`. Default true.
    #[serde(default = "default_true")]
    pub scale: bool,
    /// The first of the normalised axes; negative counts from the end.
    /// Default: the axes are the last ones.
    #[serde(default)]
    pub axis: Option<isize>,
    /// Which implementation computes it. Default the fastest.
    #[serde(default)]
    pub kernels: Kernels,
}

fn default_epsilon() -> f64 {
    1e-6
}
fn default_true() -> bool {
    true
}

impl RmsNormConfig {
    /// The normalisation of the last axes, epsilon 1e-6.
    #[must_use]
    pub fn new(normalized_shape: impl Into<Vec<usize>>) -> Self {
        Self {
            normalized_shape: normalized_shape.into(),
            epsilon: default_epsilon(),
            scale: true,
            axis: None,
            kernels: Kernels::Auto,
        }
    }

    /// torch's `RMSNorm` with its `eps=None` for `f32` input: epsilon
    /// 1.1920929e-7.
    #[must_use]
    pub fn torch(normalized_shape: impl Into<Vec<usize>>) -> Self {
        Self::new(normalized_shape).with_epsilon(f64::from(f32::EPSILON))
    }

    /// Sets `epsilon`.
    #[must_use]
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// Sets `scale`, torch's `elementwise_affine`.
    #[must_use]
    pub fn with_scale(self, scale: bool) -> Self {
        Self { scale, ..self }
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
    pub fn try_init(&self, device: &Device) -> Result<RmsNorm, NormError> {
        check::axes(LAYER, &self.normalized_shape)?;
        check::epsilon(LAYER, self.epsilon)?;
        let features = self.normalized_shape.iter().product();
        Ok(RmsNorm {
            gamma: affine::param(self.scale, features, 1.0, device),
            config: self.clone(),
        })
    }

    /// The layer on a device, in burn's manner.
    ///
    /// # Panics
    /// With the message of [`try_init`](Self::try_init)'s error.
    #[must_use]
    #[track_caller]
    pub fn init(&self, device: &Device) -> RmsNorm {
        or_panic(self.try_init(device))
    }
}

/// Divides the features of every sample, at every position, by the root of
/// their mean square: `y = x / sqrt(mean(x^2) + epsilon) * gamma`.
///
/// Cheaper than layer normalisation and about as good in transformers. The
/// same in training and evaluation; half precision is computed in `f32`.
/// An infinite feature becomes NaN and the others of its sample 0, since they
/// are divided by infinity; NaN makes its whole sample NaN. Records load from burn's `RmsNorm` and back. Zhang and Sennrich, *Root Mean
/// Square Layer Normalization*, NeurIPS 2019.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::RmsNormConfig;
///
/// let layer = RmsNormConfig::new([2]).init(&Device::flex());
/// let y = layer.forward(Tensor::<2>::from_floats([[1.0, 7.0]], &Device::flex()));
/// assert_eq!(y.try_into_vec_as::<f32>()?, [0.2, 1.4]);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// The learned factors, one per feature, row-major over several axes.
    pub gamma: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: RmsNormConfig,
}

impl RmsNorm {
    /// The configuration that the layer was made from.
    #[must_use]
    pub fn config(&self) -> &RmsNormConfig {
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
        let y = group_norm(
            rows.reshape([count, 1, features, 1]),
            gamma,
            None,
            Moments::MeanSquare,
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
    use burn::tensor::FloatDType;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    #[test]
    fn every_position_is_normalised_over_the_channels() {
        let device = Device::flex();
        let x = Tensor::<3>::from_floats([[[1.0, 3.0], [7.0, 4.0]]], &device);
        let layer = RmsNormConfig::new([2]).with_axis(1).init(&device);
        let want = [
            1.0 / 5.0,
            3.0 / 12.5_f32.sqrt(),
            7.0 / 5.0,
            4.0 / 12.5_f32.sqrt(),
        ];
        for (got, want) in values(layer.forward(x)).iter().zip(want) {
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
    }

    #[test]
    fn half_precision_does_not_overflow() {
        let x = Tensor::<2>::from_floats([[60000.0, -60000.0]], &Device::flex());
        let layer = RmsNormConfig::new([2]).init(&Device::flex());
        assert_eq!(values(layer.forward(x.cast(FloatDType::F16))), [1.0, -1.0]);
    }

    #[test]
    fn infinity_leaves_zeros_and_nan_nothing() {
        let device = Device::flex();
        for kernels in [Kernels::Auto, Kernels::Composite] {
            let layer = RmsNormConfig::new([3]).with_kernels(kernels).init(&device);
            let (inf, nan) = (f32::INFINITY, f32::NAN);
            let x = [[1.0, inf, 2.0], [nan, 1.0, 2.0], [2.0, 2.0, 2.0]];
            let y = values(layer.forward(Tensor::<2>::from_floats(x, &device)));
            assert_eq!((y[0], y[2]), (0.0, 0.0));
            assert!(y[1].is_nan() && y[3..6].iter().all(|y| y.is_nan()));
            assert!(y[6..].iter().all(|y| (y - 1.0).abs() < 1e-6), "{y:?}");
        }
    }

    #[test]
    fn records_load_from_burns_layer() {
        let device = Device::flex();
        let burns = burn::nn::RmsNormConfig::new(3)
            .with_epsilon(1e-6)
            .init(&device);
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 4.0]], &device);
        let want = values(burns.forward(x.clone()));
        let layer = RmsNormConfig::new([3]).init(&device);
        let got = values(layer.load_record(burns.into_record()).forward(x));
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-6);
        }
    }

    #[test]
    fn wrong_shapes_and_configurations_are_errors() {
        let device = Device::flex();
        let layer = RmsNormConfig::new([3]).init(&device);
        assert!(
            layer
                .try_forward(Tensor::<2>::zeros([3, 2], &device))
                .is_err()
        );
        let negative = RmsNormConfig::new([3]).with_epsilon(-1.0);
        assert!(negative.try_init(&device).is_err());
    }
}
