//! The network.

use burn::module::Module;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use firecraft::augment::Augment;
use firecraft::norm::{
    BatchNormConfig, ConvNormAct2d, ConvNormAct2dConfig, DropBlock, DropBlockConfig, NormConfig,
};
use firecraft::trainer::Supervised;

/// Augmentation, convolutions of 3 × 3 with batch normalisation and ReLU on
/// three scales, dropout, and a linear layer: `[N, 1, 28, 28]` to `[N, 10]`.
#[derive(Module, Debug)]
pub(crate) struct Net {
    augment: Option<Augment>,
    blocks: Vec<Block>,
    pool: MaxPool2d,
    dropout: DropBlock,
    head: Linear,
}

/// Output channels of each block, and whether a pooling follows it. Most of
/// the arithmetic is on 14 × 14, where it is cheap.
const BLOCKS: [(usize, bool); 5] = [
    (32, true),
    (64, false),
    (64, true),
    (128, false),
    (128, true),
];

#[derive(Module, Debug)]
struct Block {
    layers: ConvNormAct2d,
    #[module(skip)]
    pooled: bool,
}

impl Net {
    pub(crate) fn new(augment: Option<Augment>, norm: bool, device: &Device) -> Self {
        let norm = if norm {
            NormConfig::Batch(BatchNormConfig::new(1))
        } else {
            NormConfig::None
        };
        let mut from = 1;
        let blocks = BLOCKS.map(|(to, pooled)| {
            let layers = ConvNormAct2dConfig::new([from, to], [3, 3])
                .with_norm(norm.clone())
                .init(device);
            from = to;
            Block { layers, pooled }
        });
        Self {
            augment,
            blocks: blocks.into(),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            dropout: DropBlockConfig::new(0.3).with_block_size(1).init(device),
            head: LinearConfig::new(from * 3 * 3, 10).init(device),
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
        for block in &self.blocks {
            x = block.layers.forward(x);
            if block.pooled {
                x = self.pool.forward(x);
            }
        }
        self.head.forward(self.dropout.forward(x).flatten(1, 3))
    }
}
