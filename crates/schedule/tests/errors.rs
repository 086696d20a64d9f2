//! Every error names the schedule, the field, the value and what is allowed.

// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]

mod support;

use firecraft_schedule::{BoxScheduler, Horizon, Scheduler, Schedulers};
use firecraft_spec::{Spec, SpecError, Value};
use std::collections::BTreeSet;
use support::{fields, registries};

/// A valid spec of every type, with the parameters that it can't do without.
const VALID: &str = r#"
[[specs]]
constant = { value = 0.1 }
constant_factor = { value = 0.1, length = 5 }
linear = { start = 0.1, end = 0, length = 5 }
polynomial = { start = 0.1, length = 5 }
exponential = { start = 0.1, rate = 0.9 }
step = { start = 0.1, every = 5 }
multi_step = { start = 0.1, milestones = [3, 5] }
piecewise_constant = { boundaries = [3, 5], values = [0.1, 0.2, 0.3] }
piecewise = { knots = [[0, 0.1], [5, 0.2]] }
inverse_time_decay = { start = 0.1, rate = 0.1 }
inverse_sqrt = { start = 0.1, timescale = 5 }
noam = { model_size = 64, warmup = 5 }
cosine = { start = 0.1, length = 5 }
warm_restarts = { start = 0.1, length = 5 }
tanh = { start = 0.1, length = 5 }
one_cycle = { peak = 0.1, length = 5 }
one_cycle_momentum = { length = 5 }
flat_cosine = { start = 0.1, length = 5 }
cyclic = { base = 0.1, max = 0.2, up = 5 }
warmup_stable_decay = { peak = 0.1, warmup = 2, stable = 5, decay = 3 }
chebyshev = { base = 0.1, length = 5 }
rex = { start = 0.1, length = 5 }
reduce_on_plateau = { value = 0.1 }
greedy = { value = 0.1 }
warmup = { length = 5, inner = { type = "constant", value = 1 } }
delay = { length = 5, inner = { type = "constant", value = 1 } }
repeat = { length = 5, inner = { type = "constant", value = 1 } }
jitter = { seed = 1, inner = { type = "constant", value = 1 } }
per_group = { groups = { a = 1 }, inner = { type = "constant", value = 1 } }
slots = { parts = [{ schedule = { type = "constant", value = 1 } }] }
sequence = { parts = [{ length = 5, schedule = { type = "constant", value = 1 } }] }
product = { parts = [{ type = "constant", value = 1 }] }
sum = { parts = [{ type = "constant", value = 1 }] }
min = { parts = [{ type = "constant", value = 1 }] }
max = { parts = [{ type = "constant", value = 1 }] }
scale = { factor = 2, inner = { type = "constant", value = 1 } }
clamp = { min = 0.1, max = 0.2, inner = { type = "constant", value = 1 } }
invert = { low = 0.1, high = 0.2, inner = { type = "constant", value = 1 } }
proportional = { min = 0, max = 1, to_min = 0, to_max = 1, inner = { type = "constant", value = 1 } }
round = { multiple = 8, inner = { type = "constant", value = 1 } }
"torch.StepLR" = { base_lr = 0.1, step_size = 5 }
"torch.MultiStepLR" = { base_lr = 0.1, milestones = [5] }
"torch.ConstantLR" = { base_lr = 0.1 }
"torch.LinearLR" = { base_lr = 0.1 }
"torch.ExponentialLR" = { base_lr = 0.1, gamma = 0.9 }
"torch.PolynomialLR" = { base_lr = 0.1 }
"torch.CosineAnnealingLR" = { base_lr = 0.1, T_max = 5 }
"torch.CosineAnnealingWarmRestarts" = { base_lr = 0.1, T_0 = 5 }
"torch.SWALR" = { base_lr = 0.1, swa_lr = 0.05 }
"torch.OneCycleLR" = { max_lr = 0.1, total_steps = 50 }
"torch.CyclicLR" = { base_lr = 0.1, max_lr = 0.2 }
"torch.ReduceLROnPlateau" = { base_lr = 0.1 }
"torch.SequentialLR" = { base_lr = 0.1, milestones = [], schedulers = [{ type = "ConstantLR" }] }
"torch.ChainedScheduler" = { base_lr = 0.1, schedulers = [{ type = "ConstantLR" }] }
"keras.ExponentialDecay" = { initial_learning_rate = 0.1, decay_steps = 5, decay_rate = 0.9 }
"keras.PiecewiseConstantDecay" = { boundaries = [5], values = [0.1, 0.2] }
"keras.PolynomialDecay" = { initial_learning_rate = 0.1, decay_steps = 5 }
"keras.InverseTimeDecay" = { initial_learning_rate = 0.1, decay_steps = 5, decay_rate = 0.9 }
"keras.CosineDecay" = { initial_learning_rate = 0.1, decay_steps = 5 }
"keras.CosineDecayRestarts" = { initial_learning_rate = 0.1, first_decay_steps = 5 }
"keras.ReduceLROnPlateau" = { base_lr = 0.1 }
"timm.CosineLRScheduler" = { base_lr = 0.1, t_initial = 50 }
"timm.TanhLRScheduler" = { base_lr = 0.1, t_initial = 50 }
"timm.PolyLRScheduler" = { base_lr = 0.1, t_initial = 50 }
"timm.StepLRScheduler" = { base_lr = 0.1, decay_t = 5 }
"timm.MultiStepLRScheduler" = { base_lr = 0.1, decay_t = [5] }
"timm.WSDLRScheduler" = { base_lr = 0.1, t_initial = 50, decay_t = 5 }
"timm.PlateauLRScheduler" = { base_lr = 0.1 }
"transformers.constant" = { base_lr = 0.1 }
"transformers.constant_with_warmup" = { base_lr = 0.1, num_warmup_steps = 5 }
"transformers.linear" = { base_lr = 0.1, num_warmup_steps = 5, num_training_steps = 50 }
"transformers.cosine" = { base_lr = 0.1, num_warmup_steps = 5, num_training_steps = 50 }
"transformers.cosine_with_restarts" = { base_lr = 0.1, num_warmup_steps = 5, num_training_steps = 50 }
"transformers.polynomial" = { base_lr = 0.1, num_warmup_steps = 5, num_training_steps = 50 }
"transformers.inverse_sqrt" = { base_lr = 0.1, num_warmup_steps = 5 }
"transformers.cosine_with_min_lr" = { base_lr = 0.1, num_warmup_steps = 5, num_training_steps = 50, min_lr = 0.01 }
"transformers.cosine_warmup_with_min_lr" = { base_lr = 0.1, num_warmup_steps = 5, num_training_steps = 50, min_lr = 0.01 }
"transformers.warmup_stable_decay" = { base_lr = 0.1, num_warmup_steps = 5, num_decay_steps = 5, num_stable_steps = 5 }
"transformers.greedy" = { base_lr = 0.1 }
"transformers.reduce_lr_on_plateau" = { base_lr = 0.1 }
"optax.constant_schedule" = { value = 0.1 }
"optax.linear_schedule" = { init_value = 0.1, end_value = 0, transition_steps = 5 }
"optax.polynomial_schedule" = { init_value = 0.1, end_value = 0, power = 1, transition_steps = 5 }
"optax.exponential_decay" = { init_value = 0.1, transition_steps = 5, decay_rate = 0.9 }
"optax.cosine_decay_schedule" = { init_value = 0.1, decay_steps = 5 }
"optax.piecewise_constant_schedule" = { init_value = 0.1, boundaries_and_scales = { 5 = 0.5 } }
"optax.piecewise_interpolate_schedule" = { interpolate_type = "linear", init_value = 0.1, boundaries_and_scales = { 5 = 0.5 } }
"optax.linear_onecycle_schedule" = { transition_steps = 50, peak_value = 0.1 }
"optax.cosine_onecycle_schedule" = { transition_steps = 50, peak_value = 0.1 }
"optax.warmup_constant_schedule" = { init_value = 0, peak_value = 0.1, warmup_steps = 5 }
"optax.warmup_cosine_decay_schedule" = { init_value = 0, peak_value = 0.1, warmup_steps = 5, decay_steps = 50 }
"optax.warmup_exponential_decay_schedule" = { init_value = 0, peak_value = 0.1, warmup_steps = 5, transition_steps = 5, decay_rate = 0.9 }
"optax.sgdr_schedule" = { cosine_kwargs = [{ init_value = 0, peak_value = 0.1, warmup_steps = 5, decay_steps = 50 }] }
"optax.reduce_on_plateau" = {}
"fastai.SchedLin" = { start = 0.1, end = 0.2 }
"fastai.SchedCos" = { start = 0.1, end = 0.2 }
"fastai.SchedNo" = { start = 0.1, end = 0.2 }
"fastai.SchedExp" = { start = 0.1, end = 0.2 }
"fastai.SchedPoly" = { start = 0.1, end = 0.2, power = 2 }
"fastai.combined_cos" = { pct = 0.5, start = 0.1, middle = 0.2, end = 0.3 }
"fastai.combine_scheds" = { pcts = [1.0], scheds = [{ type = "fastai.SchedLin", start = 0.1, end = 0.2 }] }
"fastai.fit_one_cycle" = { lr_max = 0.1 }
"fastai.fit_flat_cos" = { lr = 0.1 }
"fastai.fit_sgdr" = { lr_max = 0.1, n_cycles = 3 }
"fastai.ReduceLROnPlateau" = { base_lr = 0.1 }
"pytorch_optimizer.linear" = { t_max = 50, max_lr = 0.1 }
"pytorch_optimizer.cosine" = { t_max = 50, max_lr = 0.1 }
"pytorch_optimizer.poly" = { t_max = 50, max_lr = 0.1 }
"pytorch_optimizer.rex" = { total_steps = 50 }
"pytorch_optimizer.chebyshev" = { base_lr = 0.1, num_epochs = 16 }
"pytorch_optimizer.cosine_annealing_with_warmup" = { first_cycle_steps = 50 }
"pytorch_optimizer.warmup_stable_decay" = { base_lr = 0.1, num_warmup_steps = 5, num_stable_steps = 5, num_decay_steps = 5 }
"#;

fn valid() -> Vec<Spec> {
    let tables: Value = toml::from_str(VALID).unwrap();
    let specs = tables.as_table().unwrap().get("specs").unwrap();
    let specs = specs.as_list().unwrap()[0].as_table().unwrap();
    let spec = |(name, params): (&str, &Value)| {
        let mut spec = Spec::new(name);
        spec.params = params.as_table().unwrap().clone();
        spec
    };
    specs.iter().map(spec).collect()
}

fn build(spec: &Spec) -> Result<BoxScheduler, SpecError> {
    registries().build::<Schedulers>(spec)
}

fn of_toml(text: &str) -> Result<BoxScheduler, SpecError> {
    build(&toml::from_str::<Spec>(text).unwrap())
}

fn error(text: &str) -> String {
    of_toml(text).err().unwrap().to_string()
}

#[test]
fn every_registered_type_is_in_the_list_and_builds() {
    let registries = registries();
    let registered: BTreeSet<String> = registries
        .get::<Schedulers>()
        .unwrap()
        .names()
        .map(str::to_owned)
        .collect();
    let listed = valid().into_iter().map(|spec| spec.type_name);
    assert_eq!(listed.collect::<BTreeSet<_>>(), registered);
    for spec in valid() {
        assert!(build(&spec).is_ok(), "{:?}", build(&spec).err());
    }
}

#[test]
fn an_unknown_field_is_named_with_the_known_ones() {
    for spec in valid() {
        let name = spec.type_name.clone();
        let error = build(&spec.with("lenght", 3)).err().unwrap().to_string();
        let told = error.contains(&format!("{name}: `lenght`: unknown field"));
        assert!(told && error.contains("expected"), "{error}");
    }
}

#[test]
fn a_missing_field_is_named() {
    for spec in valid() {
        for field in spec.params.keys().map(str::to_owned).collect::<Vec<_>>() {
            let mut without = spec.clone();
            without.params.remove(&field);
            if let Err(error) = build(&without) {
                let error = error.to_string();
                // One that could stand in its place may be named too.
                assert!(error.contains(&format!("`{field}`")), "{error}");
            }
        }
    }
}

/// No field of no type takes what is not a number, and each says so by name.
#[test]
fn no_field_takes_nan() {
    let registries = registries();
    let registry = registries.get::<Schedulers>().unwrap();
    let (mut tried, mut wrong) = (0, Vec::new());
    for spec in valid() {
        let name = &spec.type_name;
        for field in fields(registry, name) {
            match build(&spec.clone().with(field.as_str(), f64::NAN)) {
                Ok(_) => wrong.push(format!("{name}: `{field}` takes NaN")),
                Err(error) => {
                    let error = error.to_string();
                    let told = error.contains(&format!("`{field}"));
                    let unknown = error.contains("unknown field");
                    let fits = unknown || (told && error.to_lowercase().contains("nan"));
                    if !fits {
                        wrong.push(format!("{name}, {field}: {error}"));
                    }
                    tried += u32::from(!unknown);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 300, "{tried}");
}

#[test]
fn no_length_is_negative() {
    let registries = registries();
    let registry = registries.get::<Schedulers>().unwrap();
    let lengths = [
        "length",
        "every",
        "up",
        "down",
        "warmup",
        "stable",
        "decay",
        "timescale",
        "patience",
        "cooldown",
        "step_size",
        "total_iters",
        "T_max",
        "T_0",
        "total_steps",
        "epochs",
        "steps_per_epoch",
        "step_size_up",
        "step_size_down",
        "anneal_epochs",
        "decay_steps",
        "warmup_steps",
        "first_decay_steps",
        "t_initial",
        "warmup_t",
        "decay_t",
        "patience_t",
        "cooldown_t",
        "num_warmup_steps",
        "num_training_steps",
        "num_decay_steps",
        "num_stable_steps",
        "t_max",
        "num_epochs",
        "first_cycle_steps",
        "accumulation_size",
        "window",
        "n_cycles",
    ];
    let (mut tried, mut wrong) = (0, Vec::new());
    for spec in valid() {
        let name = &spec.type_name;
        // optax takes a negative number for none at all.
        if name.starts_with("optax.") && name != "optax.reduce_on_plateau" {
            continue;
        }
        for field in fields(registry, name) {
            if !lengths.contains(&field.as_str()) || spec.params.get(&field).is_some_and(is_list) {
                continue;
            }
            tried += 1;
            match build(&spec.clone().with(field.as_str(), -3)) {
                Ok(_) => wrong.push(format!("{name}: `{field}` takes -3")),
                Err(error) => {
                    let error = error.to_string();
                    if !(error.contains(&format!("`{field}`")) && error.contains("-3")) {
                        wrong.push(format!("{name}, {field}: {error}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 80, "{tried}");
}

fn is_list(value: &Value) -> bool {
    value.as_list().is_some()
}

#[test]
fn a_factor_of_one_or_more_is_refused_with_its_range() {
    let factor = |text: &str| error(&format!("{text}\nfactor = 1.5"));
    assert_eq!(
        factor("type = 'reduce_on_plateau'\nvalue = 0.1"),
        "reduce_on_plateau: `factor`: must be in (0, 1), got 1.5"
    );
    assert_eq!(
        factor("type = 'greedy'\nvalue = 0.1"),
        "greedy: `factor`: must be in (0, 1), got 1.5"
    );
    for peer in [
        "torch.ReduceLROnPlateau",
        "keras.ReduceLROnPlateau",
        "transformers.reduce_lr_on_plateau",
        "transformers.greedy",
    ] {
        let error = factor(&format!("type = '{peer}'\nbase_lr = 0.1"));
        assert!(
            error.contains("`factor`: must be in (0, 1), got 1.5"),
            "{error}"
        );
    }
    let error = factor("type = 'optax.reduce_on_plateau'");
    assert!(
        error.contains("`factor`: must be in (0, 1), got 1.5"),
        "{error}"
    );
    let timm = error_of("timm.PlateauLRScheduler", "base_lr = 0.1\ndecay_rate = 1.0");
    assert!(
        timm.contains("`decay_rate`: must be in (0, 1), got 1"),
        "{timm}"
    );
    let fastai = error_of("fastai.ReduceLROnPlateau", "base_lr = 0.1\nfactor = 0.5");
    assert!(
        fastai.contains("`factor`: must be > 1, it divides, got 0.5"),
        "{fastai}"
    );
}

fn error_of(name: &str, params: &str) -> String {
    error(&format!("type = '{name}'\n{params}"))
}

#[test]
fn bounds_in_the_wrong_order_are_refused_with_both() {
    let inner = "inner = { type = 'constant', value = 1 }";
    let cases = [
        (
            "clamp",
            format!("min = 2\nmax = 1\n{inner}"),
            "`min`: must be <= `max` = 1, got 2",
        ),
        (
            "invert",
            format!("low = 2\nhigh = 1\n{inner}"),
            "`low`: must be <= `high` = 1, got 2",
        ),
        (
            "proportional",
            format!("min = 2\nmax = 1\nto_min = 0\nto_max = 1\n{inner}"),
            "`min`: must be <= `max` = 1, got 2",
        ),
        (
            "greedy",
            "value = 0.1\nmin = 2\nmax = 1".into(),
            "`min`: must be <= `max` = 1, got 2",
        ),
        (
            "cyclic",
            "base = 2\nmax = 1\nup = 3".into(),
            "`base`: must be <= `max` = 1, got 2",
        ),
        (
            "tanh",
            "start = 1\nlength = 5\nlower = 3\nupper = 1".into(),
            "`lower`: must be < `upper` = 1, got 3",
        ),
        (
            "chebyshev",
            "base = 1\nlength = 5\nlower = 3\nupper = 1".into(),
            "`upper`: must be > `lower` = 3, got 1",
        ),
        (
            "piecewise_constant",
            "boundaries = [5, 3]\nvalues = [1, 2, 3]".into(),
            "`boundaries[1]`: must be > 5, got 3",
        ),
        (
            "jitter",
            format!("seed = 1\nfrom = 5\nto = 3\n{inner}"),
            "`from`: must be <= `to` = 3, got 5",
        ),
    ];
    for (name, params, expected) in cases {
        assert_eq!(error_of(name, &params), format!("{name}: {expected}"));
    }
}

#[test]
fn a_total_shorter_than_its_warm_up_is_refused_with_both() {
    let warm = "type = 'warmup'\nlength = 5\nunit = 'epochs'\n\
                inner = { type = 'cosine', start = 0.1, length = 5 }";
    let warm = of_toml(warm).unwrap();
    assert!(warm.check(&Horizon::epochs(6, 10)).is_ok());
    assert_eq!(
        warm.check(&Horizon::epochs(5, 10)).unwrap_err().to_string(),
        "warmup: `length` must be shorter than the run of 50 updates, got 50"
    );
    let run = Horizon::epochs(5, 10);
    let own = [
        (
            "warmup_stable_decay",
            "peak = 1\nwarmup = 50\nstable = 5\ndecay = 5",
            "warmup",
        ),
        ("noam", "model_size = 64\nwarmup = 50", "warmup"),
        (
            "transformers.linear",
            "base_lr = 1\nnum_warmup_steps = 50\nnum_training_steps = 60",
            "num_warmup_steps",
        ),
        (
            "timm.CosineLRScheduler",
            "base_lr = 1\nt_initial = 9\nwarmup_t = 5",
            "warmup_t",
        ),
    ];
    for (name, params, field) in own {
        let schedule = of_toml(&format!("type = '{name}'\n{params}")).unwrap();
        assert!(schedule.check(&Horizon::epochs(6, 10)).is_ok(), "{name}");
        assert_eq!(
            schedule.check(&run).unwrap_err().to_string(),
            format!("{name}: `{field}` must be shorter than the run of 50 updates, got 50")
        );
    }
    let cases = [
        (
            "optax.warmup_cosine_decay_schedule",
            "init_value = 0\npeak_value = 1\nwarmup_steps = 9\ndecay_steps = 5",
            "`decay_steps`: must be > `warmup_steps` = 9, got 5",
        ),
        (
            "pytorch_optimizer.cosine",
            "max_lr = 1\nwarmup_steps = 9\nt_max = 5",
            "`t_max`: must be > `warmup_steps` = 9, got 5",
        ),
        (
            "pytorch_optimizer.cosine_annealing_with_warmup",
            "warmup_steps = 9\nfirst_cycle_steps = 5",
            "`first_cycle_steps`: must be > `warmup_steps` = 9, got 5",
        ),
    ];
    for (name, params, expected) in cases {
        assert_eq!(error_of(name, params), format!("{name}: {expected}"));
    }
}
