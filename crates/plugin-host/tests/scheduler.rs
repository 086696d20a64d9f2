//! Schedulers of plugins: as good as built in, and contained when they fail.
// Linking a plugin is unsafe by nature; these are made here.
#![allow(unsafe_code)]
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use firecraft_plugin::{Error, Scheduler as Authored, Step, declare_plugin};
use firecraft_plugin_host::{Plugin, PluginError};
use firecraft_schedule::{BoxScheduler, Scheduler, Schedulers, State, StepContext, step_value};
use firecraft_spec::{Registries, Spec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counts evaluations: `start / (1 + evaluations)`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Countdown {
    start: f64,
}

#[derive(Default, Serialize, Deserialize)]
struct Evaluations(u64);

impl Authored for Countdown {
    type State = Evaluations;
    const NAME: &'static str = "countdown";
    const SUMMARY: &'static str = "divides by the number of evaluations";
    const STATE_VERSION: u32 = 3;

    fn validate(&self) -> Result<(), Error> {
        if self.start > 0.0 {
            Ok(())
        } else {
            Err(Error::new("`start` must be above 0"))
        }
    }

    fn step(&self, state: &mut Evaluations, step: &Step, values: &mut [f64]) {
        state.0 += u64::from(step.metric.is_some());
        values.fill(self.start / (1 + state.0) as f64);
    }
}

/// Does one wrong thing.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Faulty {
    fault: String,
}

/// Panics when its text is written down, if it says so.
#[derive(Default)]
struct FaultyState {
    fault: String,
}

impl Serialize for FaultyState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.fault.as_str() {
            "panic in save" => panic!("no state today"),
            "error in save" => Err(serde::ser::Error::custom("unwritable")),
            _ => self.fault.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for FaultyState {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fault = String::deserialize(deserializer)?;
        assert_ne!(fault, "panic in load", "no state today");
        Ok(Self { fault })
    }
}

impl Drop for FaultyState {
    fn drop(&mut self) {
        assert_ne!(self.fault, "panic in destroy", "no end today");
    }
}

/// Panics when it is dropped, as a payload of a panic.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("twice");
    }
}

impl Authored for Faulty {
    type State = FaultyState;
    const NAME: &'static str = "faulty";
    const SUMMARY: &'static str = "does one wrong thing";

    fn validate(&self) -> Result<(), Error> {
        match self.fault.as_str() {
            "panic in create" => panic!("not today"),
            "error in create" => Err(Error::new("not today")),
            _ => Ok(()),
        }
    }

    fn step(&self, state: &mut FaultyState, _: &Step, values: &mut [f64]) {
        state.fault.clone_from(&self.fault);
        match self.fault.as_str() {
            "panic in step" => panic!("at {}", 7),
            "bomb in step" => std::panic::panic_any(Bomb),
            "nan" => values.fill(f64::NAN),
            "inf" => values.fill(f64::INFINITY),
            "nothing" => {}
            _ => values.fill(0.5),
        }
    }
}

declare_plugin! {
    entry: plugin,
    id: "org.example.test",
    transforms: [],
    schedulers: [Countdown, Faulty],
}

fn registries() -> Registries {
    let mut registries = Registries::new();
    // SAFETY: a plugin of this binary.
    unsafe { Plugin::link(plugin) }
        .unwrap()
        .register(&mut registries)
        .unwrap();
    registries
}

fn build(spec: &Spec) -> Result<BoxScheduler, String> {
    registries()
        .build::<Schedulers>(spec)
        .map_err(|error| error.to_string())
}

fn countdown() -> BoxScheduler {
    build(&Spec::new("countdown").with("start", 6.0)).unwrap()
}

fn faulty(fault: &str) -> BoxScheduler {
    build(&Spec::new("faulty").with("fault", fault)).unwrap()
}

#[test]
fn a_class_tells_its_name_schema_and_state_version() {
    // SAFETY: a plugin of this binary.
    let plugin = unsafe { Plugin::link(plugin) }.unwrap();
    let class = plugin.classes().next().unwrap();
    assert_eq!((class.name(), class.state_version()), ("countdown", 3));
    assert_eq!(class.schema()["required"][0], "start");
    assert_eq!(class.schema()["additionalProperties"], false);
}

#[test]
fn it_is_built_from_a_spec_and_steps() {
    let mut scheduler = countdown();
    assert_eq!(step_value(&mut scheduler, &StepContext::at(0)), 6.0);
    assert_eq!(
        step_value(&mut scheduler, &StepContext::at(1).with_metric(0.3)),
        3.0
    );
    assert_eq!(step_value(&mut scheduler, &StepContext::at(2)), 3.0);
    let mut several = [0.0; 3];
    scheduler.step(&StepContext::at(3).with_metric(0.2), &mut several);
    assert_eq!(several, [2.0; 3]);
}

#[test]
fn a_restored_one_goes_on_alike() {
    let mut first = countdown();
    for update in 0..5 {
        first.step(&StepContext::at(update).with_metric(1.0), &mut [0.0]);
    }
    let json = serde_json::to_string(&first.state()).unwrap();
    let state: State = serde_json::from_str(&json).unwrap();
    assert_eq!(state.version, 3);

    let mut second = countdown();
    second.restore(&state).unwrap();
    let next = StepContext::at(5).with_metric(1.0);
    assert_eq!(
        step_value(&mut second, &next),
        step_value(&mut first, &next)
    );
}

#[test]
fn states_of_another_type_version_or_form_are_refused() {
    let mut scheduler = countdown();
    assert!(scheduler.restore(&State::new("cosine", 1)).is_err());
    let error = |state: State| countdown().restore(&state).unwrap_err().to_string();
    let older = error(State::new("countdown", 2).with("hex", "04"));
    assert!(
        older.contains("a state of version 2, this plugin reads 3"),
        "{older}"
    );
    let damaged = error(State::new("countdown", 3).with("hex", "7b"));
    assert!(damaged.contains("a damaged state"), "{damaged}");
    let empty = error(State::new("countdown", 3));
    assert!(empty.contains("expected hexadecimal digits"), "{empty}");
}

#[test]
fn bad_parameters_are_refused_by_the_plugin_by_name() {
    let error = |spec: &Spec| build(spec).err().unwrap();
    let range = error(&Spec::new("countdown").with("start", -1.0));
    assert!(
        range.contains("countdown") && range.contains("`start` must be above 0"),
        "{range}"
    );
    let unknown = error(&Spec::new("countdown").with("start", 1.0).with("stop", 2.0));
    assert!(unknown.contains("unknown field `stop`"), "{unknown}");
    let missing = error(&Spec::new("countdown"));
    assert!(missing.contains("missing field `start`"), "{missing}");
}

#[test]
fn errors_and_panics_in_create_are_errors() {
    for (fault, word) in [
        ("error in create", "failed"),
        ("panic in create", "panicked"),
    ] {
        let error = build(&Spec::new("faulty").with("fault", fault))
            .err()
            .unwrap();
        assert!(
            error.contains(word) && error.contains("not today"),
            "{error}"
        );
    }
}

#[test]
fn a_panicking_step_gives_nan_and_poisons_the_instance() {
    for fault in ["panic in step", "bomb in step"] {
        let mut scheduler = faulty(fault);
        assert!(
            step_value(&mut scheduler, &StepContext::at(0)).is_nan(),
            "{fault}"
        );
        assert!(
            step_value(&mut scheduler, &StepContext::at(1)).is_nan(),
            "{fault}"
        );
        // What can't be trusted is not saved as if it could.
        let error = faulty("none")
            .restore(&scheduler.state())
            .unwrap_err()
            .to_string();
        assert!(error.contains("`step` panicked"), "{error}");
    }
}

#[test]
fn values_that_are_not_finite_or_missing_are_failures() {
    for fault in ["nan", "inf", "nothing"] {
        let mut scheduler = faulty(fault);
        assert!(
            step_value(&mut scheduler, &StepContext::at(0)).is_nan(),
            "{fault}"
        );
    }
}

#[test]
fn a_state_that_could_not_be_saved_says_so_when_it_is_restored() {
    for (fault, reason) in [
        ("panic in save", "no state today"),
        ("error in save", "unwritable"),
    ] {
        let mut scheduler = faulty(fault);
        scheduler.step(&StepContext::at(0), &mut [0.0]);
        let error = faulty(fault)
            .restore(&scheduler.state())
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn panics_in_load_and_destroy_stay_inside() {
    let mut scheduler = faulty("panic in load");
    scheduler.step(&StepContext::at(0), &mut [0.0]);
    let error = faulty("none")
        .restore(&scheduler.state())
        .unwrap_err()
        .to_string();
    assert!(error.contains("panicked"), "{error}");

    let mut scheduler = faulty("panic in destroy");
    scheduler.step(&StepContext::at(0), &mut [0.0]);
    drop(scheduler);
}

#[test]
fn a_name_that_is_taken_registers_nothing() {
    let mut registries = Registries::new();
    let registry = registries.get_mut::<Schedulers>();
    registry
        .register("faulty", "taken", |_, _| unreachable!())
        .unwrap();
    // SAFETY: a plugin of this binary.
    let plugin = unsafe { Plugin::link(plugin) }.unwrap();
    let error = plugin.register(&mut registries).unwrap_err();
    assert!(matches!(error, PluginError::Taken { .. }), "{error}");
    assert_eq!(
        registries
            .get::<Schedulers>()
            .unwrap()
            .names()
            .collect::<Vec<_>>(),
        ["faulty"]
    );
}
