//! Times of a training step of each layer, of burn's own, and of the memory.
//!
//! Prints `name forward backward ones` lines in milliseconds, the best of several
//! runs; `ones` is the part of the backward pass in which burn makes the gradient
//! of the output. `peers/norm.py` runs it beside torch; `peak NAME` instead prints the
//! mebibytes that one step of `NAME` adds to the resident memory.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use burn::nn;
use burn::tensor::{Device, Tensor, TensorData, activation::relu, ops::ConvOptions};
use firecraft_core_tensor::{Key, kernels::conv2d};
use firecraft_norm::{
    BatchNormConfig, GroupNormConfig, InstanceNormConfig, Kernels, LayerNormConfig, RmsNormConfig,
};

// As in programs that train on burn's CPU backend: without it every tensor is
// new memory from the system, whatever the layer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 12;

const IMAGES: [[usize; 4]; 3] = [[64, 64, 56, 56], [64, 256, 14, 14], [128, 32, 32, 32]];
/// The layers of `fashion-mnist`, and one of a ResNet.
const CONVOLUTIONS: [([usize; 4], usize); 5] = [
    ([64, 1, 28, 28], 32),
    ([64, 32, 14, 14], 64),
    ([64, 64, 14, 14], 64),
    ([64, 128, 7, 7], 128),
    ([16, 64, 56, 56], 64),
];
const TOKENS: [[usize; 2]; 2] = [[8192, 768], [16384, 256]];

type Step = Box<dyn Fn() -> [f64; 2]>;

/// Which steps to run, and what to do with them.
struct Bench {
    arguments: Vec<String>,
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let mut rng = Key::from_seed(1).rng();
    let n = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|_| rng.normal() + 0.5).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

/// Milliseconds of the forward and of the backward pass. The gradient of the
/// output is that of a sum; burn makes it, while torch is given it.
fn step<const D: usize>(x: Tensor<D>, forward: impl Fn(Tensor<D>) -> Tensor<D> + 'static) -> Step {
    Box::new(move || {
        let x = x.clone().require_grad();
        let start = Instant::now();
        let y = forward(x.clone());
        let between = Instant::now();
        let gradients = y.backward();
        let end = Instant::now();
        black_box(x.grad(&gradients));
        drop(black_box(y));
        [between - start, end - between].map(|d| d.as_secs_f64() * 1e3)
    })
}

impl Bench {
    fn add<const D: usize>(
        &self,
        name: &str,
        x: &Tensor<D>,
        forward: impl Fn(Tensor<D>) -> Tensor<D> + 'static,
    ) {
        let shape = x.dims().map(|n| n.to_string()).join("x");
        let name = format!("{name}/{shape}");
        let step = step(x.clone(), forward);
        if let [what, wanted] = self.arguments.as_slice()
            && what == "peak"
        {
            if *wanted == name {
                println!("{name} {:.1}", peak(&step));
            }
            return;
        }
        let wanted = &self.arguments;
        if !wanted.is_empty() && !wanted.iter().any(|word| name.starts_with(word)) {
            return;
        }
        let mut best = [f64::INFINITY; 2];
        for _ in 0..RUNS {
            for (best, time) in best.iter_mut().zip(step()) {
                *best = best.min(time);
            }
        }
        let ones = (0..RUNS).map(|_| {
            let start = Instant::now();
            black_box(Tensor::<D>::ones(x.dims(), &Device::flex()));
            start.elapsed().as_secs_f64() * 1e3
        });
        let ones = ones.fold(f64::INFINITY, f64::min);
        println!("{name} {:.3} {:.3} {ones:.3}", best[0], best[1]);
    }

    fn images(&self, shape: [usize; 4]) {
        let device = Device::flex().autodiff();
        let x = random(shape);
        let channels = shape[1];
        let config = BatchNormConfig::new(channels);
        let layer = config.init(&device);
        self.add("batch", &x, move |x| layer.forward(x));
        let layer = config.init(&device);
        self.add("batch_relu", &x, move |x| layer.forward_relu(x));
        let layer = config.with_kernels(Kernels::Composite).init(&device);
        self.add("batch_composite", &x, move |x| layer.forward(x));
        let layer = nn::BatchNormConfig::new(channels).init(&device);
        self.add("batch_burn", &x, move |x| layer.forward(x));
        let layer = nn::BatchNormConfig::new(channels).init(&device);
        self.add("batch_relu_burn", &x, move |x| relu(layer.forward(x)));
        let layer = GroupNormConfig::new(8, channels).init(&device);
        self.add("group", &x, move |x| layer.forward(x));
        let layer = nn::GroupNormConfig::new(8, channels).init(&device);
        self.add("group_burn", &x, move |x| layer.forward(x));
        let config = InstanceNormConfig::new(channels).with_affine(true);
        let layer = config.init(&device);
        self.add("instance", &x, move |x| layer.forward(x));
        let layer = nn::InstanceNormConfig::new(channels).init(&device);
        self.add("instance_burn", &x, move |x| layer.forward(x));
    }

    /// 3 × 3, stride 1, to so many channels.
    fn convolution(&self, shape: [usize; 4], outputs: usize) {
        let x = random(shape);
        for (name, kernels) in [("conv", Kernels::Auto), ("conv_burn", Kernels::Composite)] {
            let weight = random([outputs, shape[1], 3, 3]).require_grad();
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            self.add(name, &x, move |x| {
                conv2d(x, weight.clone(), None, options.clone(), kernels)
            });
        }
    }

    fn tokens(&self, shape: [usize; 2]) {
        let device = Device::flex().autodiff();
        let x = random(shape);
        let features = shape[1];
        let layer = LayerNormConfig::new([features]).init(&device);
        self.add("layer", &x, move |x| layer.forward(x));
        let layer = nn::LayerNormConfig::new(features).init(&device);
        self.add("layer_burn", &x, move |x| layer.forward(x));
        let layer = RmsNormConfig::new([features]).init(&device);
        self.add("rms", &x, move |x| layer.forward(x));
        let layer = nn::RmsNormConfig::new(features).init(&device);
        self.add("rms_burn", &x, move |x| layer.forward(x));
        let layer = BatchNormConfig::new(features).init(&device);
        self.add("batch", &x, move |x| layer.forward(x));
        let layer = nn::BatchNormConfig::new(features).init(&device);
        self.add("batch_burn", &x, move |x| layer.forward(x));
    }
}

/// Gigabytes per second that all threads together read from one large array and
/// write to another (the triad of the STREAM benchmark, three arrays counted).
fn bandwidth() -> f64 {
    use rayon::prelude::*;
    const N: usize = 16 << 20;
    const CHUNK: usize = 1 << 16;
    let (b, c) = (vec![1.0_f32; N], vec![2.0_f32; N]);
    let mut a = vec![0.0_f32; N];
    let best = (0..8).map(|_| {
        let start = Instant::now();
        a.par_chunks_mut(CHUNK)
            .zip(b.par_chunks(CHUNK).zip(c.par_chunks(CHUNK)))
            .for_each(|(a, (b, c))| {
                for (a, (b, c)) in a.iter_mut().zip(b.iter().zip(c)) {
                    *a = b + 3.0 * c;
                }
            });
        black_box(&mut a);
        start.elapsed().as_secs_f64()
    });
    let best = best.fold(f64::INFINITY, f64::min);
    (3 * N * size_of::<f32>()) as f64 / best / 1e9
}

/// Mebibytes that a step adds to what is resident, at its peak.
fn peak(step: &Step) -> f64 {
    let resident = |field: &str| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(field));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) / 1024.0
    };
    // The peak starts anew from what is resident.
    if std::fs::write("/proc/self/clear_refs", "5").is_err() {
        return f64::NAN;
    }
    let before = resident("VmRSS:");
    step();
    resident("VmHWM:") - before
}

fn main() {
    // `cargo bench` passes `--bench`.
    let arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let bench = Bench {
        arguments: arguments.collect(),
    };
    if bench.arguments.first().is_none_or(|word| word != "peak") {
        println!("bandwidth {:.2}", bandwidth());
    }
    IMAGES.iter().for_each(|shape| bench.images(*shape));
    for (shape, outputs) in CONVOLUTIONS {
        bench.convolution(shape, outputs);
    }
    TOKENS.iter().for_each(|shape| bench.tokens(*shape));
}
