//! Weights that stay orthogonal.

use burn::module::{Module, Param, Reparameterization};
use burn::tensor::{Tensor, TensorData};
use firecraft_core_tensor::Buffer;
use serde::{Deserialize, Serialize};

use super::attach::Prepare;
use super::{WeightAxis, apply_to_models};
use crate::NormError;
use crate::precision::{cast, working};
use crate::weights::{Weight, split};

const LAYER: &str = "Orthogonal";

/// The configuration of an orthogonal weight, see [`OrthogonalWeight`].
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrthogonalConfig {
    /// The axis that becomes the rows of the matrix. Default: the output
    /// features.
    #[serde(default)]
    pub axis: WeightAxis,
}

impl OrthogonalConfig {
    /// torch's `orthogonal` with `orthogonal_map="matrix_exp"`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

setters!(OrthogonalConfig {
    /// Sets `axis`.
    with_axis(axis: WeightAxis);
});
apply_to_models!(OrthogonalConfig);

/// Keeps a weight, as a matrix with the output features as rows, orthogonal:
/// its rows are orthonormal if there are no more than columns, else its
/// columns are.
///
/// The stored parameter `base` is free, and `w = frame exp(A)`, where `A` is
/// the skew-symmetric matrix of the part of `base` below the diagonal. It
/// starts from 0 with the weight made orthogonal (by Gram and Schmidt) as
/// frame, so gradients near the start are those of the weight itself (Lezcano
/// Casado, *Trivializations for Gradient-Based Optimization on Manifolds*,
/// NeurIPS 2019).
///
/// # Cost
/// The exponential takes about a dozen products of `n × n` matrices in every
/// forward pass, `n` the longer side of the matrix, and reads one number back
/// from the device: meant for recurrent weights and heads, not for wide
/// convolutions.
///
/// ```
/// use burn::{nn::LinearConfig, tensor::Device};
/// use firecraft_norm::OrthogonalConfig;
///
/// let layer = LinearConfig::new(6, 4).init(&Device::flex());
/// let layer = OrthogonalConfig::new().apply(layer)?;
/// let w = layer.weight.val(); // [in, out]: four orthonormal columns
/// let gram = w.clone().transpose().matmul(w);
/// let error = (gram - burn::tensor::Tensor::eye(4, &Device::flex())).abs().max();
/// assert!(error.into_scalar::<f32>() < 1e-5);
/// # Ok::<(), firecraft_norm::NormError>(())
/// ```
#[derive(Module, Debug)]
pub struct OrthogonalWeight {
    /// The orthogonal matrix where training started, `[n, n]`.
    pub frame: Buffer<2>,
    #[module(skip)]
    axis: Option<usize>,
}

impl Reparameterization for OrthogonalWeight {
    const NAME: &'static str = "orthogonal";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let dims = base.dims();
        let dtype = base.dtype();
        let [before, rows, after] = split(&dims, self.axis);
        let columns = before * after;
        let base = cast(base, working(dtype)).reshape([before, rows, after]);
        let matrix = base.swap_dims(0, 1).reshape([rows, columns]);
        let wide = rows < columns;
        let tall = if wide { matrix.transpose() } else { matrix };
        let [n, k] = tall.dims();

        let mut lower = tall.tril(-1);
        if k < n {
            let rest = Tensor::zeros([n, n - k], (&lower.device(), lower.dtype()));
            lower = Tensor::cat(vec![lower, rest], 1);
        }
        let skew = lower.clone() - lower.transpose();
        let frame = cast(self.frame.value(), skew.dtype().into()).to_device(&skew.device());
        let tall = frame.matmul(exponential(skew)).narrow(1, 0, k);
        let matrix = if wide { tall.transpose() } else { tall };
        let weight = matrix.reshape([rows, before, after]).swap_dims(0, 1);
        cast(weight.reshape(dims), dtype.into())
    }
}

/// The exponential of a square matrix: a Taylor series of degree 8 on the
/// matrix halved until its norm is at most 1/2, where its error is below
/// 1e-8, and as many squarings.
fn exponential(matrix: Tensor<2>) -> Tensor<2> {
    const DEGREE: u32 = 8;
    let [n, _] = matrix.dims();
    let norm = matrix.clone().without_autodiff().abs().sum_dim(1).max();
    let norm = f64::from(norm.into_scalar::<f32>());
    let halvings = if norm.is_finite() && norm > 0.5 {
        (norm / 0.5).log2().ceil() as i32
    } else {
        0
    };
    let identity = Tensor::<2>::eye(n, &matrix.device());
    let identity = cast(identity, matrix.dtype().into());
    let small = matrix / 2_f64.powi(halvings);
    let mut sum = identity.clone();
    for term in (1..=DEGREE).rev() {
        sum = identity.clone() + small.clone().matmul(sum) / f64::from(term);
    }
    for _ in 0..halvings {
        sum = sum.clone().matmul(sum);
    }
    sum
}

/// An orthogonal `n × n` matrix, row-major, whose first columns are those of
/// `tall` (`n × k`, row-major) made orthonormal in turn. Columns that depend on
/// earlier ones, and all after the last, are replaced by unit vectors made
/// orthogonal.
fn complete(tall: &[f64], n: usize, k: usize) -> Vec<f64> {
    // As columns, each contiguous.
    let mut columns: Vec<Vec<f64>> = Vec::with_capacity(n);
    let given = (0..k).map(|j| (0..n).map(|i| tall[i * k + j]).collect::<Vec<f64>>());
    let mut units = (0..n).map(|j| (0..n).map(|i| f64::from(u8::from(i == j))).collect());
    for candidate in given {
        match orthonormal(candidate, &columns) {
            Some(column) => columns.push(column),
            // The space is not full yet, so one of the units has a part in it.
            None => columns.extend(units.by_ref().find_map(|u| orthonormal(u, &columns))),
        }
    }
    while columns.len() < n {
        let Some(column) = units.by_ref().find_map(|u| orthonormal(u, &columns)) else {
            break;
        };
        columns.push(column);
    }
    let at = |i: usize, j: usize| columns.get(j).map_or(0.0, |column| column[i]);
    (0..n * n).map(|index| at(index / n, index % n)).collect()
}

/// The part of a vector orthogonal to the columns, with length 1; `None` if
/// hardly anything of it is.
fn orthonormal(mut vector: Vec<f64>, columns: &[Vec<f64>]) -> Option<Vec<f64>> {
    let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let start = length(&vector);
    // Twice is enough for full orthogonality.
    for _ in 0..2 {
        for column in columns {
            let part: f64 = vector.iter().zip(column).map(|(x, c)| x * c).sum();
            for (x, c) in vector.iter_mut().zip(column) {
                *x -= part * c;
            }
        }
    }
    let left = length(&vector);
    if !left.is_finite() || left <= start * 1e-6 {
        return None;
    }
    for x in &mut vector {
        *x /= left;
    }
    Some(vector)
}

impl Prepare for OrthogonalConfig {
    const LAYER: &'static str = LAYER;
    type Reparam = OrthogonalWeight;

    fn check(&self, weight: &Weight) -> Result<(), NormError> {
        self.axis.of(LAYER, weight).map(|_| ())
    }

    fn prepare<const D: usize>(
        &self,
        weight: &Weight,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<OrthogonalWeight>) {
        let Ok(axis) = self.axis.of(LAYER, weight) else {
            return (param, None);
        };
        let value = param.val();
        let tracked = value.is_autodiff();
        let plain = value.without_autodiff();
        let dtype = plain.dtype();
        let device = plain.device();
        let [before, rows, after] = split(&weight.shape, axis);
        let columns = before * after;
        let matrix = plain.reshape([before, rows, after]).swap_dims(0, 1);
        let matrix = matrix.reshape([rows, columns]);
        let tall = if rows < columns {
            matrix.transpose()
        } else {
            matrix
        };
        let [n, k] = tall.dims();
        let Ok(values) = tall.try_into_vec_as::<f64>() else {
            return (param, None);
        };
        let frame = TensorData::new(complete(&values, n, k), [n, n]);
        let frame = Tensor::<2>::from_data(frame, (&device, working(dtype).into()));
        let frame = Buffer::new(if tracked { frame.autodiff() } else { frame });
        let param = param.map(|old| {
            let trained = old.is_require_grad();
            let zeros = old.without_autodiff().zeros_like();
            if tracked {
                zeros.autodiff().set_require_grad(trained)
            } else {
                zeros
            }
        });
        (param, Some(OrthogonalWeight { frame, axis }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::nn::conv::Conv1dConfig;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn defect(tall: Tensor<2>) -> f32 {
        let [_, k] = tall.dims();
        let gram = tall.clone().transpose().matmul(tall);
        (gram - Tensor::eye(k, &Device::flex()))
            .abs()
            .max()
            .into_scalar()
    }

    fn with_base(layer: Linear, value: Tensor<2>) -> Linear {
        let mut layer = layer;
        let norm = layer
            .weight
            .reparameterization::<OrthogonalWeight>()
            .unwrap();
        layer.weight = Param::from_tensor(norm.apply(value));
        layer
    }

    #[test]
    fn it_is_orthogonal_at_the_start_and_for_every_value_of_its_parameter() {
        let device = Device::flex();
        for (input, output) in [(5, 5), (7, 3), (3, 7)] {
            let layer = LinearConfig::new(input, output).init(&device);
            let layer = OrthogonalConfig::new().apply(layer).unwrap();
            let moved = with_base(layer.clone(), random([input, output], 3) * 2.0);
            for layer in [layer, moved] {
                let weight = layer.weight.val();
                let tall = if input < output {
                    weight.transpose()
                } else {
                    weight
                };
                assert!(defect(tall) < 2e-5, "{input} {output}");
            }
        }
        let conv = Conv1dConfig::new(3, 4, 5).init(&device);
        let conv = OrthogonalConfig::new().apply(conv).unwrap();
        assert!(defect(conv.weight.val().reshape([4, 15]).transpose()) < 1e-5);
    }

    #[test]
    fn an_orthogonal_weight_stays_as_it_is() {
        let device = Device::flex();
        let mut layer = LinearConfig::new(2, 2).init(&device);
        let rotation = Tensor::from_floats([[0.6, 0.8], [-0.8, 0.6]], &device);
        layer.weight = Param::from_tensor(rotation);
        let layer = OrthogonalConfig::new().apply(layer).unwrap();
        let weight = layer.weight.val().try_into_vec_as::<f32>().unwrap();
        for (got, want) in weight.iter().zip([0.6, 0.8, -0.8, 0.6]) {
            assert!((got - want).abs() < 1e-6, "{weight:?}");
        }
    }

    #[test]
    fn a_rank_deficient_weight_becomes_orthogonal_too() {
        let device = Device::flex();
        let mut layer = LinearConfig::new(4, 3).init(&device);
        layer.weight = Param::from_tensor(Tensor::ones([4, 3], &device));
        let layer = OrthogonalConfig::new().apply(layer).unwrap();
        assert!(defect(layer.weight.val()) < 1e-5);
    }

    #[test]
    fn the_exponential_of_a_large_rotation_is_exact() {
        let device = Device::flex();
        let angle = 9.0_f32;
        let skew = Tensor::from_floats([[0.0, -angle], [angle, 0.0]], &device);
        let got = exponential(skew).try_into_vec_as::<f32>().unwrap();
        let want = [angle.cos(), -angle.sin(), angle.sin(), angle.cos()];
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-5, "{got} is not {want}");
        }
    }
}
