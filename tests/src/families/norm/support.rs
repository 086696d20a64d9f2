//! Golden tensors as burn tensors, and the comparison of what came out.

use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use crate::compare::{Tolerance, close_f32};
use crate::families::{Outcome, failed};
use crate::golden::Field;

/// The device that trains.
pub(super) fn training() -> Device {
    Device::flex().autodiff()
}

/// A golden tensor of rank `D`.
pub(super) fn tensor<const D: usize>(field: &Field, device: &Device) -> Result<Tensor<D>, Outcome> {
    let golden = field.tensor()?;
    if golden.shape.len() != D {
        return Err(failed(format!("rank {} is not {D}", golden.shape.len())));
    }
    let data = TensorData::new(golden.f32s(), golden.shape);
    Ok(Tensor::from_data(data, device))
}

/// Replaces the value of a parameter by a golden tensor, reshaped to it; the
/// case and the layer must agree on whether it exists.
pub(super) fn set<const D: usize>(
    param: &mut Option<Param<Tensor<D>>>,
    field: &Field,
) -> Result<(), Outcome> {
    match (param.take(), field.is_null()) {
        (Some(old), false) => {
            let golden = field.tensor()?;
            let shape = old.val().shape();
            let device = old.val().device();
            let data = TensorData::new(golden.f32s(), shape);
            *param = Some(Param::from_data(data, &device));
            Ok(())
        }
        (None, true) => Ok(()),
        (layer, _) => Err(failed(format!(
            "the layer has this parameter: {}, the case: {}",
            layer.is_some(),
            !field.is_null()
        ))),
    }
}

/// Compares a tensor with a golden one.
pub(super) fn same<const D: usize>(
    what: &str,
    got: Tensor<D>,
    want: &Field,
    tolerance: Tolerance,
) -> Result<(), Outcome> {
    let got = got.try_into_vec_as::<f32>().map_err(failed)?;
    close_f32(what, &got, &want.tensor()?.data, tolerance)
}

/// Compares the gradient of a parameter, where the layer has it.
pub(super) fn same_gradient<const D: usize>(
    what: &str,
    param: Option<&Param<Tensor<D>>>,
    gradients: &Gradients,
    want: &Field,
    tolerance: Tolerance,
) -> Result<(), Outcome> {
    let Some(param) = param else {
        return Ok(());
    };
    let gradient = param.val().grad(gradients);
    let gradient = gradient.ok_or_else(|| failed(format!("{what}: no gradient")))?;
    same(what, gradient, want, tolerance)
}

/// The tolerance for outputs: the usual one, or where the peer's own `f32`
/// computation is worse than that (large means), its error: ours must be below.
pub(super) fn tolerance(step: &Field) -> Result<Tolerance, Outcome> {
    let peer = step.get("torch_f32_max_abs_err").or(0.0, Field::f64)?;
    Ok(if peer > 1e-5 {
        Tolerance::abs(peer)
    } else {
        Tolerance::TENSOR
    })
}

/// The shape of a golden tensor.
pub(super) fn shape(field: &Field) -> Result<Vec<usize>, Outcome> {
    Ok(field.tensor()?.shape)
}

/// A parameter of the layer under the peer's name of it.
pub(super) type Named<'a> = (&'a str, Option<&'a Param<Tensor<1>>>);

/// Runs a layer without state on the `x` of a case or step and compares output
/// and gradients; a case with `error` must fail.
pub(super) fn run<const D: usize, E: std::fmt::Display>(
    step: &Field,
    params: &[Named],
    forward: impl FnOnce(Tensor<D>) -> Result<Tensor<D>, E>,
) -> Result<(), Outcome> {
    let device = training();
    let input = tensor::<D>(&step.get("x"), &device)?.require_grad();
    let output = forward(input.clone());
    if !step.get("error").is_null() {
        return match output {
            Err(_) => Ok(()),
            Ok(_) => Err(failed("the peer raises here")),
        };
    }
    gradients(step, input, output.map_err(failed)?, params)
}

/// Compares the output of a step and the gradients for its upstream one, as
/// far as the step has them.
pub(super) fn gradients<const D: usize>(
    step: &Field,
    input: Tensor<D>,
    output: Tensor<D>,
    params: &[Named],
) -> Result<(), Outcome> {
    if step.get("y").is_null() {
        return Ok(());
    }
    let bar = tolerance(step)?;
    same("y", output.clone(), &step.get("y"), bar)?;
    if step.get("gy").is_null() {
        return Ok(());
    }
    let upstream = tensor::<D>(&step.get("gy"), &output.device())?;
    let gradients = (output * upstream).sum().backward();
    let gx = input.grad(&gradients).ok_or_else(|| failed("no gx"))?;
    same("gx", gx, &step.get("gx"), Tolerance::TENSOR)?;
    for (name, param) in params {
        let want = step.get("gparams").get(name);
        same_gradient(&format!("g{name}"), *param, &gradients, &want, bar)?;
    }
    Ok(())
}

/// Runs the expression with the rank of a golden tensor as a constant.
macro_rules! by_rank {
    ($field:expr, $D:ident => $run:expr) => {
        match $crate::families::norm::support::shape(&$field)?.len() {
            1 => {
                const $D: usize = 1;
                $run
            }
            2 => {
                const $D: usize = 2;
                $run
            }
            3 => {
                const $D: usize = 3;
                $run
            }
            4 => {
                const $D: usize = 4;
                $run
            }
            5 => {
                const $D: usize = 5;
                $run
            }
            _ => Err(Outcome::Unsupported),
        }
    };
}
pub(super) use by_rank;
