//! The network.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use firecraft::augment::Augment;
use firecraft::norm::{BatchNorm, BatchNormConfig};
use firecraft::trainer::Supervised;

use crate::error::DigitsError;

/// Augmentation, three blocks of convolution, batch normalisation and ReLU
/// with two poolings, and a linear layer: `[N, 1, 8, 8]` to `[N, 10]`.
#[derive(Module, Debug)]
pub(crate) struct DigitNet {
    augment: Option<Augment>,
    block1: Block,
    block2: Block,
    block3: Block,
    pool: MaxPool2d,
    head: Linear,
}

#[derive(Module, Debug)]
struct Block {
    conv: Conv2d,
    norm: Option<BatchNorm>,
}

/// The activations of one image batch after each part of the network.
pub(crate) type Activations = Vec<(&'static str, Tensor<4>)>;

impl DigitNet {
    pub(crate) const FAMILY: &'static str = "digit_net";

    pub(crate) fn new(
        channels: [usize; 3],
        norm: bool,
        augment: Option<Augment>,
        device: &Device,
    ) -> Result<Self, DigitsError> {
        let [a, b, c] = channels;
        Ok(Self {
            augment,
            block1: Block::new(1, a, norm, device)?,
            block2: Block::new(a, b, norm, device)?,
            block3: Block::new(b, c, norm, device)?,
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            head: LinearConfig::new(c * 4, 10).init(device),
        })
    }

    fn walk(&self, images: Tensor<4>, mut see: impl FnMut(&'static str, &Tensor<4>)) -> Tensor<2> {
        let x = self.block1.forward(images);
        see("block 1", &x);
        let x = self.block2.forward(x);
        see("block 2", &x);
        let x = self.block3.forward(self.pool.forward(x));
        see("block 3", &x);
        self.head.forward(self.pool.forward(x).flatten(1, 3))
    }

    /// What leaves each part of the network, without augmentation.
    pub(crate) fn activations(&self, images: Tensor<4>) -> Activations {
        let mut activations = vec![("image", images.clone())];
        let logits = self.walk(images, |name, x| activations.push((name, x.clone())));
        activations.push(("logits", logits.unsqueeze_dims(&[2, 3])));
        activations
    }
}

impl Block {
    fn new(from: usize, to: usize, norm: bool, device: &Device) -> Result<Self, DigitsError> {
        let conv = Conv2dConfig::new([from, to], [3, 3])
            .with_padding(PaddingConfig2d::Same)
            // The shift of the normalisation makes a bias idle.
            .with_bias(!norm)
            .init(device);
        let norm = norm
            .then(|| BatchNormConfig::new(to).try_init(device))
            .transpose()?;
        Ok(Self { conv, norm })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.conv.forward(x);
        relu(match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        })
    }
}

impl Supervised for DigitNet {
    type Input = Tensor<4>;

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let images = match &self.augment {
            Some(augment) => augment.forward(images),
            None => images,
        };
        self.walk(images, |_, _| {})
    }
}
