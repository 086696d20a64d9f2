//! Batch normalisation of torch.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firecraft::norm::{BatchNorm, BatchNormConfig, Mode, Momentum};

use super::support::{same, same_gradient, set, tensor, tolerance, training};
use crate::compare::{Tolerance, equal};
use crate::families::{Outcome, failed};
use crate::golden::{Case, Field};

/// `BatchNorm1d`, `2d` and `3d`: the rank of the input chooses the code.
pub(super) fn torch(case: &Case) -> Result<(), Outcome> {
    let steps = case.get("steps").items()?;
    let first = steps.first().ok_or_else(|| failed("no steps"))?;
    match first.get("x").tensor()?.shape.len() {
        2 => torch_rank::<2>(case, &steps),
        3 => torch_rank::<3>(case, &steps),
        4 => torch_rank::<4>(case, &steps),
        5 => torch_rank::<5>(case, &steps),
        _ => Err(Outcome::Unsupported),
    }
}

fn torch_config(case: &Case, features: usize) -> Result<BatchNormConfig, Outcome> {
    let mut config = BatchNormConfig::new(features);
    let args = case.args();
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "momentum" if value.is_null() => config.with_momentum(Momentum::Cumulative),
            "momentum" => config.with_momentum(value.f64()?),
            "eps" => config.with_epsilon(value.f64()?),
            "affine" => config.with_affine(value.bool()?),
            "bias" => config.with_center(value.bool()?),
            "track_running_stats" => config.with_track_running_stats(value.bool()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    Ok(config)
}

fn torch_rank<const D: usize>(case: &Case, steps: &[Field]) -> Result<(), Outcome> {
    let device = training();
    let x = |step: &Field, device: &Device| tensor::<D>(&step.get("x"), device);
    let features = x(&steps[0], &device)?.dims()[1];
    let mut layer = torch_config(case, features)?
        .try_init(&device)
        .map_err(failed)?;
    let params = case.get("params");
    set(&mut layer.gamma, &params.get("weight"))?;
    set(&mut layer.beta, &params.get("bias"))?;
    if case.has("error") {
        return match layer.try_forward(x(&steps[0], &device)?) {
            Err(_) => Ok(()),
            Ok(_) => Err(failed("the peer raises here")),
        };
    }
    for step in steps {
        let input = x(step, &device)?.require_grad();
        let output = layer.try_forward(input.clone()).map_err(failed)?;
        statistics(&layer, step, ["running_mean", "running_var"])?;
        if step.get("y").is_null() {
            continue;
        }
        let tolerance = tolerance(step)?;
        same("y", output.clone(), &step.get("y"), tolerance)?;
        let upstream = tensor::<D>(&step.get("gy"), &device)?;
        let gradients = (output * upstream).sum().backward();
        let gx = input.grad(&gradients).ok_or_else(|| failed("no gx"))?;
        same("gx", gx, &step.get("gx"), Tolerance::TENSOR)?;
        let want = step.get("gparams");
        let gamma = layer.gamma.as_ref();
        same_gradient("gweight", gamma, &gradients, &want.get("weight"), tolerance)?;
        let beta = layer.beta.as_ref();
        same_gradient("gbias", beta, &gradients, &want.get("bias"), tolerance)?;
    }
    if case.has("num_batches_tracked") {
        let got = layer.num_batches_tracked.get();
        equal(
            "num_batches_tracked",
            got,
            case.get("num_batches_tracked").u64()?,
        )?;
    }
    evaluation(case, &layer, x(&steps[0], &device)?)
}

/// The output of evaluation, and its gradient on the training device.
fn evaluation<const D: usize>(case: &Case, layer: &BatchNorm, x: Tensor<D>) -> Result<(), Outcome> {
    let valid = layer.valid();
    let plain = valid
        .try_forward(x.clone().without_autodiff())
        .map_err(failed)?;
    same("eval_y", plain, &case.get("eval_y"), Tolerance::TENSOR)?;
    if !case.has("eval_gx") {
        return Ok(());
    }
    let input = x.require_grad();
    let output = layer
        .try_forward_mode(input.clone(), Mode::Eval)
        .map_err(failed)?;
    let upstream = tensor::<D>(&case.get("eval_gy"), &input.device())?;
    let gradients = (output * upstream).sum().backward();
    let gx = input.grad(&gradients).ok_or_else(|| failed("no eval_gx"))?;
    same("eval_gx", gx, &case.get("eval_gx"), Tolerance::TENSOR)
}

/// The running statistics after a step, under the peer's names of them.
fn statistics(layer: &BatchNorm, step: &Field, names: [&str; 2]) -> Result<(), Outcome> {
    for (name, buffer) in names.iter().zip([&layer.running_mean, &layer.running_var]) {
        let want = step.get(name);
        match buffer {
            Some(buffer) => same(name, buffer.value(), &want, Tolerance::TENSOR)?,
            None => equal(name, want.is_null(), true)?,
        }
    }
    Ok(())
}
