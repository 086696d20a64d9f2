//! What normalisation does: how deep a plain network still trains and with
//! which learning rates, and which normalisation stands which batch size.
//! Prints the tables of `docs/norm.md` and draws its figures.
//!
//! ```sh
//! cargo run --release -p norm-study -- --out docs/norm
//! ```
#![allow(clippy::print_stdout)]

mod batch_size;
mod data;
mod depth;
mod training;

use std::path::PathBuf;

use clap::Parser;
use firecraft_data::DataError;
use firecraft_init::InitError;
use firecraft_norm::NormError;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures what normalisation does to depth, learning rate and batch size.
#[derive(Parser)]
struct Arguments {
    /// Where the figures go; none are written without it.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Passes over the data in every training.
    #[arg(long, default_value_t = 10)]
    epochs: u64,
    /// Trainings per setting, with different seeds; the mean is reported.
    #[arg(long, default_value_t = 2)]
    seeds: u64,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
enum StudyError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A normalisation.
    #[error(transparent)]
    Norm(#[from] NormError),
    /// The initial values.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A figure.
    #[error("{path}: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

fn main() -> Result<(), StudyError> {
    let arguments = Arguments::parse();
    let data = data::Data::load()?;
    let write = |name: &str, svg: String| -> Result<(), StudyError> {
        let Some(folder) = &arguments.out else {
            return Ok(());
        };
        let path = folder.join(name);
        let write = || {
            std::fs::create_dir_all(folder)?;
            std::fs::write(&path, svg)
        };
        write().map_err(|error| StudyError::Write {
            path: path.clone(),
            error,
        })
    };
    let (epochs, seeds) = (arguments.epochs, arguments.seeds);
    write("depth.svg", depth::study(&data, epochs, seeds)?)?;
    write("batch-size.svg", batch_size::study(&data, epochs, seeds)?)
}
