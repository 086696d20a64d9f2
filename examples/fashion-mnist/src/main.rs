//! Trains a convolutional network on Fashion-MNIST with normalisation,
//! initialisation, a learning-rate schedule and augmentation:
//!
//! ```sh
//! cargo run --release -p fashion-mnist -- FOLDER
//! ```
//!
//! `FOLDER` holds the four published files; without it the program says where
//! to get them. `main.rs` is the whole training, `model.rs` the network. The
//! `digits` example has what this one leaves out: recipes, resuming, Ctrl-C.

#![allow(
    clippy::print_stdout,
    reason = "a program's results go to its standard output"
)]

mod model;

use std::error::Error;
use std::path::PathBuf;

use burn::tensor::Tensor;
use clap::{Parser, ValueEnum};
use firecraft::augment::{
    FillMode, FlipMode, Interpolation, RandomFlipConfig, RandomTranslationConfig,
};
use firecraft::data::{FashionMnist, ImageDataset, Normalizer, Part};
use firecraft::init::Normal;
use firecraft::prelude::*;
use firecraft::schedule::Schedulers;
use firecraft::trainer::callbacks::{CsvLogger, ProgressBar};
use firecraft::trainer::report::{Predictions, Report};
use firecraft::trainer::{
    CrossEntropy, Fitted, LoaderSource, LossConfig as _, OptimizerConfig, Recipe, RunFolder,
    predict_views,
};

use model::Net;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Trains a convolutional network on Fashion-MNIST.
///
/// All choices were made on 6000 images set aside from the training data; the
/// test data is read once, at the end.
#[derive(Debug, Parser)]
#[command(name = "fashion-mnist", version)]
struct Args {
    /// Folder of the four files of Fashion-MNIST, gzip or plain
    data: PathBuf,
    /// Epochs to train
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// Seed of everything random
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: u64,
    /// Device, such as flex, wgpu or cuda:1
    #[arg(long)]
    device: Option<String>,
    /// Leave a technique out; can be given several times
    #[arg(long, value_enum, value_name = "TECHNIQUE")]
    without: Vec<Technique>,
    /// Train on this many images only, the same share of every class
    #[arg(long, value_parser = clap::value_parser!(u64).range(100..=54_000))]
    images: Option<u64>,
    /// Folder in which the run folder is made
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Technique {
    /// Batch normalisation
    Norm,
    /// He initialisation; without it weights are drawn from N(0, 1)
    Init,
    /// Warm-up and cosine decay; without it the learning rate is constant
    Schedule,
    /// Mirroring and small shifts
    Augment,
}

/// Learning rate at the end of the warm-up.
const PEAK_RATE: f64 = 2e-3;
const BATCH: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let device = device::select(args.device.as_deref())?;
    let with = |technique| !args.without.contains(&technique);

    // The split is part of the task: it doesn't depend on the seed of the run.
    let whole = FashionMnist::load(&args.data, Part::Train)?;
    let splits = whole.split(0.1, 0.0, Key::from_seed(0))?;
    let train = match args.images {
        None => splits.train,
        Some(images) => {
            let rest = 1.0 - images as f64 / splits.train.len() as f64;
            splits.train.split(0.0, rest, Key::from_seed(1))?.train
        }
    };
    let normalizer = Normalizer::fit(&train)?;

    let mirror = RandomFlipConfig::new().with_mode(FlipMode::Horizontal);
    let shift = shift(&normalizer);
    let specs = if with(Technique::Augment) {
        vec![mirror.spec()?, shift.spec()?]
    } else {
        Vec::new()
    };
    let augment =
        with(Technique::Augment).then(|| Compose::new().with(mirror).with(shift).init(&device));
    let augment = augment.transpose()?;
    let plan = if with(Technique::Init) {
        InitPlan::for_activation(Activation::Relu)?
    } else {
        InitPlan::new(Normal::new(0.0, 1.0))
    };
    let net = Net::new(augment, with(Technique::Norm), &device);
    let net = plan.apply(net, Key::from_seed(args.seed).named("init"))?;

    let schedule = if with(Technique::Schedule) {
        let cosine = Spec::new("cosine")
            .with("start", PEAK_RATE)
            .with("length", 1.0)
            .with("unit", "fraction");
        Spec::new("warmup")
            .with("length", 0.15)
            .with("unit", "fraction")
            .with("inner", cosine)
    } else {
        Spec::new("constant").with("value", PEAK_RATE / 4.0)
    };
    let loss = CrossEntropy::new().with_label_smoothing(0.05);
    let recipe = Recipe {
        seed: args.seed,
        epochs: args.epochs,
        batch_size: BATCH as u64,
        model: Spec::new("net"),
        data: Spec::new("fashion_mnist").with("images", train.len() as i64),
        init: if with(Technique::Init) {
            Spec::new("he_normal")
        } else {
            Spec::new("normal").with("mean", 0.0).with("std", 1.0)
        },
        norm: Spec::new(if with(Technique::Norm) {
            "batch_norm"
        } else {
            "none"
        }),
        schedule: schedule.clone(),
        augment: specs,
        optimizer: OptimizerConfig::AdamW(
            AdamW::torch()
                .with_weight_decay(0.02)
                .without_decay_of_vectors(),
        ),
        loss: loss.spec()?,
        ..Recipe::default()
    };
    let folder = RunFolder::create(&args.out, "fashion-mnist", &recipe)?;

    let source = |dataset: &ImageDataset, loader: LoaderConfig| {
        let source = LoaderSource::new(loader.init(dataset.clone())?)?;
        Ok::<_, Box<dyn Error>>(source.with_normalizer(normalizer.clone()))
    };
    let fitted = Trainer::new(net, recipe.optimizer.build()?)
        .task(Classification { loss })
        .schedule(firecraft::registries()?.build::<Schedulers>(&schedule)?)
        .epochs(args.epochs)
        .seed(args.seed)
        .callback(CsvLogger::new(folder.path().join("history.csv")))
        .callback(ProgressBar::stderr())
        .fit(
            source(
                &train,
                LoaderConfig::new(BATCH).shuffled().with_seed(args.seed),
            )?,
            source(&splits.validation, LoaderConfig::new(500))?,
        )?;

    let test = FashionMnist::load(&args.data, Part::Test)?;
    let mut loader = source(&test, LoaderConfig::new(500))?;
    let predictions = predict(&fitted, &mut loader, &test, background(&normalizer))?;
    let title = format!("Fashion-MNIST, seed {}", args.seed);
    let mut report = Report::new(title, format!("without {:?}", args.without));
    report
        .result(&fitted.history, Some(&predictions))
        .curves(&fitted.history)
        .test(&predictions, &test)?
        .recipe(&recipe)?;
    let path = folder.write("report.html", report.to_html().as_bytes())?;
    println!("test accuracy {:.2} %", predictions.accuracy() * 100.0);
    println!("{}", path.display());
    Ok(())
}

/// Up to two pixels in each direction, whole ones: a part of a pixel would blur
/// an image of 28.
fn shift(normalizer: &Normalizer) -> RandomTranslationConfig {
    let pixels = 2.0 / 28.0;
    RandomTranslationConfig::new(pixels, pixels)
        .with_interpolation(Interpolation::Nearest)
        .with_fill_mode(FillMode::Constant)
        .with_fill_value(background(normalizer))
}

/// Black, in normalised values.
fn background(normalizer: &Normalizer) -> f32 {
    -normalizer.mean()[0] / normalizer.std()[0]
}

/// The answers on a data set: the mean of what the network says about an image,
/// its mirror image, and both a pixel aside.
fn predict(
    fitted: &Fitted<Net>,
    source: &mut LoaderSource,
    dataset: &ImageDataset,
    background: f32,
) -> Result<Predictions, Box<dyn Error>> {
    let aside = |x: Tensor<4>, [down, right]: [usize; 2]| {
        let padded = x.pad((1, 1, 1, 1), background);
        padded.narrow(2, down, 28).narrow(3, right, 28)
    };
    let probabilities = predict_views(
        &fitted.model,
        source,
        &[
            &|x| x,
            &|x| x.flip([3]),
            &|x| aside(x, [0, 1]),
            &|x| aside(x, [1, 0]),
            &|x| aside(x.flip([3]), [2, 1]),
            &|x| aside(x.flip([3]), [1, 2]),
        ],
    )?;
    Ok(Predictions::new(probabilities.log(), &dataset.labels())?)
}
