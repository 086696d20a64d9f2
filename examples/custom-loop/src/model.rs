//! The network.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use firecraft_augment::Augment;
use firecraft_norm::{BatchNorm, BatchNormConfig, NormError};

/// Augmentation, two convolutions with batch normalisation, and a linear layer:
/// `[N, 1, 8, 8]` to `[N, 10]`.
#[derive(Module, Debug)]
pub struct DigitNet {
    augment: Augment,
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    pool: MaxPool2d,
    head: Linear,
}

impl DigitNet {
    /// A network whose images go through `augment` in training.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn new(augment: Augment, device: &Device) -> Result<Self, NormError> {
        let conv = |from, to| {
            Conv2dConfig::new([from, to], [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .with_bias(false)
                .init(device)
        };
        Ok(Self {
            augment,
            conv1: conv(1, 16),
            norm1: BatchNormConfig::new(16).try_init(device)?,
            conv2: conv(16, 32),
            norm2: BatchNormConfig::new(32).try_init(device)?,
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            head: LinearConfig::new(32 * 4, 10).init(device),
        })
    }

    /// Logits `[N, 10]` of images `[N, 1, 8, 8]`.
    #[must_use]
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.augment.forward(images);
        let x = relu(self.norm1.forward(self.conv1.forward(x)));
        let x = self.pool.forward(x);
        let x = relu(self.norm2.forward(self.conv2.forward(x)));
        self.head.forward(self.pool.forward(x).flatten(1, 3))
    }
}
