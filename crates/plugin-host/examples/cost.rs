//! What plugins cost beside built-in code: `cost FAULTS_LIBRARY [LIBRARY…]`, the
//! library of the package `faults` first; of the others, the schedulers' steps.
//!
//! An operation of the plugin has to give the bits of the built-in one: ratios
//! of two that compute something else would say nothing about the boundary.
#![allow(clippy::print_stdout, reason = "a program")]

use std::{
    error::Error,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use firecraft_augment::{Hue, Image, Invert, Plan, Sample, Size, Transform};
use firecraft_key::Key;
use firecraft_plugin_host::{Plugin, probe};
use firecraft_schedule::{Scheduler, StepContext};
use firecraft_spec::Spec;

/// Calls a function until the clock can tell, and gives the time of one call.
fn time(mut call: impl FnMut()) -> f64 {
    let mut calls = 1;
    loop {
        let start = Instant::now();
        for _ in 0..calls {
            call();
        }
        let took = start.elapsed();
        if took > Duration::from_millis(3) {
            return took.as_secs_f64() / f64::from(calls);
        }
        calls *= 2;
    }
}

/// The medians of two, measured in turns, so that both see the same machine.
fn medians(mut a: impl FnMut(), mut b: impl FnMut()) -> (f64, f64) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..41 {
        first.push(time(&mut a));
        second.push(time(&mut b));
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    (median(first), median(second))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments.next().ok_or("name the library of `faults`")?;
    let path = std::path::absolute(Path::new(&path))?;
    let start = Instant::now();
    let plugin = Plugin::load(&path, None)?;
    println!(
        "first load        {:8.2} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
    let mut loads = Vec::new();
    for _ in 0..21 {
        let start = Instant::now();
        Plugin::load(&path, None)?;
        loads.push(start.elapsed().as_secs_f64() * 1e3);
    }
    loads.sort_by(f64::total_cmp);
    println!("load, median      {:8.2} ms", loads[10]);

    let mut sample = card(false)?;
    let meta = sample.meta();
    let noop = plugin.transform(&Spec::new("noop"))?;
    let key = Key::from_seed(1);
    let plan = noop.plan(&meta, key)?;
    let (planning, applying) = medians(
        || {
            let _ = black_box(noop.plan(&meta, key));
        },
        || {
            let _ = black_box(plan.apply(&mut sample));
        },
    );
    println!("no-op, plan       {:8.3} µs", planning * 1e6);
    println!("no-op, apply      {:8.3} µs per image", applying * 1e6);

    let invert = Spec::new("plugin_invert");
    compare(&plugin, "invert", &invert, Invert::new().into(), false)?;
    let hue = Spec::new("plugin_hue").with("shift", 0.3);
    for floats in [false, true] {
        compare(&plugin, "hue", &hue, Hue::new(0.3).into(), floats)?;
    }

    steps(&plugin, &Spec::new("plugin_constant").with("value", 0.1))?;
    for path in arguments {
        let plugin = Plugin::load(&std::path::absolute(Path::new(&path))?, None)?;
        for class in plugin.classes().filter(|class| !class.is_transform()) {
            for spec in probe::examples(class) {
                steps(&plugin, &spec)?;
            }
        }
    }
    Ok(())
}

/// 224 by 224 pixels of all colours.
fn card(floats: bool) -> Result<Sample, Box<dyn Error>> {
    let size = Size::new(224, 224);
    let key = Key::from_seed(0);
    let bytes: Vec<u8> = (0..size.area() as u64 * 3)
        .map(|i| key.word(i) as u8)
        .collect();
    let image = if floats {
        let floats = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        Image::from_f32(floats, size, 3)?
    } else {
        Image::from_u8(bytes, size, 3)?
    };
    Ok(Sample::new(image))
}

/// An operation of the plugin beside the built-in one that does the same.
fn compare(
    plugin: &Plugin,
    name: &str,
    spec: &Spec,
    built_in: Plan,
    floats: bool,
) -> Result<(), Box<dyn Error>> {
    let (mut mine, mut theirs) = (card(floats)?, card(floats)?);
    let plan = plugin
        .transform(spec)?
        .plan(&mine.meta(), Key::from_seed(1))?;
    plan.apply(&mut mine)?;
    built_in.apply(&mut theirs)?;
    if mine.image != theirs.image {
        return Err(format!("{name} as a plugin and built in differ in some bits").into());
    }
    let (outside, inside) = medians(
        || {
            let _ = black_box(plan.apply(&mut mine));
        },
        || {
            let _ = black_box(built_in.apply(&mut theirs));
        },
    );
    println!(
        "{name:6} {:6} {:10.3} µs as a plugin, {:8.3} µs built in: {:+.1} % at 224x224x3",
        if floats { "floats" } else { "bytes" },
        outside * 1e6,
        inside * 1e6,
        (outside / inside - 1.0) * 100.0
    );
    Ok(())
}

/// A step of a scheduler, with and without the result of an evaluation.
fn steps(plugin: &Plugin, spec: &Spec) -> Result<(), Box<dyn Error>> {
    let mut plain = plugin.scheduler(spec)?;
    let mut informed = plugin.scheduler(spec)?;
    let (mut updates, mut evaluations) = (0, 0);
    let (step, with_metric) = medians(
        || {
            updates += 1;
            plain.step(&StepContext::at(updates), black_box(&mut [0.0]));
        },
        || {
            evaluations += 1;
            let context = StepContext::at(evaluations).with_metric(0.5);
            informed.step(&context, black_box(&mut [0.0]));
        },
    );
    println!(
        "scheduler step    {:8.1} ns, {:.1} ns after an evaluation: {spec}",
        step * 1e9,
        with_metric * 1e9
    );
    Ok(())
}
