//! Batch normalisation of torch and keras, with masks and renormalisation.

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use firecraft::norm::{BatchNorm, BatchNormConfig, BatchRenorm, BatchRenormConfig, Mode, Momentum};

use super::support::{by_rank, gradients, same, set, tensor, training};
use crate::compare::{Tolerance, equal};
use crate::families::{Outcome, failed};
use crate::golden::{Case, Field};

/// `BatchNorm1d`, `2d` and `3d`: the rank of the input chooses the code.
pub(super) fn torch(case: &Case) -> Result<(), Outcome> {
    let steps = case.get("steps").items()?;
    let first = steps.first().ok_or_else(|| failed("no steps"))?;
    by_rank!(first.get("x"), D => torch_rank::<D>(case, &steps))
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
        let params = [
            ("weight", layer.gamma.as_ref()),
            ("bias", layer.beta.as_ref()),
        ];
        gradients(step, input, output, &params)?;
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

/// `BatchNormalization`, with or without mask, or with `renorm`.
pub(super) fn keras(case: &Case) -> Result<(), Outcome> {
    let steps = case.get("steps").items()?;
    let first = steps.first().ok_or_else(|| failed("no steps"))?;
    if case.args().get("renorm").or(false, Field::bool)? {
        by_rank!(first.get("x"), D => keras_renorm::<D>(case, &steps))
    } else {
        by_rank!(first.get("x"), D => keras_plain::<D>(case, &steps))
    }
}

/// keras' `axis`, or the last one.
fn keras_axis(args: &Field, rank: usize) -> Result<usize, Outcome> {
    let axis = args.get("axis").or(-1.0, Field::f64)?;
    Ok(if axis < 0.0 {
        (rank as f64 + axis) as usize
    } else {
        axis as usize
    })
}

fn keras_plain<const D: usize>(case: &Case, steps: &[Field]) -> Result<(), Outcome> {
    let device = training();
    let args = case.args();
    let axis = keras_axis(&args, D)?;
    let features = tensor::<D>(&steps[0].get("x"), &device)?.dims()[axis];
    let mut config = BatchNormConfig::keras(features).with_axis(axis as isize);
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "axis" | "renorm" | "renorm_momentum" | "renorm_clipping" => config,
            "momentum" => config.with_momentum(Momentum::of_old(value.f64()?)),
            "epsilon" => config.with_epsilon(value.f64()?),
            "center" => config.with_center(value.bool()?),
            "scale" => config.with_scale(value.bool()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    let mut layer = config.try_init(&device).map_err(failed)?;
    let params = case.get("params");
    set(&mut layer.gamma, &params.get("gamma"))?;
    set(&mut layer.beta, &params.get("beta"))?;
    for step in steps {
        let input = tensor::<D>(&step.get("x"), &device)?.require_grad();
        let output = if case.has("mask") {
            let mask = mask::<D>(&case.get("mask"), input.dims(), axis, &device)?;
            layer.try_forward_masked(input.clone(), mask)
        } else {
            layer.try_forward(input.clone())
        };
        let output = output.map_err(failed)?;
        statistics(&layer, step, ["moving_mean", "moving_variance"])?;
        let params = [
            ("gamma", layer.gamma.as_ref()),
            ("beta", layer.beta.as_ref()),
        ];
        gradients(step, input, output, &params)?;
    }
    let x = tensor::<D>(&steps[0].get("x"), &device)?;
    evaluation(case, &layer, x)
}

fn keras_renorm<const D: usize>(case: &Case, steps: &[Field]) -> Result<(), Outcome> {
    let device = training();
    let args = case.args();
    let axis = keras_axis(&args, D)?;
    let features = tensor::<D>(&steps[0].get("x"), &device)?.dims()[axis];
    let of_old = |name: &str| -> Result<Momentum, Outcome> {
        Ok(Momentum::of_old(args.get(name).or(0.99, Field::f64)?))
    };
    let mut config = BatchRenormConfig::new(features)
        .with_axis(axis as isize)
        .with_momenta(of_old("momentum")?, of_old("renorm_momentum")?);
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "axis" | "renorm" | "momentum" | "renorm_momentum" => config,
            "renorm_clipping" => {
                let bound = |name: &str| value.get(name).optional(Field::f64);
                config.r_min = bound("rmin")?.unwrap_or(0.0);
                config.r_max = bound("rmax")?;
                config.d_max = bound("dmax")?;
                config
            }
            "epsilon" => config.with_epsilon(value.f64()?),
            "center" => config.with_center(value.bool()?),
            "scale" => config.with_scale(value.bool()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    let mut layer = config.try_init(&device).map_err(failed)?;
    let params = case.get("params");
    set(&mut layer.gamma, &params.get("gamma"))?;
    set(&mut layer.beta, &params.get("beta"))?;
    for step in steps {
        let input = tensor::<D>(&step.get("x"), &device)?.require_grad();
        let output = layer.try_forward(input.clone()).map_err(failed)?;
        renorm_statistics(&layer, step)?;
        let params = [
            ("gamma", layer.gamma.as_ref()),
            ("beta", layer.beta.as_ref()),
        ];
        gradients(step, input, output, &params)?;
    }
    let x = tensor::<D>(&steps[0].get("x"), &Device::flex())?;
    let y = layer.valid().try_forward(x).map_err(failed)?;
    same("eval_y", y, &case.get("eval_y"), Tolerance::TENSOR)
}

fn renorm_statistics(layer: &BatchRenorm, step: &Field) -> Result<(), Outcome> {
    let epsilon = layer.config().epsilon;
    let stddev = layer.running_stddev.value();
    let variance = stddev.clone().square().sub_scalar(epsilon);
    for (name, value) in [
        ("moving_mean", layer.running_mean.value()),
        ("moving_variance", variance),
        ("moving_stddev", stddev),
        ("renorm_mean", layer.renorm_mean.value()),
        ("renorm_stddev", layer.renorm_stddev.value()),
    ] {
        same(name, value, &step.get(name), Tolerance::TENSOR)?;
    }
    Ok(())
}

/// A mask over all axes but the features, as one of the rank of the input.
fn mask<const D: usize>(
    field: &Field,
    mut dims: [usize; D],
    axis: usize,
    device: &Device,
) -> Result<Tensor<D, Bool>, Outcome> {
    dims[axis] = 1;
    let mut values = Vec::new();
    flatten(field, &mut values)?;
    let data = TensorData::new(values, dims);
    Ok(Tensor::from_data(data, device))
}

fn flatten(field: &Field, values: &mut Vec<bool>) -> Result<(), Outcome> {
    if let Ok(items) = field.items() {
        return items.iter().try_for_each(|item| flatten(item, values));
    }
    values.push(match field.bool() {
        Ok(value) => value,
        Err(_) => field.f64()? != 0.0,
    });
    Ok(())
}
