//! The same bits on any number of threads and after a resumption, from plugins
//! in Rust and in C alike.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{path::Path, process::Command, sync::Mutex};

use firecraft_augment::{Boxes, Image, Plan, Points, Sample, Size, Transform, Transforms};
use firecraft_key::Key;
use firecraft_plugin_host::{Plugin, register_all};
use firecraft_schedule::{Scheduler, Schedulers, State, StepContext, step_value};
use firecraft_spec::{Registries, Spec};

fn registries() -> Registries {
    let plugins = [
        support::rust("vignette"),
        support::rust("bold-driver"),
        support::c("scanlines"),
        support::c("staircase"),
    ]
    .map(|path| Plugin::load(&path, None).unwrap());
    let mut registries = Registries::new();
    register_all(&plugins, &mut registries).unwrap();
    registries
}

fn sample(index: u64) -> Sample {
    let size = Size::new(20 + index as usize % 7, 31);
    let key = Key::from_seed(index);
    let bytes = (0..size.area() as u64 * 3).map(|i| key.word(i) as u8);
    let image = if index.is_multiple_of(2) {
        Image::from_u8(bytes.collect(), size, 3)
    } else {
        Image::from_f32(bytes.map(|b| f32::from(b) / 255.0).collect(), size, 3)
    };
    let mut sample = Sample::new(image.unwrap());
    sample.masks = vec![Image::from_u8(vec![index as u8; size.area()], size, 1).unwrap()];
    sample.boxes = Some(Boxes::new(vec![[1.0, 2.0, 5.0, 9.0]]));
    sample.points = Some(Points::new(vec![[3.0, 4.0]]));
    sample
}

const SAMPLES: u64 = 60;

/// Every sample planned and applied, the work shared out by a counter.
fn augmented(transform: &dyn Transform, workers: usize) -> Vec<(Plan, Sample)> {
    let next = Mutex::new(0..SAMPLES);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(index) = next.lock().unwrap().next() else {
                        return;
                    };
                    let mut sample = sample(index);
                    let key = Key::from_seed(7).fold(index);
                    let plan = transform.plan(&sample.meta(), key).unwrap();
                    plan.apply(&mut sample).unwrap();
                    done.lock().unwrap().push((index, plan, sample));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(index, ..)| *index);
    done.into_iter()
        .map(|(_, plan, sample)| (plan, sample))
        .collect()
}

fn transforms() -> [Spec; 2] {
    [
        Spec::new("vignette"),
        Spec::new("scanlines").with("period", 3),
    ]
}

fn schedulers() -> [Spec; 2] {
    [
        Spec::new("bold_driver").with("start", 0.01),
        Spec::new("staircase").with("start", 0.3).with("ratio", 0.7),
    ]
}

#[test]
fn any_number_of_workers_gives_the_same_plans_and_pixels() {
    let registries = registries();
    for spec in transforms() {
        let transform = registries.build::<Transforms>(&spec).unwrap();
        let one = augmented(&*transform, 1);
        assert!(
            one.iter()
                .zip(0..)
                .all(|((_, done), i)| done.image != sample(i).image)
        );
        for workers in [2, 8] {
            assert!(
                augmented(&*transform, workers) == one,
                "{spec} with {workers}"
            );
        }
        // Another instance, as after a restart.
        let again = registries.build::<Transforms>(&spec).unwrap();
        assert!(augmented(&*again, 3) == one, "{spec}");
    }
}

#[test]
fn targets_stay_where_they_are_when_nothing_moves() {
    let registries = registries();
    for spec in transforms() {
        let transform = registries.build::<Transforms>(&spec).unwrap();
        for (index, (_, done)) in augmented(&*transform, 2).into_iter().enumerate() {
            let before = sample(index as u64);
            assert_eq!(done.masks, before.masks);
            assert_eq!(done.boxes, before.boxes);
            assert_eq!(done.points, before.points);
        }
    }
}

#[test]
fn a_plan_from_a_file_gives_the_same_pixels() {
    let registries = registries();
    for spec in transforms() {
        let transform = registries.build::<Transforms>(&spec).unwrap();
        for (index, (plan, done)) in augmented(&*transform, 1).into_iter().enumerate() {
            let json = serde_json::to_string(&plan).unwrap();
            let mut read: Plan = serde_json::from_str(&json).unwrap();
            read.bind(registries.get::<Transforms>().unwrap()).unwrap();
            let mut sample = sample(index as u64);
            read.apply(&mut sample).unwrap();
            assert_eq!(sample, done);
        }
    }
}

fn context(update: u64) -> StepContext {
    let context = StepContext::at(update);
    if update % 5 == 4 {
        let noise = f64::from(Key::from_seed(3).word(update)) / 4e9;
        context.with_metric(1.0 / (update + 1) as f64 + noise * 0.3)
    } else {
        context
    }
}

#[test]
fn a_scheduler_resumed_anywhere_goes_on_with_the_same_bits() {
    let registries = registries();
    for spec in schedulers() {
        let fresh = || registries.build::<Schedulers>(&spec).unwrap();
        let mut straight = fresh();
        let values: Vec<u64> = (0..120)
            .map(|update| step_value(&mut straight, &context(update)).to_bits())
            .collect();
        assert!(values.windows(2).any(|pair| pair[0] != pair[1]), "{spec}");
        for stop in 0..120 {
            let mut first = fresh();
            for update in 0..stop {
                first.step(&context(update), &mut [0.0]);
            }
            let json = serde_json::to_string(&first.state()).unwrap();
            let state: State = serde_json::from_str(&json).unwrap();
            let mut second = fresh();
            second.restore(&state).unwrap();
            for update in stop..120 {
                let value = step_value(&mut second, &context(update)).to_bits();
                assert_eq!(value, values[update as usize], "{spec} stopped at {stop}");
            }
        }
    }
}

#[test]
fn the_generator_in_the_header_is_the_one_of_the_key_crate() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("answers");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/answers.c");
    let mut cc = support::cc();
    cc.args(["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]);
    support::succeed(cc.args([&program, &source]));
    let output = support::succeed(&mut Command::new(&program));

    let mut expected = String::new();
    let mut line = |text: String| expected.push_str(&format!("{text}\n"));
    for seed in [0, 1, 42, u64::MAX] {
        let key = Key::from_seed(seed);
        let child = key
            .fold(seed ^ 5)
            .named("rotation")
            .named("")
            .named("12345678");
        let [a, b] = child.words();
        line(format!("{a:016x} {b:016x}"));
        let mut rng = child.rng();
        for i in 0..2000_u64 {
            line(format!("{:08x}", rng.normal().to_bits()));
            line(format!("{:08x}", rng.uniform().to_bits()));
            line(format!("{:016x}", rng.uniform_f64().to_bits()));
            line(format!("{:016x}", rng.range(-3.5, 1e3).to_bits()));
            let bound = u64::MAX >> (i % 64);
            line(format!("{:016x}", rng.below(bound)));
            line(format!("{}", u8::from(rng.chance(0.3))));
        }
    }
    assert!(
        output == expected,
        "the C form of the generator gives other numbers"
    );
}
