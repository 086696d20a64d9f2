//! `firecraft plot`: a schedule before any training.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use firecraft::schedule::{Horizon, Preview, Schedulers};
use firecraft::spec::Spec;

use crate::error::CliError;

#[derive(Args)]
pub(crate) struct Arguments {
    /// A TOML file with the spec of a schedule: `type = "cosine"` and so on.
    spec: PathBuf,
    /// Length of the run in epochs.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// Updates in an epoch.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    updates_per_epoch: u64,
    /// Print every update as CSV in place of a table.
    #[arg(long)]
    csv: bool,
    /// Also draw the curve into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let spec = read(&arguments.spec)?;
    let mut schedule = firecraft::registries()?.build::<Schedulers>(&spec)?;
    let horizon = Horizon::epochs(arguments.epochs, arguments.updates_per_epoch);
    let preview = Preview::of(&mut *schedule, &horizon)?;
    if arguments.csv {
        print!("{}", preview.to_csv());
    } else {
        for (index, slot) in preview.slots().iter().enumerate() {
            println!("{slot}  {}", preview.sparkline(index, 60));
        }
        print!("{}", preview.table(21));
    }
    if let Some(path) = &arguments.svg {
        fs::write(path, preview.to_svg()).map_err(|source| CliError::Write {
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Spec, CliError> {
    let text = fs::read_to_string(path).map_err(|source| CliError::Read {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|error| CliError::Parse {
        path: path.to_owned(),
        message: error.message().to_owned(),
    })
}
