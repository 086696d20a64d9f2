//! Deep networks without normalisation or residuals, and what they learn.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{log_softmax, relu, tanh};
use burn::tensor::{Device, Int, Tensor, TensorData};
use firecraft_init::{Probe, Probed};
use firecraft_key::Key;
use std::f64::consts::PI;

/// A network with a task.
pub(crate) trait Net: Module + Probed<Self::Input> {
    /// A batch.
    type Input: Clone;
    /// In file names.
    const NAME: &'static str;
    /// In headings.
    const TITLE: &'static str;
    /// Whether it has convolutions.
    const CONVOLUTIONS: bool;
    /// Steps of gradient descent.
    const STEPS: usize;
    /// Rates to choose from, so that no scheme is at a disadvantage.
    const RATES: &'static [f64];
    /// A loss above that of guessing.
    const WORST: f64;

    fn new(tanh: bool, device: &Device) -> Self;
    /// All inputs, and their classes `[samples, 1]`.
    fn data(device: &Device) -> (Self::Input, Tensor<2, Int>);
    fn logits(&self, x: Self::Input, probe: &mut Probe) -> Tensor<2>;

    /// Cross-entropy.
    fn loss(&self, x: Self::Input, labels: Tensor<2, Int>) -> Tensor<1> {
        let logits = self.logits(x, &mut Probe::off());
        -log_softmax(logits, 1).gather(1, labels).mean()
    }
}

fn activate<const D: usize>(saturating: bool, x: Tensor<D>) -> Tensor<D> {
    if saturating { tanh(x) } else { relu(x) }
}

fn classes(labels: Vec<i64>, device: &Device) -> Tensor<2, Int> {
    let shape = [labels.len(), 1];
    Tensor::from_data(TensorData::new(labels, shape), device)
}

/// Linear layers on three interleaved spirals.
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    layers: Vec<Linear>,
    head: Linear,
    #[module(skip)]
    tanh: bool,
}

impl Mlp {
    const DEPTH: usize = 40;
    const WIDTH: usize = 64;
    const POINTS: usize = 256;
    const CLASSES: usize = 3;
}

impl Probed<Tensor<2>> for Mlp {
    fn forward_probed(&self, x: Tensor<2>, probe: &mut Probe) {
        let _ = self.logits(x, probe);
    }
}

impl Net for Mlp {
    type Input = Tensor<2>;
    const NAME: &'static str = "mlp";
    const TITLE: &'static str = "40 linear layers of 64 units";
    const CONVOLUTIONS: bool = false;
    const STEPS: usize = 200;
    const RATES: &'static [f64] = &[0.1, 0.03, 0.01, 0.003];
    const WORST: f64 = 1.5;

    fn new(tanh: bool, device: &Device) -> Self {
        let size = |i| if i == 0 { 2 } else { Self::WIDTH };
        let layer = |i| LinearConfig::new(size(i), Self::WIDTH).init(device);
        Self {
            layers: (0..Self::DEPTH).map(layer).collect(),
            head: LinearConfig::new(Self::WIDTH, Self::CLASSES).init(device),
            tanh,
        }
    }

    fn data(device: &Device) -> (Tensor<2>, Tensor<2, Int>) {
        let mut rng = Key::from_seed(3).rng();
        let (mut points, mut labels) = (Vec::new(), Vec::new());
        for i in 0..Self::POINTS {
            let class = i % Self::CLASSES;
            let radius = rng.range(0.2, 2.0);
            let angle = 2.5 * radius + class as f64 * 2.0 * PI / Self::CLASSES as f64;
            points.push((radius * angle.cos()) as f32);
            points.push((radius * angle.sin()) as f32);
            labels.push(class as i64);
        }
        let points = TensorData::new(points, [Self::POINTS, 2]);
        (Tensor::from_data(points, device), classes(labels, device))
    }

    fn logits(&self, x: Tensor<2>, probe: &mut Probe) -> Tensor<2> {
        let x = (self.layers.iter().enumerate()).fold(x, |x, (i, layer)| {
            let x = probe.see(&format!("layers.{i}"), layer.forward(x));
            activate(self.tanh, x)
        });
        self.head.forward(x)
    }
}

/// Convolutions on gratings of four directions in noise.
#[derive(Module, Debug)]
pub(crate) struct ConvNet {
    layers: Vec<Conv2d>,
    head: Linear,
    #[module(skip)]
    tanh: bool,
}

impl ConvNet {
    const DEPTH: usize = 30;
    const CHANNELS: usize = 8;
    const SIDE: usize = 8;
    const IMAGES: usize = 64;
    const CLASSES: usize = 4;
}

impl Probed<Tensor<4>> for ConvNet {
    fn forward_probed(&self, x: Tensor<4>, probe: &mut Probe) {
        let _ = self.logits(x, probe);
    }
}

impl Net for ConvNet {
    type Input = Tensor<4>;
    const NAME: &'static str = "conv";
    const TITLE: &'static str = "30 convolutions of 8 channels";
    const CONVOLUTIONS: bool = true;
    const STEPS: usize = 100;
    const RATES: &'static [f64] = &[0.1, 0.03, 0.01];
    const WORST: f64 = 1.8;

    fn new(tanh: bool, device: &Device) -> Self {
        let channels = |i| if i == 0 { 1 } else { Self::CHANNELS };
        let layer = |i| {
            Conv2dConfig::new([channels(i), Self::CHANNELS], [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .init(device)
        };
        Self {
            layers: (0..Self::DEPTH).map(layer).collect(),
            head: LinearConfig::new(Self::CHANNELS * Self::SIDE * Self::SIDE, Self::CLASSES)
                .init(device),
            tanh,
        }
    }

    fn data(device: &Device) -> (Tensor<4>, Tensor<2, Int>) {
        let mut rng = Key::from_seed(4).rng();
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for i in 0..Self::IMAGES {
            let class = i % Self::CLASSES;
            let angle = class as f64 * PI / Self::CLASSES as f64;
            let phase = rng.range(-0.5, 0.5);
            for at in 0..Self::SIDE * Self::SIDE {
                let (x, y) = ((at % Self::SIDE) as f64, (at / Self::SIDE) as f64);
                let wave = (1.6 * (x * angle.cos() + y * angle.sin()) + phase).sin();
                pixels.push((1.3 * wave) as f32 + 0.3 * rng.normal());
            }
            labels.push(class as i64);
        }
        let pixels = TensorData::new(pixels, [Self::IMAGES, 1, Self::SIDE, Self::SIDE]);
        (Tensor::from_data(pixels, device), classes(labels, device))
    }

    fn logits(&self, x: Tensor<4>, probe: &mut Probe) -> Tensor<2> {
        let x = (self.layers.iter().enumerate()).fold(x, |x, (i, layer)| {
            let x = probe.see(&format!("layers.{i}"), layer.forward(x));
            activate(self.tanh, x)
        });
        self.head.forward(x.flatten(1, 3))
    }
}
