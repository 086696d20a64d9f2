//! Statistics and output.

use std::mem::MaybeUninit;

use super::super::width::Width;

use super::normalised;
use crate::kernels::flex::cut::{COLUMNS, Cut, PLANES, Region, Step};
use crate::kernels::flex::moments::{Lanes, Moments, TOGETHER, add_rows};
use crate::kernels::flex::scatter::Scatter;
use crate::kernels::flex::vectorised;

/// Rows that are summed in `f32` before they go to `f64`, in columns.
const ROWS: usize = 64;

pub(super) struct Forward<'a, const RELU: bool> {
    cut: &'a Cut,
    x: &'a [f32],
    output: &'a Scatter<'a, MaybeUninit<f32>>,
    gamma: &'a [f32],
    beta: &'a [f32],
    epsilon: f64,
    width: Width,
}

impl<'a, const RELU: bool> Forward<'a, RELU> {
    pub(super) fn new(
        cut: &'a Cut,
        x: &'a [f32],
        output: &'a Scatter<'a, MaybeUninit<f32>>,
        [gamma, beta]: [&'a [f32]; 2],
        epsilon: f64,
    ) -> Self {
        Self {
            cut,
            x,
            output,
            gamma,
            beta,
            epsilon,
            width: Width::detect(),
        }
    }

    /// Every block of rows is shifted by the mean of the one before it (the
    /// first by that of a part of itself): where two neighbours differ so much
    /// that this costs digits, the variance is that much larger.
    #[inline(always)]
    fn planes(&self, at: &Region, sums: &mut [Moments]) {
        let mut shifts = [0.0_f32; PLANES];
        let mut lanes = [Lanes::ZERO; PLANES];
        let length = self.cut.rows_per_block();
        sums.fill(Moments::EMPTY);
        for start in at.rows.clone().step_by(length) {
            let block = Region {
                channels: at.channels.clone(),
                rows: start..(start + length).min(at.rows.end),
            };
            let mut counts = [0; PLANES];
            self.cut
                .segments(&block, |range, i| counts[i] += range.len());
            if start == at.rows.start {
                let mut counts = [0; PLANES];
                let estimate = self.estimated_from(&block);
                self.cut.segments(&estimate, |range, i| {
                    counts[i] += range.len();
                    let x = &self.x[range];
                    lanes[i].add(x, x, |x, _| [x, 0.0]);
                });
                for i in 0..sums.len() {
                    shifts[i] = (lanes[i].totals()[0] / counts[i].max(1) as f64) as f32;
                    lanes[i] = Lanes::ZERO;
                }
            }
            self.cut.segments(&block, |range, i| {
                let x = &self.x[range];
                let shift = shifts[i];
                lanes[i].add(x, x, |x, _| {
                    let d = x - shift;
                    [d, d * d]
                });
            });
            for (i, sum) in sums.iter_mut().enumerate() {
                let moments = Moments::shifted(counts[i], shifts[i], lanes[i].totals());
                *sum = sum.merge(moments);
                shifts[i] = moments.mean as f32;
                lanes[i] = Lanes::ZERO;
            }
        }
    }

    /// The rows of the first block that its shift is estimated from.
    #[inline(always)]
    fn estimated_from(&self, block: &Region) -> Region {
        let rows = block.rows.len().div_ceil(4);
        Region {
            channels: block.channels.clone(),
            rows: block.rows.start..block.rows.start + rows,
        }
    }

    /// As [`planes`](Self::planes), for every column at once.
    #[inline(always)]
    fn columns(&self, at: &Region, sums: &mut [Moments]) {
        let positions = self.cut.positions();
        let width = at.channels.len() * positions;
        let mut count = 0.0;
        let [mut means, mut deviations] = [[0.0_f64; COLUMNS]; 2];
        let [mut shifts, mut first, mut second] = [[0.0_f32; COLUMNS]; 3];
        let [means, deviations] = [&mut means, &mut deviations].map(|s| &mut s[..width]);
        let [shifts, first, second] =
            [&mut shifts, &mut first, &mut second].map(|s| &mut s[..width]);
        for start in at.rows.clone().step_by(ROWS) {
            let block = Region {
                channels: at.channels.clone(),
                rows: start..(start + ROWS).min(at.rows.end),
            };
            let rows = block.rows.len() as f64;
            if start == at.rows.start {
                first.fill(0.0);
                let estimate = self.estimated_from(&block);
                self.add_rows(&estimate, [&mut *first, &mut *second], [], |[], [x]| {
                    [x, 0.0]
                });
                for (shift, sum) in shifts.iter_mut().zip(&*first) {
                    *shift = sum / estimate.rows.len() as f32;
                }
            }
            first.fill(0.0);
            second.fill(0.0);
            let sums = [&mut *first, &mut *second];
            self.add_rows(&block, sums, [&*shifts], |[shift], [x]| {
                let d = x - shift;
                [d, d * d]
            });
            let total = count + rows;
            let (reciprocal, part) = (1.0 / rows, rows / total);
            for i in 0..width {
                let [sum, squares] = [first[i], second[i]].map(f64::from);
                let rest = sum * reciprocal;
                let mean = f64::from(shifts[i]) + rest;
                let delta = mean - means[i];
                means[i] += delta * part;
                deviations[i] += squares - sum * rest + delta * delta * (count * part);
                shifts[i] = mean as f32;
            }
            count = total;
        }
        let columns = means.chunks(positions).zip(deviations.chunks(positions));
        for (sum, (means, deviations)) in sums.iter_mut().zip(columns) {
            let mean = means.iter().sum::<f64>() / positions as f64;
            let between: f64 = means.iter().map(|m| (m - mean) * (m - mean)).sum();
            *sum = Moments {
                count: count * positions as f64,
                mean,
                deviations: deviations.iter().sum::<f64>() + count * between,
            };
        }
    }

    /// Adds functions of the parameters of a column and of an element to the
    /// sums of columns.
    #[inline(always)]
    fn add_rows<const P: usize>(
        &self,
        at: &Region,
        [first, second]: [&mut [f32]; 2],
        params: [&[f32]; P],
        f: impl Fn([f32; P], [f32; 1]) -> [f32; 2] + Copy,
    ) {
        let row = |row| [&self.x[self.cut.run(at, row)]];
        let mut rows = at.rows.clone();
        while rows.len() >= TOGETHER {
            let together: [_; TOGETHER] = std::array::from_fn(|i| row(rows.start + i));
            add_rows([&mut *first, &mut *second], params, together, f);
            rows.start += TOGETHER;
        }
        for i in rows {
            add_rows([&mut *first, &mut *second], params, [row(i)], f);
        }
    }

    #[inline(always)]
    fn element(x: f32, params: [f32; 4]) -> f32 {
        let y = normalised(x, params);
        // Not `max`, which would hide a NaN.
        if RELU && y < 0.0 { 0.0 } else { y }
    }
}

impl<const RELU: bool> Step for Forward<'_, RELU> {
    type Sum = Moments;
    /// Mean, the rest of it, scale and offset.
    type Params = [f32; 4];
    const NOTHING: Moments = Moments::EMPTY;

    fn reduce(&self, at: &Region, sums: &mut [Moments]) {
        vectorised(
            self.width,
            #[inline(always)]
            || {
                if self.cut.is_columns() {
                    self.columns(at, sums);
                } else {
                    self.planes(at, sums);
                }
            },
        );
    }

    fn merge(all: Moments, part: Moments) -> Moments {
        all.merge(part)
    }

    fn params(&self, channel: usize, sum: Moments) -> [f32; 4] {
        let mean = sum.mean as f32;
        let rest = sum.mean - f64::from(mean);
        // From the variance that is given to the backward pass, which has to
        // come to the same scale.
        let variance = f64::from(sum.variance() as f32);
        let scale = f64::from(self.gamma[channel]) * (1.0 / (variance + self.epsilon).sqrt());
        [mean, rest as f32, scale as f32, self.beta[channel]]
    }

    fn write(&self, at: &Region, params: &[[f32; 4]]) {
        let positions = self.cut.positions();
        vectorised(
            self.width,
            #[inline(always)]
            || {
                if !self.cut.is_columns() {
                    self.cut.segments(at, |range, i| {
                        let params = params[i];
                        let x = &self.x[range.clone()];
                        #[allow(unsafe_code)]
                        // SAFETY: `Step` has the region alone, and its segments do not overlap.
                        let y = unsafe { self.output.part(range) };
                        for (y, x) in y.iter_mut().zip(x) {
                            y.write(Self::element(*x, params));
                        }
                    });
                    return;
                }
                let mut spread = [[0.0_f32; COLUMNS]; 4];
                let spread = spread_out(&mut spread, params, positions);
                for row in at.rows.clone() {
                    let range = self.cut.run(at, row);
                    let x = &self.x[range.clone()];
                    #[allow(unsafe_code)]
                    // SAFETY: `Step` has the region alone, and its segments do not overlap.
                    let y = unsafe { self.output.part(range) };
                    let spread = spread.map(|values| &values[..y.len()]);
                    for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
                        y.write(Self::element(*x, spread.map(|values| values[i])));
                    }
                }
            },
        );
    }
}

/// The parameters of every column from those of every channel.
#[inline(always)]
pub(super) fn spread_out<'a, const P: usize>(
    columns: &'a mut [[f32; COLUMNS]; P],
    params: &[[f32; P]],
    positions: usize,
) -> [&'a [f32]; P] {
    for (i, params) in params.iter().enumerate() {
        for (column, param) in columns.iter_mut().zip(params) {
            column[i * positions..(i + 1) * positions].fill(*param);
        }
    }
    columns
        .each_ref()
        .map(|column| &column[..params.len() * positions])
}
