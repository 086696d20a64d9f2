//! Layers that divide by a response: of neighbours, of a filter, of a group.

use burn::tensor::activation::relu;
use firecraft::norm::{
    EvoNormConfig, EvoNormVariant, FilterResponseNormConfig, GlobalResponseNormConfig,
    LayerScaleConfig, LocalResponseNormConfig, SimpleNormConfig, UnitNormConfig,
};

use super::support::{by_rank, run, same, set, training};
use crate::compare::Tolerance;
use crate::families::{Outcome, failed};
use crate::golden::Case;

pub(super) fn torch_lrn(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let mut config = LocalResponseNormConfig::new(args.get("size").usize()?);
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "size" => config,
            "alpha" => config.with_alpha(value.f64()?),
            "beta" => config.with_beta(value.f64()?),
            "k" => config.with_k(value.f64()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    let layer = config.try_init(&training()).map_err(failed)?;
    by_rank!(case.get("x"), D => run::<D, _>(&case.whole(), &[], |x| layer.try_forward(x)))
}

pub(super) fn torch_normalize(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let mut config = UnitNormConfig::new().with_axis(1);
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "p" => config.with_p(value.f64()?),
            "dim" => config.with_axis(value.f64()? as isize),
            "eps" => config.with_epsilon(value.f64()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    let layer = config.try_init(&training()).map_err(failed)?;
    by_rank!(case.get("x"), D => run::<D, _>(&case.whole(), &[], |x| layer.try_forward(x)))
}

pub(super) fn keras_unit(case: &Case) -> Result<(), Outcome> {
    let mut config = UnitNormConfig::keras();
    let axis = case.args().get("axis");
    if !axis.is_null() {
        config = match axis.f64() {
            Ok(axis) => config.with_axis(axis as isize),
            Err(_) => {
                let axes: Vec<isize> = axis.f64s()?.iter().map(|axis| *axis as isize).collect();
                config.with_axes(axes)
            }
        };
    }
    let layer = config.try_init(&training()).map_err(failed)?;
    for step in case.get("steps").items()? {
        by_rank!(step.get("x"), D => run::<D, _>(&step, &[], |x| layer.try_forward(x)))?;
    }
    Ok(())
}

pub(super) fn timm_simple(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let mut config = SimpleNormConfig::new([args.get("channels").usize()?]);
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
    let mut layer = config.try_init(&training()).map_err(failed)?;
    set(&mut layer.gamma, &case.get("params").get("weight"))?;
    let named = [("weight", layer.gamma.as_ref())];
    by_rank!(case.get("x"), D => run::<D, _>(&case.whole(), &named, |x| layer.try_forward(x)))
}

pub(super) fn timm_filter_response(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let threshold = case.name() == "FilterResponseNormTlu2d";
    let mut config = FilterResponseNormConfig::new(args.get("num_features").usize()?)
        .with_epsilon(1e-5)
        .with_threshold(threshold);
    let mut activation = !threshold;
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "num_features" => config,
            "eps" => config.with_epsilon(value.f64()?),
            // timm keeps it, but divides by the root of the mean square anyway.
            "rms" => config,
            "act" if value.str()? == "relu" => config,
            "apply_act" => {
                activation &= value.bool()?;
                config.with_threshold(threshold && value.bool()?)
            }
            _ => return Err(Outcome::Unsupported),
        };
    }
    let mut layer = config.try_init(&training()).map_err(failed)?;
    let params = case.get("params");
    set(&mut layer.gamma, &params.get("weight"))?;
    set(&mut layer.beta, &params.get("bias"))?;
    set(&mut layer.tau, &params.get("tau"))?;
    let named = [
        ("weight", layer.gamma.as_ref()),
        ("bias", layer.beta.as_ref()),
        ("tau", layer.tau.as_ref()),
    ];
    by_rank!(case.get("x"), D => run::<D, _>(&case.whole(), &named, |x| {
        let y = layer.try_forward(x)?;
        Ok::<_, firecraft::norm::NormError>(if activation { relu(y) } else { y })
    }))
}

pub(super) fn timm_global_response(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let mut config = GlobalResponseNormConfig::new(args.get("dim").usize()?);
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "dim" => config,
            "eps" => config.with_epsilon(value.f64()?),
            "channels_last" => config.with_axis(if value.bool()? { -1 } else { 1 }),
            _ => return Err(Outcome::Unsupported),
        };
    }
    let mut layer = config.try_init(&training()).map_err(failed)?;
    let params = case.get("params");
    set(&mut layer.gamma, &params.get("weight"))?;
    set(&mut layer.beta, &params.get("bias"))?;
    let named = [
        ("weight", layer.gamma.as_ref()),
        ("bias", layer.beta.as_ref()),
    ];
    by_rank!(case.get("x"), D => run::<D, _>(&case.whole(), &named, |x| layer.try_forward(x)))
}

pub(super) fn timm_layer_scale(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let mut config = LayerScaleConfig::new(args.get("dim").usize()?);
    if case.name().ends_with("2d") {
        config = config.with_axis(1);
    }
    if !args.get("init_values").is_null() {
        config = config.with_initial(args.get("init_values").f64()?);
    }
    let layer = config.try_init(&training()).map_err(failed)?;
    let mut gamma = Some(layer.gamma.clone());
    set(&mut gamma, &case.get("params").get("gamma"))?;
    let mut layer = layer;
    if let Some(gamma) = gamma {
        layer.gamma = gamma;
    }
    let named = [("gamma", Some(&layer.gamma))];
    by_rank!(case.get("x"), D => run::<D, _>(&case.whole(), &named, |x| layer.try_forward(x)))
}

/// `EvoNorm2dB0` … `EvoNorm2dS2a`.
pub(super) fn timm_evo(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let (variant, epsilon) = match case.name().trim_start_matches("EvoNorm2d") {
        "B0" => (EvoNormVariant::B0, 1e-3),
        "B1" => (EvoNormVariant::B1, 1e-5),
        "B2" => (EvoNormVariant::B2, 1e-5),
        "S0" => (EvoNormVariant::S0, 1e-5),
        "S0a" => (EvoNormVariant::S0, 1e-3),
        "S1" => (EvoNormVariant::S1, 1e-5),
        "S1a" => (EvoNormVariant::S1, 1e-3),
        "S2" => (EvoNormVariant::S2, 1e-5),
        "S2a" => (EvoNormVariant::S2, 1e-3),
        _ => return Err(Outcome::Unsupported),
    };
    let features = args.get("num_features").usize()?;
    let mut config = EvoNormConfig::new(variant, features).with_epsilon(epsilon);
    for name in args.keys() {
        let value = args.get(name);
        config = match name {
            "num_features" => config,
            "groups" => config.with_num_groups(value.usize()?),
            "group_size" if value.is_null() => config,
            "group_size" => config.with_num_groups(features / value.usize()?.max(1)),
            "eps" => config.with_epsilon(value.f64()?),
            "momentum" => config.with_momentum(value.f64()?),
            "apply_act" => config.with_nonlinear(value.bool()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    let mut layer = config.try_init(&training()).map_err(failed)?;
    let params = case.get("params");
    set(&mut layer.gamma, &params.get("weight"))?;
    set(&mut layer.beta, &params.get("bias"))?;
    set(&mut layer.v, &params.get("v"))?;
    let named = [
        ("weight", layer.gamma.as_ref()),
        ("bias", layer.beta.as_ref()),
        ("v", layer.v.as_ref()),
    ];
    by_rank!(case.get("x"), D => run::<D, _>(&case.whole(), &named, |x| layer.try_forward(x)))?;
    let want = case.get("buffers_after").get("running_var");
    match &layer.running_var {
        Some(running) if !want.is_null() => {
            same("running_var", running.value(), &want, Tolerance::TENSOR)
        }
        _ => Ok(()),
    }
}
