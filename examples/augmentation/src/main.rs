//! Measures what augmentation is worth: a small network is trained on more and
//! more images of Fashion-MNIST, with and without it, and the gap between
//! images it has seen and new ones goes into a table.
//!
//! ```sh
//! cargo run --release -p augmentation -- FOLDER
//! ```
//!
//! `FOLDER` holds the four published files; without it the program says where
//! to get them. Every run has the same number of updates.

#![allow(
    clippy::print_stdout,
    reason = "a program's results go to its standard output"
)]

use std::error::Error;
use std::path::PathBuf;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use clap::Parser;
use firecraft::augment::{
    Augment, FillMode, FlipMode, RandomFlipConfig, RandomTranslationConfig, RandomZoomConfig,
};
use firecraft::data::{Dataset as _, FashionMnist, ImageDataset, Normalizer, Part};
use firecraft::prelude::*;
use firecraft::schedule::Schedulers;
use firecraft::trainer::report::Predictions;
use firecraft::trainer::{BatchSource as _, CrossEntropy, LoaderSource, Supervised};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures what augmentation is worth at several sizes of the training set.
#[derive(Debug, Parser)]
#[command(name = "augmentation", version)]
struct Args {
    /// Folder of the four files of Fashion-MNIST, gzip or plain
    data: PathBuf,
    /// Sizes of the training set, the same share of every class
    #[arg(long, num_args = 1.., default_values_t = [200, 1000, 5000], value_parser = clap::value_parser!(u64).range(100..=50_000))]
    images: Vec<u64>,
    /// Updates of each run
    #[arg(long, default_value_t = 800, value_parser = clap::value_parser!(u64).range(10..))]
    updates: u64,
    /// Images of the test set that are used
    #[arg(long, default_value_t = 2000)]
    test_images: usize,
    /// Seed of everything random
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: u64,
}

const BATCH: usize = 50;
const PEAK_RATE: f64 = 3e-3;

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let whole = FashionMnist::load(&args.data, Part::Train)?;
    let test = FashionMnist::load(&args.data, Part::Test)?.take(args.test_images);
    println!("| images | augmentation | seen images | new images | gap |");
    println!("|---:|---|---:|---:|---:|");
    for &images in &args.images {
        let rest = 1.0 - images as f64 / whole.len() as f64;
        let train = whole.split(0.0, rest, Key::from_seed(1))?.train;
        for augments in [false, true] {
            let [seen, new] = run(&args, &train, &test, augments)?;
            println!(
                "| {} | {} | {:.1} % | {:.1} % | {:.1} |",
                train.len(),
                if augments {
                    "mirror, shift, zoom"
                } else {
                    "none"
                },
                seen * 100.0,
                new * 100.0,
                (seen - new) * 100.0
            );
        }
    }
    Ok(())
}

/// Accuracy on images the network was trained on, as they are, and on new
/// ones.
fn run(
    args: &Args,
    train: &ImageDataset,
    test: &ImageDataset,
    augments: bool,
) -> Result<[f64; 2], Box<dyn Error>> {
    let device = device::select(None)?;
    let normalizer = Normalizer::fit(train)?;
    let augment = augments.then(|| augmentation(&normalizer).init(&device));
    let plan = InitPlan::for_activation(Activation::Relu)?;
    let net = plan.apply(
        Net::new(augment.transpose()?, &device),
        Key::from_seed(args.seed).named("init"),
    )?;
    let cosine = Spec::new("cosine")
        .with("start", PEAK_RATE)
        .with("length", 1.0)
        .with("unit", "fraction");
    let source = |dataset: &ImageDataset, loader: LoaderConfig| {
        let source = LoaderSource::new(loader.init(dataset.clone())?)?;
        Ok::<_, Box<dyn Error>>(source.with_normalizer(normalizer.clone()))
    };
    let per_epoch = train.len().div_ceil(BATCH) as u64;
    let fitted = Trainer::new(net, AdamW::torch())
        .task(Classification {
            loss: CrossEntropy::new(),
        })
        .schedule(firecraft::registries()?.build::<Schedulers>(&cosine)?)
        .epochs(args.updates.div_ceil(per_epoch))
        .seed(args.seed)
        .fit(
            source(
                train,
                LoaderConfig::new(BATCH).shuffled().with_seed(args.seed),
            )?,
            // The test is read once, at the end.
            source(&train.take(BATCH), LoaderConfig::new(BATCH))?,
        )?;
    let model = fitted.model.valid();
    let accuracy = |dataset: &ImageDataset| {
        let loader = source(dataset, LoaderConfig::new(500))?;
        accuracy(&model, loader, dataset, &device)
    };
    Ok([accuracy(&train.take(args.test_images))?, accuracy(test)?])
}

/// Mirrored, shifted by up to two pixels and zoomed by up to a tenth; what
/// comes in is background: black, in normalised values.
fn augmentation(normalizer: &Normalizer) -> Compose {
    let black = -normalizer.mean()[0] / normalizer.std()[0];
    let shift = 2.0 / 28.0;
    Compose::new()
        .with(RandomFlipConfig::new().with_mode(FlipMode::Horizontal))
        .with(
            RandomTranslationConfig::new(shift, shift)
                .with_fill_mode(FillMode::Constant)
                .with_fill_value(black),
        )
        .with(
            RandomZoomConfig::new(0.1)
                .with_fill_mode(FillMode::Constant)
                .with_fill_value(black),
        )
}

fn accuracy(
    model: &Net,
    mut source: LoaderSource,
    dataset: &ImageDataset,
    device: &Device,
) -> Result<f64, Box<dyn Error>> {
    let device = device.clone().without_autodiff();
    let mut logits = Vec::new();
    source.start_epoch(0)?;
    while let Some(batch) = source.next_batch(&device)? {
        logits.push(model.forward(batch.inputs));
    }
    Ok(Predictions::new(Tensor::cat(logits, 0), &dataset.labels())?.accuracy())
}

/// Augmentation, two convolutions and a linear layer: `[N, 1, 28, 28]` to
/// `[N, 10]`.
#[derive(Module, Debug)]
struct Net {
    augment: Option<Augment>,
    convolutions: Vec<Conv2d>,
    pool: MaxPool2d,
    head: Linear,
}

impl Net {
    fn new(augment: Option<Augment>, device: &Device) -> Self {
        let conv = |from, to| {
            Conv2dConfig::new([from, to], [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .init(device)
        };
        Self {
            augment,
            convolutions: vec![conv(1, 16), conv(16, 32)],
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            head: LinearConfig::new(32 * 7 * 7, 10).init(device),
        }
    }
}

impl Supervised for Net {
    type Input = Tensor<4>;

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = match &self.augment {
            Some(augment) => augment.forward(images),
            None => images,
        };
        for conv in &self.convolutions {
            x = self.pool.forward(relu(conv.forward(x)));
        }
        self.head.forward(x.flatten(1, 3))
    }
}
