//! Division by the standard deviation alone.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::axes::Axes;
use crate::precision::{cast, working};
use crate::{NormError, affine, check};

const LAYER: &str = "SimpleNorm";

/// The configuration of a [`SimpleNorm`] layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimpleNormConfig {
    /// The lengths of the axes that are normalised together, with at least two
    /// elements.
    pub normalized_shape: Vec<usize>,
    /// Added to the variance; finite and positive. Default 1e-6 (timm).
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// Whether to learn the factor `gamma`. Default true.
    #[serde(default = "default_true")]
    pub scale: bool,
    /// The first of the normalised axes; negative counts from the end.
    /// Default: the axes are the last ones.
    #[serde(default)]
    pub axis: Option<isize>,
}

fn default_epsilon() -> f64 {
    1e-6
}
fn default_true() -> bool {
    true
}

impl SimpleNormConfig {
    /// timm's `SimpleNorm` over the last axes.
    #[must_use]
    pub fn new(normalized_shape: impl Into<Vec<usize>>) -> Self {
        Self {
            normalized_shape: normalized_shape.into(),
            epsilon: default_epsilon(),
            scale: true,
            axis: None,
        }
    }

    /// The layer on a device.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<SimpleNorm, NormError> {
        check::axes(LAYER, &self.normalized_shape)?;
        check::epsilon(LAYER, self.epsilon)?;
        let features: usize = self.normalized_shape.iter().product();
        if features < 2 {
            return Err(check::config(
                LAYER,
                "normalized_shape",
                format_args!("{:?}", self.normalized_shape),
                "at least two elements, whose unbiased variance exists",
            ));
        }
        Ok(SimpleNorm {
            gamma: affine::param(self.scale, features, 1.0, device),
            config: self.clone(),
        })
    }
}

setters!(SimpleNormConfig {
    /// Sets `epsilon`.
    with_epsilon(epsilon: f64);
    /// Sets `scale`.
    with_scale(scale: bool);
    /// Sets the first of the normalised axes: 1 for the channels of
    /// `[N, C, H, W]`.
    with_axis(axis: isize);
});
init_in_burns_manner!(SimpleNormConfig => SimpleNorm);
forward_in_burns_manner!(SimpleNorm, SimpleNormConfig);

/// Divides the features of every sample, at every position, by their standard
/// deviation and leaves their mean: `y = x / sqrt(variance + epsilon) * gamma`,
/// with the unbiased variance, as in timm.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::SimpleNormConfig;
///
/// let layer = SimpleNormConfig::new([2]).with_epsilon(1e-12).init(&Device::flex());
/// let y = layer.forward(Tensor::<2>::from_floats([[3.0, 5.0]], &Device::flex()));
/// let y = y.try_into_vec_as::<f32>()?; // variance 2
/// assert!((y[0] - 3.0 / 2_f32.sqrt()).abs() < 1e-6);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Module, Debug)]
pub struct SimpleNorm {
    /// The learned factors, one per feature, row-major over several axes.
    pub gamma: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: SimpleNormConfig,
}

impl SimpleNorm {
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
        let shift = rows.clone().without_autodiff().mean_dim(1);
        let shifted = rows.clone() - shift;
        let centred = shifted.clone() - shifted.mean_dim(1);
        let unbiased = features as f64 / (features - 1) as f64;
        let variance = centred.square().mean_dim(1).mul_scalar(unbiased);
        let y = rows * variance.add_scalar(self.config.epsilon).sqrt().recip();
        let y = y.reshape([count, features, 1]);
        let y = affine::apply(y, &self.gamma, &None).reshape([count, features]);
        Ok(axes.restore(cast(y, dtype.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_stays_and_scaling_the_input_changes_nothing() {
        let device = Device::flex();
        let layer = SimpleNormConfig::new([3]).with_epsilon(1e-12).init(&device);
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 6.0]], &device);
        let y = layer.forward(x.clone()).try_into_vec_as::<f32>().unwrap();
        let z = layer.forward(x * 10.0).try_into_vec_as::<f32>().unwrap();
        for i in 0..3 {
            assert!((y[i] - [1.0, 2.0, 6.0][i] / 7_f32.sqrt()).abs() < 1e-6);
            assert!((y[i] - z[i]).abs() < 1e-6);
        }
    }

    #[test]
    fn one_feature_has_no_variance() {
        assert!(
            SimpleNormConfig::new([1])
                .try_init(&Device::flex())
                .is_err()
        );
    }
}
