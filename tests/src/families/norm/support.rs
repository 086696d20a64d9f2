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
