//! Trains a small convolutional network on 1797 handwritten digits with
//! normalisation, initialisation, a learning-rate schedule and augmentation.
//!
//! | file | content |
//! |---|---|
//! | `args.rs` | the command line |
//! | `setup.rs` | from the command line to a recipe, from a recipe to objects |
//! | `model.rs` | the network |
//! | `data.rs` | the digits, embedded or from the user's files |
//! | `train.rs` | one run: fit, test, report |
//! | `evaluation.rs`, `signals.rs`, `report.rs` | what the report shows |
//! | `lr_find.rs` | a range test in place of a run |
//! | `ablation.rs` | many runs, one table |

#![allow(
    clippy::print_stdout,
    reason = "a program's results go to its standard output"
)]

mod ablation;
mod args;
mod data;
mod error;
mod evaluation;
mod lr_find;
mod model;
mod report;
mod setup;
mod signals;
mod train;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser as _;

use args::Args;
use error::DigitsError;

/// Training allocates and frees the same sizes over and over; this allocator
/// keeps them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a shell reports for a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Gives `false` for a run that was interrupted.
fn run(args: &Args) -> Result<bool, DigitsError> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()?;
    }
    if args.lr_find {
        return lr_find::run(args).map(|()| true);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || {
        // The first Ctrl-C asks for a checkpoint, the second doesn't wait.
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
    })?;
    if args.ablation {
        ablation::run(args, &stop)
    } else {
        train::run(args, &stop)
    }
}
