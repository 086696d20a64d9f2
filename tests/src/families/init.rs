//! Cases of initialisers: fans, gains, distributions, exact values.

mod layers;
mod random;

use firecraft::init::peers::{jax, keras, timm, torch};
use firecraft::init::{
    FanMode, FanSource, Fans, InitError, Initializer, Layout, Scaling, Side, Target,
    VarianceScaling, Window,
};
use firecraft::key::Key;

use super::{Outcome, failed};
use crate::compare::{Tolerance, close, close_f32, equal};
use crate::golden::{Case, Field, File, GoldenError};

/// Runs one case of the family `init`.
pub fn run_case(_file: &File, case: &Case) -> Outcome {
    check(case).into()
}

fn check(case: &Case) -> Result<(), Outcome> {
    only_known_arguments(case)?;
    let (family, _) = case.group().split_once('.').unwrap_or((case.group(), ""));
    match (family, case.peer(), case.name()) {
        ("fans", ..) => fans(case),
        (_, "torch", "") if case.has("nonlinearity") => gain(case),
        (_, "torch", "") if case.has("layer") => layers::defaults(case),
        (_, _, "orthogonal_" | "Orthogonal" | "orthogonal" | "OrthogonalInitializer") => {
            orthogonal(case)
        }
        (_, "jax", "delta_orthogonal") => delta_orthogonal(case),
        (_, "torch", "sparse_") => sparse(case),
        _ => {
            let initializer = match named(case) {
                Ok(initializer) => initializer,
                // What a peer refuses, its constructor here refuses too.
                Err(Outcome::Failed(_)) if case.has("error") => return Ok(()),
                Err(outcome) => return Err(outcome),
            };
            if case.has("error") {
                let refused = initializer.check(&target(case)?);
                return equal("refused as the peer does", refused.is_err(), true);
            }
            if case.has("expect") {
                return random::check(case, initializer.as_ref());
            }
            let want = case.get("w").tensor()?;
            let target = Target::new(&want.shape, layout(case)?);
            let got = initializer
                .values(&target, Key::from_seed(0))
                .map_err(failed)?;
            close_f32("w", &got, &want.data, Tolerance::TENSOR)
        }
    }
}

/// Arguments that no arm here reads must not be passed over. Seeds and
/// generators are: what is drawn is held against a law, not a sample.
fn only_known_arguments(case: &Case) -> Result<(), Outcome> {
    let known: &[&str] = match case.name() {
        "xavier_uniform_" | "xavier_normal_" => &["gain"],
        "kaiming_uniform_" | "kaiming_normal_" => &["a", "mode", "nonlinearity"],
        "uniform_" => &["a", "b"],
        "normal_" => &["mean", "std"],
        "trunc_normal_" | "trunc_normal_tf_" => &["mean", "std", "a", "b"],
        "variance_scaling_" => &["scale", "mode", "distribution"],
        "constant_" => &["val"],
        "Constant" | "constant" => &["value"],
        "dirac_" => &["groups"],
        "sparse_" => &["sparsity", "std"],
        "Identity" | "IdentityInitializer" => &["gain"],
        "RandomNormal" | "TruncatedNormal" => &["mean", "stddev"],
        "RandomUniform" => &["minval", "maxval"],
        "GlorotUniform" | "GlorotNormal" | "HeUniform" | "HeNormal" | "LecunUniform"
        | "LecunNormal" => &["input_axes", "output_axes"],
        "VarianceScaling" => &["scale", "mode", "distribution", "input_axes", "output_axes"],
        "STFT" | "STFTInitializer" => &["side", "window", "scaling", "periodic"],
        "uniform" => &["scale"],
        "normal" => &["stddev"],
        "truncated_normal" => &["stddev", "lower", "upper"],
        "glorot_uniform" | "glorot_normal" | "xavier_uniform" | "xavier_normal" | "he_uniform"
        | "he_normal" | "kaiming_uniform" | "kaiming_normal" | "lecun_uniform" | "lecun_normal" => {
            &["in_axis", "out_axis", "batch_axis"]
        }
        "variance_scaling" => &[
            "scale",
            "mode",
            "distribution",
            "in_axis",
            "out_axis",
            "batch_axis",
        ],
        "orthogonal_" | "Orthogonal" | "OrthogonalInitializer" => &["gain"],
        "orthogonal" | "delta_orthogonal" => &["scale", "column_axis"],
        _ => &[],
    };
    let ignored = ["seed", "generator"];
    let unknown = |name: &&str| !known.contains(name) && !ignored.contains(name);
    match case.args().keys().iter().find(|name| unknown(name)) {
        None => Ok(()),
        Some(_) => Err(Outcome::Unsupported),
    }
}

/// The target of a case with a `shape`.
fn target(case: &Case) -> Result<Target, Outcome> {
    Ok(Target::new(&case.get("shape").usizes()?, layout(case)?))
}

/// What the axes of the case's tensor mean.
fn layout(case: &Case) -> Result<Layout, Outcome> {
    let text = case.get("layer").or("", |field| field.str())?;
    let first = matches!(case.peer(), "torch" | "timm");
    let groups = match text.split_once("groups=") {
        Some((_, groups)) => groups.trim().parse().map_err(failed)?,
        // `depthwise 6 k5`: a group per channel.
        None => match text.strip_prefix("depthwise ") {
            Some(rest) => rest
                .split(' ')
                .next()
                .unwrap_or("")
                .parse()
                .map_err(failed)?,
            None => 1,
        },
    };
    let transposed = text.starts_with("conv_transpose");
    Ok(match (first, transposed) {
        _ if text.starts_with("embedding") => Layout::Embedding,
        (true, false) => Layout::ChannelsFirst { groups },
        (true, true) => Layout::ChannelsFirstTranspose { groups },
        (false, false) => Layout::ChannelsLast { groups },
        (false, true) => Layout::ChannelsLastTranspose,
    })
}

fn fans(case: &Case) -> Result<(), Outcome> {
    let shape = case.get("shape").usizes()?;
    let raw = match case.peer() {
        "torch" | "timm" => Fans::torch(&shape),
        "keras" => Ok(Fans::keras(&shape)),
        "jax" => {
            let source = FanSource::Axes {
                input: axes(&case.get("in_axis"), -2)?,
                output: axes(&case.get("out_axis"), -1)?,
                batch: case.get("batch_axis").or(Vec::new(), |f| axes_of(f))?,
            };
            Fans::from_source(&source, &shape, Layout::LINEAR)
        }
        _ => return Err(Outcome::Unsupported),
    };
    if case.has("error") {
        return equal("refused as the peer does", raw.is_err(), true);
    }
    let raw = raw.map_err(failed)?;
    let mut got = vec![raw.fan_in, raw.fan_out];
    let mut want = vec![case.get("fan_in").f64()?, case.get("fan_out").f64()?];
    for (field, mode) in [("fan_geo_avg", FanMode::GeoAvg), ("fan_avg", FanMode::Avg)] {
        if case.has(field) {
            got.push(raw.get(mode));
            want.push(case.get(field).f64()?);
        }
    }
    close(
        "raw fans",
        &got,
        &want,
        Tolerance {
            abs: 0.0,
            rel: 1e-8,
        },
    )?;
    if case.has("semantic_fans") {
        let fans = Fans::semantic(&shape, layout(case)?).map_err(failed)?;
        let want = case.get("semantic_fans");
        let want = [want.get("fan_in").f64()?, want.get("fan_out").f64()?];
        close(
            "semantic fans",
            &[fans.fan_in, fans.fan_out],
            &want,
            Tolerance::EXACT,
        )?;
    }
    Ok(())
}

/// One axis or a list of them.
fn axes_of(field: &Field<'_>) -> Result<Vec<isize>, GoldenError> {
    let one = |field: &Field<'_>| field.f64().map(|axis| axis as isize);
    match field.json().is_array() {
        true => field.items()?.iter().map(one).collect(),
        false => Ok(vec![one(field)?]),
    }
}

fn axes(field: &Field<'_>, default: isize) -> Result<Vec<isize>, GoldenError> {
    field.or(vec![default], |field| axes_of(field))
}

fn gain(case: &Case) -> Result<(), Outcome> {
    let param = case.get("param").optional(|f| f.f64())?;
    let gain = torch::calculate_gain(case.get("nonlinearity").str()?, param);
    if case.has("error") {
        return equal("refused as the peer does", gain.is_err(), true);
    }
    let want = case.get("gain").f64()?;
    close(
        "gain",
        &[gain.map_err(failed)?],
        &[want],
        Tolerance {
            abs: 0.0,
            rel: 1e-12,
        },
    )
}

/// The initialiser that a peer calls so.
fn named(case: &Case) -> Result<Box<dyn Initializer>, Outcome> {
    let args = case.args();
    let number = |name: &str, default: f64| args.get(name).or(default, |f| f.f64());
    let kaiming = || -> Result<(f64, FanMode), Outcome> {
        let name = args.get("nonlinearity").or("leaky_relu", |f| f.str())?;
        let gain = torch::calculate_gain(name, Some(number("a", 0.0)?)).map_err(failed)?;
        match args.get("mode").or("fan_in", |f| f.str())? {
            mode @ ("fan_in" | "fan_out") => Ok((gain, mode.parse().map_err(failed)?)),
            mode => Err(failed(format!("torch has no mode `{mode}`"))),
        }
    };
    let scaling = |scheme: fn(jax::Axes) -> VarianceScaling| -> Result<_, Outcome> {
        Ok(scheme(jax_axes(&args)?))
    };
    Ok(match (case.peer(), case.name()) {
        ("torch", "xavier_uniform_") => Box::new(torch::xavier_uniform(number("gain", 1.0)?)),
        ("torch", "xavier_normal_") => Box::new(torch::xavier_normal(number("gain", 1.0)?)),
        ("torch", "kaiming_uniform_") => {
            let (gain, mode) = kaiming()?;
            Box::new(torch::kaiming_uniform(gain, mode))
        }
        ("torch", "kaiming_normal_") => {
            let (gain, mode) = kaiming()?;
            Box::new(torch::kaiming_normal(gain, mode))
        }
        ("torch", "uniform_") => Box::new(torch::uniform(number("a", 0.0)?, number("b", 1.0)?)),
        ("torch", "normal_") => Box::new(torch::normal(number("mean", 0.0)?, number("std", 1.0)?)),
        ("torch" | "timm", "trunc_normal_") => Box::new(torch::trunc_normal(
            number("mean", 0.0)?,
            number("std", 1.0)?,
            number("a", -2.0)?,
            number("b", 2.0)?,
        )),
        ("timm", "trunc_normal_tf_") => Box::new(timm::trunc_normal_tf(
            number("mean", 0.0)?,
            number("std", 1.0)?,
            number("a", -2.0)?,
            number("b", 2.0)?,
        )),
        ("timm", "lecun_normal_") => Box::new(timm::lecun_normal()),
        ("timm", "variance_scaling_") => Box::new(
            timm::variance_scaling(
                number("scale", 1.0)?,
                args.get("mode").or("fan_in", |f| f.str())?,
                args.get("distribution").or("normal", |f| f.str())?,
            )
            .map_err(failed)?,
        ),
        ("torch" | "jax", "zeros_" | "zeros") | ("keras", "Zeros") => {
            Box::new(torch::constant(0.0))
        }
        ("torch" | "jax", "ones_" | "ones") | ("keras", "Ones") => Box::new(torch::constant(1.0)),
        ("torch", "constant_") => Box::new(torch::constant(number("val", 0.0)?)),
        ("keras", "Constant") | ("jax", "constant") => {
            Box::new(keras::constant(number("value", 0.0)?))
        }
        ("torch", "eye_") => Box::new(torch::eye()),
        ("torch", "dirac_") => Box::new(torch::dirac(args.get("groups").or(1, |f| f.usize())?)),
        ("keras", "Identity" | "IdentityInitializer") => {
            Box::new(keras::identity(number("gain", 1.0)?))
        }
        ("keras", "RandomNormal") => Box::new(keras::random_normal(
            number("mean", 0.0)?,
            number("stddev", 0.05)?,
        )),
        ("keras", "RandomUniform") => Box::new(keras::random_uniform(
            number("minval", -0.05)?,
            number("maxval", 0.05)?,
        )),
        ("keras", "TruncatedNormal") => Box::new(keras::truncated_normal(
            number("mean", 0.0)?,
            number("stddev", 0.05)?,
        )),
        ("keras", "GlorotUniform") => Box::new(keras_scheme(&args, keras::glorot_uniform())?),
        ("keras", "GlorotNormal") => Box::new(keras_scheme(&args, keras::glorot_normal())?),
        ("keras", "HeUniform") => Box::new(keras_scheme(&args, keras::he_uniform())?),
        ("keras", "HeNormal") => Box::new(keras_scheme(&args, keras::he_normal())?),
        ("keras", "LecunUniform") => Box::new(keras_scheme(&args, keras::lecun_uniform())?),
        ("keras", "LecunNormal") => Box::new(keras_scheme(&args, keras::lecun_normal())?),
        ("keras", "VarianceScaling") => {
            let scheme = keras::variance_scaling(
                number("scale", 1.0)?,
                args.get("mode").or("fan_in", |f| f.str())?,
                args.get("distribution")
                    .or("truncated_normal", |f| f.str())?,
                None,
            );
            Box::new(keras_scheme(&args, scheme.map_err(failed)?)?)
        }
        ("keras", "STFT" | "STFTInitializer") => Box::new(stft(&args)?),
        ("jax", "uniform") => Box::new(jax::uniform(number("scale", 0.01)?)),
        ("jax", "normal") => Box::new(jax::normal(number("stddev", 0.01)?)),
        ("jax", "truncated_normal") => Box::new(jax::truncated_normal(
            number("stddev", 0.01)?,
            number("lower", -2.0)?,
            number("upper", 2.0)?,
        )),
        ("jax", "glorot_uniform" | "xavier_uniform") => Box::new(scaling(jax::glorot_uniform)?),
        ("jax", "glorot_normal" | "xavier_normal") => Box::new(scaling(jax::glorot_normal)?),
        ("jax", "he_uniform" | "kaiming_uniform") => Box::new(scaling(jax::he_uniform)?),
        ("jax", "he_normal" | "kaiming_normal") => Box::new(scaling(jax::he_normal)?),
        ("jax", "lecun_uniform") => Box::new(scaling(jax::lecun_uniform)?),
        ("jax", "lecun_normal") => Box::new(scaling(jax::lecun_normal)?),
        ("jax", "variance_scaling") => Box::new(
            jax::variance_scaling(
                number("scale", 1.0)?,
                args.get("mode").or("fan_in", |f| f.str())?,
                args.get("distribution")
                    .or("truncated_normal", |f| f.str())?,
                jax_axes(&args)?,
            )
            .map_err(failed)?,
        ),
        _ => return Err(Outcome::Unsupported),
    })
}

fn jax_axes(args: &Field<'_>) -> Result<jax::Axes, GoldenError> {
    Ok(jax::Axes {
        input: axes(&args.get("in_axis"), -2)?,
        output: axes(&args.get("out_axis"), -1)?,
        batch: args.get("batch_axis").or(Vec::new(), |f| axes_of(f))?,
    })
}

/// A scheme of Keras with its `input_axes` and `output_axes`, where given.
fn keras_scheme(args: &Field<'_>, scheme: VarianceScaling) -> Result<VarianceScaling, GoldenError> {
    let (input, output) = (args.get("input_axes"), args.get("output_axes"));
    if input.is_null() && output.is_null() {
        return Ok(scheme);
    }
    Ok(scheme.with_fans(FanSource::Axes {
        input: axes(&input, -2)?,
        output: axes(&output, -1)?,
        batch: Vec::new(),
    }))
}

fn stft(args: &Field<'_>) -> Result<impl Initializer + use<>, Outcome> {
    let side = match args.get("side").or("real", |f| f.str())? {
        "real" => Side::Real,
        "imag" => Side::Imag,
        _ => return Err(Outcome::Unsupported),
    };
    let window = match args.get("window") {
        none if none.is_null() && args.keys().contains(&"window") => None,
        name => Some(match name.or("hann", |f| f.str())? {
            "hann" => Window::Hann,
            "hamming" => Window::Hamming,
            "blackman" => Window::Blackman,
            "bartlett" => Window::Bartlett,
            "boxcar" | "ones" | "rect" => Window::Rectangular,
            _ => return Err(Outcome::Unsupported),
        }),
    };
    let scaling = match args.get("scaling") {
        none if none.is_null() && args.keys().contains(&"scaling") => Scaling::None,
        name => match name.or("density", |f| f.str())? {
            "density" => Scaling::Density,
            "spectrum" => Scaling::Spectrum,
            _ => return Err(Outcome::Unsupported),
        },
    };
    let periodic = args.get("periodic").or(false, |f| f.bool())?;
    Ok(keras::stft(side, window, scaling, periodic))
}

fn orthogonal(case: &Case) -> Result<(), Outcome> {
    let gain = ["gain", "scale"]
        .into_iter()
        .find_map(|name| case.args().get(name).optional(|f| f.f64()).transpose())
        .unwrap_or(Ok(1.0))?;
    let axis = case.args().get("column_axis").or(-1.0, |f| f.f64())? as isize;
    let initializer = match case.peer() {
        "torch" => torch::orthogonal(gain),
        "jax" => jax::orthogonal(gain, axis),
        _ => keras::orthogonal(gain),
    };
    let shape = case.get("shape").usizes()?;
    let target = target(case)?;
    if case.has("error") {
        let refused = initializer.check(&target);
        return equal("refused as the peer does", refused.is_err(), true);
    }
    // The units lie along this axis.
    let axis = match case.peer() {
        "torch" => 0,
        _ if axis < 0 => (axis + shape.len() as isize) as usize,
        _ => axis as usize,
    };
    let units = *shape.get(axis).ok_or_else(|| failed("no such axis"))?;
    let rest = shape.iter().product::<usize>() / units.max(1);
    let (rows, columns) = match case.peer() {
        "torch" => (units, rest),
        _ => (rest, units),
    };
    if case.has("normal") {
        let mut w = case.get("normal").tensor()?.data;
        initializer
            .from_normal(&mut w, rows, columns)
            .map_err(failed)?;
        close("w", &w, &case.get("w").tensor()?.data, Tolerance::abs(1e-8))?;
    }
    // Whatever was drawn, the smaller side of what we draw is orthonormal.
    let w = initializer
        .values(&target, Key::from_seed(1))
        .map_err(failed)?;
    let inner: usize = shape[axis + 1..].iter().product();
    let unit_at = |unit: usize, i: usize| w[(i / inner * units + unit) * inner + i % inner];
    let by_unit: Vec<f32> = (0..units * rest)
        .map(|i| unit_at(i / rest, i % rest))
        .collect();
    orthonormal(&by_unit, units, rest, gain)
}

/// The smaller Gram matrix is `gain²` times the identity.
fn orthonormal(w: &[f32], rows: usize, columns: usize, gain: f64) -> Result<(), Outcome> {
    let (short, long) = (rows.min(columns), rows.max(columns));
    let at = |i: usize, k: usize| match rows <= columns {
        true => f64::from(w[i * columns + k]),
        false => f64::from(w[k * columns + i]),
    };
    let pairs = (0..short).flat_map(|i| (0..short).map(move |j| (i, j)));
    let (got, want): (Vec<f64>, Vec<f64>) = pairs
        .map(|(i, j)| {
            let sum = (0..long).map(|k| at(i, k) * at(j, k)).sum::<f64>();
            (sum, if i == j { gain * gain } else { 0.0 })
        })
        .unzip();
    close(
        "gram",
        &got,
        &want,
        Tolerance {
            abs: 1e-6 * gain * gain,
            rel: 1e-6,
        },
    )
}

fn delta_orthogonal(case: &Case) -> Result<(), Outcome> {
    let scale = case.args().get("scale").or(1.0, |f| f.f64())?;
    let initializer = jax::delta_orthogonal(scale);
    let target = target(case)?;
    let drawn = initializer.values(&target, Key::from_seed(1));
    if case.has("error") {
        return equal("refused as the peer does", drawn.is_err(), true);
    }
    let w = drawn.map_err(failed)?;
    let shape = &target.shape;
    let rank = shape.len();
    let block = shape[rank - 2] * shape[rank - 1];
    let mut nonzero = Vec::new();
    for (tap, w) in w.chunks(block).enumerate() {
        if w.iter().any(|w| *w != 0.0) {
            let mut rest = tap;
            let mut place = Vec::new();
            for &size in shape[..rank - 2].iter().rev() {
                place.insert(0, rest % size);
                rest /= size;
            }
            nonzero.push(place);
            orthonormal(w, shape[rank - 2], shape[rank - 1], scale)?;
        }
    }
    let want = case.get("nonzero_spatial").items()?;
    let want: Vec<_> = want.iter().map(Field::usizes).collect::<Result<_, _>>()?;
    equal("taps that are not zero", nonzero, want)
}

fn sparse(case: &Case) -> Result<(), Outcome> {
    let sparsity = case.args().get("sparsity").f64()?;
    let std = case.args().get("std").or(0.01, |f| f.f64())?;
    let target = target(case)?;
    let initializer = torch::sparse(sparsity, std);
    if case.has("error") {
        let refused: Result<(), InitError> = initializer.check(&target);
        return equal("refused as the peer does", refused.is_err(), true);
    }
    let columns = target.shape[1];
    let want = case.get("zeros_per_column").usize()?;
    let mut kept = Vec::new();
    for seed in 0..400 {
        let w = initializer
            .values(&target, Key::from_seed(seed))
            .map_err(failed)?;
        for column in 0..columns {
            let zeros = w
                .iter()
                .skip(column)
                .step_by(columns)
                .filter(|w| **w == 0.0)
                .count();
            equal("zeros per column", zeros, want)?;
        }
        kept.extend(w.into_iter().filter(|w| *w != 0.0).map(f64::from));
    }
    match kept.is_empty() {
        true => Ok(()),
        false => random::follows(&kept, &random::Law::normal(0.0, std)),
    }
}
