//! A plugin that is linked statically: the same tables and the same calls as
//! those of a library, without a library, so that Miri can run both sides.
// Linking a plugin is unsafe by nature; this one is made here.
#![allow(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::OnceLock;

use firecraft_augment::{Boxes, Image, Plan, Points, Sample, Size, Transform as _, Transforms};
use firecraft_key::Key;
use firecraft_plugin::{
    Destination, Error, ImageMut, Pixels, PixelsMut, Scheduler, Source, Step, Transform,
    abi::{SampleMeta, Shape, Targets},
    declare_plugin,
};
use firecraft_plugin_host::{Plugin, PluginTransform};
use firecraft_schedule::{Scheduler as _, StepContext, step_value};
use firecraft_spec::{Registries, Spec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Cuts a border off; boxes that leave are dropped.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Trim {
    border: u32,
}

#[derive(Serialize, Deserialize)]
struct Border {
    top: usize,
    left: usize,
    label: String,
}

impl Transform for Trim {
    type Plan = Border;
    const NAME: &'static str = "trim";
    const SUMMARY: &'static str = "cuts a border off";
    const TARGETS: Targets = Targets::ALL;

    fn plan(&self, _: &SampleMeta, key: Key) -> Result<Border, Error> {
        let mut rng = key.rng();
        let mut side = || rng.below(u64::from(self.border) + 1) as usize;
        Ok(Border {
            top: side(),
            left: side(),
            // Longer than what plans are read through in one piece.
            label: "a border ".repeat(30),
        })
    }

    fn output(&self, _: &Border, input: Shape) -> Shape {
        Shape {
            height: input.height - self.border,
            width: input.width - self.border,
            ..input
        }
    }

    fn apply(&self, plan: &Border, from: &Source, to: &mut Destination) -> Result<(), Error> {
        /// Widths and the place from the left are in values.
        fn cut<T: Copy>(place: [usize; 2], widths: [usize; 2], from: &[T], to: &mut [T]) {
            let ([top, left], [before, after]) = (place, widths);
            for (y, line) in to.chunks_mut(after).enumerate() {
                let start = (y + top) * before + left;
                line.copy_from_slice(&from[start..start + after]);
            }
        }
        let image = |from: &firecraft_plugin::Image, to: &mut ImageMut| {
            let channels = from.channels;
            let place = [plan.top, plan.left * channels];
            let widths = [from.width * channels, to.width * channels];
            match (from.pixels, &mut to.pixels) {
                (Pixels::U8(from), PixelsMut::U8(to)) => cut(place, widths, from, to),
                (Pixels::F32(from), PixelsMut::F32(to)) => cut(place, widths, from, to),
                _ => return Err(Error::new("two types")),
            }
            Ok(())
        };
        image(&from.image, &mut to.image)?;
        for (from, to) in from.masks.iter().zip(&mut to.masks) {
            image(from, to)?;
        }
        let (x, y) = (plan.left as f32, plan.top as f32);
        let (height, width) = (to.image.height as f32, to.image.width as f32);
        if let (Some(from), Some(to)) = (from.boxes, &mut to.boxes) {
            for (i, &[left, top, right, bottom]) in from.iter().enumerate() {
                if right > x && bottom > y && left - x < width && top - y < height {
                    to.push(i, [left - x, top - y, right - x, bottom - y])?;
                }
            }
        }
        if let (Some(from), Some(to)) = (from.points, &mut to.points) {
            for (i, &[px, py]) in from.iter().enumerate() {
                to.push(i, [px - x, py - y])?;
            }
        }
        Ok(())
    }
}

/// Adds a number to every value where it is, or does what it should not.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Lift {
    #[serde(default)]
    fault: String,
}

/// Panics when it is dropped, as the payload of a panic.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("twice");
    }
}

impl Transform for Lift {
    type Plan = f32;
    const NAME: &'static str = "lift";
    const SUMMARY: &'static str = "adds a number";
    const TARGETS: Targets = Targets::ALL;
    const IN_PLACE: bool = true;

    fn validate(&self) -> Result<(), Error> {
        match self.fault.as_str() {
            "panic in create" => panic!("not today"),
            "error in create" => Err(Error::new("not today")),
            _ => Ok(()),
        }
    }

    fn plan(&self, _: &SampleMeta, key: Key) -> Result<f32, Error> {
        assert_ne!(self.fault, "panic in plan");
        Ok(key.rng().below(5) as f32 + 1.0)
    }

    fn apply_in_place(&self, plan: &f32, image: &mut ImageMut<'_>) -> Result<(), Error> {
        if self.fault == "bomb in apply" {
            std::panic::panic_any(Bomb);
        }
        if self.fault == "error in apply" {
            return Err(Error::new("not today"));
        }
        match &mut image.pixels {
            PixelsMut::U8(bytes) => bytes.iter_mut().for_each(|byte| *byte += *plan as u8),
            PixelsMut::F32(floats) => floats.iter_mut().for_each(|value| *value += plan),
        }
        Ok(())
    }
}

impl Drop for Lift {
    fn drop(&mut self) {
        assert_ne!(self.fault, "panic in destroy");
    }
}

/// Counts its steps.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Count {}

impl Scheduler for Count {
    type State = Vec<u64>;
    const NAME: &'static str = "count";
    const SUMMARY: &'static str = "counts its steps";

    fn step(&self, seen: &mut Vec<u64>, step: &Step, values: &mut [f64]) {
        seen.push(step.update);
        values.fill(seen.len() as f64);
    }
}

fn self_test() -> Result<(), Error> {
    Err(Error::new("works elsewhere only"))
}

declare_plugin! {
    entry: plugin,
    id: "org.example.linked",
    transforms: [Trim, Lift],
    schedulers: [Count],
    self_test: self_test,
}

/// Kept, as a plugin's names are for as long as the process: nothing else is
/// left behind, which Miri checks.
fn linked(checked: bool) -> &'static Plugin {
    static PLUGINS: [OnceLock<Plugin>; 2] = [OnceLock::new(), OnceLock::new()];
    PLUGINS[usize::from(checked)].get_or_init(|| {
        // SAFETY: a plugin of this binary.
        let plugin = unsafe { Plugin::link(plugin) }.unwrap();
        plugin.checked(checked)
    })
}

fn transform(checked: bool, spec: &Spec) -> PluginTransform {
    linked(checked).transform(spec).unwrap()
}

fn sample(floats: bool, targets: bool) -> Sample {
    let size = Size::new(5, 7);
    let bytes: Vec<u8> = (0..size.area() as u8 * 2).collect();
    let image = if floats {
        let floats = bytes.iter().map(|&byte| f32::from(byte)).collect();
        Image::from_f32(floats, size, 2)
    } else {
        Image::from_u8(bytes, size, 2)
    };
    let mut sample = Sample::new(image.unwrap());
    if targets {
        let labels: Vec<u8> = (0..size.area() as u8).collect();
        sample.masks = vec![Image::from_u8(labels, size, 1).unwrap(); 2];
        sample.boxes = Some(Boxes::new(vec![[0.0, 0.0, 0.5, 0.5], [3.0, 2.0, 5.0, 4.0]]));
        sample.points = Some(Points::new(vec![[3.0, 2.0]]));
    }
    sample
}

const TRIM: u32 = 2;
/// Miri is a thousand times slower.
const SEEDS: u64 = if cfg!(miri) { 2 } else { 40 };

fn trimmed(sample: &Sample, top: usize, left: usize) -> (Vec<f32>, Vec<Vec<u8>>) {
    let value = |i: usize| match (sample.image.as_u8(), sample.image.as_f32()) {
        (Some(bytes), _) => f32::from(bytes[i]),
        (None, floats) => floats.unwrap()[i],
    };
    let mut image = Vec::new();
    let mut masks = vec![Vec::new(); sample.masks.len()];
    for y in 0..3 {
        for x in 0..5 {
            let at = (y + top) * 7 + x + left;
            image.extend([value(2 * at), value(2 * at + 1)]);
            for (mask, from) in masks.iter_mut().zip(&sample.masks) {
                mask.push(from.as_u8().unwrap()[at]);
            }
        }
    }
    (image, masks)
}

#[test]
fn every_target_crosses_and_comes_back() {
    for checked in [false, true] {
        let trim = transform(checked, &Spec::new("trim").with("border", TRIM));
        for (floats, targets) in [(false, true), (true, true), (false, false)] {
            let before = sample(floats, targets);
            for seed in 0..SEEDS {
                let mut rng = Key::from_seed(seed).rng();
                let (top, left) = (
                    rng.below(u64::from(TRIM) + 1) as usize,
                    rng.below(u64::from(TRIM) + 1) as usize,
                );
                let plan = trim.plan(&before.meta(), Key::from_seed(seed)).unwrap();
                let mut after = before.clone();
                plan.apply(&mut after).unwrap();
                let (image, masks) = trimmed(&before, top, left);
                let found: Vec<f32> = match (after.image.as_u8(), after.image.as_f32()) {
                    (Some(bytes), _) => bytes.iter().map(|&byte| f32::from(byte)).collect(),
                    (None, floats) => floats.unwrap().to_vec(),
                };
                assert_eq!((after.image.size(), found), (Size::new(3, 5), image));
                for (mask, expected) in after.masks.iter().zip(masks) {
                    assert_eq!(mask.as_u8(), Some(&expected[..]));
                }
                if targets {
                    let boxes = after.boxes.unwrap();
                    let gone = top > 0 || left > 0;
                    assert_eq!(boxes.source, if gone { vec![1] } else { vec![0, 1] });
                    let [x, y] = after.points.unwrap().rows[0];
                    assert_eq!((x, y), (3.0 - left as f32, 2.0 - top as f32));
                }
            }
        }
    }
}

#[test]
fn values_change_in_place_and_apart_alike() {
    for floats in [false, true] {
        let before = sample(floats, true);
        let [here, apart] = [false, true].map(|checked| {
            let lift = transform(checked, &Spec::new("lift"));
            let mut changed = before.clone();
            let plan = lift.plan(&before.meta(), Key::from_seed(3)).unwrap();
            let plan: Plan = {
                let json = serde_json::to_string(&plan).unwrap();
                let mut read: Plan = serde_json::from_str(&json).unwrap();
                let mut registries = Registries::new();
                linked(checked).register(&mut registries).unwrap();
                read.bind(registries.get::<Transforms>().unwrap()).unwrap();
                read
            };
            plan.apply(&mut changed).unwrap();
            changed
        });
        assert_eq!(here, apart);
        assert_ne!(here.image, before.image);
        assert_eq!((here.masks, here.boxes), (before.masks, before.boxes));
    }
}

#[test]
fn panics_errors_and_bombs_stay_inside() {
    for fault in ["panic in create", "error in create"] {
        let spec = Spec::new("lift").with("fault", fault);
        let error = linked(false).transform(&spec).unwrap_err().to_string();
        assert!(error.contains("not today"), "{error}");
    }
    for fault in ["panic in plan", "bomb in apply", "error in apply"] {
        let broken = transform(false, &Spec::new("lift").with("fault", fault));
        for _ in 0..2 {
            let mut tried = sample(false, true);
            let done = broken
                .plan(&tried.meta(), Key::from_seed(1))
                .and_then(|plan| plan.apply(&mut tried));
            done.unwrap_err();
            assert_eq!(tried, sample(false, true));
        }
    }
    drop(transform(
        false,
        &Spec::new("lift").with("fault", "panic in destroy"),
    ));
    let error = linked(false).self_test().unwrap_err().to_string();
    assert!(error.contains("works elsewhere only"), "{error}");
}

#[test]
fn one_instance_works_on_several_threads() {
    let trim = transform(false, &Spec::new("trim").with("border", TRIM));
    let work = || {
        (0..3)
            .map(|seed| {
                let mut sample = sample(false, true);
                let plan = trim.plan(&sample.meta(), Key::from_seed(seed)).unwrap();
                plan.apply(&mut sample).unwrap();
                sample
            })
            .collect::<Vec<_>>()
    };
    let alone = work();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), alone);
        }
    });
}

#[test]
fn a_state_crosses_and_comes_back() {
    for checked in [false, true] {
        let fresh = || linked(checked).scheduler(&Spec::new("count")).unwrap();
        let mut first = fresh();
        for update in 0..40 {
            let mut values = [0.0; 3];
            first.step(&StepContext::at(update), &mut values);
            assert_eq!(values, [update as f64 + 1.0; 3]);
        }
        let mut second = fresh();
        second.restore(&first.state()).unwrap();
        assert_eq!(step_value(&mut second, &StepContext::at(40)), 41.0);
        // No values at all are filled in, too.
        second.step(&StepContext::at(41), &mut []);
        assert!(second.failure().is_none());
    }
}
