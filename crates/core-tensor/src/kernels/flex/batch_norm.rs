//! The training step of batch normalisation on `[N, C, S]`.

use std::mem::MaybeUninit;

use burn::backend::flex::FlexTensor;

use super::cut::{self, Cut};
use super::moments::Moments;
use super::scatter::{Fresh, Gradient, InPlace, Scatter};
use super::{contiguous, elements, filled, tensor};

mod backward;
mod forward;

use backward::Backward;
use forward::Forward;

/// `[output, mean, rest, variance]`; `mean + rest` is the mean in twice the
/// precision. With `relu`, the output is rectified.
pub(crate) fn forward(
    x: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    epsilon: f64,
    relu: bool,
) -> [FlexTensor; 4] {
    let [x, gamma, beta] = [x, gamma, beta].map(contiguous);
    let dims: [usize; 3] = x.layout().shape().dims();
    let cut = Cut::new(dims);
    let x = elements(&x);
    let affine = [elements(&gamma), elements(&beta)];
    let mut sums = Vec::new();
    let run = |output: &mut [MaybeUninit<f32>]| {
        let output = Scatter::new(output);
        sums = if relu {
            cut::run(
                &Forward::<true>::new(&cut, x, &output, affine, epsilon),
                &cut,
            )
        } else {
            cut::run(
                &Forward::<false>::new(&cut, x, &output, affine, epsilon),
                &cut,
            )
        };
    };
    #[allow(unsafe_code)]
    // SAFETY: the write of a region writes all its elements, and the regions
    // cover all channels and rows.
    let output = unsafe { filled(x.len(), run) };
    let collect = |f: &dyn Fn(&Moments) -> f64| {
        let values = sums.iter().map(|m| f(m) as f32).collect();
        tensor(values, [dims[1]])
    };
    [
        tensor(output, dims),
        collect(&|m| m.mean),
        collect(&|m| m.mean - f64::from(m.mean as f32)),
        collect(&|m| m.variance()),
    ]
}

/// `[input, gamma, beta]` gradients from what [`forward`] returned.
///
/// The gradient of the output becomes that of the input in place where nobody
/// else holds it.
pub(crate) fn backward(
    x: FlexTensor,
    affine: [FlexTensor; 2],
    statistics: [FlexTensor; 3],
    epsilon: f64,
    relu: bool,
    gradient: FlexTensor,
) -> [FlexTensor; 3] {
    let x = contiguous(x);
    let [gamma, beta] = affine.map(contiguous);
    let [mean, rest, variance] = statistics.map(contiguous);
    let dims: [usize; 3] = x.layout().shape().dims();
    let cut = Cut::new(dims);
    let inverse: Vec<f64> = elements(&variance)
        .iter()
        .map(|v| 1.0 / (f64::from(*v) + epsilon).sqrt())
        .collect();
    let scale: Vec<f32> = elements(&gamma)
        .iter()
        .zip(&inverse)
        .map(|(gamma, inverse)| (f64::from(*gamma) * inverse) as f32)
        .collect();
    let given = Given {
        cut,
        x: elements(&x),
        mean: elements(&mean),
        rest: elements(&rest),
        scale: &scale,
        beta: elements(&beta),
        inverse: &inverse,
        count: (dims[0] * dims[2]).max(1) as f64,
        relu,
    };
    // A view into a larger buffer can't be overwritten as a whole.
    let mut gradient = {
        let whole = gradient.to_contiguous();
        drop(gradient);
        whole
    };
    let mut sums = Vec::new();
    let result = if let Some(storage) = gradient.try_storage_mut::<f32>() {
        sums = given.run(InPlace(Scatter::new(storage)));
        gradient
    } else {
        let upstream = elements(&gradient);
        #[allow(unsafe_code)]
        // SAFETY: the write of a region writes all its elements, and the regions
        // cover all channels and rows.
        let output = unsafe {
            filled(upstream.len(), |place| {
                let place = Scatter::new(place);
                sums = given.run(Fresh { upstream, place });
            })
        };
        tensor(output, dims)
    };
    let betas = sums.iter().map(|[g, _]| *g as f32).collect();
    let gammas = sums.iter().zip(&inverse);
    let gammas = gammas.map(|([_, gx], inverse)| (gx * inverse) as f32);
    [
        result,
        tensor(gammas.collect(), [dims[1]]),
        tensor(betas, [dims[1]]),
    ]
}

/// What the backward pass gets from the forward one.
#[derive(Clone, Copy)]
struct Given<'a> {
    cut: Cut,
    x: &'a [f32],
    mean: &'a [f32],
    rest: &'a [f32],
    scale: &'a [f32],
    beta: &'a [f32],
    inverse: &'a [f64],
    count: f64,
    relu: bool,
}

impl Given<'_> {
    fn run(self, gradient: impl Gradient) -> Vec<[f64; 2]> {
        if self.relu {
            cut::run(&Backward::<true, _>::new(self, gradient), &self.cut)
        } else {
            cut::run(&Backward::<false, _>::new(self, gradient), &self.cut)
        }
    }
}

/// `(x - mean) * scale + beta`, with the mean in twice the precision. Both
/// passes must come to the same bits, since the sign decides what ReLU passes.
#[inline(always)]
fn normalised(x: f32, [mean, rest, scale, beta]: [f32; 4]) -> f32 {
    (x - mean - rest) * scale + beta
}
