//! No spec and no state makes the crate panic.
//!
//! `SCHEDULE_FUZZ_CASES` sets the number of cases (20000 by default, 10^6 in
//! the nightly run); each is a function of its number, which a failure prints.

// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]

mod support;

use firecraft_key::{Key, Rng};
use firecraft_schedule::{BoxScheduler, Horizon, Scheduler, Schedulers, State, StepContext};
use firecraft_spec::{Registries, Spec, Value, to_value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::{fields, registries, scheduler};

fn cases() -> u64 {
    let cases = std::env::var("SCHEDULE_FUZZ_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(20_000)
}

/// Runs `case` for every number; a panic is reported with its number.
fn fuzz(name: &str, mut case: impl FnMut(&mut Rng)) {
    for number in 0..cases() {
        let mut rng = Key::from_seed(number).named(name).rng();
        let outcome = catch_unwind(AssertUnwindSafe(|| case(&mut rng)));
        assert!(outcome.is_ok(), "case {number} of {name} panicked");
    }
}

/// Numbers that break things, and ordinary ones.
fn number(rng: &mut Rng) -> Value {
    const ODD: [f64; 12] = [
        0.0,
        -0.0,
        -1.0,
        1.0,
        0.5,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        f64::MAX,
        1e-300,
        1e17,
    ];
    const WHOLE: [i64; 7] = [0, 1, -1, 2, 7, i64::MAX, i64::MIN];
    match rng.below(8) {
        0 => ODD[rng.below(12) as usize].into(),
        1 => WHOLE[rng.below(7) as usize].into(),
        2..=4 => rng.range(0.0, 1.0).into(),
        _ => (rng.below(200) as i64).into(),
    }
}

fn value(rng: &mut Rng, depth: u32) -> Value {
    match rng.below(if depth == 0 { 7 } else { 11 }) {
        0 => Value::Null,
        1 => rng.chance(0.5).into(),
        2 => {
            let words = [
                "min", "max", "cosine", "linear", "epochs", "cos", "1-sqrt", "", "x",
            ];
            words[rng.below(9) as usize].into()
        }
        3..=6 => number(rng),
        7 => Value::List((0..rng.below(4)).map(|_| number(rng)).collect()),
        8 => Value::List((0..rng.below(3)).map(|_| value(rng, depth - 1)).collect()),
        9 => {
            let names = ["power", "tanh", "lower", "upper", "3", "length", "schedule"];
            let entries = (0..rng.below(3)).map(|_| {
                let name = names[rng.below(7) as usize];
                (name, value(rng, depth - 1))
            });
            Value::Table(entries.collect::<Vec<_>>().into_iter().collect())
        }
        _ => scheduler(rng, depth - 1).into(),
    }
}

/// Steps a scheduler through a short run and a few odd moments.
fn exercise(scheduler: &mut BoxScheduler, rng: &mut Rng) {
    let width = scheduler.width();
    if width > 1 << 16 {
        return;
    }
    let mut out = vec![0.0; width + 1];
    let horizon = Horizon::epochs(3, 1 + rng.below(9));
    let _ = scheduler.check(&horizon);
    let _ = scheduler.check(&Horizon::default());
    let _ = (scheduler.slots(), scheduler.phases(&horizon));
    for update in 0..horizon.total_updates.unwrap_or(0) {
        let mut context = horizon.at(update);
        if rng.chance(0.3) {
            context.metric = number(rng).as_number();
        }
        scheduler.step(&context, &mut out);
    }
    // Contexts that no trainer would make.
    for _ in 0..3 {
        let odd = |rng: &mut Rng| Some(rng.below(3)).filter(|_| rng.chance(0.7));
        let context = StepContext {
            update: rng.below(5_000),
            epoch: rng.below(5_000),
            total_updates: odd(rng),
            updates_per_epoch: odd(rng),
            metric: number(rng).as_number(),
        };
        scheduler.step(&context, &mut out[..rng.below(width as u64 + 1) as usize]);
    }
    let state = scheduler.state();
    scheduler.restore(&state).unwrap();
}

fn build(registries: &Registries, spec: &Spec) -> Option<BoxScheduler> {
    registries.build::<Schedulers>(spec).ok()
}

#[test]
fn random_parameters_of_every_type_do_not_panic() {
    let registries = registries();
    let registry = registries.get::<Schedulers>().unwrap();
    let types: Vec<(String, Vec<String>)> = registry
        .names()
        .map(|name| (name.to_owned(), fields(registry, name)))
        .collect();
    let mut built = 0_u64;
    fuzz("parameters", |rng| {
        let (name, fields) = &types[rng.below(types.len() as u64) as usize];
        let mut spec = Spec::new(name.as_str());
        for field in fields {
            if rng.chance(0.8) {
                let value = match field.as_str() {
                    "inner" => scheduler(rng, 1).into(),
                    "parts" => Value::from(vec![scheduler(rng, 1), scheduler(rng, 0)]),
                    "unit" => "updates".into(),
                    word if word.ends_with("mode") || word.ends_with("type") => {
                        ["min", "max", "linear", "cosine", "rel", "abs"][rng.below(6) as usize]
                            .into()
                    }
                    _ if rng.chance(0.9) => number(rng),
                    _ => value(rng, 2),
                };
                spec = spec.with(field.as_str(), value);
            }
        }
        if let Some(mut scheduler) = build(&registries, &spec) {
            built += 1;
            exercise(&mut scheduler, rng);
        }
    });
    // Otherwise it only tests that errors don't panic.
    assert!(built * 50 > cases(), "{built} of {} were valid", cases());
}

#[test]
fn valid_recipes_with_one_thing_wrong_do_not_panic() {
    let registries = registries();
    fuzz("mutations", |rng| {
        let mut tree = Value::from(scheduler(rng, 3));
        for _ in 0..=rng.below(2) {
            let new = value(rng, 2);
            mutate(&mut tree, rng, &new);
        }
        let spec = firecraft_spec::from_value::<Spec>(&tree).ok();
        if let Some(mut scheduler) = spec.and_then(|spec| build(&registries, &spec)) {
            exercise(&mut scheduler, rng);
        }
    });
}

/// Replaces one value somewhere in a tree.
fn mutate(tree: &mut Value, rng: &mut Rng, new: &Value) {
    let go_on = rng.chance(0.7);
    match tree {
        Value::Table(table) if !table.is_empty() && go_on => {
            let nth = rng.below(table.len() as u64) as usize;
            let name = table.keys().nth(nth).unwrap().to_owned();
            mutate(table.get_mut(&name).unwrap(), rng, new);
        }
        Value::List(values) if !values.is_empty() && go_on => {
            let nth = rng.below(values.len() as u64) as usize;
            mutate(&mut values[nth], rng, new);
        }
        other => *other = new.clone(),
    }
}

#[test]
fn broken_texts_do_not_panic() {
    let registries = registries();
    fuzz("texts", |rng| {
        let spec = scheduler(rng, 2);
        let toml = rng.chance(0.5);
        let text = if toml {
            toml::to_string(&spec).unwrap()
        } else {
            serde_json::to_string(&spec).unwrap()
        };
        let mut bytes = text.into_bytes();
        for _ in 0..=rng.below(3) {
            let place = rng.below(bytes.len() as u64) as usize;
            match rng.below(3) {
                0 => bytes[place] = b" -0123456789.e{}[]\"',=naif"[rng.below(26) as usize],
                1 => bytes.truncate(place + 1),
                _ => bytes.insert(place, b"0-9\"}"[rng.below(5) as usize]),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let spec: Option<Spec> = if toml {
            toml::from_str(&text).ok()
        } else {
            serde_json::from_str(&text).ok()
        };
        if let Some(mut scheduler) = spec.and_then(|spec| build(&registries, &spec)) {
            exercise(&mut scheduler, rng);
        }
    });
}

#[test]
fn damaged_states_do_not_panic() {
    let registries = registries();
    fuzz("states", |rng| {
        let spec = scheduler(rng, 2);
        let mut scheduler = build(&registries, &spec).unwrap();
        exercise(&mut scheduler, rng);
        let mut tree = to_value(&scheduler.state()).unwrap();
        let new = value(rng, 1);
        mutate(&mut tree, rng, &new);
        let state = firecraft_spec::from_value::<State>(&tree);
        if state.is_ok_and(|state| scheduler.restore(&state).is_ok()) {
            let mut out = [0.0];
            for update in 0..20 {
                scheduler.step(&StepContext::at(update).with_metric(1.0), &mut out);
            }
        }
    });
}
