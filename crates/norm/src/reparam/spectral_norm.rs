//! Spectral normalisation.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param, Reparameterization};
use burn::tensor::{Device, Tensor, TensorData};
use firecraft_core_tensor::{Buffer, Key, Mode, ModeCell};
use serde::{Deserialize, Serialize};

use super::attach::Prepare;
use super::{WeightAxis, apply_to_models};
use crate::precision::{cast, working};
use crate::weights::{Weight, split, weights};
use crate::{NormError, check};

const LAYER: &str = "SpectralNorm";

/// The configuration of spectral normalisation, see [`SpectralNorm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectralNormConfig {
    /// Steps of the power iteration in every forward pass of training, at
    /// least 1. Default 1.
    #[serde(default = "one")]
    pub power_iterations: usize,
    /// Steps made at once when the weight is reparametrised. Default 15
    /// (torch).
    #[serde(default = "fifteen")]
    pub initial_iterations: usize,
    /// Lengths below this are taken as this; finite and positive. Default
    /// 1e-12.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// The axis that becomes the rows of the matrix whose largest singular
    /// value is taken. Default: the output features.
    #[serde(default)]
    pub axis: WeightAxis,
    /// Where the first vectors are drawn from, with the path of the weight.
    /// Default 0.
    #[serde(default)]
    pub seed: u64,
}

fn one() -> usize {
    1
}
fn fifteen() -> usize {
    15
}
fn default_epsilon() -> f64 {
    1e-12
}

impl Default for SpectralNormConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl SpectralNormConfig {
    /// torch's `spectral_norm`: one step per forward pass.
    #[must_use]
    pub fn new() -> Self {
        Self {
            power_iterations: one(),
            initial_iterations: fifteen(),
            epsilon: default_epsilon(),
            axis: WeightAxis::Output,
            seed: 0,
        }
    }

    fn validate(&self) -> Result<(), NormError> {
        check::at_least_one(LAYER, "power_iterations", self.power_iterations)?;
        check::epsilon(LAYER, self.epsilon)
    }

    /// A vector of length one for a weight.
    fn draw(&self, name: &str, path: &str, length: usize, device: &Device) -> Tensor<1> {
        let key = Key::from_seed(self.seed).named(LAYER).named(path);
        let mut rng = key.named(name).rng();
        let values: Vec<f32> = (0..length).map(|_| rng.normal()).collect();
        let vector = Tensor::from_data(TensorData::new(values, [length]), device);
        unit(vector, self.epsilon)
    }
}

setters!(SpectralNormConfig {
    /// Sets `power_iterations`.
    with_power_iterations(power_iterations: usize);
    /// Sets `initial_iterations`.
    with_initial_iterations(initial_iterations: usize);
    /// Sets `epsilon`.
    with_epsilon(epsilon: f64);
    /// Sets `axis`.
    with_axis(axis: WeightAxis);
    /// Sets `seed`.
    with_seed(seed: u64);
});
apply_to_models!(SpectralNormConfig);

/// Divides a weight by its largest singular value, so that the layer is
/// 1-Lipschitz: `w = base / sigma`, `sigma = u' W v`, with `W` the weight as a
/// matrix and `u`, `v` the singular vectors that a power iteration approaches.
///
/// In training (mode and device as for [`ModeCell`]) every use of the weight
/// makes `power_iterations` steps, `u = W v / |W v|`, `v = W' u / |W' u|`, and
/// keeps the vectors; in evaluation they stay as they are, so evaluation is
/// deterministic. No gradient flows through `u` and `v`. A weight of zeros
/// stays zero. Miyato et al., *Spectral Normalization for Generative
/// Adversarial Networks*, ICLR 2018.
///
/// keras normalises the stored kernel instead and forgets its scale:
/// [`SpectralProjection`].
///
/// ```
/// use burn::{module::Module, nn::LinearConfig, tensor::Device};
/// use firecraft_norm::SpectralNormConfig;
///
/// let layer = LinearConfig::new(8, 8).init(&Device::flex());
/// let layer = SpectralNormConfig::new().with_initial_iterations(200).apply(layer)?;
/// let weight = layer.weight.val();
/// // The largest eigenvalue of W'W is 1 now, so their sum is at most 8.
/// let sum = weight.square().sum().into_scalar::<f32>();
/// assert!(sum > 0.99 && sum < 8.0);
/// # Ok::<(), firecraft_norm::NormError>(())
/// ```
#[derive(Module, Debug)]
pub struct SpectralNorm {
    /// The left singular vector, `[n]` for an axis of `n` entries.
    pub u: Buffer<1>,
    /// The right singular vector, over all other axes.
    pub v: Buffer<1>,
    /// Whether the vectors follow the weight.
    pub mode: ModeCell,
    #[module(skip)]
    axis: Option<usize>,
    #[module(skip)]
    config: SpectralNormConfig,
}

impl Reparameterization for SpectralNorm {
    const NAME: &'static str = "spectral_norm";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let dtype = base.dtype();
        let mode = self.mode.resolve(&base);
        let base = cast(base, working(dtype));
        let matrix = matrix(base.clone(), self.axis);
        let here = |buffer: &Buffer<1>| {
            cast(buffer.value(), matrix.dtype().into()).to_device(&matrix.device())
        };
        let (mut u, mut v) = (here(&self.u), here(&self.v));
        if mode == Mode::Train {
            let fixed = matrix.clone().without_autodiff();
            for _ in 0..self.config.power_iterations {
                u = unit(times(fixed.clone(), v.clone()), self.config.epsilon);
                v = unit(
                    times(fixed.clone().transpose(), u.clone()),
                    self.config.epsilon,
                );
            }
            self.u.set(u.clone());
            self.v.set(v.clone());
        }
        cast(base / sigma(matrix, u, v).reshape([1; D]), dtype.into())
    }
}

/// A weight as `[n, rest]`, the entries of the axis as rows.
fn matrix<const D: usize>(weight: Tensor<D>, axis: Option<usize>) -> Tensor<2> {
    let [before, entries, after] = split(&weight.dims(), axis);
    let weight = weight.reshape([before, entries, after]);
    weight.swap_dims(0, 1).reshape([entries, before * after])
}

fn times(matrix: Tensor<2>, vector: Tensor<1>) -> Tensor<1> {
    let [rows, columns] = matrix.dims();
    matrix.matmul(vector.reshape([columns, 1])).reshape([rows])
}

fn unit(vector: Tensor<1>, epsilon: f64) -> Tensor<1> {
    let length = vector.clone().square().sum().sqrt().clamp_min(epsilon);
    vector / length
}

/// `u' W v`, or 1 where it is 0.
fn sigma(matrix: Tensor<2>, u: Tensor<1>, v: Tensor<1>) -> Tensor<1> {
    let sigma = (u * times(matrix, v)).sum();
    let zero = sigma.clone().equal_elem(0.0);
    sigma.mask_fill(zero, 1.0)
}

impl Prepare for SpectralNormConfig {
    const LAYER: &'static str = LAYER;
    type Reparam = SpectralNorm;

    fn check(&self, weight: &Weight) -> Result<(), NormError> {
        self.validate()?;
        self.axis.of(LAYER, weight).map(|_| ())
    }

    fn prepare<const D: usize>(
        &self,
        weight: &Weight,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<SpectralNorm>) {
        let Ok(axis) = self.axis.of(LAYER, weight) else {
            return (param, None);
        };
        let value = param.val().without_autodiff();
        let dtype = working(value.dtype());
        let matrix = matrix(cast(value, dtype), axis);
        let [rows, columns] = matrix.dims();
        let device = matrix.device();
        let drawn = |name, length| cast(self.draw(name, &weight.path, length, &device), dtype);
        let (mut u, mut v) = (drawn("u", rows), drawn("v", columns));
        for _ in 0..self.initial_iterations {
            u = unit(times(matrix.clone(), v), self.epsilon);
            v = unit(times(matrix.clone().transpose(), u.clone()), self.epsilon);
        }
        let tracked = param.val().is_autodiff();
        let buffer =
            |vector: Tensor<1>| Buffer::new(if tracked { vector.autodiff() } else { vector });
        let norm = SpectralNorm {
            u: buffer(u),
            v: buffer(v),
            mode: ModeCell::default(),
            axis,
            config: self.clone(),
        };
        (param, Some(norm))
    }
}

/// Spectral normalisation in keras' manner: before a forward pass in training,
/// [`project`](Self::project) replaces the stored weights by themselves over
/// their largest singular value.
///
/// The weight itself then stays on the sphere, where [`SpectralNorm`] keeps
/// its scale. The vectors of the power iteration are kept here, by path:
/// keep the projection with the run.
///
/// ```
/// use burn::{nn::LinearConfig, tensor::{Device, Tensor}};
/// use firecraft_norm::{SpectralNormConfig, SpectralProjection};
///
/// let mut layer = LinearConfig::new(2, 2).init(&Device::flex());
/// let diagonal = Tensor::from_floats([[4.0, 0.0], [0.0, 1.0]], &Device::flex());
/// layer.weight = burn::module::Param::from_tensor(diagonal);
/// let config = SpectralNormConfig::new().with_power_iterations(20);
/// let mut projection = SpectralProjection::new(config)?;
/// let layer = projection.project(layer);
/// let weight = layer.weight.val().try_into_vec_as::<f32>().unwrap();
/// assert!((weight[0] - 1.0).abs() < 1e-5 && (weight[3] - 0.25).abs() < 1e-5);
/// # Ok::<(), firecraft_norm::NormError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SpectralProjection {
    config: SpectralNormConfig,
    vectors: BTreeMap<String, Tensor<1>>,
}

impl SpectralProjection {
    /// A projection whose vectors are drawn at the first call.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range, and for another
    /// axis than the output features.
    pub fn new(config: SpectralNormConfig) -> Result<Self, NormError> {
        config.validate()?;
        if config.axis != WeightAxis::Output {
            return Err(check::config(
                "SpectralProjection",
                "axis",
                format_args!("{:?}", config.axis),
                "the output features",
            ));
        }
        Ok(Self {
            config,
            vectors: BTreeMap::new(),
        })
    }

    /// Sets the vector of the weight at `path`, of the length of its output
    /// axis, instead of drawing it.
    #[must_use]
    pub fn with_vector(mut self, path: impl Into<String>, vector: Tensor<1>) -> Self {
        self.vectors.insert(path.into(), vector);
        self
    }

    /// The vector of the weight at `path`, once it is drawn or set.
    #[must_use]
    pub fn vector(&self, path: &str) -> Option<Tensor<1>> {
        self.vectors.get(path).cloned()
    }

    /// Normalises the weights of all linear layers and convolutions.
    #[must_use]
    pub fn project<M: Module>(&mut self, model: M) -> M {
        let found = weights(&model).into_iter();
        let found = found.filter(|w| w.layer != "Embedding" && !w.reparametrized);
        model.map(&mut Project {
            weights: found.map(|weight| (weight.path.clone(), weight)).collect(),
            path: Vec::new(),
            projection: self,
        })
    }

    fn project_one<const D: usize>(&mut self, weight: &Weight, value: Tensor<D>) -> Tensor<D> {
        let dtype = value.dtype();
        let value = cast(value, working(dtype));
        let matrix = matrix(value.clone(), Some(weight.output_axis));
        let rows = matrix.dims()[0];
        let known = self.vectors.get(&weight.path).cloned();
        let device = matrix.device();
        let u = known.unwrap_or_else(|| self.config.draw("u", &weight.path, rows, &device));
        let mut u = cast(u.to_device(&device), matrix.dtype().into());
        let mut v = u.clone();
        for _ in 0..self.config.power_iterations {
            v = unit(times(matrix.clone().transpose(), u), self.config.epsilon);
            u = unit(times(matrix.clone(), v.clone()), self.config.epsilon);
        }
        self.vectors.insert(weight.path.clone(), u.clone());
        cast(value / sigma(matrix, u, v).reshape([1; D]), dtype.into())
    }
}

struct Project<'a> {
    weights: BTreeMap<String, Weight>,
    path: Vec<String>,
    projection: &'a mut SpectralProjection,
}

impl ModuleMapper for Project<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(weight) = self.weights.get(&self.path.join(".")) else {
            return param;
        };
        param.map(|value| {
            let trained = value.is_require_grad();
            let tracked = value.is_autodiff();
            let value = self
                .projection
                .project_one(weight, value.without_autodiff());
            let value = if tracked { value.autodiff() } else { value };
            if tracked {
                value.set_require_grad(trained)
            } else {
                value
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::nn::conv::Conv2dConfig;
    use burn::nn::{Linear, LinearConfig};

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    fn layer(device: &Device) -> Linear {
        let mut layer = LinearConfig::new(3, 4).init(device);
        layer.weight = Param::from_tensor({
            let weight = random([3, 4], 2) * 3.0;
            if device.is_autodiff() {
                weight.autodiff()
            } else {
                weight
            }
        });
        // Few steps, so that the vectors have some way to go.
        let config = SpectralNormConfig::new().with_initial_iterations(2);
        config.apply(layer).unwrap()
    }

    fn vectors(layer: &Linear) -> [Vec<f32>; 2] {
        let norm = layer.weight.reparameterization::<SpectralNorm>().unwrap();
        [values(norm.u.value()), values(norm.v.value())]
    }

    #[test]
    fn the_largest_singular_value_becomes_one() {
        let device = Device::flex();
        let conv = Conv2dConfig::new([3, 5], [3, 3]).init(&device);
        let config = SpectralNormConfig::new().with_initial_iterations(300);
        let weight = config.apply(conv).unwrap().weight.val().reshape([5, 27]);
        let mut x = random([27, 1], 4);
        for _ in 0..300 {
            x = weight.clone().transpose().matmul(weight.clone().matmul(x));
            x = x.clone() / x.square().sum().sqrt().reshape([1, 1]);
        }
        let largest = weight.matmul(x).square().sum().sqrt().into_scalar::<f32>();
        assert!((largest - 1.0).abs() < 1e-4, "{largest}");
    }

    #[test]
    fn vectors_move_in_training_only_and_never_alias() {
        let device = Device::flex().autodiff();
        let layer = layer(&device);
        let snapshot = layer.clone();
        let before = vectors(&layer);
        let _ = layer.weight.val();
        let after = vectors(&layer);
        assert_ne!(before, after);
        assert_eq!(vectors(&snapshot), before);
        let valid = layer.valid();
        assert_eq!(values(valid.weight.val()), values(valid.weight.val()));
        assert_eq!(vectors(&valid), after);
        let training = valid.train();
        let _ = training.weight.val();
        assert_ne!(vectors(&training), after);
    }

    #[test]
    fn a_weight_of_zeros_stays_zero() {
        let device = Device::flex().autodiff();
        let mut layer = LinearConfig::new(3, 2).init(&device);
        layer.weight = Param::from_tensor(Tensor::zeros([3, 2], &device));
        let layer = SpectralNormConfig::new().apply(layer).unwrap();
        assert_eq!(values(layer.weight.val()), [0.0; 6]);
    }

    #[test]
    fn records_carry_the_vectors() {
        let device = Device::flex();
        let saved = layer(&device);
        let config = SpectralNormConfig::new().with_seed(3);
        let fresh = config.apply(LinearConfig::new(3, 4).init(&device)).unwrap();
        let loaded = fresh.load_record(saved.clone().into_record());
        assert_eq!(vectors(&loaded), vectors(&saved));
        assert_eq!(values(loaded.weight.val()), values(saved.weight.val()));
    }

    #[test]
    fn a_projected_weight_still_trains() {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(3, 2).init(&device);
        let mut projection = SpectralProjection::new(SpectralNormConfig::new()).unwrap();
        let layer = projection.project(layer);
        let gradients = layer.weight.val().sum().backward();
        assert!(layer.weight.val().grad(&gradients).is_some());
        assert_eq!(projection.vector("weight").unwrap().dims(), [2]);
    }

    #[test]
    fn wrong_configurations_are_errors() {
        let layer = LinearConfig::new(3, 2).init(&Device::flex());
        let none = SpectralNormConfig::new().with_power_iterations(0);
        assert!(none.apply(layer).is_err());
        let whole = SpectralNormConfig::new().with_axis(WeightAxis::Whole);
        assert!(SpectralProjection::new(whole).is_err());
    }
}
