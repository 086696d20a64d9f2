//! A linear layer or convolution from torch's name of it, as in
//! `Conv2d(3,8,3,stride=2,groups=1)`.

use burn::module::Param;
use burn::nn::conv::{
    Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, Conv3d, Conv3dConfig, ConvTranspose1d,
    ConvTranspose1dConfig, ConvTranspose2d, ConvTranspose2dConfig, ConvTranspose3d,
    ConvTranspose3dConfig,
};
use burn::nn::{Linear, LinearConfig, PaddingConfig1d, PaddingConfig2d, PaddingConfig3d};
use burn::tensor::{Device, Tensor};

use super::support::tensor;
use crate::families::{Outcome, failed};
use crate::golden::Field;

/// The layer with the weight and bias of the case.
pub(super) enum PlainLayer {
    Linear(Linear),
    Conv1d(Conv1d),
    Conv2d(Conv2d),
    Conv3d(Conv3d),
    ConvTranspose1d(ConvTranspose1d),
    ConvTranspose2d(ConvTranspose2d),
    ConvTranspose3d(ConvTranspose3d),
}

struct Arguments {
    sizes: Vec<usize>,
    named: Vec<(String, usize)>,
}

impl Arguments {
    fn parse(text: &str) -> Result<(String, Self), Outcome> {
        let text = text.split('#').next().unwrap_or(text);
        let (name, rest) = text
            .split_once('(')
            .ok_or_else(|| failed(format!("layer {text}")))?;
        let mut arguments = Self {
            sizes: Vec::new(),
            named: Vec::new(),
        };
        for part in rest.trim_end_matches(')').split(',').map(str::trim) {
            let number = |text: &str| text.trim().parse().map_err(|_| Outcome::Unsupported);
            match part.split_once('=') {
                Some(("bias", _)) => {}
                Some((name, value)) => arguments.named.push((name.to_owned(), number(value)?)),
                None => arguments.sizes.push(number(part)?),
            }
        }
        Ok((name.to_owned(), arguments))
    }

    fn named(&self, name: &str, default: usize) -> usize {
        let found = self.named.iter().find(|(n, _)| n == name);
        found.map_or(default, |(_, value)| *value)
    }

    /// Channels in and out, and the arguments of a convolution in torch's
    /// order: kernel, stride, padding.
    fn convolution(&self) -> Result<[usize; 7], Outcome> {
        let size = |i: usize, name: &str, default| {
            self.sizes
                .get(i)
                .copied()
                .unwrap_or_else(|| self.named(name, default))
        };
        let (input, output) = (size(0, "in_channels", 0), size(1, "out_channels", 0));
        let kernel = size(2, "kernel_size", 1);
        let (stride, padding) = (size(3, "stride", 1), size(4, "padding", 0));
        let (groups, dilation) = (self.named("groups", 1), self.named("dilation", 1));
        Ok([input, output, kernel, stride, padding, groups, dilation])
    }
}

pub(super) fn plain_layer(
    text: &str,
    weight: &Field,
    bias: &Field,
    device: &Device,
) -> Result<PlainLayer, Outcome> {
    let (name, arguments) = Arguments::parse(text)?;
    let bias = if bias.is_null() {
        None
    } else {
        Some(Param::from_tensor(tensor::<1>(bias, device)?))
    };
    let with_bias = bias.is_some();
    let [i, o, k, s, p, g, d] = arguments.convolution()?;
    macro_rules! build {
        ($variant:ident, $D:expr, $config:expr) => {{
            let mut layer = $config.init(device);
            layer.weight = Param::from_tensor(tensor::<$D>(weight, device)?);
            layer.bias = bias;
            Ok(PlainLayer::$variant(layer))
        }};
    }
    match name.as_str() {
        "Linear" => {
            let mut layer = LinearConfig::new(i, o).with_bias(with_bias).init(device);
            // torch's weight is [out, in].
            let weight: Tensor<2> = tensor(weight, device)?;
            layer.weight = Param::from_tensor(weight.transpose());
            layer.bias = bias;
            Ok(PlainLayer::Linear(layer))
        }
        "Conv1d" => build!(
            Conv1d,
            3,
            Conv1dConfig::new(i, o, k)
                .with_stride(s)
                .with_dilation(d)
                .with_groups(g)
                .with_padding(PaddingConfig1d::Explicit(p, p))
                .with_bias(with_bias)
        ),
        "Conv2d" => build!(
            Conv2d,
            4,
            Conv2dConfig::new([i, o], [k; 2])
                .with_stride([s; 2])
                .with_dilation([d; 2])
                .with_groups(g)
                .with_padding(PaddingConfig2d::Explicit(p, p, p, p))
                .with_bias(with_bias)
        ),
        "Conv3d" => build!(
            Conv3d,
            5,
            Conv3dConfig::new([i, o], [k; 3])
                .with_stride([s; 3])
                .with_dilation([d; 3])
                .with_groups(g)
                .with_padding(PaddingConfig3d::Explicit(p, p, p))
                .with_bias(with_bias)
        ),
        "ConvTranspose1d" => build!(
            ConvTranspose1d,
            3,
            ConvTranspose1dConfig::new([i, o], k)
                .with_stride(s)
                .with_dilation(d)
                .with_groups(g)
                .with_padding(p)
                .with_bias(with_bias)
        ),
        "ConvTranspose2d" => build!(
            ConvTranspose2d,
            4,
            ConvTranspose2dConfig::new([i, o], [k; 2])
                .with_stride([s; 2])
                .with_dilation([d; 2])
                .with_groups(g)
                .with_padding([p; 2])
                .with_bias(with_bias)
        ),
        "ConvTranspose3d" => build!(
            ConvTranspose3d,
            5,
            ConvTranspose3dConfig::new([i, o], [k; 3])
                .with_stride([s; 3])
                .with_dilation([d; 3])
                .with_groups(g)
                .with_padding([p; 3])
                .with_bias(with_bias)
        ),
        _ => Err(Outcome::Unsupported),
    }
}
