//! Times a training step of the normalisation layers against burn's own:
//! `cargo run --release -p firecraft-norm --example speed [-- runs]`.
//!
//! Prints the median over the runs in milliseconds, forward and backward, and
//! the share of the memory bandwidth that a plain copy reaches: forward counts
//! reading the input twice and writing once, backward reading input and
//! gradient twice and writing once.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use firecraft_core_tensor::Key;
use firecraft_norm::{BatchNormConfig, GroupNormConfig, Kernels, LayerNormConfig, RmsNormConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let runs = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(15);
    let copy = copy_bandwidth();
    println!("threads: {}", rayon_threads());
    println!("copy: {copy:.1} GB/s");
    println!(
        "{:<34}{:>9}{:>9}{:>9}{:>9}",
        "", "forward", "backward", "fwd bw", "bwd bw"
    );
    let device = Device::flex().autodiff();
    for shape in [
        [64, 64, 56, 56],
        [64, 256, 14, 14],
        [128, 32, 32, 32],
        [64, 32, 32, 32],
    ] {
        let channels = shape[1];
        let ours = BatchNormConfig::new(channels).init(&device);
        let composite = BatchNormConfig::new(channels)
            .with_kernels(Kernels::Composite)
            .init(&device);
        let burns = burn::nn::BatchNormConfig::new(channels).init(&device);
        let groups = GroupNormConfig::new(16, channels).init(&device);
        let burns_groups = burn::nn::GroupNormConfig::new(16, channels).init(&device);
        report("BatchNorm", shape, runs, copy, |x| ours.forward(x));
        report("BatchNorm, composite", shape, runs, copy, |x| {
            composite.forward(x)
        });
        report("BatchNorm, burn", shape, runs, copy, |x| burns.forward(x));
        report("GroupNorm(16)", shape, runs, copy, |x| groups.forward(x));
        report("GroupNorm(16), burn", shape, runs, copy, |x| {
            burns_groups.forward(x)
        });
    }
    let shape = [32, 197, 768];
    let ours = LayerNormConfig::new([768]).init(&device);
    let burns = burn::nn::LayerNormConfig::new(768).init(&device);
    let rms = RmsNormConfig::new([768]).init(&device);
    let burns_rms = burn::nn::RmsNormConfig::new(768).init(&device);
    report("LayerNorm", shape, runs, copy, |x| ours.forward(x));
    report("LayerNorm, burn", shape, runs, copy, |x| burns.forward(x));
    report("RmsNorm", shape, runs, copy, |x| rms.forward(x));
    report("RmsNorm, burn", shape, runs, copy, |x| burns_rms.forward(x));
}

fn rayon_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn random<const D: usize>(slot: u64, shape: [usize; D]) -> Tensor<D> {
    let mut rng = Key::from_seed(1).fold(slot).rng();
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

fn report<const D: usize>(
    name: &str,
    shape: [usize; D],
    runs: usize,
    copy: f64,
    layer: impl Fn(Tensor<D>) -> Tensor<D>,
) {
    let x = random(0, shape);
    let gradient = random(1, shape);
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for _ in 0..runs + 2 {
        let x = x.clone().require_grad();
        let start = Instant::now();
        let y = layer(x.clone());
        forward.push(start.elapsed().as_secs_f64());
        // The product and the sum are the same for every layer; what is timed
        // is the backward pass with them minus the one without the layer.
        let loss = (y * gradient.clone()).sum();
        let start = Instant::now();
        let gradients = loss.backward();
        let with = start.elapsed().as_secs_f64();
        black_box(x.grad(&gradients));
        let loss = (x.clone() * gradient.clone()).sum();
        let start = Instant::now();
        black_box(x.grad(&loss.backward()));
        backward.push(with - start.elapsed().as_secs_f64());
    }
    let [forward, backward] = [forward, backward].map(median);
    let gigabytes = 4.0 * shape.iter().product::<usize>() as f64 / 1e9;
    let share = |passes: f64, time: f64| 100.0 * passes * gigabytes / time / copy;
    println!(
        "{:<34}{:>6.2} ms{:>6.2} ms{:>7.0} %{:>7.0} %",
        format!("{name} {shape:?}"),
        1e3 * forward,
        1e3 * backward,
        share(3.0, forward),
        share(5.0, backward),
    );
}

fn median(mut times: Vec<f64>) -> f64 {
    // The first runs pay for page faults and caches.
    times.drain(..2);
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Bytes read and written per second by copying on all threads.
fn copy_bandwidth() -> f64 {
    let threads = rayon_threads();
    let source = vec![1.0_f32; 1 << 24];
    let mut target = vec![0.0_f32; 1 << 24];
    let part = source.len().div_ceil(threads);
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for (target, source) in target.chunks_mut(part).zip(source.chunks(part)) {
                scope.spawn(move || target.copy_from_slice(source));
            }
        });
        black_box(&target);
        best = best.min(start.elapsed().as_secs_f64());
    }
    8.0 * source.len() as f64 / 1e9 / best
}
