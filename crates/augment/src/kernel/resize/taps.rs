//! Which source pixels make an output pixel, and with which weights.

use super::ResizeFilter;
use super::bytes::ByteTaps;

/// Where the weights of the source pixels come from.
#[derive(Clone, Copy)]
pub(super) enum Weights {
    Filter(ResizeFilter),
    /// What is covered; `grows` if either direction does.
    Coverage {
        grows: bool,
    },
}

/// First source pixel of an output pixel, and the range of its weights.
pub(super) type Span = (usize, std::ops::Range<usize>);

/// The weighted source pixels of every output pixel of one direction.
#[derive(Debug, Default)]
pub struct Taps {
    pub(super) spans: Vec<Span>,
    pub(super) weights: Vec<f32>,
    /// The same for bytes.
    pub(super) bytes: ByteTaps,
}

impl Taps {
    pub(in crate::kernel) const fn empty() -> Self {
        Self {
            spans: Vec::new(),
            weights: Vec::new(),
            bytes: ByteTaps::empty(),
        }
    }

    /// For `to` pixels made of the `from` pixels from `offset` on.
    pub(super) fn set(
        &mut self,
        offset: usize,
        from: usize,
        to: usize,
        weights: Weights,
        antialias: bool,
    ) {
        let scale = from as f64 / to as f64;
        self.spans.clear();
        self.weights.clear();
        for i in 0..to {
            let first = self.weights.len();
            let filter = match weights {
                Weights::Filter(filter) => filter,
                Weights::Coverage { grows } => {
                    let start = self.covered(i, from, scale, grows);
                    self.spans.push((offset + start, first..self.weights.len()));
                    continue;
                }
            };
            let start = match filter {
                // torch finds the pixel in f32.
                ResizeFilter::Nearest => {
                    self.weights.push(1.0);
                    ((i as f32 * (from as f32 / to as f32)) as usize).min(from - 1)
                }
                ResizeFilter::NearestExact => {
                    self.weights.push(1.0);
                    (((i as f32 + 0.5) * (from as f32 / to as f32)) as usize).min(from - 1)
                }
                _ if antialias || filter == ResizeFilter::Area => {
                    self.smoothed(i, from, scale, filter)
                }
                _ => self.neighbours(i, from, scale, filter),
            };
            self.spans.push((offset + start, first..self.weights.len()));
        }
    }

    /// The share of each pixel in what is covered. Returns the first pixel.
    fn covered(&mut self, i: usize, from: usize, scale: f64, grows: bool) -> usize {
        let (low, high) = (i as f64 * scale, (i + 1) as f64 * scale);
        let start = (low as usize).min(from - 1);
        if grows {
            // The neighbour takes part as far as the pixel reaches into it.
            let part = (high - (start + 1) as f64) / scale;
            let part = if part > 0.0 { part.fract() } else { 0.0 };
            let part = if start + 1 < from { part as f32 } else { 0.0 };
            self.weights.push(1.0 - part);
            if part > 0.0 {
                self.weights.push(part);
            }
            return start;
        }
        // What rounding leaves of a pixel is nothing.
        const SLIVER: f64 = 1e-3;
        let mut j = if low - start as f64 > 1.0 - SLIVER && start + 1 < from {
            start + 1
        } else {
            start
        };
        let first = j;
        while j < from && (j == first || high - j as f64 > SLIVER) {
            let share = high.min((j + 1) as f64) - low.max(j as f64);
            self.weights.push((share / scale) as f32);
            j += 1;
        }
        first
    }

    /// Normalised weights inside the image. Returns the first pixel.
    fn smoothed(&mut self, i: usize, from: usize, scale: f64, filter: ResizeFilter) -> usize {
        let stretch = scale.max(1.0);
        let reach = filter.support() * stretch;
        let centre = (i as f64 + 0.5) * scale;
        let start = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from).max(start + 1);
        let weight = |j: usize| filter.weight((j as f64 + 0.5 - centre) / stretch, true);
        let sum: f64 = (start..end).map(weight).sum();
        self.weights
            .extend((start..end).map(|j| (weight(j) / sum) as f32));
        start
    }

    /// Weights of the neighbours of a point; those outside are folded onto
    /// the edge. Returns the first pixel.
    fn neighbours(&mut self, i: usize, from: usize, scale: f64, filter: ResizeFilter) -> usize {
        let point = (i as f64 + 0.5) * scale - 0.5;
        let base = point.floor() as i64;
        let reach = filter.support() as i64;
        let inside = |j: i64| j.clamp(0, from as i64 - 1) as usize;
        let (low, high) = (base - reach + 1, base + reach);
        let start = inside(low);
        if filter == ResizeFilter::Bilinear && low >= 0 && high < from as i64 {
            let right = (point - base as f64) as f32;
            self.weights.extend([1.0 - right, right]);
            return start;
        }
        let first = self.weights.len();
        self.weights.resize(first + inside(high) - start + 1, 0.0);
        let weight = |j: i64| filter.weight(j as f64 - point, false);
        let sum: f64 = (low..=high).map(weight).sum();
        for j in low..=high {
            self.weights[first + inside(j) - start] += (weight(j) / sum) as f32;
        }
        start
    }

    pub(super) fn of(&self, i: usize) -> (usize, &[f32]) {
        let (start, range) = &self.spans[i];
        (*start, &self.weights[range.clone()])
    }

    /// The source pixels that any output pixel needs.
    pub(super) fn range(&self) -> std::ops::Range<usize> {
        let start = self.spans.iter().map(|(start, _)| *start).min();
        let end = self
            .spans
            .iter()
            .map(|(start, range)| start + range.len())
            .max();
        start.unwrap_or(0)..end.unwrap_or(0)
    }
}
