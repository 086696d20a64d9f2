//! Convolution over two axes.

use burn::tensor::Tensor;
use burn::tensor::module;
use burn::tensor::ops::ConvOptions;

use super::Kernels;

/// The cross-correlation of `x` with every kernel of `weight`, as burn's
/// [`conv2d`](module::conv2d):
/// `y[n, o, i, j] = bias[o] + Σ x[n, c, i * stride + k * dilation - padding, …] * weight[o, c, k, l]`.
///
/// `x` is `[N, C, H, W]`, `weight` `[O, C / groups, KH, KW]`, `bias` `[O]`; the
/// output is `[N, O, H', W']`. Differentiable in all three.
///
/// The kernel for burn's CPU backend is there for training: burn's own gradient
/// takes a multiple of its forward pass. It is used for `f32` without groups.
/// The bits don't depend on the number of threads.
///
/// # Panics
/// With burn's message if the shapes don't fit each other.
///
/// ```
/// use burn::tensor::{Device, Tensor, ops::ConvOptions};
/// use firecraft_core_tensor::kernels::{Kernels, conv2d};
///
/// let device = Device::flex();
/// let x = Tensor::<4>::ones([1, 1, 3, 3], &device);
/// let weight = Tensor::<4>::ones([1, 1, 3, 3], &device);
/// let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
/// let y = conv2d(x, weight, None, options, Kernels::Auto);
/// let seen = [4.0, 6.0, 4.0, 6.0, 9.0, 6.0, 4.0, 6.0, 4.0];
/// assert_eq!(y.into_data().to_vec::<f32>()?, seen);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    kernels: Kernels,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if kernels.uses_flex(&x)
        && kernels.uses_flex(&weight)
        && let Some(geometry) = Geometry::new(x.dims(), weight.dims(), &options)
        && bias
            .as_ref()
            .is_none_or(|bias| bias.dims() == [geometry.outputs])
    {
        return on_flex(x, weight, bias, geometry);
    }
    let _ = kernels;
    module::conv2d(x, weight, bias, options)
}

#[cfg(feature = "flex")]
fn on_flex(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    geometry: Geometry,
) -> Tensor<4> {
    use super::backend::ConvBackend;
    use burn::backend::Dispatch;

    let y =
        <Dispatch as ConvBackend>::convolve(x.into_dispatch(), weight.into_dispatch(), geometry);
    let y = Tensor::<4>::from_dispatch(y);
    match bias {
        Some(bias) => y + bias.reshape([1, geometry.outputs, 1, 1]),
        None => y,
    }
}

/// All sizes of a convolution without groups. Pairs are of the two axes.
#[cfg(feature = "flex")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(super) images: usize,
    /// Channels of the input.
    pub(super) inputs: usize,
    /// Channels of the output.
    pub(super) outputs: usize,
    /// The size of an input plane.
    pub(super) input: [usize; 2],
    /// The size of an output plane.
    pub(super) output: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Zeros before the first row and column. Those after the last only count
    /// in `output`.
    pub(super) padding: [usize; 2],
}

#[cfg(feature = "flex")]
impl Geometry {
    /// `None` where the kernel has nothing to do or the shapes don't fit.
    fn new(x: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) -> Option<Self> {
        let [images, inputs, height, width] = x;
        let [outputs, fan_in, kernel_height, kernel_width] = weight;
        if options.groups != 1 || fan_in != inputs {
            return None;
        }
        let (input, kernel) = ([height, width], [kernel_height, kernel_width]);
        let mut output = [0; 2];
        for (axis, size) in output.iter_mut().enumerate() {
            let (before, after) = options.padding[axis];
            let padded = input[axis].checked_add(before)?.checked_add(after)?;
            let reach = (kernel[axis] - 1).checked_mul(options.dilation[axis])?;
            *size = padded.checked_sub(reach.checked_add(1)?)? / options.stride[axis] + 1;
        }
        Some(Self {
            images,
            inputs,
            outputs,
            input,
            output,
            kernel,
            stride: options.stride,
            dilation: options.dilation,
            padding: options.padding_begin(),
        })
    }

    /// Elements of an input plane.
    pub(super) fn area(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Elements of an output plane.
    pub(super) fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Elements that one output is computed from.
    pub(super) fn patch(&self) -> usize {
        self.inputs * self.kernel[0] * self.kernel[1]
    }
}
