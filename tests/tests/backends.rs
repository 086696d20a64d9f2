//! One model, one binary, several devices: the losses of the first steps agree.
//!
//! Compiled in by `--features wgpu,ndarray`; without them there is nothing to
//! compare. On a machine without a GPU, Mesa's software Vulkan will do.
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]
#![cfg(any(feature = "wgpu", feature = "ndarray"))]

use burn::{
    module::Module,
    nn::{
        Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{Device, Int, Tensor, TensorData, activation::relu},
};
use firecraft::{
    augment::{Augment, Compose, FlipMode, RandomFlipConfig, RandomRotationConfig},
    core_tensor::device,
    init::{Activation, InitPlan},
    key::Key,
    norm::{BatchNorm, BatchNormConfig},
    trainer::{InMemory, Labelled, Sgd, Supervised, Targets, Trainer},
};

const SAMPLES: usize = 8;
const SIDE: usize = 6;
const STEPS: u64 = 3;

/// One of each technique, as small as it gets.
#[derive(Module, Debug)]
struct Net {
    augment: Augment,
    conv: Conv2d,
    norm: BatchNorm,
    head: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        let augment = Compose::new()
            .with(RandomFlipConfig::new().with_mode(FlipMode::Horizontal))
            .with(RandomRotationConfig::new(0.05));
        let net = Self {
            augment: augment.init(device).unwrap(),
            conv: Conv2dConfig::new([1, 3], [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .with_bias(false)
                .init(device),
            norm: BatchNormConfig::new(3).init(device),
            head: LinearConfig::new(3 * SIDE * SIDE, 2).init(device),
        };
        let plan = InitPlan::for_activation(Activation::Relu).unwrap();
        plan.apply(net, Key::from_seed(5)).unwrap()
    }
}

impl Supervised for Net {
    type Input = Tensor<4>;

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.conv.forward(self.augment.forward(images));
        self.head.forward(relu(self.norm.forward(x)).flatten(1, 3))
    }
}

fn batch(epoch: u64, device: &Device) -> Labelled<Tensor<4>> {
    let mut rng = Key::from_seed(11).fold(epoch).rng();
    let labels: Vec<i64> = (0..SAMPLES).map(|i| (i % 2) as i64).collect();
    let pixels: Vec<f32> = (0..SAMPLES * SIDE * SIDE)
        .map(|_| rng.range(0.0, 1.0) as f32)
        .collect();
    Labelled {
        inputs: Tensor::from_data(TensorData::new(pixels, [SAMPLES, 1, SIDE, SIDE]), device),
        targets: Targets::Classes(Tensor::<1, Int>::from_data(labels.as_slice(), device)),
        weights: None,
    }
}

/// The losses of a few updates, and of an evaluation after each.
fn losses(device: &str) -> Vec<f64> {
    let device = device::open(device).unwrap().autodiff();
    let batches = || {
        InMemory::new(1, SAMPLES as u64, |epoch, _, device: &Device| {
            batch(epoch, device)
        })
    };
    let fitted = Trainer::new(Net::new(&device), Sgd::torch())
        .learning_rate(0.05)
        .epochs(STEPS)
        .seed(1)
        .fit(batches(), batches())
        .unwrap();
    let rows = fitted.history.rows().iter();
    rows.flat_map(|row| ["loss", "val_loss"].map(|name| row.metrics.get(name).unwrap()))
        .collect()
}

fn agrees_with_flex(device: &str) {
    let (here, flex) = (losses(device), losses("flex"));
    assert_eq!(here.len(), 2 * STEPS as usize);
    for (i, (a, b)) in here.iter().zip(&flex).enumerate() {
        assert!(
            (a - b).abs() < 1e-3,
            "loss {i}: {a} on {device}, {b} on flex\n{here:?}\n{flex:?}"
        );
    }
    // A network that does not move would agree everywhere.
    assert_ne!(flex[0], flex[2 * STEPS as usize - 2]);
}

#[test]
#[cfg(feature = "wgpu")]
fn wgpu_trains_like_flex() {
    agrees_with_flex("wgpu");
}

#[test]
#[cfg(feature = "ndarray")]
fn ndarray_trains_like_flex() {
    agrees_with_flex("ndarray");
}
