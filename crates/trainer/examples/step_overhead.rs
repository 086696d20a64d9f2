//! What the trainer costs beside a loop written by hand, and whether its memory
//! stays flat:
//!
//! ```sh
//! cargo run --release -p firecraft-trainer --example step_overhead
//! cargo run --release -p firecraft-trainer --example step_overhead -- memory 20000
//! ```
//!
//! Both loops train the same small convolutional network on the same batches
//! with burn's AdamW, and read loss and accuracy after every step. Runs
//! alternate; the ratio is that of the medians of the time per step.
#![allow(clippy::print_stdout, reason = "a measurement prints its numbers")]
#![allow(clippy::unwrap_used, reason = "a measurement may panic")]

use std::time::Instant;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use firecraft_key::Key;
use firecraft_trainer::callbacks::{Checkpoint, CsvLogger, EarlyStopping, ProgressBar};
use firecraft_trainer::checkpoint::CheckpointStore;
use firecraft_trainer::{
    AdamW, CrossEntropy, InMemory, Labelled, Supervised, Targets, Trainer, accuracy,
};

// As in programs that train on burn's CPU backend: with the system's allocator
// the pages that it gives back and takes again cost more than what is compared.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 32;
const SIDE: usize = 12;
const CLASSES: usize = 10;
const LEARNING_RATE: f64 = 1e-3;

#[derive(Module, Debug)]
struct Net {
    first: Conv2d,
    norm: BatchNorm,
    last: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        device.seed(1);
        Self {
            first: Conv2dConfig::new([1, 16], [3, 3]).init(device),
            norm: BatchNormConfig::new(16).init(device),
            last: LinearConfig::new(16 * (SIDE - 2) * (SIDE - 2), CLASSES).init(device),
        }
    }
}

impl Supervised for Net {
    type Input = Tensor<4>;

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = relu(self.norm.forward(self.first.forward(x)));
        self.last.forward(x.flatten(1, 3))
    }
}

fn batch(_epoch: u64, index: u64, device: &Device) -> Labelled<Tensor<4>> {
    let mut rng = Key::from_seed(5).fold(index).rng();
    let pixels: Vec<f32> = (0..BATCH * SIDE * SIDE).map(|_| rng.normal()).collect();
    let labels: Vec<i64> = (0..BATCH).map(|_| rng.below(10) as i64).collect();
    Labelled {
        inputs: Tensor::from_data(TensorData::new(pixels, [BATCH, 1, SIDE, SIDE]), device),
        targets: Targets::Classes(Tensor::<1, Int>::from_data(labels.as_slice(), device)),
        weights: None,
    }
}

/// Seconds per step of the loop that a user of burn would write.
fn by_hand(device: &Device, steps: u64) -> f64 {
    let mut model = Net::new(device);
    let mut optimizer = AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(1e-2)
        .init();
    let loss = CrossEntropy::new();
    let (mut losses, mut hits) = (0.0f64, 0.0f64);
    let start = Instant::now();
    for step in 0..steps {
        let batch = batch(0, step, device);
        let logits = model.forward(batch.inputs);
        let right = accuracy(logits.clone().without_autodiff(), &batch.targets);
        let value = loss.forward(logits, &batch.targets, None);
        losses += f64::from(value.clone().into_scalar::<f32>());
        hits += f64::from(right.into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(value.backward(), &model);
        model = optimizer.step(LEARNING_RATE, model, gradients);
    }
    let seconds = start.elapsed().as_secs_f64() / steps as f64;
    assert!(losses.is_finite() && hits >= 0.0);
    seconds
}

/// Seconds per step of a fit with the callbacks that every run has.
fn by_trainer(device: &Device, steps: u64) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path().join("checkpoints")).unwrap();
    let trainer = Trainer::new(Net::new(device), AdamW::torch())
        .learning_rate(LEARNING_RATE)
        .callback(EarlyStopping::new("loss", 5).unwrap())
        .callback(CsvLogger::new(folder.path().join("history.csv")))
        .callback(ProgressBar::to_writer(std::io::sink()))
        .checkpoints(store.clone())
        .callback(Checkpoint::new(store).every_epochs(2));
    let start = Instant::now();
    trainer
        .fit_unvalidated(InMemory::new(steps, steps * BATCH as u64, batch))
        .unwrap();
    start.elapsed().as_secs_f64() / steps as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn memory(device: &Device, steps: u64) {
    let part = steps / 10;
    let trainer = Trainer::new(Net::new(device), AdamW::torch())
        .learning_rate(1e-5)
        .epochs(10)
        .callback(firecraft_trainer::callbacks::Lambda::new(
            "memory",
            move |event, context| {
                if let firecraft_trainer::Event::EpochEnd { .. } = event {
                    let update = context.progress.update;
                    println!("{update:>6} updates: {} KiB resident", resident_kib());
                }
                firecraft_trainer::Control::Continue
            },
        ));
    trainer
        .fit_unvalidated(InMemory::new(part, part * BATCH as u64, batch))
        .unwrap();
}

fn main() {
    let device = Device::flex().autodiff();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == "memory") {
        let steps = arguments.get(1).and_then(|n| n.parse().ok());
        memory(&device, steps.unwrap_or(20_000));
        return;
    }
    // So many that what a run does once, such as opening its files, weighs little.
    let (rounds, steps) = (7, 2000);
    by_hand(&device, 400);
    by_trainer(&device, 400);
    let (mut hand, mut trainer) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Whoever comes second may find a warmer machine.
        if round % 2 == 0 {
            hand.push(by_hand(&device, steps));
            trainer.push(by_trainer(&device, steps));
        } else {
            trainer.push(by_trainer(&device, steps));
            hand.push(by_hand(&device, steps));
        }
    }
    let (hand, trainer) = (median(hand), median(trainer));
    println!("by hand   {:.1} µs per step", hand * 1e6);
    println!("trainer   {:.1} µs per step", trainer * 1e6);
    println!("overhead  {:+.2} %", 100.0 * (trainer / hand - 1.0));
}
