//! Normalisation to length one.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::precision::{cast, working};
use crate::{NormError, check};

const LAYER: &str = "UnitNorm";

/// The configuration of a [`UnitNorm`] layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitNormConfig {
    /// The axes over which the length is taken; negative counts from the end.
    /// Default: the last one.
    #[serde(default = "last_axis")]
    pub axes: Vec<isize>,
    /// The order of the length, at least 1; infinity is the largest absolute
    /// value. Default 2, the Euclidean length.
    #[serde(default = "two")]
    pub p: f64,
    /// Lengths below this are taken as this; finite and positive. Default
    /// 1e-12 (torch).
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
}

fn last_axis() -> Vec<isize> {
    vec![-1]
}
fn two() -> f64 {
    2.0
}
fn default_epsilon() -> f64 {
    1e-12
}

impl Default for UnitNormConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl UnitNormConfig {
    /// torch's `F.normalize` over the last axis: Euclidean, epsilon 1e-12.
    /// (torch's own default is axis 1.)
    #[must_use]
    pub fn new() -> Self {
        Self {
            axes: last_axis(),
            p: 2.0,
            epsilon: default_epsilon(),
        }
    }

    /// keras' `UnitNormalization`: squares below 1e-12, so lengths below 1e-6.
    #[must_use]
    pub fn keras() -> Self {
        Self::new().with_epsilon(1e-6)
    }

    /// Sets one axis.
    #[must_use]
    pub fn with_axis(self, axis: isize) -> Self {
        self.with_axes([axis])
    }

    /// The layer. It has no parameters; the device is not used.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, _device: &Device) -> Result<UnitNorm, NormError> {
        check::epsilon(LAYER, self.epsilon)?;
        if self.p.is_nan() || self.p < 1.0 {
            return Err(check::config(LAYER, "p", self.p, "at least 1"));
        }
        if self.axes.is_empty() {
            return Err(check::config(LAYER, "axes", "[]", "one axis or more"));
        }
        Ok(UnitNorm {
            config: self.clone(),
        })
    }
}

setters!(UnitNormConfig {
    /// Sets `axes`.
    with_axes(axes: impl Into<Vec<isize>>);
    /// Sets `p`.
    with_p(p: f64);
    /// Sets `epsilon`.
    with_epsilon(epsilon: f64);
});
init_in_burns_manner!(UnitNormConfig => UnitNorm);
forward_in_burns_manner!(UnitNorm, UnitNormConfig);

/// Divides every vector along the axes by its length:
/// `y = x / max(|x|_p, epsilon)` with `|x|_p = (sum |x_i|^p)^(1/p)`.
///
/// A zero vector stays zero, with finite gradients.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::UnitNormConfig;
///
/// let layer = UnitNormConfig::new().init(&Device::flex());
/// let y = layer.forward(Tensor::<2>::from_floats([[3.0, 4.0]], &Device::flex()));
/// assert_eq!(y.try_into_vec_as::<f32>()?, [0.6, 0.8]);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Module, Debug)]
pub struct UnitNorm {
    #[module(skip)]
    config: UnitNormConfig,
}

impl UnitNorm {
    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// [`NormError::Rank`] if `x` does not have the configured axes.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let config = &self.config;
        let mut axes = Vec::with_capacity(config.axes.len());
        for axis in &config.axes {
            let resolved = if *axis < 0 {
                D.checked_add_signed(*axis)
            } else {
                Some(axis.unsigned_abs()).filter(|axis| *axis < D)
            };
            axes.push(resolved.ok_or_else(|| NormError::Rank {
                layer: LAYER,
                shape: x.dims().to_vec(),
                expected: "the configured axes",
            })?);
        }
        let dtype = x.dtype();
        let x = cast(x, working(dtype));
        let length = self.length(x.clone(), &axes);
        Ok(cast(x / length, dtype.into()))
    }

    /// The lengths, at least `epsilon`. The sum is bounded before the root,
    /// whose slope at zero is infinite.
    fn length<const D: usize>(&self, x: Tensor<D>, axes: &[usize]) -> Tensor<D> {
        let UnitNormConfig { p, epsilon, .. } = self.config;
        let least = |power: f64| epsilon.powf(power).max(f64::from(f32::MIN_POSITIVE));
        if p == 2.0 {
            x.square().sum_dims(axes).clamp_min(least(2.0)).sqrt()
        } else if p == 1.0 {
            x.abs().sum_dims(axes).clamp_min(epsilon)
        } else if p.is_infinite() {
            x.max_abs_dims(axes).clamp_min(epsilon)
        } else {
            let sum = x.abs().powf_scalar(p).sum_dims(axes);
            sum.clamp_min(least(p)).powf_scalar(1.0 / p)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    #[test]
    fn every_order_divides_by_its_length() {
        let x = Tensor::<2>::from_floats([[1.0, -2.0, 2.0]], &Device::flex());
        for (p, length) in [
            (1.0, 5.0),
            (2.0, 3.0),
            (3.0, 17.0_f32.powf(1.0 / 3.0)),
            (f64::INFINITY, 2.0),
        ] {
            let layer = UnitNormConfig::new().with_p(p).init(&Device::flex());
            for (got, x) in values(layer.forward(x.clone()))
                .iter()
                .zip([1.0, -2.0, 2.0])
            {
                assert!((got - x / length).abs() < 1e-6, "p {p}: {got}");
            }
        }
    }

    #[test]
    fn a_zero_vector_stays_zero_with_finite_gradients() {
        let device = Device::flex().autodiff();
        for p in [1.0, 2.0, 3.0] {
            let x = Tensor::<2>::zeros([1, 3], &device).require_grad();
            let y = UnitNormConfig::keras()
                .with_p(p)
                .init(&device)
                .forward(x.clone());
            assert_eq!(values(y.clone()), [0.0; 3]);
            let gradients = y.sum().backward();
            let gradient = values(x.grad(&gradients).unwrap());
            assert!(
                gradient.iter().all(|g| g.is_finite()),
                "p {p}: {gradient:?}"
            );
        }
    }

    #[test]
    fn several_axes_are_one_vector() {
        let x = Tensor::<3>::ones([2, 3, 3], &Device::flex());
        let layer = UnitNormConfig::new()
            .with_axes([1, 2])
            .init(&Device::flex());
        for y in values(layer.forward(x)) {
            assert!((y - 1.0 / 3.0).abs() < 1e-6);
        }
    }

    #[test]
    fn wrong_axes_and_orders_are_errors() {
        let device = Device::flex();
        let x = Tensor::<1>::ones([2], &device);
        assert!(
            UnitNormConfig::new()
                .with_axis(1)
                .init(&device)
                .try_forward(x)
                .is_err()
        );
        assert!(UnitNormConfig::new().with_p(0.5).try_init(&device).is_err());
        assert!(
            UnitNormConfig::new()
                .with_p(f64::NAN)
                .try_init(&device)
                .is_err()
        );
        assert!(
            UnitNormConfig::new()
                .with_axes([])
                .try_init(&device)
                .is_err()
        );
    }
}
