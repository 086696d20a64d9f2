//! The network.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use firecraft::norm::{BatchNorm, BatchNormConfig};
use firecraft::trainer::Supervised;

/// A residual network of four stages, each half the size of the one before:
/// `[N, 3, H, W]` to `[N, classes]`.
#[derive(Module, Debug)]
pub(crate) struct Net {
    stem: ConvNorm,
    stages: Vec<Stage>,
    head: Linear,
}

/// A halving convolution, and a residual block on its result.
#[derive(Module, Debug)]
struct Stage {
    down: ConvNorm,
    first: ConvNorm,
    second: ConvNorm,
}

#[derive(Module, Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

const WIDTHS: [usize; 4] = [16, 32, 64, 128];

impl Net {
    pub(crate) fn new(classes: usize, device: &Device) -> Self {
        let stages = WIDTHS[1..].iter().zip(WIDTHS).map(|(&to, from)| Stage {
            down: ConvNorm::new(from, to, 2, device),
            first: ConvNorm::new(to, to, 1, device),
            second: ConvNorm::new(to, to, 1, device),
        });
        Self {
            stem: ConvNorm::new(3, WIDTHS[0], 2, device),
            stages: stages.collect(),
            head: LinearConfig::new(WIDTHS[3], classes).init(device),
        }
    }
}

impl ConvNorm {
    fn new(from: usize, to: usize, stride: usize, device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new([from, to], [3, 3])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                // The shift of the normalisation makes a bias idle.
                .with_bias(false)
                .init(device),
            norm: BatchNormConfig::new(to).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }
}

impl Supervised for Net {
    type Input = Tensor<4>;

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = relu(self.stem.forward(images));
        for stage in &self.stages {
            x = relu(stage.down.forward(x));
            let branch = stage.second.forward(relu(stage.first.forward(x.clone())));
            x = relu(x + branch);
        }
        // The mean over the places of what is left of the image.
        let pooled = x.flatten::<3>(2, 3).mean_dim(2);
        self.head.forward(pooled.flatten(1, 2))
    }
}
