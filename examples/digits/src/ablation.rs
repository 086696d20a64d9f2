//! What each technique contributes: the same training without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firecraft::core_tensor::device;
use firecraft::trainer::callbacks::ProgressBar;
use firecraft::trainer::{History, RunFolder};

use crate::args::{Args, Technique};
use crate::data::Data;
use crate::error::DigitsError;
use crate::setup;
use crate::train::Run;

/// Validation accuracy whose first epoch is reported.
const GOAL: f64 = 0.95;

/// One row of the table: a name and which techniques are left out.
fn variants() -> Vec<(String, Vec<Technique>)> {
    let mut variants = vec![("all techniques".to_owned(), Vec::new())];
    for technique in Technique::ALL {
        let name = format!("without {}", format!("{technique:?}").to_lowercase());
        variants.push((name, vec![technique]));
    }
    variants.push(("without any".to_owned(), Technique::ALL.to_vec()));
    variants
}

/// Runs every variant with every seed and prints the table in Markdown.
pub(crate) fn run(args: &Args, stop: &Arc<AtomicBool>) -> Result<bool, DigitsError> {
    let device = device::select(args.device.as_deref())?;
    let data = Data::load(args.data.as_deref())?;
    let mut rows = Vec::new();
    for (name, without) in variants() {
        let mut accuracies = Vec::new();
        let mut epochs = Vec::new();
        for seed in 0..args.seeds {
            let args = Args {
                seed: Some(seed),
                without: without.clone(),
                ..args.clone()
            };
            let recipe = setup::recipe(&args, &data)?;
            let mut registries = setup::registries(&recipe)?;
            let folder = RunFolder::create(&args.out, "ablation", &recipe)?;
            firecraft::trainer::register_in(&mut registries, folder.path())?;
            let run = Run {
                args: &args,
                recipe: &recipe,
                registries: &registries,
                data: &data,
                folder: &folder,
                device: &device,
            };
            let result = run.train(stop, ProgressBar::to_writer(std::io::sink()))?;
            let Some(accuracy) = result.test_accuracy else {
                return Ok(false);
            };
            let first = first_epoch(&result.history);
            eprintln!(
                "{name}, seed {seed}: test accuracy {:.2} %, {GOAL} in epoch {first:?}",
                accuracy * 100.0
            );
            accuracies.push(accuracy * 100.0);
            epochs.push(first);
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
        }
        rows.push(row(&name, &accuracies, &epochs));
    }
    println!("| variant | test accuracy, % | epochs to 95 % validation accuracy |");
    println!("|---|---|---|");
    for row in rows {
        println!("{row}");
    }
    Ok(true)
}

/// The 1-based epoch in which the goal was reached.
fn first_epoch(history: &History) -> Option<u64> {
    let reached = |value: Option<f64>| value.is_some_and(|value| value >= GOAL);
    (history.rows().iter())
        .find(|row| reached(row.metrics.get("val_accuracy")))
        .map(|row| row.epoch + 1)
}

fn row(name: &str, accuracies: &[f64], epochs: &[Option<u64>]) -> String {
    let (mean, spread) = mean_and_spread(accuracies);
    let reached: Vec<f64> = epochs.iter().flatten().map(|&epoch| epoch as f64).collect();
    let missed = epochs.len() - reached.len();
    let epochs = if reached.is_empty() {
        "never".to_owned()
    } else {
        let (mean, spread) = mean_and_spread(&reached);
        let note = match missed {
            0 => String::new(),
            missed => format!(" ({missed} of {} never)", epochs.len()),
        };
        format!("{mean:.1} ± {spread:.1}{note}")
    };
    format!("| {name} | {mean:.2} ± {spread:.2} | {epochs} |")
}

/// Mean and sample standard deviation.
fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_tell_mean_spread_and_failures() {
        assert_eq!(
            row("x", &[98.0, 99.0], &[Some(2), Some(4)]),
            "| x | 98.50 ± 0.71 | 3.0 ± 1.4 |"
        );
        assert_eq!(
            row("x", &[10.0, 10.0], &[Some(2), None]),
            "| x | 10.00 ± 0.00 | 2.0 ± 0.0 (1 of 2 never) |"
        );
        assert_eq!(row("x", &[10.0], &[None]), "| x | 10.00 ± 0.00 | never |");
    }
}
