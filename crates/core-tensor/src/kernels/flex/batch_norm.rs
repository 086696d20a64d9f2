//! The training step of batch normalisation on `[N, C, S]`.

use std::ops::Range;

use burn::backend::flex::FlexTensor;
use pulp::Arch;
use rayon::prelude::*;

use super::moments::{Moments, moments, pair_sums};
use super::{BLOCK, GRAIN, contiguous, elements, filled, tensor};

/// Runs of a channel shorter than this are gathered into a block first, and
/// written a row of all channels at a time.
const SHORT: usize = 64;

/// `[output, mean, rest, variance]`; `mean + rest` is the mean in twice the
/// precision.
pub(crate) fn forward(
    x: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    epsilon: f64,
) -> [FlexTensor; 4] {
    let [x, gamma, beta] = [x, gamma, beta].map(contiguous);
    let dims: [usize; 3] = x.layout().shape().dims();
    let data = elements(&x);
    let arch = Arch::new();
    let all = per_channel(dims, Moments::EMPTY, Moments::merge, |channel, part| {
        arch.dispatch(
            #[inline(always)]
            || {
                let mut total = Moments::EMPTY;
                blocks(dims, channel, part.clone(), [data, data], |x, _| {
                    total = total.merge(moments(x));
                });
                total
            },
        )
    });
    let collect = |f: &dyn Fn(&Moments) -> f64| all.iter().map(|m| f(m) as f32).collect();
    let mean: Vec<f32> = collect(&|m| m.mean);
    let rest: Vec<f32> = collect(&|m| m.mean - f64::from(m.mean as f32));
    let variance: Vec<f32> = collect(&|m| m.variance());
    let scale: Vec<f32> = all
        .iter()
        .zip(elements(&gamma))
        .map(|(m, gamma)| (f64::from(*gamma) / (m.variance() + epsilon).sqrt()) as f32)
        .collect();

    let params = [&mean, &rest, &scale, elements(&beta)];
    let normalise = |x: f32, [mean, rest, scale, beta]: [f32; 4]| (x - mean - rest) * scale + beta;
    #[allow(unsafe_code)]
    // SAFETY: `write` hands every element of the output to `normalise`.
    let output = unsafe {
        filled(data.len(), |output| {
            write(arch, dims, output, data, params, |y, x, p| {
                y.write(normalise(x, p));
            });
        })
    };
    let channels = [dims[1]];
    [
        tensor(output, dims),
        tensor(mean, channels),
        tensor(rest, channels),
        tensor(variance, channels),
    ]
}

/// `[input, gamma, beta]` gradients from what [`forward`] returned.
///
/// The gradient of the output becomes that of the input in place where nobody
/// else holds it.
pub(crate) fn backward(
    x: FlexTensor,
    gamma: FlexTensor,
    [mean, rest, variance]: [FlexTensor; 3],
    epsilon: f64,
    gradient: FlexTensor,
) -> [FlexTensor; 3] {
    let [x, gamma, mean, rest, variance] = [x, gamma, mean, rest, variance].map(contiguous);
    let dims: [usize; 3] = x.layout().shape().dims();
    let data = elements(&x);
    // A view into a larger buffer can't be overwritten as a whole.
    let mut result = gradient.to_contiguous();
    drop(gradient);
    let upstream = elements(&result);
    let [mean, rest] = [&mean, &rest].map(elements);
    let arch = Arch::new();
    let add = |a: [f64; 2], b: [f64; 2]| [a[0] + b[0], a[1] + b[1]];
    let all = per_channel(dims, [0.0; 2], add, |channel, part| {
        let (mean, rest) = (mean[channel], rest[channel]);
        arch.dispatch(
            #[inline(always)]
            || {
                let mut total = [0.0; 2];
                blocks(dims, channel, part.clone(), [upstream, data], |g, x| {
                    total = add(total, pair_sums(g, x, |g, x| [g, g * (x - mean - rest)]));
                });
                total
            },
        )
    });
    let inverse: Vec<f64> = elements(&variance)
        .iter()
        .map(|v| 1.0 / (f64::from(*v) + epsilon).sqrt())
        .collect();
    let count = (dims[0] * dims[2]).max(1) as f64;
    let beta_gradient: Vec<f32> = all.iter().map(|[g, _]| *g as f32).collect();
    let gamma_gradient: Vec<f32> = all
        .iter()
        .zip(&inverse)
        .map(|([_, gx], inverse)| (gx * inverse) as f32)
        .collect();

    // scale * (g - shift - slope * (x - mean))
    let scale: Vec<f32> = elements(&gamma)
        .iter()
        .zip(&inverse)
        .map(|(gamma, inverse)| (f64::from(*gamma) * inverse) as f32)
        .collect();
    let shift: Vec<f32> = all.iter().map(|[g, _]| (g / count) as f32).collect();
    let slope: Vec<f32> = all
        .iter()
        .zip(&inverse)
        .map(|([_, gx], inverse)| (gx * inverse * inverse / count) as f32)
        .collect();
    let params = [mean, rest, &scale, &shift, &slope];
    let storage = result.storage_mut::<f32>();
    write(arch, dims, storage, data, params, |g, x, p| {
        let [mean, rest, scale, shift, slope] = p;
        *g = scale * (*g - shift - slope * (x - mean - rest));
    });
    let channels = [dims[1]];
    [
        result,
        tensor(gamma_gradient, channels),
        tensor(beta_gradient, channels),
    ]
}

/// Reduces every channel: in parts cut by shape alone, merged in order.
fn per_channel<T: Copy + Send + Sync>(
    dims: [usize; 3],
    start: T,
    merge: impl Fn(T, T) -> T,
    part: impl Fn(usize, Range<usize>) -> T + Sync,
) -> Vec<T> {
    let [samples, channels, positions] = dims;
    // Short channels are cut between samples, so that blocks can be gathered.
    let (units, size) = if positions < SHORT {
        (samples, positions)
    } else {
        (samples * positions, 1)
    };
    let parts = (units * size / (4 * GRAIN)).clamp(1, 64);
    let results: Vec<T> = (0..channels * parts)
        .into_par_iter()
        .with_min_len((GRAIN * parts).div_ceil((units * size).max(1)))
        .map(|i| {
            let (channel, p) = (i / parts, i % parts);
            part(channel, units * p / parts..units * (p + 1) / parts)
        })
        .collect();
    results
        .chunks(parts)
        .map(|parts| parts.iter().fold(start, |all, part| merge(all, *part)))
        .collect()
}

/// Calls `f` with the elements of a part of a channel, block by block, of two
/// tensors.
#[inline(always)]
fn blocks(
    [_, channels, positions]: [usize; 3],
    channel: usize,
    part: Range<usize>,
    [a, b]: [&[f32]; 2],
    mut f: impl FnMut(&[f32], &[f32]),
) {
    if positions >= SHORT {
        let mut at = part.start;
        while at < part.end {
            let (sample, offset) = (at / positions, at % positions);
            let length = (positions - offset).min(part.end - at).min(BLOCK);
            let start = (sample * channels + channel) * positions + offset;
            f(&a[start..start + length], &b[start..start + length]);
            at += length;
        }
        return;
    }
    let mut gathered = [[0.0_f32; BLOCK]; 2];
    let mut length = 0;
    for sample in part {
        let start = (sample * channels + channel) * positions;
        let run = start..start + positions;
        gathered[0][length..length + positions].copy_from_slice(&a[run.clone()]);
        gathered[1][length..length + positions].copy_from_slice(&b[run]);
        length += positions;
        if length + positions > BLOCK {
            f(&gathered[0][..length], &gathered[1][..length]);
            length = 0;
        }
    }
    if length > 0 {
        f(&gathered[0][..length], &gathered[1][..length]);
    }
}

/// Calls `f` with every element of the output, that of the input and the
/// parameters of their channel.
fn write<T: Send, const P: usize>(
    arch: Arch,
    [_, channels, positions]: [usize; 3],
    output: &mut [T],
    input: &[f32],
    params: [&[f32]; P],
    f: impl Fn(&mut T, f32, [f32; P]) + Sync,
) {
    if positions >= SHORT {
        let planes = output
            .par_chunks_mut(positions)
            .zip(input.par_chunks(positions));
        let planes = planes.with_min_len(GRAIN.div_ceil(positions)).enumerate();
        planes.for_each(|(plane, (output, input))| {
            let p = params.map(|values| values[plane % channels]);
            arch.dispatch(
                #[inline(always)]
                || {
                    for (output, input) in output.iter_mut().zip(input) {
                        f(output, *input, p);
                    }
                },
            );
        });
        return;
    }
    let width = channels * positions;
    let spread = params.map(|values| -> Vec<f32> {
        let repeated = values
            .iter()
            .flat_map(|v| std::iter::repeat_n(*v, positions));
        repeated.collect()
    });
    let rows = output.par_chunks_mut(width).zip(input.par_chunks(width));
    rows.with_min_len(GRAIN.div_ceil(width))
        .for_each(|(output, input)| {
            arch.dispatch(
                #[inline(always)]
                || {
                    let spread = spread.each_ref().map(|values| &values[..output.len()]);
                    for (i, (output, input)) in output.iter_mut().zip(input).enumerate() {
                        f(output, *input, spread.map(|values| values[i]));
                    }
                },
            );
        });
}
