//! The block of convolutional networks: convolution, normalisation, activation.

use burn::module::Module;
use burn::nn::activation::{Activation, ActivationConfig};
use burn::nn::conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, Conv3d, Conv3dConfig};
use burn::nn::{PaddingConfig1d, PaddingConfig2d, PaddingConfig3d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::Mode;
use firecraft_core_tensor::kernels::conv2d;

use crate::norm_act::normalise_and_activate;
use crate::{
    BatchNormConfig, Fold, Identity, Kernels, Norm, NormConfig, NormError, NormSlot,
    error::or_panic, norm_tree,
};

/// One block with its configuration, for convolutions of one rank.
macro_rules! block {
    (
        $Block:ident, $Config:ident, $rank:literal, $axes:literal, $Conv:ident, $ConvConfig:ident,
        $Padding:ident, $Sizes:ty, $new:expr, $channels:expr, $same:expr,
        $forward:expr, $example:literal
    ) => {
        #[doc = concat!("The configuration of a [`", stringify!($Block), "`].")]
        #[derive(Clone, Debug)]
        pub struct $Config {
            /// The convolution; whether it has a bias is decided by the
            /// normalisation, which shifts its output by itself.
            pub conv: $ConvConfig,
            /// The padding. Default `(kernel - 1) / 2 * dilation` on every
            /// side, which keeps the size of the input at stride 1.
            pub padding: Option<$Padding>,
            /// The normalisation. Default: batch normalisation.
            pub norm: NormConfig,
            /// The activation. Default ReLU.
            pub activation: ActivationConfig,
        }

        impl $Config {
            /// torchvision's `Conv2dNormActivation`, timm's `ConvNormAct`, for
            /// `[in, out]` channels.
            #[must_use]
            pub fn new(channels: [usize; 2], kernel_size: $Sizes) -> Self {
                let new: fn([usize; 2], $Sizes) -> $ConvConfig = $new;
                Self {
                    conv: new(channels, kernel_size),
                    padding: None,
                    norm: NormConfig::Batch(BatchNormConfig::new(1)),
                    activation: ActivationConfig::Relu,
                }
            }

            /// Sets the stride of the convolution.
            #[must_use]
            pub fn with_stride(mut self, stride: $Sizes) -> Self {
                self.conv.stride = stride;
                self
            }

            /// Sets the dilation of the convolution.
            #[must_use]
            pub fn with_dilation(mut self, dilation: $Sizes) -> Self {
                self.conv.dilation = dilation;
                self
            }

            /// Sets the groups of the convolution.
            #[must_use]
            pub fn with_groups(mut self, groups: usize) -> Self {
                self.conv.groups = groups;
                self
            }

            /// Sets `padding`.
            #[must_use]
            pub fn with_padding(self, padding: $Padding) -> Self {
                Self {
                    padding: Some(padding),
                    ..self
                }
            }

            /// Sets `norm`.
            #[must_use]
            pub fn with_norm(self, norm: NormConfig) -> Self {
                Self { norm, ..self }
            }

            /// Sets `activation`.
            #[must_use]
            pub fn with_activation(self, activation: impl Into<ActivationConfig>) -> Self {
                Self {
                    activation: activation.into(),
                    ..self
                }
            }

            /// The block on a device.
            ///
            /// # Errors
            /// [`NormError::Config`] if a field of the normalisation is out of
            /// its range.
            pub fn try_init(&self, device: &Device) -> Result<$Block, NormError> {
                let channels: fn(&$ConvConfig) -> usize = $channels;
                let same: fn(&$ConvConfig) -> $Padding = $same;
                let mut conv = self.conv.clone();
                conv.bias = self.norm == NormConfig::None;
                conv.padding = self.padding.clone().unwrap_or_else(|| same(&conv));
                Ok($Block {
                    norm: self.norm.try_init(channels(&conv), device)?,
                    conv: conv.init(device),
                    activation: self.activation.init(device),
                })
            }

            /// The block on a device, in burn's manner.
            ///
            /// # Panics
            /// With the message of [`try_init`](Self::try_init)'s error.
            #[must_use]
            #[track_caller]
            pub fn init(&self, device: &Device) -> $Block {
                or_panic(self.try_init(device))
            }
        }

        /// A convolution, the normalisation of its output, and an activation.
        ///
        /// In two dimensions all three have kernels on burn's CPU backend:
        /// docs/norm.md compares the times of a training step.
        ///
        /// For inference [`try_fold`](Self::try_fold) leaves the convolution
        /// alone.
        ///
        #[doc = $example]
        #[derive(Module, Debug)]
        pub struct $Block {
            /// The convolution.
            pub conv: $Conv,
            /// The normalisation of its output.
            pub norm: Norm,
            /// The activation.
            pub activation: Activation,
        }

        impl $Block {
            #[doc = concat!("The output for `x` ", $axes, ".")]
            ///
            /// # Panics
            /// With the message of [`try_forward`](Self::try_forward)'s error,
            /// and burn's if the channels of `x` don't fit the convolution.
            #[must_use]
            #[track_caller]
            pub fn forward(&self, x: Tensor<$rank>) -> Tensor<$rank> {
                or_panic(self.try_forward(x))
            }

            /// [`forward`](Self::forward) with an error of the normalisation
            /// instead of a panic.
            ///
            /// # Errors
            /// Those of the normalisation.
            pub fn try_forward(&self, x: Tensor<$rank>) -> Result<Tensor<$rank>, NormError> {
                normalise_and_activate(&self.norm, &self.activation, self.convolve(x), None)
            }

            /// [`try_forward`](Self::try_forward) in the given mode, see
            /// [`Norm::try_forward_mode`].
            ///
            /// # Errors
            /// Those of the normalisation.
            pub fn try_forward_mode(
                &self,
                x: Tensor<$rank>,
                mode: Mode,
            ) -> Result<Tensor<$rank>, NormError> {
                let y = self.convolve(x);
                normalise_and_activate(&self.norm, &self.activation, y, Some(mode))
            }

            fn convolve(&self, x: Tensor<$rank>) -> Tensor<$rank> {
                let forward: fn(&$Conv, Tensor<$rank>) -> Tensor<$rank> = $forward;
                forward(&self.conv, x)
            }

            /// The block with its batch normalisation folded into the
            /// convolution, which computes the same in evaluation. A block with
            /// another normalisation comes back unchanged.
            ///
            /// # Errors
            /// Those of [`Fold::try_fold`].
            pub fn try_fold(mut self) -> Result<Self, NormError> {
                if let Some(norm) = self.norm.batch_norm() {
                    self.conv = self.conv.try_fold(norm)?;
                    self.norm = Norm::None(Identity);
                }
                Ok(self)
            }
        }

        norm_tree!($Block { conv => norm });
    };
}

/// Half of what a kernel reaches beyond its centre.
fn half(kernel: usize, dilation: usize) -> usize {
    kernel.saturating_sub(1) / 2 * dilation
}

/// The convolution with the kernels of this project, which train faster than
/// burn's on the CPU.
fn convolve(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let [vertical, horizontal] = match conv.padding {
        PaddingConfig2d::Valid => [(0, 0); 2],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [(top, bottom), (left, right)],
        // burn alone knows what it pads.
        PaddingConfig2d::Same => return conv.forward(x),
    };
    let padding = [vertical, horizontal];
    let options = ConvOptions::new_with_padding(conv.stride, padding, conv.dilation, conv.groups);
    let bias = conv.bias.as_ref().map(|bias| bias.val());
    conv2d(x, conv.weight.val(), bias, options, Kernels::Auto)
}

block!(
    ConvNormAct2d,
    ConvNormAct2dConfig,
    4,
    "`[N, C, H, W]`",
    Conv2d,
    Conv2dConfig,
    PaddingConfig2d,
    [usize; 2],
    |channels, kernel| Conv2dConfig::new(channels, kernel),
    |conv| conv.channels[1],
    |conv| {
        let [y, x] = [0, 1].map(|i| half(conv.kernel_size[i], conv.dilation[i]));
        PaddingConfig2d::Explicit(y, x, y, x)
    },
    convolve,
    "```
use burn::{module::Module, tensor::{Device, Tensor}};
use firecraft_norm::ConvNormAct2dConfig;

let device = Device::flex();
let config = ConvNormAct2dConfig::new([3, 8], [3, 3]).with_stride([2, 2]);
let block = config.init(&device);
let x = Tensor::<4>::ones([1, 3, 8, 8], &device);
let y = block.forward(x.clone());
assert_eq!(y.dims(), [1, 8, 4, 4]);
let folded = block.try_fold()?;
assert_eq!(folded.num_params(), 3 * 8 * 9 + 8);
assert!((folded.forward(x) - y).abs().max().into_scalar::<f32>() < 1e-5);
# Ok::<(), firecraft_norm::NormError>(())
```"
);
block!(
    ConvNormAct1d,
    ConvNormAct1dConfig,
    3,
    "`[N, C, L]`",
    Conv1d,
    Conv1dConfig,
    PaddingConfig1d,
    usize,
    |channels, kernel| Conv1dConfig::new(channels[0], channels[1], kernel),
    |conv| conv.channels_out,
    |conv| {
        let x = half(conv.kernel_size, conv.dilation);
        PaddingConfig1d::Explicit(x, x)
    },
    |conv, x| conv.forward(x),
    "See [`ConvNormAct2d`] for an example."
);
block!(
    ConvNormAct3d,
    ConvNormAct3dConfig,
    5,
    "`[N, C, D, H, W]`",
    Conv3d,
    Conv3dConfig,
    PaddingConfig3d,
    [usize; 3],
    |channels, kernel| Conv3dConfig::new(channels, kernel),
    |conv| conv.channels[1],
    |conv| {
        let [z, y, x] = [0, 1, 2].map(|i| half(conv.kernel_size[i], conv.dilation[i]));
        PaddingConfig3d::Explicit(z, y, x)
    },
    |conv, x| conv.forward(x),
    "See [`ConvNormAct2d`] for an example."
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GroupNormConfig;
    use crate::testing::random;
    use burn::tensor::activation::relu;

    #[test]
    fn it_is_the_three_layers_in_turn() {
        let device = Device::flex().autodiff();
        let block = ConvNormAct2dConfig::new([2, 4], [3, 3])
            .with_dilation([2, 2])
            .with_groups(2)
            .init(&device);
        assert!(block.conv.bias.is_none());
        let x = random([2, 2, 6, 6], 1).autodiff();
        let want = relu(block.norm.forward(block.conv.forward(x.clone())));
        let got = block.forward(x);
        assert_eq!(got.dims(), [2, 4, 6, 6]);
        assert!((got - want).abs().max().into_scalar::<f32>() < 1e-6);
    }

    #[test]
    fn other_ranks_keep_their_size_and_fold() {
        let device = Device::flex();
        let block = ConvNormAct1dConfig::new([2, 3], 5).init(&device);
        let x = random([2, 2, 9], 1);
        let y = block.forward(x.clone());
        assert_eq!(y.dims(), [2, 3, 9]);
        let folded = block.try_fold().unwrap().forward(x);
        assert!((folded - y).abs().max().into_scalar::<f32>() < 1e-5);
        let block = ConvNormAct3dConfig::new([2, 3], [1, 3, 3]).init(&device);
        let y = block.forward(random([1, 2, 2, 4, 4], 1));
        assert_eq!(y.dims(), [1, 3, 2, 4, 4]);
    }

    #[test]
    fn without_a_normalisation_the_convolution_has_a_bias() {
        let device = Device::flex();
        let config = ConvNormAct2dConfig::new([2, 4], [3, 3]);
        let plain = config.clone().with_norm(NormConfig::None).init(&device);
        assert!(plain.conv.bias.is_some());
        let group = NormConfig::Group(GroupNormConfig::new(2, 2));
        let group = config.with_norm(group).init(&device);
        let folded = group.try_fold().unwrap();
        assert!(matches!(folded.norm, Norm::Group(_)));
    }
}
