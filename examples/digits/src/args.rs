//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Trains a small convolutional network on handwritten digits.
///
/// All choices are made on the validation data; the test data is read once, at
/// the end.
#[derive(Debug, Clone, Parser)]
#[command(name = "digits", version)]
pub(crate) struct Args {
    /// Epochs to train [default: 40]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) epochs: Option<u64>,

    /// Seed of everything random [default: 0]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,

    /// Images per batch [default: 32]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) batch_size: Option<u64>,

    /// Device, such as flex, wgpu or cuda:1 [default: FIRECRAFT_DEVICE, else
    /// the best that is compiled in]
    #[arg(long)]
    pub(crate) device: Option<String>,

    /// Leave a technique out; can be given several times
    #[arg(long, value_enum, value_name = "TECHNIQUE")]
    pub(crate) without: Vec<Technique>,

    /// Folder of the digits' IDX files instead of the embedded ones
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Folder in which the run folder is made
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) out: PathBuf,

    /// Train what this file says, a recipe.toml with changes; flags go over it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "smoke", "ablation"])]
    pub(crate) recipe: Option<PathBuf>,

    /// Go on with an earlier run; its recipe counts, other flags must agree
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "ablation"])]
    pub(crate) resume: Option<PathBuf>,

    /// Also save a checkpoint after every so many updates, in mid-epoch
    #[arg(long, value_name = "UPDATES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) checkpoint_every: Option<u64>,

    /// Threads of the CPU backend [default: all cores]
    #[arg(long, value_parser = threads)]
    pub(crate) threads: Option<usize>,

    /// A few steps of a tiny network, to see that a device works
    #[arg(long)]
    pub(crate) smoke: bool,

    /// Look for a learning rate: a short run in which it grows
    #[arg(long, conflicts_with_all = ["resume", "smoke", "ablation"])]
    pub(crate) lr_find: bool,

    /// Train with all techniques and without each in turn, and print the table
    #[arg(long)]
    pub(crate) ablation: bool,

    /// Seeds of the ablation, counted from 0
    #[arg(long, requires = "ablation", default_value_t = 5)]
    pub(crate) seeds: u64,
}

/// A technique that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Technique {
    /// Batch normalisation.
    Norm,
    /// He initialisation; without it weights are drawn from N(0, 1).
    Init,
    /// Warm-up and cosine decay; without it the learning rate is constant.
    Schedule,
    /// Small rotations, shifts and zooms.
    Augment,
}

impl Technique {
    pub(crate) const ALL: [Self; 4] = [Self::Norm, Self::Init, Self::Schedule, Self::Augment];
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=1024) => Ok(threads),
        _ => Err("expected a number from 1 to 1024".into()),
    }
}
