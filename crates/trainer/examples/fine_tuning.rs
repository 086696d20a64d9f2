//! Fine-tuning: a backbone that was trained elsewhere, under a new head.
//!
//! A network learns the digits 0 to 4 and is written to a safetensors file.
//! Another program, with a head of its own, takes the backbone from that file
//! and learns the digits 5 to 9 from one image of each: first the head
//! alone, with the backbone and its running statistics frozen, then all of it
//! with a tenth of the learning rate below. The same is done from scratch, for
//! comparison, and everything twenty times, with other images and other first
//! weights. With more images the backbone is no help: five other digits teach it
//! less than they do.
//!
//! ```sh
//! cargo run --release -p firecraft-trainer --example fine_tuning -- [IMAGES]
//! ```
//!
//! With weights of PyTorch the file is another one, the calls are the same:
//! `Import::open("resnet18.pt")?` (feature `pytorch`) or a safetensors file
//! with `.pytorch()`.
#![allow(clippy::print_stdout, reason = "a program")]

use std::error::Error;
use std::path::Path;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use firecraft_data::{Digits, ImageDataset, LoaderConfig};
use firecraft_key::Key;
use firecraft_trainer::callbacks::GradualUnfreezing;
use firecraft_trainer::{
    AdamW, BatchSource, Fitted, Import, Labelled, LoaderSource, ModelState, Select, Supervised,
    Targets, Trainer, TrainerError, layer_decay,
};

/// Images of each digit, unless another number is given.
const IMAGES: usize = 1;
const RUNS: u64 = 20;

/// Two convolutions with batch normalisation.
#[derive(Module, Debug)]
struct Backbone {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    pool: MaxPool2d,
}

#[derive(Module, Debug)]
struct Net {
    backbone: Backbone,
    head: Linear,
}

impl Net {
    fn new(classes: usize, seed: u64, device: &Device) -> Self {
        device.seed(seed);
        let conv = |from, to| {
            let config = Conv2dConfig::new([from, to], [3, 3]);
            config.with_padding(PaddingConfig2d::Same).init(device)
        };
        Self {
            backbone: Backbone {
                conv1: conv(1, 16),
                norm1: BatchNormConfig::new(16).init(device),
                conv2: conv(16, 32),
                norm2: BatchNormConfig::new(32).init(device),
                pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            },
            head: LinearConfig::new(32 * 4, classes).init(device),
        }
    }
}

impl Supervised for Net {
    type Input = Tensor<4>;

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let Backbone {
            conv1,
            norm1,
            conv2,
            norm2,
            pool,
        } = &self.backbone;
        let x = pool.forward(relu(norm1.forward(conv1.forward(x))));
        let x = pool.forward(relu(norm2.forward(conv2.forward(x))));
        self.head.forward(x.flatten(1, 3))
    }
}

/// The images of the digits `first..first + 5`, at most `each` of a digit.
fn digits(
    dataset: &ImageDataset,
    first: u32,
    each: usize,
) -> Result<ImageDataset, firecraft_data::DataError> {
    let mut counts = [0; 10];
    let chosen: Vec<usize> = (0..dataset.labels().len())
        .filter(|&index| {
            let label = dataset.label(index);
            let count = &mut counts[label as usize];
            *count += 1;
            (first..first + 5).contains(&label) && *count <= each
        })
        .collect();
    dataset.select(&chosen)
}

/// Batches with labels that start from 0.
fn source(
    dataset: ImageDataset,
    first: u32,
    shuffled: bool,
) -> Result<impl BatchSource<Batch = Labelled<Tensor<4>>>, TrainerError> {
    let mut config = LoaderConfig::new(20);
    if shuffled {
        config = config.shuffled().with_seed(1);
    }
    let source = LoaderSource::new(config.init(dataset)?)?;
    Ok(source.map_batches(0, "shifted", move |mut batch, _| {
        if let Targets::Classes(labels) = batch.targets {
            batch.targets = Targets::Classes(labels.sub_scalar(i64::from(first)));
        }
        Ok(batch)
    }))
}

fn accuracy(fitted: &Fitted<Net>) -> f64 {
    let row = fitted.history.last();
    row.and_then(|row| row.metrics.get("val_accuracy"))
        .unwrap_or(f64::NAN)
}

fn pretrain(path: &Path, device: &Device) -> Result<(), Box<dyn Error>> {
    let splits = Digits::split(Key::from_seed(0))?;
    let fitted = Trainer::new(Net::new(5, 1, device), AdamW::torch())
        .learning_rate(3e-3)
        .epochs(8)
        .fit(
            source(digits(&splits.train, 0, usize::MAX)?, 0, true)?,
            source(digits(&splits.test, 0, usize::MAX)?, 0, false)?,
        )?;
    println!(
        "digits 0 to 4, all images:  {:5.1} %",
        100.0 * accuracy(&fitted)
    );
    std::fs::write(path, ModelState::of(&fitted.model).to_archive().to_bytes()?)?;
    Ok(())
}

/// The backbone and its statistics stand still at first; then it learns at a
/// tenth of the learning rate of the head.
fn frozen(net: Net, epochs: u64) -> Trainer<Net> {
    let backbone = Select::Path {
        glob: "backbone.*".into(),
    };
    let frozen = GradualUnfreezing::new().then(epochs, backbone);
    let optimizer = AdamW {
        groups: layer_decay(["backbone.*", "head.*"], 0.1),
        ..AdamW::torch()
    };
    Trainer::new(net, optimizer).callback(frozen.freeze_statistics())
}

/// Accuracy on the digits 5 to 9, from `each` images of them.
fn finetune(trainer: Trainer<Net>, each: usize, seed: u64) -> Result<f64, Box<dyn Error>> {
    let splits = Digits::split(Key::from_seed(seed))?;
    let fitted = trainer.learning_rate(3e-3).epochs(40).fit(
        source(digits(&splits.train, 5, each)?, 5, true)?,
        source(digits(&splits.test, 5, usize::MAX)?, 5, false)?,
    )?;
    Ok(accuracy(&fitted))
}

fn main() -> Result<(), Box<dyn Error>> {
    let each = std::env::args().nth(1).map_or(Ok(IMAGES), |n| n.parse())?;
    let device = Device::flex().autodiff();
    let folder = std::env::temp_dir().join(format!("fine-tuning-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("digits-0-4.safetensors");
    pretrain(&path, &device)?;

    // A head of six outputs: its weights have another shape and are left alone.
    let pretrained = |seed| {
        Import::open(&path)?
            .partial()
            .apply(Net::new(6, seed, &device))
    };
    let (_, report) = pretrained(0)?;
    println!("taken over: {} tensors", report.loaded.len());
    println!("left alone: {}", report.other_shape.join(", "));

    let mut found = [const { Vec::new() }; 3];
    for seed in 0..RUNS {
        let scratch = Trainer::new(Net::new(6, seed, &device), AdamW::torch());
        let head = frozen(pretrained(seed)?.0, 1000);
        let whole = frozen(pretrained(seed)?.0, 20);
        for (values, trainer) in found.iter_mut().zip([scratch, head, whole]) {
            values.push(100.0 * finetune(trainer, each, seed)?);
        }
    }
    std::fs::remove_dir_all(&folder)?;
    println!("digits 5 to 9, {each} of each, mean of {RUNS} runs (least to most):");
    let names = ["from scratch", "the head alone", "the head, then all of it"];
    for (name, values) in names.into_iter().zip(found) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        println!("  {name:24}  {mean:5.1} %  ({least:.1} to {most:.1})");
    }
    Ok(())
}
