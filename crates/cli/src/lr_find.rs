//! `firecraft lr-find`: a learning rate from the record of a range test.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use firecraft::schedule::{LrFinderConfig, Suggestion, sparkline};

use crate::error::CliError;

#[derive(Args)]
pub(crate) struct Arguments {
    /// A CSV file with the columns `learning_rate` and `loss`, as
    /// `LrFinder::to_csv` writes it.
    curve: PathBuf,
    /// Weight of the past in the smoothed loss, in [0, 1); 0 for losses that
    /// are smooth already, 0.98 for raw ones.
    #[arg(long, default_value_t = 0.0)]
    smoothing: f64,
    /// The curve ends where the loss is above this multiple of the least one.
    #[arg(long, default_value_t = 4.0)]
    divergence: f64,
    /// Points left out at the start; a tenth of them if not given.
    #[arg(long)]
    skip_start: Option<u64>,
    /// Points left out at the end.
    #[arg(long, default_value_t = 5)]
    skip_end: u64,
    /// Also draw the curve and its suggestions into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let path = &arguments.curve;
    let text = fs::read_to_string(path).map_err(|source| CliError::ReadCurve {
        path: path.clone(),
        source,
    })?;
    let finder = LrFinderConfig::new()
        .with_smoothing(arguments.smoothing)
        .with_divergence(arguments.divergence)
        .with_skip_start(arguments.skip_start)
        .with_skip_end(arguments.skip_end)
        .recorded_csv(&text)?;
    let curve = finder.curve();
    if let [first, .., last] = curve {
        println!(
            "{} losses at learning rates from {:.1e} to {:.1e}",
            curve.len(),
            first.0,
            last.0
        );
    }
    let losses: Vec<f64> = curve.iter().map(|point| point.1).collect();
    println!("{}", sparkline(&losses, 60));
    let mut none = true;
    for how in Suggestion::ALL {
        if let Some(found) = finder.suggest(how) {
            println!("{:<7}  {:.2e}", how.name(), found.lr);
            none = false;
        }
    }
    if none {
        println!("too short for a suggestion: give smaller --skip-start and --skip-end");
    }
    if let Some(path) = &arguments.svg {
        fs::write(path, finder.chart().to_svg()).map_err(|source| CliError::Write {
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}
