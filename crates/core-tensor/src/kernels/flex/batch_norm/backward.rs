//! Gradients.

use super::super::width::Width;

use super::forward::spread_out;
use super::{Given, normalised};
use crate::kernels::flex::cut::{COLUMNS, PLANES, Region, Step};
use crate::kernels::flex::moments::{Lanes, TOGETHER, add_rows};
use crate::kernels::flex::scatter::Gradient;
use crate::kernels::flex::vectorised;

/// Rows that are summed in `f32` before they go to `f64`, in columns.
const ROWS: usize = 64;

/// Mean, the rest of it, scale, offset.
type Channel = [f32; 4];

pub(super) struct Backward<'a, const RELU: bool, G> {
    given: Given<'a>,
    gradient: G,
    width: Width,
}

impl<'a, const RELU: bool, G: Gradient> Backward<'a, RELU, G> {
    pub(super) fn new(given: Given<'a>, gradient: G) -> Self {
        let width = Width::detect();
        Self {
            given,
            gradient,
            width,
        }
    }

    #[inline(always)]
    fn channel(&self, channel: usize) -> Channel {
        let Given {
            mean,
            rest,
            scale,
            beta,
            ..
        } = self.given;
        [mean[channel], rest[channel], scale[channel], beta[channel]]
    }

    /// What of a gradient reaches the normalisation.
    #[inline(always)]
    fn through(g: f32, x: f32, channel: Channel) -> f32 {
        if RELU && normalised(x, channel) <= 0.0 {
            0.0
        } else {
            g
        }
    }

    /// The terms of the sums: the gradient, and that times the distance from
    /// the mean.
    #[inline(always)]
    fn terms(g: f32, x: f32, channel: Channel) -> [f32; 2] {
        let g = Self::through(g, x, channel);
        [g, g * (x - channel[0] - channel[1])]
    }

    /// `scale * (g - shift - slope * (x - mean))`
    #[inline(always)]
    fn element(g: f32, x: f32, [mean, rest, scale, beta, shift, slope]: [f32; 6]) -> f32 {
        let g = Self::through(g, x, [mean, rest, scale, beta]);
        scale * (g - shift - slope * (x - mean - rest))
    }

    #[inline(always)]
    fn planes(&self, at: &Region, sums: &mut [[f64; 2]]) {
        let cut = self.given.cut;
        let mut lanes = [Lanes::ZERO; PLANES];
        let length = cut.rows_per_block();
        sums.fill([0.0; 2]);
        for start in at.rows.clone().step_by(length) {
            let block = Region {
                channels: at.channels.clone(),
                rows: start..(start + length).min(at.rows.end),
            };
            cut.segments(&block, |range, i| {
                let channel = self.channel(at.channels.start + i);
                let x = &self.given.x[range.clone()];
                #[allow(unsafe_code)]
                // SAFETY: `Step` has the region alone, and its segments do not overlap.
                let g = unsafe { self.gradient.upstream(range) };
                lanes[i].add(g, x, |g, x| Self::terms(g, x, channel));
            });
            for (sum, lanes) in sums.iter_mut().zip(&mut lanes) {
                *sum = Self::merge(*sum, lanes.totals());
                *lanes = Lanes::ZERO;
            }
        }
    }

    #[inline(always)]
    fn columns(&self, at: &Region, sums: &mut [[f64; 2]]) {
        let cut = self.given.cut;
        let positions = cut.positions();
        let channels: Vec<Channel> = at.channels.clone().map(|c| self.channel(c)).collect();
        let mut spread = [[0.0_f32; COLUMNS]; 4];
        let spread = spread_out(&mut spread, &channels, positions);
        let width = channels.len() * positions;
        let [mut first, mut second] = [[0.0_f32; COLUMNS]; 2];
        let [first, second] = [&mut first, &mut second].map(|s| &mut s[..width]);
        sums.fill([0.0; 2]);
        for start in at.rows.clone().step_by(ROWS) {
            let block = Region {
                channels: at.channels.clone(),
                rows: start..(start + ROWS).min(at.rows.end),
            };
            first.fill(0.0);
            second.fill(0.0);
            let row = |row| {
                let range = cut.run(at, row);
                #[allow(unsafe_code)]
                // SAFETY: nobody else has the region, and rows don't overlap.
                let g = unsafe { self.gradient.upstream(range.clone()) };
                [g, &self.given.x[range]]
            };
            let terms = |channel, [g, x]: [f32; 2]| Self::terms(g, x, channel);
            let mut rows = block.rows.clone();
            while rows.len() >= TOGETHER {
                let together = std::array::from_fn::<_, TOGETHER, _>(|i| row(rows.start + i));
                add_rows([&mut *first, &mut *second], spread, together, terms);
                rows.start += TOGETHER;
            }
            for i in rows {
                add_rows([&mut *first, &mut *second], spread, [row(i)], terms);
            }
            let columns = first.chunks(positions).zip(second.chunks(positions));
            for (sum, (first, second)) in sums.iter_mut().zip(columns) {
                let part = [first, second].map(|s| s.iter().map(|v| f64::from(*v)).sum());
                *sum = Self::merge(*sum, part);
            }
        }
    }
}

impl<const RELU: bool, G: Gradient> Step for Backward<'_, RELU, G> {
    /// The sums of the gradients, and of the gradients times the distances from
    /// the mean.
    type Sum = [f64; 2];
    /// The channel, then shift and slope.
    type Params = [f32; 6];
    const NOTHING: [f64; 2] = [0.0; 2];

    fn reduce(&self, at: &Region, sums: &mut [[f64; 2]]) {
        vectorised(
            self.width,
            #[inline(always)]
            || {
                if self.given.cut.is_columns() {
                    self.columns(at, sums);
                } else {
                    self.planes(at, sums);
                }
            },
        );
    }

    #[inline(always)]
    fn merge(all: [f64; 2], part: [f64; 2]) -> [f64; 2] {
        [all[0] + part[0], all[1] + part[1]]
    }

    fn params(&self, channel: usize, [g, gx]: [f64; 2]) -> [f32; 6] {
        let [mean, rest, scale, beta] = self.channel(channel);
        let Given { inverse, count, .. } = self.given;
        let inverse = inverse[channel];
        let shift = (g / count) as f32;
        let slope = (gx * inverse * inverse / count) as f32;
        [mean, rest, scale, beta, shift, slope]
    }

    fn write(&self, at: &Region, params: &[[f32; 6]]) {
        let cut = self.given.cut;
        vectorised(
            self.width,
            #[inline(always)]
            || {
                if !cut.is_columns() {
                    cut.segments(at, |range, i| {
                        let params = params[i];
                        let x = &self.given.x[range.clone()];
                        #[allow(unsafe_code)]
                        // SAFETY: `Step` has the region alone, and its segments do not overlap.
                        unsafe {
                            self.gradient
                                .update(range, |i, g| Self::element(g, x[i], params));
                        }
                    });
                    return;
                }
                let mut spread = [[0.0_f32; COLUMNS]; 6];
                let spread = spread_out(&mut spread, params, cut.positions());
                for row in at.rows.clone() {
                    let range = cut.run(at, row);
                    let x = &self.given.x[range.clone()];
                    let spread = spread.map(|values| &values[..x.len()]);
                    #[allow(unsafe_code)]
                    // SAFETY: `Step` has the region alone, and its segments do not overlap.
                    unsafe {
                        self.gradient.update(range, |i, g| {
                            Self::element(g, x[i], spread.map(|values| values[i]))
                        });
                    }
                }
            },
        );
    }
}
