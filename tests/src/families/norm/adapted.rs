//! keras' `Normalization` and timm's `SplitBatchNorm2d`.

use burn::tensor::{Device, Tensor, TensorData};
use firecraft::norm::{
    BatchNorm, BatchNormConfig, Momentum, Normalization, NormalizationConfig, SplitBatchNormConfig,
};

use super::support::{by_rank, gradients, same, set, tensor, training};
use crate::compare::{Tolerance, equal};
use crate::families::{Outcome, failed};
use crate::golden::{Case, Field};

pub(super) fn keras_normalization(case: &Case) -> Result<(), Outcome> {
    by_rank!(case.get("x"), D => normalization::<D>(case))
}

/// The features of keras' `axis` (the last one when absent, none for null),
/// which must be neighbours here.
fn features<const D: usize>(
    args: &Field,
    dims: [usize; D],
) -> Result<NormalizationConfig, Outcome> {
    let has_axis = args.keys().contains(&"axis");
    let axis = args.get("axis");
    let axes = match (has_axis, axis.is_null()) {
        (false, _) => vec![-1.0],
        (true, true) => Vec::new(),
        (true, false) => axis.f64s().or_else(|_| axis.f64().map(|axis| vec![axis]))?,
    };
    let mut axes: Vec<usize> = axes
        .iter()
        .map(|axis| if *axis < 0.0 { D as f64 + axis } else { *axis } as usize)
        .collect();
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] + 1 != pair[1]) || axes.iter().any(|axis| *axis >= D) {
        return Err(Outcome::Unsupported);
    }
    let lengths: Vec<usize> = axes.iter().map(|axis| dims[*axis]).collect();
    let config = NormalizationConfig::new(lengths);
    Ok(match axes.first() {
        Some(first) => config.with_axis(*first as isize),
        None => config,
    })
}

fn normalization<const D: usize>(case: &Case) -> Result<(), Outcome> {
    let device = Device::flex();
    let args = case.args();
    for name in args.keys() {
        if !["axis", "mean", "variance", "invert"].contains(&name) {
            return Err(Outcome::Unsupported);
        }
    }
    let x = tensor::<D>(&case.get("x"), &device)?;
    let config = features(&args, x.dims())?.with_invert(args.get("invert").or(false, Field::bool)?);
    let layer = if args.get("mean").is_null() {
        // One batch per row, so that the merge is part of the check.
        let rows = x.clone().chunk(x.dims()[0], 0);
        Normalization::fit(&config, rows, &device).map_err(failed)?
    } else {
        let layer = config.try_init(&device).map_err(failed)?;
        let length = layer.mean.value().dims()[0];
        let given = |field: Field| -> Result<Tensor<1>, Outcome> {
            let mut values = match field.f64() {
                Ok(value) => vec![value],
                Err(_) => field.f64s().or_else(|_| field.tensor().map(|t| t.data))?,
            };
            if values.len() == 1 {
                values.resize(length, values[0]);
            }
            let count = values.len();
            Ok(Tensor::from_data(TensorData::new(values, [count]), &device))
        };
        let (mean, variance) = (given(args.get("mean"))?, given(args.get("variance"))?);
        layer.set(mean, variance, 1).map_err(failed)?;
        layer
    };
    for (name, buffer) in [("mean", &layer.mean), ("variance", &layer.variance)] {
        if case.has(name) {
            same(name, buffer.value(), &case.get(name), Tolerance::TENSOR)?;
        }
    }
    let y = layer.try_forward(x).map_err(failed)?;
    same("y", y, &case.get("y"), Tolerance::TENSOR)
}

pub(super) fn timm_split(case: &Case) -> Result<(), Outcome> {
    let device = training();
    let args = case.args();
    let mut norm = BatchNormConfig::new(args.get("num_features").usize()?);
    let mut splits = 2;
    for name in args.keys() {
        let value = args.get(name);
        norm = match name {
            "num_features" => norm,
            "num_splits" => {
                splits = value.usize()?;
                norm
            }
            "eps" => norm.with_epsilon(value.f64()?),
            "momentum" if value.is_null() => norm.with_momentum(Momentum::Cumulative),
            "momentum" => norm.with_momentum(value.f64()?),
            "affine" => norm.with_affine(value.bool()?),
            "track_running_stats" => norm.with_track_running_stats(value.bool()?),
            _ => return Err(Outcome::Unsupported),
        };
    }
    let config = SplitBatchNormConfig {
        norm,
        num_splits: splits,
    };
    let mut layer = config.try_init(&device).map_err(failed)?;
    let params = case.get("params");
    let prefix = |index: usize| match index {
        0 => String::new(),
        index => format!("aux_bn.{}.", index - 1),
    };
    for (index, norm) in std::iter::once(&mut layer.main)
        .chain(&mut layer.auxiliary)
        .enumerate()
    {
        let prefix = prefix(index);
        set(&mut norm.gamma, &params.get(&format!("{prefix}weight")))?;
        set(&mut norm.beta, &params.get(&format!("{prefix}bias")))?;
    }
    let norms: Vec<&BatchNorm> = std::iter::once(&layer.main)
        .chain(&layer.auxiliary)
        .collect();
    let names: Vec<[String; 2]> = (0..norms.len())
        .map(|index| ["weight", "bias"].map(|name| format!("{}{name}", prefix(index))))
        .collect();
    let mut named = Vec::new();
    for (norm, [weight, bias]) in norms.iter().zip(&names) {
        named.push((weight.as_str(), norm.gamma.as_ref()));
        named.push((bias.as_str(), norm.beta.as_ref()));
    }
    by_rank!(case.get("x"), D => {
        let input = tensor::<D>(&case.get("x"), &device)?.require_grad();
        let output = layer.try_forward(input.clone());
        if case.has("error") {
            return match output {
                Err(_) => Ok(()),
                Ok(_) => Err(failed("the peer raises here")),
            };
        }
        gradients(&case.whole(), input, output.map_err(failed)?, &named)
    })?;
    let after = case.get("buffers_after");
    for (index, norm) in norms.iter().enumerate() {
        let prefix = prefix(index);
        for (name, buffer) in [
            ("running_mean", &norm.running_mean),
            ("running_var", &norm.running_var),
        ] {
            let want = after.get(&format!("{prefix}{name}"));
            match buffer {
                Some(buffer) if !want.is_null() => {
                    same(name, buffer.value(), &want, Tolerance::TENSOR)?;
                }
                _ => {}
            }
        }
        let want = after.get(&format!("{prefix}num_batches_tracked"));
        if !want.is_null() {
            let want = want.tensor()?.data[0] as u64;
            equal("num_batches_tracked", norm.num_batches_tracked.get(), want)?;
        }
    }
    Ok(())
}
