//! A plugin that does one wrong thing after the other; the host names each and
//! lives on.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;

use firecraft_augment::{Boxes, Image, Plan, Points, Sample, Size, Transform, Transforms};
use firecraft_key::Key;
use firecraft_plugin_host::Plugin;
use firecraft_schedule::{BoxScheduler, Scheduler, Schedulers, StepContext, step_value};
use firecraft_spec::{Registries, Spec};

fn registries(checked: bool) -> Registries {
    let plugin = Plugin::load(&support::rust("faults"), None).unwrap();
    let mut registries = Registries::new();
    plugin.checked(checked).register(&mut registries).unwrap();
    registries
}

fn spec(class: &str, fault: &str) -> Spec {
    Spec::new(class).with("fault", fault)
}

fn transform(class: &str, fault: &str) -> Box<dyn Transform> {
    registries(false)
        .build::<Transforms>(&spec(class, fault))
        .unwrap()
}

fn scheduler(class: &str, fault: &str) -> BoxScheduler {
    registries(false)
        .build::<Schedulers>(&spec(class, fault))
        .unwrap()
}

fn sample(floats: bool) -> Sample {
    let size = Size::new(5, 7);
    let bytes: Vec<u8> = (0..size.area() * 3).map(|i| (i * 7 % 256) as u8).collect();
    let image = if floats {
        let floats = bytes.iter().map(|&b| f32::from(b) / 255.0).collect();
        Image::from_f32(floats, size, 3).unwrap()
    } else {
        Image::from_u8(bytes, size, 3).unwrap()
    };
    let mut sample = Sample::new(image);
    sample.masks = vec![Image::from_u8(vec![3; size.area()], size, 1).unwrap(); 2];
    sample.boxes = Some(Boxes::new(vec![[0.0, 0.0, 2.0, 3.0], [1.0, 1.0, 4.0, 4.0]]));
    sample.points = Some(Points::new(vec![[1.0, 2.0]]));
    sample
}

/// Plans and applies.
fn run(transform: &dyn Transform, sample: &mut Sample) -> Result<(), String> {
    let plan = transform.plan(&sample.meta(), Key::from_seed(1));
    let plan = plan.map_err(|error| error.to_string())?;
    plan.apply(sample).map_err(|error| error.to_string())
}

/// The error, which must be one line and leave the sample as it was.
fn failure(transform: &dyn Transform, floats: bool) -> String {
    let mut tried = sample(floats);
    let error = run(transform, &mut tried).unwrap_err();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!(tried, sample(floats), "{error}");
    error
}

/// A well-behaved transform of the same plugin, after all that.
fn alive() {
    let mut good = sample(false);
    run(&*transform("careless", "none"), &mut good).unwrap();
    assert_eq!(good, sample(false));
}

#[test]
fn a_transform_that_does_nothing_wrong_leaves_every_target_alone() {
    for class in ["careless", "raw_transform", "raw_alone", "noop"] {
        for floats in [false, true] {
            let registries = registries(true);
            let spec = match class {
                "noop" => Spec::new("noop"),
                class => spec(class, "none"),
            };
            let transform = registries.build::<Transforms>(&spec).unwrap();
            let mut changed = sample(floats);
            run(&*transform, &mut changed).unwrap();
            assert_eq!(changed, sample(floats), "{class}");
        }
    }
}

#[test]
fn panics_in_create_are_errors() {
    for fault in ["panic in create", "bomb in create", "error in create"] {
        let built = registries(false).build::<Transforms>(&spec("careless", fault));
        let error = built.unwrap_err().to_string();
        let word = if fault.starts_with("error") {
            "failed"
        } else {
            "panicked"
        };
        assert!(
            error.contains("`create`") && error.contains(word),
            "{error}"
        );
    }
    alive();
}

#[test]
fn panics_in_plan_and_apply_are_errors_and_poison_the_instance() {
    for place in ["plan", "apply"] {
        for kind in ["panic", "bomb"] {
            let broken = transform("careless", &format!("{kind} in {place}"));
            let first = failure(&*broken, false);
            assert!(first.contains(&format!("`{place}` panicked")), "{first}");
            let second = failure(&*broken, false);
            assert!(second.contains("unusable since it panicked"), "{second}");
        }
    }
    alive();
}

#[test]
fn a_fault_in_mid_run_leaves_what_was_done_before_it_and_names_its_reason() {
    const GOOD: u64 = 100;
    for place in ["plan", "apply"] {
        for kind in ["error", "panic"] {
            let fault = spec("careless", &format!("{kind} in {place}")).with("after", GOOD as i64);
            let broken = registries(false).build::<Transforms>(&fault).unwrap();
            for call in 0..GOOD {
                let mut good = sample(false);
                run(&*broken, &mut good).unwrap_or_else(|error| panic!("{call}: {error}"));
                assert_eq!(good, sample(false));
            }
            let error = failure(&*broken, false);
            assert!(error.contains(&format!("no {place} today")), "{error}");
            // It doesn't come back to life by itself, and another one does.
            failure(&*broken, false);
            let again = registries(false).build::<Transforms>(&fault).unwrap();
            run(&*again, &mut sample(false)).unwrap();
        }
    }
    alive();
}

#[test]
fn a_fault_in_mid_run_stops_every_thread_with_an_error_and_no_image_half_done() {
    const GOOD: u64 = 200;
    for kind in ["error", "panic"] {
        let fault = spec("careless", &format!("{kind} in apply")).with("after", GOOD as i64);
        let broken: Arc<dyn Transform> = registries(false)
            .build::<Transforms>(&fault)
            .unwrap()
            .into();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let broken = Arc::clone(&broken);
                std::thread::spawn(move || {
                    let mut done = 0;
                    loop {
                        let mut tried = sample(false);
                        let result = run(&*broken, &mut tried);
                        assert_eq!(tried, sample(false));
                        match result {
                            Ok(()) => done += 1,
                            Err(error) => return (done, error),
                        }
                    }
                })
            })
            .collect();
        let ended: Vec<(u64, String)> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(ended.iter().map(|(done, _)| done).sum::<u64>(), GOOD);
        let named = |(_, error): &(u64, String)| error.contains("no apply today");
        assert!(ended.iter().any(named), "{ended:?}");
    }
    alive();
}

#[test]
fn a_panic_in_destroy_stays_inside() {
    for fault in ["panic in destroy", "bomb in destroy"] {
        drop(transform("careless", fault));
        drop(scheduler("careless_scheduler", fault));
    }
    alive();
}

#[test]
fn errors_come_with_their_message_or_say_that_there_is_none() {
    for place in ["plan", "apply"] {
        let said = failure(&*transform("careless", &format!("error in {place}")), false);
        assert!(said.contains(&format!("no {place} today")), "{said}");
        for class in ["careless", "raw_transform"] {
            let fault = format!("silent error in {place}");
            let silent = failure(&*transform(class, &fault), false);
            assert!(silent.contains("no reason given"), "{silent}");
        }
    }
    alive();
}

#[test]
fn statuses_and_messages_that_no_plugin_should_give_are_survived() {
    let error = |fault| {
        let built = registries(false).build::<Transforms>(&spec("raw_transform", fault));
        built.unwrap_err().to_string()
    };
    assert!(error("no instance").contains("succeeded without an instance"));
    assert!(error("silent").contains("no reason given"));
    assert!(error("odd status").contains("unknown status 77"));
    assert!(error("message that is not text").contains("bad \u{fffd}"));
    assert!(error("endless message").len() < 5000);
    let broken = transform("raw_transform", "panicked status");
    assert!(failure(&*broken, false).contains("panicked"));
    assert!(failure(&*broken, false).contains("unusable"));
    alive();
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    for fault in ["nan in the image", "inf in the image"] {
        let error = failure(&*transform("careless", fault), true);
        assert!(error.contains("not finite"), "{error}");
    }
    let nan = failure(&*transform("raw_transform", "nan box"), false);
    assert!(nan.contains("the box"), "{nan}");
    let infinite = failure(&*transform("raw_transform", "inf point"), false);
    assert!(infinite.contains("the point"), "{infinite}");
    alive();
}

#[test]
fn sizes_that_no_image_has_are_refused_when_planning() {
    for (fault, word) in [
        ("empty output", "0x7"),
        ("huge output", "4294967295x4294967295"),
        ("other channels", "4 channels"),
    ] {
        let error = failure(&*transform("careless", fault), false);
        assert!(error.contains(word), "{error}");
    }
    alive();
}

#[test]
fn changed_shapes_types_strides_and_pointers_are_refused() {
    for fault in [
        "changes the shape",
        "changes the dtype",
        "changes the stride",
        "changes the pointer",
    ] {
        let error = failure(&*transform("raw_transform", fault), false);
        assert!(
            error.contains("changed the image's view"),
            "{fault}: {error}"
        );
    }
    for (fault, view) in [
        ("changes a mask's view", "the masks' views"),
        ("changes the number of masks", "the masks' views"),
        ("changes the boxes' view", "the boxes' view"),
        ("changes the boxes' origins", "the boxes' view"),
        ("changes the points' view", "the points' view"),
    ] {
        let error = failure(&*transform("raw_transform", fault), false);
        assert!(
            error.contains(&format!("changed {view}")),
            "{fault}: {error}"
        );
    }
    alive();
}

#[test]
fn over_reported_and_made_up_rows_are_refused() {
    for (fault, word) in [
        ("too many boxes", "reports 3 rows, there were 2"),
        ("far too many boxes", "there were 2"),
        ("too many points", "reports 2 rows, there were 1"),
        ("box from nowhere", "reports row 99 of 2"),
        ("box twice", "reports row 0 twice"),
        ("reversed box", "the box"),
    ] {
        let error = failure(&*transform("raw_transform", fault), false);
        assert!(error.contains(word), "{fault}: {error}");
    }
    alive();
}

#[test]
fn oversize_plans_and_abused_sinks_are_refused() {
    let plan = failure(&*transform("careless", "oversize plan"), false);
    assert!(plan.contains("takes no plan of"), "{plan}");
    for fault in ["null to the sink", "oversize to the sink"] {
        let error = failure(&*transform("raw_transform", fault), false);
        assert!(error.contains("its plan is larger than"), "{error}");
    }
    alive();
}

#[test]
fn writes_beside_the_destination_are_caught_in_checked_mode() {
    for fault in [
        "writes past the end",
        "writes before the start",
        "writes far past the end",
        "writes past a mask",
        "writes past the boxes",
        "writes past the boxes' origins",
        "writes past the points",
        "writes past the points' origins",
    ] {
        for floats in [false, true] {
            let registries = registries(true);
            let broken = registries
                .build::<Transforms>(&spec("raw_transform", fault))
                .unwrap();
            let error = failure(&*broken, floats);
            assert!(
                error.contains("outside of its destination"),
                "{fault}: {error}"
            );
        }
    }
    alive();
}

#[test]
fn a_write_to_the_source_is_caught_in_checked_mode_and_taken_back() {
    let registries = registries(true);
    for fault in ["writes to the source", "writes to a mask of the source"] {
        let spec = spec("raw_transform", fault);
        let broken = registries.build::<Transforms>(&spec).unwrap();
        for floats in [false, true] {
            let error = failure(&*broken, floats);
            assert!(error.contains("changed its source"), "{fault}: {error}");
        }
    }
    alive();
}

#[test]
fn a_step_that_writes_beside_its_values_is_caught_in_checked_mode() {
    for fault in ["writes past the end", "writes before the start"] {
        let registries = registries(true);
        let spec = spec("raw_scheduler", fault);
        let mut broken = registries.build::<Schedulers>(&spec).unwrap();
        let mut values = [0.0; 3];
        broken.step(&StepContext::at(0), &mut values);
        assert!(values.iter().all(|value| value.is_nan()), "{fault}");
        let state = broken.state();
        let said = state.failure().unwrap();
        assert!(said.contains("wrote beside its 3 values"), "{said}");
    }
    // In checked mode, what keeps to its values works as it does without.
    let good = registries(true).build::<Schedulers>(&spec("raw_scheduler", "none"));
    let mut values = [0.0; 3];
    good.unwrap().step(&StepContext::at(0), &mut values);
    assert_eq!(values, [1.0; 3]);
    alive();
}

#[test]
fn an_instance_that_is_not_shared_is_called_by_one_thread_at_a_time() {
    let alone: Arc<dyn Transform> = transform("raw_alone", "hates company").into();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let alone = Arc::clone(&alone);
            scope.spawn(move || {
                for _ in 0..500 {
                    run(&*alone, &mut sample(false)).unwrap();
                }
            });
        }
    });
    alive();
}

#[test]
fn masks_that_the_abi_does_not_have_are_an_error() {
    let mut odd = sample(false);
    odd.masks[0] = Image::from_f32(vec![0.0; 35], Size::new(5, 7), 1).unwrap();
    let error = run(&*transform("raw_transform", "none"), &mut odd).unwrap_err();
    assert!(error.contains("masks of bytes"), "{error}");
}

#[test]
fn plans_of_another_version_of_the_plugin_are_refused() {
    let plan = transform("careless", "none")
        .plan(&sample(false).meta(), Key::from_seed(1))
        .unwrap();
    let json = serde_json::to_string(&plan).unwrap();
    let mut other: Plan =
        serde_json::from_str(&json.replace("\"version\":1", "\"version\":2")).unwrap();
    other
        .bind(registries(false).get::<Transforms>().unwrap())
        .unwrap();
    let error = other.apply(&mut sample(false)).unwrap_err().to_string();
    assert!(error.contains("the plan is of version 2"), "{error}");
}

#[test]
fn a_plan_for_an_image_of_another_size_is_refused_before_the_plugin_sees_it() {
    for class in ["careless", "raw_transform"] {
        let plan = transform(class, "none")
            .plan(&sample(false).meta(), Key::from_seed(1))
            .unwrap();
        let size = Size::new(50, 70);
        let mut larger = Sample::new(Image::from_u8(vec![9; size.area() * 3], size, 3).unwrap());
        let before = larger.clone();
        let error = plan.apply(&mut larger).unwrap_err().to_string();
        assert!(error.contains("was planned for an image of 5x7"), "{error}");
        assert_eq!(larger, before);
    }
    alive();
}

#[test]
fn a_stored_plan_that_announces_an_impossible_image_is_refused() {
    let plan = transform("raw_transform", "none")
        .plan(&sample(false).meta(), Key::from_seed(1))
        .unwrap();
    let json = serde_json::to_value(&plan).unwrap();
    // The last one overflows to an area of 0.
    for (height, width) in [(0_u64, 7_u64), (1 << 20, 1 << 20), (1 << 32, 1 << 32)] {
        let mut damaged = json.clone();
        let step = &mut damaged["steps"][0]["opaque"];
        step["size"] = serde_json::json!({ "height": height, "width": width });
        let mut damaged: Plan = serde_json::from_value(damaged).unwrap();
        damaged
            .bind(registries(false).get::<Transforms>().unwrap())
            .unwrap();
        let error = damaged.apply(&mut sample(false)).unwrap_err().to_string();
        assert!(error.contains("announces an image of"), "{error}");
    }
    alive();
}

#[test]
fn a_damaged_plan_is_an_error_of_the_plugin() {
    let plan = transform("careless", "none")
        .plan(&sample(false).meta(), Key::from_seed(1))
        .unwrap();
    let json = serde_json::to_string(&plan).unwrap();
    let hex = json
        .split("\"plan\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let mut damaged: Plan = serde_json::from_str(&json.replace(hex, "7b")).unwrap();
    damaged
        .bind(registries(false).get::<Transforms>().unwrap())
        .unwrap();
    let error = damaged.apply(&mut sample(false)).unwrap_err().to_string();
    assert!(error.contains("a plan that is not one"), "{error}");
}

#[test]
fn failing_steps_give_nan_and_the_reason() {
    for (class, fault, reason) in [
        ("careless_scheduler", "panic in step", "no step today"),
        ("careless_scheduler", "bomb in step", "panicked"),
        ("careless_scheduler", "nan", "NaN"),
        ("careless_scheduler", "inf", "inf"),
        ("careless_scheduler", "nothing", "NaN"),
        ("raw_scheduler", "silent error in step", "no reason given"),
    ] {
        let mut broken = scheduler(class, fault);
        for update in 0..3 {
            assert!(
                step_value(&mut broken, &StepContext::at(update)).is_nan(),
                "{fault}"
            );
        }
        let state = broken.state();
        let said = state.failure().unwrap();
        assert!(said.contains(reason), "{fault}: {said}");
        // What can't be trusted is not saved as if it could.
        assert!(scheduler(class, fault).restore(&state).is_err(), "{fault}");
    }
    alive();
}

#[test]
fn failing_saves_and_loads_are_errors() {
    for (class, fault, reason) in [
        ("careless_scheduler", "panic in save", "no save today"),
        ("careless_scheduler", "bomb in save", "panicked"),
        ("careless_scheduler", "error in save", "no save today"),
        ("careless_scheduler", "oversize state", "takes no state"),
        ("careless_scheduler", "panic in load", "panicked"),
        ("careless_scheduler", "bomb in load", "panicked"),
        ("careless_scheduler", "error in load", "no load today"),
        ("raw_scheduler", "null to the sink", "larger than"),
        ("raw_scheduler", "oversize to the sink", "larger than"),
        ("raw_scheduler", "silent error in save", "no reason given"),
    ] {
        let mut broken = scheduler(class, fault);
        broken.step(&StepContext::at(0), &mut [0.0]);
        let error = scheduler(class, fault).restore(&broken.state());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(reason), "{fault}: {error}");
    }
    alive();
}

#[test]
fn a_state_of_any_bytes_survives_saving() {
    let mut first = scheduler("raw_scheduler", "none");
    for update in 0..300 {
        first.step(&StepContext::at(update), &mut [0.0]);
    }
    let mut second = scheduler("raw_scheduler", "none");
    second.restore(&first.state()).unwrap();
    let next = StepContext::at(300);
    assert_eq!(
        step_value(&mut second, &next),
        step_value(&mut first, &next)
    );
}
