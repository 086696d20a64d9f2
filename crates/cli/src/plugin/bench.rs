//! `firecraft plugin bench`.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use firecraft::augment::{Image, Sample, Size, Transform as _};
use firecraft::key::Key;
use firecraft::plugin_host::{Plugin, probe};
use firecraft::schedule::{Scheduler as _, StepContext};
use firecraft::spec::Spec;

use crate::error::CliError;

#[derive(Args)]
pub(super) struct Arguments {
    /// A shared library.
    file: PathBuf,
    /// Height and width of the image.
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u16).range(1..))]
    side: u16,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let path = super::absolute(&arguments.file)?;
    let start = Instant::now();
    let plugin = Plugin::load(&path, None)?;
    println!("load  {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    for class in plugin.classes() {
        for spec in probe::examples(class) {
            if class.is_transform() {
                transform(&plugin, &spec, usize::from(arguments.side))?;
            } else {
                scheduler(&plugin, &spec)?;
            }
        }
    }
    Ok(())
}

fn transform(plugin: &Plugin, spec: &Spec, side: usize) -> Result<(), CliError> {
    let transform = plugin.transform(spec)?;
    let size = Size::new(side, side);
    let mut sample = Sample::new(Image::from_u8(vec![100; size.area() * 3], size, 3)?);
    let (meta, root) = (sample.meta(), Key::from_seed(0));
    let plan = transform.plan(&meta, root)?;
    let planning = median(|i| {
        let _ = black_box(transform.plan(&meta, root.fold(i)));
    });
    plan.apply(&mut sample)?;
    let applying = median(|_| {
        let _ = black_box(plan.apply(&mut sample));
    });
    println!("{spec}");
    println!("  plan   {:9.3} µs", planning * 1e6);
    println!(
        "  apply  {:9.3} µs for {side}x{side}x3 bytes",
        applying * 1e6
    );
    Ok(())
}

fn scheduler(plugin: &Plugin, spec: &Spec) -> Result<(), CliError> {
    let mut scheduler = plugin.scheduler(spec)?;
    let mut values = [0.0];
    let stepping = median(|i| scheduler.step(&StepContext::at(i), black_box(&mut values)));
    println!("{spec}\n  step   {:9.1} ns", stepping * 1e9);
    Ok(())
}

/// The median time of a call in seconds, over many samples of many calls.
fn median(mut call: impl FnMut(u64)) -> f64 {
    let mut calls = 1;
    let mut count = 0;
    let mut time = |calls: u64| {
        let start = Instant::now();
        for _ in 0..calls {
            call(count);
            count += 1;
        }
        start.elapsed()
    };
    // As many calls per sample as the clock can tell apart.
    while time(calls) < Duration::from_millis(2) {
        calls *= 2;
    }
    let mut times: Vec<f64> = (0..31)
        .map(|_| time(calls).as_secs_f64() / calls as f64)
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
