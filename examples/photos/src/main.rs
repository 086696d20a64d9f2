//! Trains on a folder of photographs, one folder per class, augmented in the
//! workers of the loader:
//!
//! ```sh
//! cargo run --release -p photos -- TRAIN_FOLDER VALIDATION_FOLDER
//! ```
//!
//! `main.rs` is the whole training, `model.rs` the network. At the end the
//! program says whether the data or the computing was the bottleneck;
//! `--loader-only` reads the training images and measures nothing else.

#![allow(
    clippy::print_stdout,
    reason = "a program's results go to its standard output"
)]

mod model;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module as _;
use clap::Parser;
use firecraft::augment::{
    CenterCrop, ColorJitter, HorizontalFlip, RandomResizedCrop, Resize, ResizeTo, Size,
};
use firecraft::data::{Batch, CorruptPolicy, ImageFiles, Labelled as _, LoaderBuilder, Normalizer};
use firecraft::prelude::*;
use firecraft::schedule::Schedulers;
use firecraft::trainer::callbacks::ProgressBar;
use firecraft::trainer::{Augmented, CrossEntropy, LoaderSource};

use model::Net;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Trains a small residual network on a folder of photographs.
#[derive(Debug, Parser)]
#[command(name = "photos", version)]
struct Args {
    /// Folder with one folder of JPEG or PNG files per class
    train: PathBuf,
    /// Folder of the same classes, for validation; not needed by --loader-only
    #[arg(required_unless_present = "loader_only")]
    validation: Option<PathBuf>,
    /// Epochs to train
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// Side of the images that the network sees, in pixels
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u16).range(32..=512))]
    side: u16,
    /// Threads that read, decode and augment
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=64))]
    workers: u16,
    /// Seed of everything random
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: u64,
    /// Device, such as flex, wgpu or cuda:1
    #[arg(long)]
    device: Option<String>,
    /// Read and augment the training images for this many epochs, print images
    /// per second, and end
    #[arg(long, value_name = "EPOCHS")]
    loader_only: Option<u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let config = LoaderConfig::new(32)
        .with_workers(args.workers.into())
        .with_seed(args.seed)
        .with_corrupt_policy(CorruptPolicy::Skip);
    let side = Size::new(args.side.into(), args.side.into());
    let varied = Compose::new()
        .with(RandomResizedCrop::new(side).with_scale((0.35, 1.0)))
        .with(HorizontalFlip::new(0.5))
        .with(ColorJitter::new(0.4, 0.4, 0.4, 0.1));
    let train = load(&args.train, varied, &config.clone().shuffled())?;
    if let Some(epochs) = args.loader_only {
        return measure(&train, epochs);
    }

    let plain = Compose::new()
        .with(Resize::new(ResizeTo::Shorter(side.height * 8 / 7)))
        .with(CenterCrop::new(side));
    let Some(folder) = &args.validation else {
        return Err("a validation folder is needed to train".into());
    };
    let validation = load(folder, plain, &config)?;
    let classes = ImageFiles::from_folder(&args.train)?.class_names().len();

    let device = device::select(args.device.as_deref())?;
    let net = InitPlan::for_activation(Activation::Relu)?.apply(
        Net::new(classes, &device),
        Key::from_seed(args.seed).named("init"),
    )?;
    let cosine = Spec::new("cosine")
        .with("start", 3e-3)
        .with("length", 1.0)
        .with("unit", "fraction");
    let schedule = Spec::new("warmup")
        .with("length", 0.1)
        .with("unit", "fraction")
        .with("inner", cosine);
    let source = |loader: &Loader<Batch>| {
        let source = LoaderSource::new(loader.clone())?;
        Ok::<_, Box<dyn Error>>(source.with_normalizer(Normalizer::imagenet()))
    };
    let fitted = Trainer::new(net, AdamW::torch().with_weight_decay(0.05))
        .task(Classification {
            loss: CrossEntropy::new().with_label_smoothing(0.1),
        })
        .schedule(firecraft::registries()?.build::<Schedulers>(&schedule)?)
        .epochs(args.epochs)
        .seed(args.seed)
        .callback(ProgressBar::stderr())
        .fit(source(&train)?, source(&validation)?)?;

    let throughput = train.throughput();
    println!(
        "{:.0} images/s, {:.0} % of the time spent waiting for data: the bottleneck is {:?}",
        throughput.samples_per_second(),
        throughput.waiting_share() * 100.0,
        throughput.bottleneck()
    );
    for skipped in train.skipped().iter().chain(&validation.skipped()) {
        println!("skipped: {skipped:?}");
    }
    let last = fitted.history.last();
    let accuracy = last.and_then(|row| row.metrics.get("val_accuracy"));
    println!(
        "{} parameters, validation accuracy {:.2} %",
        fitted.model.num_params(),
        accuracy.unwrap_or(f64::NAN) * 100.0
    );
    Ok(())
}

/// A loader of an image folder whose workers decode and transform.
fn load(
    folder: &Path,
    transform: Compose,
    config: &LoaderConfig,
) -> Result<Loader<Batch>, Box<dyn Error>> {
    let files = Arc::new(ImageFiles::from_folder(folder)?);
    let loader = LoaderBuilder::new(files).map(Augmented::new(transform));
    Ok(loader.build(config)?)
}

/// Images per second of the loader alone, best of the epochs.
fn measure(loader: &Loader<Batch>, epochs: u64) -> Result<(), Box<dyn Error>> {
    let normalizer = Normalizer::imagenet();
    let device = device::open("flex")?;
    let mut best = 0.0_f64;
    for epoch in 0..epochs.max(1) {
        let start = Instant::now();
        let mut images = 0;
        for batch in loader.epoch(epoch)? {
            images += batch?
                .to_normalized_tensors(&normalizer, &device)?
                .labels
                .dims()[0];
        }
        best = best.max(images as f64 / start.elapsed().as_secs_f64());
    }
    println!("{best:.0} images/s");
    Ok(())
}
