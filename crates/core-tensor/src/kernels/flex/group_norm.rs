//! Normalisation of groups on `[N, P, Q, S]`: every group is one row of
//! `Q * S` elements that lie in order.

use burn::backend::flex::FlexTensor;
use pulp::Arch;
use rayon::prelude::*;

use super::moments::{Moments, moments, pair_sums, sum};
use super::{BLOCK, GRAIN, contiguous, elements, filled, tensor};

/// The most parts that the gradients of the parameters are summed in.
const PARTS: usize = 64;

/// `[output, mean, rest, variance]`; `mean + rest` is the mean in twice the
/// precision, and 0 where it isn't subtracted.
pub(crate) fn forward(
    x: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    centre: bool,
    epsilon: f64,
) -> [FlexTensor; 4] {
    let [x, gamma, beta] = [x, gamma, beta].map(contiguous);
    let dims: [usize; 4] = x.layout().shape().dims();
    let [samples, groups, features, positions] = dims;
    let length = features * positions;
    let (data, gamma, beta) = (elements(&x), elements(&gamma), elements(&beta));
    let arch = Arch::new();
    let mut statistics = vec![[0.0_f32; 3]; samples * groups];
    #[allow(unsafe_code)]
    // SAFETY: the rows cover the output, and both branches write all of a row.
    let output = unsafe {
        filled(data.len(), |output| {
            let rows = output.par_chunks_mut(length).zip(data.par_chunks(length));
            let rows = rows.zip(&mut statistics).enumerate();
            rows.with_min_len(GRAIN.div_ceil(length))
                .for_each(|(row, ((y, x), out))| {
                    let first = row % groups * features;
                    let gamma = &gamma[first..first + features];
                    let beta = &beta[first..first + features];
                    arch.dispatch(
                        #[inline(always)]
                        || {
                            let [mean, rest, variance] = row_statistics(x, centre);
                            *out = [mean, rest, variance];
                            let inverse = (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32;
                            if positions == 1 {
                                let params = gamma.iter().zip(beta);
                                for ((y, x), (gamma, beta)) in y.iter_mut().zip(x).zip(params) {
                                    y.write((x - mean - rest) * inverse * gamma + beta);
                                }
                                return;
                            }
                            let runs = y.chunks_mut(positions).zip(x.chunks(positions));
                            for ((y, x), (gamma, beta)) in runs.zip(gamma.iter().zip(beta)) {
                                let scale = inverse * gamma;
                                for (y, x) in y.iter_mut().zip(x) {
                                    y.write((x - mean - rest) * scale + beta);
                                }
                            }
                        },
                    );
                });
        })
    };
    let part = |i: usize| {
        let values = statistics.iter().map(|row| row[i]).collect();
        tensor(values, [samples, groups])
    };
    [tensor(output, dims), part(0), part(1), part(2)]
}

/// `[mean, rest, variance]` of a row; the variance is the mean square where the
/// mean isn't subtracted.
#[inline(always)]
fn row_statistics(x: &[f32], centre: bool) -> [f32; 3] {
    if centre {
        let mut total = Moments::EMPTY;
        for block in x.chunks(BLOCK) {
            total = total.merge(moments(block));
        }
        let mean = total.mean as f32;
        return [
            mean,
            (total.mean - f64::from(mean)) as f32,
            total.variance() as f32,
        ];
    }
    let mut squares = 0.0;
    for block in x.chunks(BLOCK) {
        squares += sum(block, |x| x * x);
    }
    [0.0, 0.0, (squares / x.len().max(1) as f64) as f32]
}

/// `[input, gamma, beta]` gradients from what [`forward`] returned.
///
/// The gradient of the output becomes that of the input in place where nobody
/// else holds it.
pub(crate) fn backward(
    x: FlexTensor,
    gamma: FlexTensor,
    [mean, rest, variance]: [FlexTensor; 3],
    centre: bool,
    epsilon: f64,
    gradient: FlexTensor,
) -> [FlexTensor; 3] {
    let [x, gamma, mean, rest, variance] = [x, gamma, mean, rest, variance].map(contiguous);
    let [_, groups, features, positions]: [usize; 4] = x.layout().shape().dims();
    let length = features * positions;
    let (data, gamma) = (elements(&x), elements(&gamma));
    let [mean, rest, variance] = [&mean, &rest, &variance].map(elements);
    // A view into a larger buffer can't be overwritten as a whole.
    let mut result = gradient.to_contiguous();
    drop(gradient);
    let storage = result.storage_mut::<f32>();
    let arch = Arch::new();

    // Rows per part, by shape alone, so that sums don't depend on threads.
    let rows = data.len() / length.max(1);
    let per_part = rows.div_ceil(PARTS).max(GRAIN.div_ceil(length.max(1)));
    let channels = groups * features;
    let parts: Vec<[Vec<f64>; 2]> = storage
        .par_chunks_mut(per_part * length)
        .zip(data.par_chunks(per_part * length))
        .enumerate()
        .map(|(part, (g, x))| {
            let mut sums = [vec![0.0; channels], vec![0.0; channels]];
            let pairs = g.chunks_mut(length).zip(x.chunks(length)).enumerate();
            for (i, (g, x)) in pairs {
                let row = part * per_part + i;
                let first = row % groups * features;
                let run = first..first + features;
                let [gammas, betas] = &mut sums;
                let sums = [&mut gammas[run.clone()], &mut betas[run.clone()]];
                let inverse = 1.0 / (f64::from(variance[row]) + epsilon).sqrt();
                let statistics = Statistics {
                    mean: mean[row],
                    rest: rest[row],
                    inverse: inverse as f32,
                    centre,
                };
                arch.dispatch(
                    #[inline(always)]
                    || row_gradient(g, x, &gamma[run.clone()], sums, statistics),
                );
            }
            sums
        })
        .collect();

    let mut totals = [vec![0.0_f64; channels], vec![0.0_f64; channels]];
    for part in &parts {
        for (total, part) in totals.iter_mut().zip(part) {
            for (total, part) in total.iter_mut().zip(part) {
                *total += part;
            }
        }
    }
    let [gammas, betas] = totals.map(|total| {
        let values: Vec<f32> = total.iter().map(|v| *v as f32).collect();
        tensor(values, [channels])
    });
    [result, gammas, betas]
}

#[derive(Clone, Copy)]
struct Statistics {
    mean: f32,
    rest: f32,
    inverse: f32,
    centre: bool,
}

/// Turns the gradient of a row into that of its input and adds to the sums of
/// the gradients of `gamma` and `beta`.
#[inline(always)]
fn row_gradient(
    g: &mut [f32],
    x: &[f32],
    gamma: &[f32],
    [gammas, betas]: [&mut [f64]; 2],
    statistics: Statistics,
) {
    let Statistics {
        mean,
        rest,
        inverse,
        centre,
    } = statistics;
    let positions = x.len() / gamma.len().max(1);
    let unit = |x: f32| (x - mean - rest) * inverse;
    let (mut weighted, mut projected) = (0.0_f64, 0.0_f64);
    if positions == 1 {
        for (i, gamma) in gamma.iter().enumerate() {
            let unit = unit(x[i]);
            gammas[i] += f64::from(g[i] * unit);
            betas[i] += f64::from(g[i]);
            g[i] *= gamma;
        }
        for (g, x) in g.chunks(BLOCK).zip(x.chunks(BLOCK)) {
            let [first, second] = pair_sums(g, x, |g, x| [g, g * unit(x)]);
            weighted += first;
            projected += second;
        }
    } else {
        let runs = g.chunks(positions).zip(x.chunks(positions));
        for (i, (g, x)) in runs.enumerate() {
            let [first, second] = pair_sums(g, x, |g, x| [g, g * unit(x)]);
            betas[i] += first;
            gammas[i] += second;
            weighted += first * f64::from(gamma[i]);
            projected += second * f64::from(gamma[i]);
        }
    }
    let count = x.len() as f64;
    let shift = if centre {
        (weighted / count) as f32
    } else {
        0.0
    };
    let slope = (projected / count) as f32;
    if positions == 1 {
        for (g, x) in g.iter_mut().zip(x) {
            *g = inverse * (*g - shift - slope * unit(*x));
        }
        return;
    }
    let runs = g.chunks_mut(positions).zip(x.chunks(positions));
    for ((g, x), gamma) in runs.zip(gamma) {
        for (g, x) in g.iter_mut().zip(x) {
            *g = inverse * (*g * gamma - shift - slope * unit(*x));
        }
    }
}
