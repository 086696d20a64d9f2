//! Normalisation of groups on `[N, P, Q, S]`: every group is one row of
//! `Q * S` elements that lie in order.

use super::width::Width;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::moments::{LANES, Moments, moments, pair_sums, sum, total};
use super::{BLOCK, GRAIN, contiguous, elements, filled, tensor, vectorised};

/// The most parts that the gradients of the parameters are summed in.
const PARTS: usize = 64;

/// Rows of each group whose gradients of the parameters are summed in `f32`
/// before they go to `f64`.
const ROWS: usize = 32;

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
    let width = Width::detect();
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
                    vectorised(
                        width,
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
    let width = Width::detect();

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
            let mut recent = [vec![0.0_f32; channels], vec![0.0_f32; channels]];
            let pairs = g.chunks_mut(length).zip(x.chunks(length)).enumerate();
            for (i, (g, x)) in pairs {
                let row = part * per_part + i;
                let first = row % groups * features;
                let run = first..first + features;
                let gamma = &gamma[run.clone()];
                let inverse = 1.0 / (f64::from(variance[row]) + epsilon).sqrt();
                let statistics = Statistics {
                    mean: mean[row],
                    rest: rest[row],
                    inverse: inverse as f32,
                    centre,
                };
                vectorised(
                    width,
                    #[inline(always)]
                    || {
                        if positions == 1 {
                            let recent = recent.each_mut().map(|sums| &mut sums[run.clone()]);
                            row_gradient(g, x, gamma, recent, statistics);
                        } else {
                            let sums = sums.each_mut().map(|sums| &mut sums[run.clone()]);
                            runs_gradient(g, x, gamma, sums, statistics);
                        }
                    },
                );
                if positions == 1 && (i + 1).is_multiple_of(ROWS * groups) {
                    flush(&mut recent, &mut sums);
                }
            }
            flush(&mut recent, &mut sums);
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

/// Moves sums to where there are more digits.
fn flush(recent: &mut [Vec<f32>; 2], sums: &mut [Vec<f64>; 2]) {
    for (recent, sums) in recent.iter_mut().zip(sums) {
        for (recent, sum) in recent.iter_mut().zip(sums) {
            *sum += f64::from(*recent);
            *recent = 0.0;
        }
    }
}

impl Statistics {
    #[inline(always)]
    fn unit(self, x: f32) -> f32 {
        (x - self.mean - self.rest) * self.inverse
    }

    /// Shift and slope from the sums of the gradients of the units, and of these
    /// gradients times the units.
    #[inline(always)]
    fn line(self, [weighted, projected]: [f64; 2], count: usize) -> [f32; 2] {
        let count = count as f64;
        let shift = if self.centre { weighted / count } else { 0.0 };
        [shift as f32, (projected / count) as f32]
    }
}

/// Turns the gradient of a row of one position per feature into that of its
/// input and adds to the sums of the gradients of `gamma` and `beta`.
#[inline(always)]
fn row_gradient(
    g: &mut [f32],
    x: &[f32],
    gamma: &[f32],
    [gammas, betas]: [&mut [f32]; 2],
    statistics: Statistics,
) {
    let mut sums = [0.0_f64; 2];
    let blocks = g
        .chunks(BLOCK)
        .zip(x.chunks(BLOCK))
        .zip(gamma.chunks(BLOCK));
    let params = gammas.chunks_mut(BLOCK).zip(betas.chunks_mut(BLOCK));
    for (((g, x), gamma), (gammas, betas)) in blocks.zip(params) {
        let (g, g_rest) = g.as_chunks::<LANES>();
        let (x, x_rest) = x.as_chunks::<LANES>();
        let (gamma, gamma_rest) = gamma.as_chunks::<LANES>();
        let (gammas, gammas_rest) = gammas.as_chunks_mut::<LANES>();
        let (betas, betas_rest) = betas.as_chunks_mut::<LANES>();
        let [mut first, mut second] = [[0.0_f32; LANES]; 2];
        let params = gammas.iter_mut().zip(betas);
        for (((g, x), gamma), (gammas, betas)) in g.iter().zip(x).zip(gamma).zip(params) {
            // Copies, so that nothing can overlap the sums.
            let (mut gamma_sums, mut beta_sums) = (*gammas, *betas);
            for i in 0..LANES {
                let unit = statistics.unit(x[i]);
                let weighted = g[i] * gamma[i];
                gamma_sums[i] += g[i] * unit;
                beta_sums[i] += g[i];
                first[i] += weighted;
                second[i] += weighted * unit;
            }
            (*gammas, *betas) = (gamma_sums, beta_sums);
        }
        let params = gammas_rest.iter_mut().zip(betas_rest);
        let rest = g_rest.iter().zip(x_rest).zip(gamma_rest).zip(params);
        for (i, (((g, x), gamma), (gammas, betas))) in rest.enumerate() {
            let unit = statistics.unit(*x);
            *gammas += g * unit;
            *betas += g;
            first[i] += g * gamma;
            second[i] += g * gamma * unit;
        }
        sums = [sums[0] + total(&first), sums[1] + total(&second)];
    }
    let [shift, slope] = statistics.line(sums, x.len());
    for ((g, x), gamma) in g.iter_mut().zip(x).zip(gamma) {
        *g = statistics.inverse * (*g * gamma - shift - slope * statistics.unit(*x));
    }
}

/// As [`row_gradient`], for a run of positions per feature.
#[inline(always)]
fn runs_gradient(
    g: &mut [f32],
    x: &[f32],
    gamma: &[f32],
    [gammas, betas]: [&mut [f64]; 2],
    statistics: Statistics,
) {
    let positions = x.len() / gamma.len().max(1);
    let mut sums = [0.0_f64; 2];
    let runs = g.chunks(positions).zip(x.chunks(positions));
    for (i, (g, x)) in runs.enumerate() {
        let mut run = [0.0_f64; 2];
        for (g, x) in g.chunks(BLOCK).zip(x.chunks(BLOCK)) {
            let block = pair_sums(g, x, |g, x| [g, g * statistics.unit(x)]);
            run = [run[0] + block[0], run[1] + block[1]];
        }
        betas[i] += run[0];
        gammas[i] += run[1];
        let gamma = f64::from(gamma[i]);
        sums = [sums[0] + run[0] * gamma, sums[1] + run[1] * gamma];
    }
    let [shift, slope] = statistics.line(sums, x.len());
    let runs = g.chunks_mut(positions).zip(x.chunks(positions));
    for ((g, x), gamma) in runs.zip(gamma) {
        for (g, x) in g.iter_mut().zip(x) {
            *g = statistics.inverse * (*g * gamma - shift - slope * statistics.unit(*x));
        }
    }
}
