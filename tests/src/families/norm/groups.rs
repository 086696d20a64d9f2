//! Layers that normalise every sample by itself: layer, RMS, group and
//! instance normalisation.

use burn::module::Module;
use firecraft::norm::{
    GroupNormConfig, InstanceNorm, InstanceNormConfig, LayerNormConfig, Mode, Momentum,
    RmsNormConfig, SingleValue,
};

use super::support::{by_rank, gradients, run, same, set, shape, tensor, tolerance, training};
use crate::compare::{Tolerance, equal};
use crate::families::{Outcome, failed};
use crate::golden::{Case, Field};

/// `normalized_shape` as torch takes it: a number or a list.
fn lengths(field: &Field) -> Result<Vec<usize>, Outcome> {
    match field.usize() {
        Ok(length) => Ok(vec![length]),
        Err(_) => Ok(field.usizes()?),
    }
}

fn layer(
    step: &Field,
    params: &Field,
    names: [&str; 2],
    config: &LayerNormConfig,
) -> Result<(), Outcome> {
    let mut layer = config.try_init(&training()).map_err(failed)?;
    set(&mut layer.gamma, &params.get(names[0]))?;
    set(&mut layer.beta, &params.get(names[1]))?;
    let named = [
        (names[0], layer.gamma.as_ref()),
        (names[1], layer.beta.as_ref()),
    ];
    by_rank!(step.get("x"), D => run::<D, _>(step, &named, |x| layer.try_forward(x)))
}

fn rms(step: &Field, params: &Field, name: &str, config: &RmsNormConfig) -> Result<(), Outcome> {
    let mut layer = config.try_init(&training()).map_err(failed)?;
    set(&mut layer.gamma, &params.get(name))?;
    let named = [(name, layer.gamma.as_ref())];
    by_rank!(step.get("x"), D => run::<D, _>(step, &named, |x| layer.try_forward(x)))
}

fn group(
    step: &Field,
    params: &Field,
    names: [&str; 2],
    config: &GroupNormConfig,
) -> Result<(), Outcome> {
    let mut layer = config.try_init(&training()).map_err(failed)?;
    set(&mut layer.gamma, &params.get(names[0]))?;
    set(&mut layer.beta, &params.get(names[1]))?;
    let named = [
        (names[0], layer.gamma.as_ref()),
        (names[1], layer.beta.as_ref()),
    ];
    by_rank!(step.get("x"), D => run::<D, _>(step, &named, |x| layer.try_forward(x)))
}

pub(super) fn torch_layer(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let mut config = LayerNormConfig::new(lengths(&args.get("normalized_shape"))?);
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "normalized_shape" => config,
            "eps" => config.with_epsilon(value.f64()?),
            "elementwise_affine" => config.with_affine(value.bool()?),
            "bias" => config.with_center(value.bool()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    layer(
        &case.whole(),
        &case.get("params"),
        ["weight", "bias"],
        &config,
    )
}

pub(super) fn torch_rms(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let mut config = RmsNormConfig::torch(lengths(&args.get("normalized_shape"))?);
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "normalized_shape" => config,
            "eps" if value.is_null() => config,
            "eps" => config.with_epsilon(value.f64()?),
            "elementwise_affine" => config.with_scale(value.bool()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    rms(&case.whole(), &case.get("params"), "weight", &config)
}

pub(super) fn torch_group(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let (groups, channels) = (
        args.get("num_groups").usize()?,
        args.get("num_channels").usize()?,
    );
    let mut config = GroupNormConfig::new(groups, channels);
    // torch refuses groups of one value in a batch of one only.
    if shape(&case.get("x"))?[0] > 1 {
        config = config.with_single_value(SingleValue::Zero);
    }
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "num_groups" | "num_channels" => config,
            "eps" => config.with_epsilon(value.f64()?),
            "affine" => config.with_affine(value.bool()?),
            "bias" => config.with_center(value.bool()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    group(
        &case.whole(),
        &case.get("params"),
        ["weight", "bias"],
        &config,
    )
}

pub(super) fn keras_layer(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    for step in case.get("steps").items()? {
        let dims = shape(&step.get("x"))?;
        let axes = keras_axes(&args, dims.len())?;
        let mut config = LayerNormConfig::keras(axes.iter().map(|a| dims[*a]).collect::<Vec<_>>())
            .with_axis(axes[0] as isize);
        for name in args.keys() {
            let value = args.get(name);
            config = match name {
                "axis" => config,
                "epsilon" => config.with_epsilon(value.f64()?),
                "center" => config.with_center(value.bool()?),
                "scale" => config.with_scale(value.bool()?),
                _ => return Err(Outcome::Unsupported),
            };
        }
        layer(&step, &case.get("params"), ["gamma", "beta"], &config)?;
    }
    Ok(())
}

pub(super) fn keras_rms(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    for step in case.get("steps").items()? {
        let dims = shape(&step.get("x"))?;
        let axes = keras_axes(&args, dims.len())?;
        let mut config = RmsNormConfig::new(axes.iter().map(|a| dims[*a]).collect::<Vec<_>>())
            .with_axis(axes[0] as isize);
        for name in args.keys() {
            let value = args.get(name);
            config = match name {
                "axis" => config,
                "epsilon" => config.with_epsilon(value.f64()?),
                _ => return Err(Outcome::Unsupported),
            };
        }
        rms(&step, &case.get("params"), "scale", &config)?;
    }
    Ok(())
}

/// keras' `axis`, a number or a list, as axes in ascending order that follow
/// each other.
fn keras_axes(args: &Field, rank: usize) -> Result<Vec<usize>, Outcome> {
    let field = args.get("axis");
    let mut given = vec![-1.0];
    if !field.is_null() {
        given = match field.f64() {
            Ok(axis) => vec![axis],
            Err(_) => field.f64s()?,
        };
    }
    let mut axes: Vec<usize> = given
        .iter()
        .map(|axis| {
            if *axis < 0.0 {
                (rank as f64 + axis) as usize
            } else {
                *axis as usize
            }
        })
        .collect();
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] + 1 != pair[1]) {
        return Err(Outcome::Unsupported);
    }
    Ok(axes)
}

pub(super) fn keras_group(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    for step in case.get("steps").items()? {
        let dims = shape(&step.get("x"))?;
        let axis = args.get("axis").or(-1.0, Field::f64)? as isize;
        let channels = if axis < 0 {
            dims[(dims.len() as isize + axis) as usize]
        } else {
            dims[axis as usize]
        };
        let groups = match args.get("groups").or(32.0, Field::f64)? {
            groups if groups < 0.0 => channels,
            groups => groups as usize,
        };
        let mut config = GroupNormConfig::keras(groups, channels).with_axis(axis);
        for name in args.keys() {
            let value = args.get(name);
            config = match name {
                "axis" | "groups" => config,
                "epsilon" => config.with_epsilon(value.f64()?),
                "center" => config.with_center(value.bool()?),
                "scale" => config.with_scale(value.bool()?),
                _ => return Err(Outcome::Unsupported),
            };
        }
        group(&step, &case.get("params"), ["gamma", "beta"], &config)?;
    }
    Ok(())
}

pub(super) fn timm_layer(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let mut config = LayerNormConfig::new([args.get("num_channels").usize()?]).with_epsilon(1e-6);
    if case.name().ends_with("2d") {
        config = config.with_axis(1);
    }
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "num_channels" => config,
            "eps" => config.with_epsilon(value.f64()?),
            "affine" => config.with_affine(value.bool()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    layer(
        &case.whole(),
        &case.get("params"),
        ["weight", "bias"],
        &config,
    )
}

pub(super) fn timm_rms(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let mut config = RmsNormConfig::new([args.get("channels").usize()?]);
    if case.name().ends_with("2d") {
        config = config.with_axis(1);
    }
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "channels" => config,
            "eps" => config.with_epsilon(value.f64()?),
            "affine" => config.with_scale(value.bool()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    rms(&case.whole(), &case.get("params"), "weight", &config)
}

pub(super) fn timm_group(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let groups = match case.name() {
        "GroupNorm1" => 1,
        _ => args.get("num_groups").or(32, Field::usize)?,
    };
    let mut config = GroupNormConfig::new(groups, args.get("num_channels").usize()?);
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "num_channels" | "num_groups" => config,
            "eps" => config.with_epsilon(value.f64()?),
            "affine" => config.with_affine(value.bool()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    group(
        &case.whole(),
        &case.get("params"),
        ["weight", "bias"],
        &config,
    )
}

pub(super) fn torch_instance(case: &Case) -> Result<(), Outcome> {
    let steps = case.get("steps").items()?;
    let first = steps.first().ok_or_else(|| failed("no steps"))?;
    by_rank!(first.get("x"), D => instance::<D>(case, &steps))
}

fn instance<const D: usize>(case: &Case, steps: &[Field]) -> Result<(), Outcome> {
    let device = training();
    let args = case.args();
    let mut config = InstanceNormConfig::new(shape(&steps[0].get("x"))?[1]);
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            // torch passes 0 for `None` here, so its statistics never move.
            "momentum" => config.with_momentum(Momentum::Weight(value.or(0.0, Field::f64)?)),
            "eps" => config.with_epsilon(value.f64()?),
            "affine" => config.with_affine(value.bool()?),
            "bias" => config.with_center(value.bool()?),
            "track_running_stats" => config.with_track_running_stats(value.bool()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    let mut layer = config.try_init(&device).map_err(failed)?;
    let params = case.get("params");
    set(&mut layer.gamma, &params.get("weight"))?;
    set(&mut layer.beta, &params.get("bias"))?;
    if case.has("error") {
        return match layer.try_forward(tensor::<D>(&steps[0].get("x"), &device)?) {
            Err(_) => Ok(()),
            Ok(_) => Err(failed("the peer raises here")),
        };
    }
    for step in steps {
        let input = tensor::<D>(&step.get("x"), &device)?.require_grad();
        let output = layer.try_forward(input.clone()).map_err(failed)?;
        statistics(&layer, step)?;
        let params = [
            ("weight", layer.gamma.as_ref()),
            ("bias", layer.beta.as_ref()),
        ];
        gradients(step, input, output, &params)?;
    }
    let x = tensor::<D>(&steps[0].get("x"), &device)?;
    let bar = tolerance(steps.last().unwrap_or(&steps[0]))?;
    let valid = layer.valid();
    let plain = valid
        .try_forward(x.clone().without_autodiff())
        .map_err(failed)?;
    same("eval_y", plain, &case.get("eval_y"), bar)?;
    let input = x.require_grad();
    let output = layer
        .try_forward_mode(input.clone(), Mode::Eval)
        .map_err(failed)?;
    let upstream = tensor::<D>(&case.get("eval_gy"), &device)?;
    let gradients = (output * upstream).sum().backward();
    let gx = input.grad(&gradients).ok_or_else(|| failed("no eval_gx"))?;
    same("eval_gx", gx, &case.get("eval_gx"), Tolerance::TENSOR)
}

// torch never counts the batches of this layer, so its count is not compared.
fn statistics(layer: &InstanceNorm, step: &Field) -> Result<(), Outcome> {
    let buffers = [
        ("running_mean", &layer.running_mean),
        ("running_var", &layer.running_var),
    ];
    for (name, buffer) in buffers {
        let want = step.get(name);
        match buffer {
            Some(buffer) => same(name, buffer.value(), &want, Tolerance::TENSOR)?,
            None => equal(name, want.is_null(), true)?,
        }
    }
    Ok(())
}
