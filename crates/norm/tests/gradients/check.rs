//! Central differences of a layer's loss in its input and its parameters.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use firecraft_core_tensor::Key;

/// Error of a central difference in `f64`, with this step, for functions whose
/// derivatives are of the order of 1.
const STEP: f64 = 1e-5;
const DOUBLE: f64 = 1e-6;

/// Error of a gradient that was computed in `f32`.
const SINGLE: f64 = 2e-4;

/// The device on which the layers that are checked must be.
pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

/// Checks the gradients of `sum(forward(layer, x) * w)` for random `x` and `w`
/// in `x` and in every parameter of the layer: those computed in `f32` (the
/// kernels) and in `f64` (the composites) against differences of the loss in
/// `f64`. Errors are relative to the largest gradient of a tensor, if that is
/// above 1.
///
/// `forward` gets a clone of the layer every time, so running statistics that
/// it moves don't matter.
pub(crate) fn gradients<M: Module, const D: usize>(
    what: &str,
    layer: &M,
    shape: [usize; D],
    forward: impl Fn(&M, Tensor<D>) -> Tensor<D>,
) {
    let double = layer.clone().map(&mut ToDouble);
    let x = random(0, shape);
    let loss = |layer: &M, x: Tensor<D>| {
        let y = forward(layer, x);
        let weight = tensor(&random(1, y.dims()), y.dims(), y.dtype());
        (y * weight).sum()
    };

    let value = |layer: &M, x: &[f64]| {
        let loss = loss(&layer.clone(), tensor(x, shape, DType::F64));
        loss.into_scalar::<f64>()
    };
    let difference = |at: &dyn Fn(f64) -> f64| (at(STEP) - at(-STEP)) / (2.0 * STEP);
    let mut numeric = vec![
        (0..x.len())
            .map(|i| {
                difference(&|delta| {
                    let mut x = x.clone();
                    x[i] += delta;
                    value(&double, &x)
                })
            })
            .collect::<Vec<_>>(),
    ];
    for (parameter, length) in lengths(&double).into_iter().enumerate() {
        let element = |i| {
            difference(&|delta| {
                let mut nudge = Nudge {
                    parameter,
                    element: i,
                    delta,
                };
                value(&double.clone().map(&mut nudge), &x)
            })
        };
        numeric.push((0..length).map(element).collect());
    }

    for (layer, dtype, tolerance) in [(layer, DType::F32, SINGLE), (&double, DType::F64, DOUBLE)] {
        let layer = layer.clone();
        let x = tensor(&x, shape, dtype).require_grad();
        let gradients = loss(&layer, x.clone()).backward();
        let mut reader = Reader {
            gradients: Some(&gradients),
            found: vec![values(x.grad(&gradients).expect("a gradient of the input"))],
        };
        layer.visit(&mut reader);
        assert_eq!(reader.found.len(), numeric.len(), "{what}");
        for (t, (got, want)) in reader.found.iter().zip(&numeric).enumerate() {
            let largest = want.iter().fold(1.0_f64, |all, v| all.max(v.abs()));
            for (i, (got, want)) in got.iter().zip(want).enumerate() {
                assert!(
                    (got - want).abs() <= tolerance * largest,
                    "{what}, {dtype:?}: gradient {i} of {} is {got}, the difference {want}",
                    match t {
                        0 => "the input".to_string(),
                        t => format!("parameter {}", t - 1),
                    }
                );
            }
        }
    }
}

/// Numbers that `f32` and `f64` both hold exactly.
fn random<const D: usize>(slot: u64, shape: [usize; D]) -> Vec<f64> {
    let mut rng = Key::from_seed(5).fold(slot).rng();
    let length = shape.iter().product();
    (0..length).map(|_| f64::from(rng.normal())).collect()
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D], dtype: DType) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&device(), dtype))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.try_into_vec_as().unwrap()
}

/// The lengths of the parameters, in the order of a visit.
fn lengths<M: Module>(layer: &M) -> Vec<usize> {
    let mut reader = Reader {
        gradients: None,
        found: Vec::new(),
    };
    layer.visit(&mut reader);
    reader.found.iter().map(Vec::len).collect()
}

/// Collects the gradients of the parameters, or the parameters.
struct Reader<'a> {
    gradients: Option<&'a Gradients>,
    found: Vec<Vec<f64>>,
}

impl ModuleVisitor for Reader<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        if !value.is_require_grad() {
            return;
        }
        self.found.push(match self.gradients {
            Some(gradients) => values(value.grad(gradients).expect("a gradient of a parameter")),
            None => values(value.without_autodiff()),
        });
    }
}

/// Widens the parameters, so that they can be nudged.
struct ToDouble;

impl ModuleMapper for ToDouble {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.val().is_require_grad() {
            return param;
        }
        param.map(|value| {
            let shape = value.dims();
            tensor(&values(value.without_autodiff()), shape, DType::F64).require_grad()
        })
    }
}

/// Adds to one element of one parameter.
struct Nudge {
    /// How many parameters are still before it; then `usize::MAX`.
    parameter: usize,
    element: usize,
    delta: f64,
}

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.val().is_require_grad() {
            return param;
        }
        let hit = self.parameter == 0;
        self.parameter = self.parameter.wrapping_sub(1);
        if !hit {
            return param;
        }
        param.map(|value| {
            let shape = value.dims();
            let mut changed = values(value.without_autodiff());
            changed[self.element] += self.delta;
            tensor(&changed, shape, DType::F64).require_grad()
        })
    }
}
