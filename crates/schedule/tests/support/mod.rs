//! Random specs for the tests of whole recipes.

// Each test binary uses its own part.
#![allow(dead_code)]

use firecraft_key::Rng;
use firecraft_schedule::{Schedulers, register};
use firecraft_spec::{Registries, Registry, Spec, SpecError, Value};

pub(crate) fn registries() -> Registries {
    let mut registries = Registries::new();
    register(&mut registries).unwrap();
    registries
}

/// The parameters that a type knows, as its own errors tell.
pub(crate) fn fields(registry: &Registry<Schedulers>, name: &str) -> Vec<String> {
    let inner = Spec::new("constant").with("value", 1.0);
    let error = |spec: Spec| match registry.build(&spec) {
        Err(error @ SpecError::Field { .. }) => error.to_string(),
        _ => String::new(),
    };
    let mut known = Vec::new();
    for extra in ["inner", "parts", "unit", "seed"] {
        let spec = Spec::new(name).with("inner", &inner).with(extra, "updates");
        if !error(spec).contains(&format!("`{extra}`: unknown field")) {
            known.push(extra.to_owned());
        }
    }
    for spec in [
        Spec::new(name),
        Spec::new(name).with("inner", &inner).with("seed", 0),
    ] {
        let text = error(spec.with("?", 0));
        let list = text.split("expected one of: ").nth(1).unwrap_or("");
        known.extend(
            list.split(", ")
                .filter(|field| !field.is_empty())
                .map(str::to_owned),
        );
    }
    known.sort();
    known.dedup();
    known
}

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.below(of.len() as u64) as usize]
}

fn whole(rng: &mut Rng, low: u64, high: u64) -> i64 {
    (low + rng.below(high - low + 1)) as i64
}

fn curve(rng: &mut Rng) -> Value {
    let power = rng.range(0.2, 4.0);
    let table = |name: &str| Value::Table([(name, power)].into_iter().collect());
    match rng.below(6) {
        0 => "linear".into(),
        1 => "cosine".into(),
        2 => "1-sqrt".into(),
        3 => "1-square".into(),
        4 => table("power"),
        _ => table("polynomial"),
    }
}

/// A valid closed form over any unit.
pub(crate) fn closed_form(rng: &mut Rng) -> Spec {
    let start = rng.range(0.01, 1.0);
    let unit = pick(rng, &["updates", "epochs", "fractional_epochs", "fraction"]);
    let length = match unit {
        "updates" => rng.range(1.5, 80.0),
        "fraction" => rng.range(0.1, 1.2),
        _ => rng.range(1.5, 12.0),
    };
    let new = |name: &str| Spec::new(name).with("unit", unit);
    let started = |name: &str| new(name).with("start", start);
    let ranged = |name: &str| started(name).with("length", length);
    let end = start * rng.uniform_f64();
    match rng.below(18) {
        0 => new("constant").with("value", start),
        1 => new("constant_factor")
            .with("value", start)
            .with("length", length),
        2 => ranged("linear").with("end", end),
        3 => ranged("polynomial")
            .with("power", rng.range(0.3, 3.0))
            .with("cycle", rng.chance(0.3)),
        4 => started("exponential")
            .with("rate", rng.range(0.5, 1.1))
            .with("staircase", rng.chance(0.5)),
        5 => started("step")
            .with("every", length)
            .with("factor", rng.range(0.1, 0.9)),
        6 => started("multi_step").with("milestones", vec![length, length * 2.0, length]),
        7 => new("piecewise_constant")
            .with("boundaries", vec![length, length * 2.0])
            .with("values", vec![start, end, start]),
        8 => started("inverse_time_decay").with("rate", rng.range(0.0, 1.0)),
        9 => started("inverse_sqrt").with("timescale", length),
        10 => new("noam").with("model_size", 64).with("warmup", length),
        11 => ranged("cosine")
            .with("end", end)
            .with("exponent", rng.range(0.5, 2.0)),
        12 => ranged("warm_restarts")
            .with("length_factor", rng.range(0.6, 2.5))
            .with("shrink", rng.range(0.5, 1.0))
            .with("curve", curve(rng)),
        13 => ranged("tanh").with("end", end),
        14 => new("one_cycle")
            .with("peak", start)
            .with("length", length.max(1.1))
            .with("three_phase", rng.chance(0.5)),
        15 => ranged("flat_cosine"),
        16 => new("cyclic")
            .with("base", end)
            .with("max", start)
            .with("up", length)
            .with(
                "mode",
                pick(rng, &["triangular", "triangular2", "exp_range"]),
            ),
        _ => new("warmup_stable_decay")
            .with("peak", start)
            .with("warmup", length / 4.0)
            .with("stable", length / 2.0)
            .with("decay", length / 4.0)
            .with("decay_curve", curve(rng)),
    }
}

/// A valid scheduler of width 1: closed forms, metric-driven rules, peers' and
/// combinators of all of these, nested up to `depth` levels.
pub(crate) fn scheduler(rng: &mut Rng, depth: u32) -> Spec {
    let kinds = if depth == 0 { 4 } else { 15 };
    let inner = |rng: &mut Rng| scheduler(rng, depth.saturating_sub(1));
    let length = rng.range(1.0, 40.0);
    match rng.below(kinds) {
        0 | 1 => closed_form(rng),
        2 => Spec::new("reduce_on_plateau")
            .with("value", rng.range(0.01, 1.0))
            .with("patience", whole(rng, 0, 3))
            .with("cooldown", whole(rng, 0, 2))
            .with("accumulate", whole(rng, 1, 3))
            .with("rule", pick(rng, &["keras", "torch", "optax"]))
            .with("nan", pick(rng, &["worse", "ignore"])),
        3 => Spec::new("greedy")
            .with("value", rng.range(0.01, 1.0))
            .with("patience", whole(rng, 0, 3))
            .with("factor", rng.range(0.3, 0.9))
            .with("window", whole(rng, 1, 5))
            .with("reset_after", whole(rng, 1, 4)),
        4 | 5 => Spec::new("warmup")
            .with("length", length)
            .with("mode", pick(rng, &["prefix", "overlap", "scale"]))
            .with("curve", curve(rng))
            .with("inner", inner(rng)),
        6 => Spec::new("delay")
            .with("length", length)
            .with("inner", inner(rng)),
        7 => Spec::new("repeat")
            .with("length", length)
            .with("inner", inner(rng)),
        8 => Spec::new("jitter")
            .with("seed", whole(rng, 0, 1000))
            .with("inner", inner(rng)),
        9 => Spec::new(pick(rng, &["product", "sum", "min", "max"]))
            .with("parts", vec![inner(rng), inner(rng)]),
        10 => Spec::new("clamp")
            .with("min", 0.1)
            .with("max", 0.5)
            .with("inner", inner(rng)),
        11 => Spec::new("proportional")
            .with("min", 0.0)
            .with("max", 1.0)
            .with("to_min", 0.95)
            .with("to_max", 0.85)
            .with("inner", inner(rng)),
        12 => Spec::new("round")
            .with("multiple", 0.125)
            .with("inner", inner(rng)),
        13 => {
            let unit = pick(rng, &["updates", "epochs", "fraction"]);
            let scale = match unit {
                "updates" => 10.0,
                "epochs" => 1.5,
                _ => 0.2,
            };
            let part = |rng: &mut Rng, length: Option<f64>| {
                let part = Spec::new("").with("schedule", inner(rng)).params;
                let length = length.map(|length| ("length".to_owned(), Value::from(length)));
                Value::Table(part.into_iter().chain(length).collect())
            };
            let (first, second) = (scale * rng.range(0.5, 2.0), scale * rng.range(0.5, 2.0));
            let parts = vec![
                part(rng, Some(first)),
                part(rng, Some(second)),
                part(rng, None),
            ];
            Spec::new("sequence")
                .with("unit", unit)
                .with("parts", parts)
        }
        _ => Spec::new("torch.ChainedScheduler")
            .with("base_lr", 0.1)
            .with(
                "schedulers",
                vec![
                    Spec::new("CosineAnnealingLR")
                        .with("T_max", whole(rng, 1, 20))
                        .with("eta_min", 0.01),
                    Spec::new("StepLR").with("step_size", whole(rng, 1, 20)),
                ],
            ),
    }
}
