//! Pixels that are read through the border.

use super::fixed::{HALF, fraction, nearest, whole};
use super::pixels::{Element, Layout};
use super::warp::Job;
use crate::{Border, Interpolation, Size};

impl<T: Element> Job<'_, T> {
    /// Index of a source pixel, through the border.
    #[inline]
    pub(super) fn pixel(&self, x: i64, y: i64) -> Option<usize> {
        let Size { height, width } = self.source.size();
        let border = &self.warp.border;
        if matches!(border, Border::ConstantHard(_))
            && !((0..width as i64).contains(&x) && (0..height as i64).contains(&y))
        {
            return None;
        }
        Some(border.resolve(y, height)? * width + border.resolve(x, width)?)
    }

    /// The neighbours of a point for [`Border::ConstantHard`].
    fn hard_taps(&self, sx: i64, sy: i64) -> [Option<usize>; 4] {
        let Size { height, width } = self.source.size();
        let inside = |v: i64, n: usize| (0..n as i64).contains(&whole(v + HALF));
        if !(inside(sx, width) && inside(sy, height)) {
            return [None; 4];
        }
        let (x, y) = (whole(sx), whole(sy));
        [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| {
            let y = (y + dy).clamp(0, height as i64 - 1) as usize;
            let x = (x + dx).clamp(0, width as i64 - 1) as usize;
            Some(y * width + x)
        })
    }

    /// Writes the constant of the border.
    pub(super) fn fill_pixels(&self, target: &mut [T], pixels: std::ops::Range<usize>) {
        let channels = self.source.channels();
        let fill = |channel: usize| T::from_f32(self.warp.border.fill(channel));
        if pixels.is_empty() {
            return;
        }
        match self.source.layout() {
            Layout::Chw => {
                for channel in 0..channels {
                    let plane = &mut target[channel * self.write.channel..];
                    plane[pixels.clone()].fill(fill(channel));
                }
            }
            Layout::Hwc => {
                let out = &mut target[pixels.start * channels..pixels.end * channels];
                if (1..channels).all(|channel| fill(channel) == fill(0)) {
                    return out.fill(fill(0));
                }
                for channel in 0..channels {
                    let value = fill(channel);
                    let values = out.iter_mut().skip(channel).step_by(channels);
                    values.for_each(|out| *out = value);
                }
            }
        }
    }

    /// Pixels that don't lie inside with all of their neighbours, at points.
    pub(super) fn edges(&self, target: &mut [T], pixels: impl Iterator<Item = (usize, [i64; 2])>) {
        let bilinear = self.warp.interpolation == Interpolation::Bilinear;
        let edge = Edge::new(self);
        match (self.source.layout(), self.source.channels()) {
            (Layout::Hwc, 1) if bilinear => {
                pixels.for_each(|(pixel, point)| edge.pixel::<1>(target, pixel, point));
            }
            (Layout::Hwc, 3) if bilinear => {
                pixels.for_each(|(pixel, point)| edge.pixel::<3>(target, pixel, point));
            }
            (Layout::Hwc, 4) if bilinear => {
                pixels.for_each(|(pixel, point)| edge.pixel::<4>(target, pixel, point));
            }
            _ => pixels.for_each(|(pixel, point)| self.outside(target, pixel, point)),
        }
    }

    /// One pixel by the general way: any of its neighbours may be outside.
    pub(super) fn outside(&self, target: &mut [T], pixel: usize, [sx, sy]: [i64; 2]) {
        let border = &self.warp.border;
        let data = self.source.data();
        let read = |pixel: usize, channel: usize| {
            data[pixel * self.read.pixel + channel * self.read.channel]
        };
        let mut write = |channel: usize, value: T| {
            target[pixel * self.write.pixel + channel * self.write.channel] = value;
        };
        if self.warp.interpolation == Interpolation::Nearest {
            let found = self.pixel(nearest(sx), nearest(sy));
            for channel in 0..self.source.channels() {
                write(
                    channel,
                    found.map_or_else(|| T::from_f32(border.fill(channel)), |p| read(p, channel)),
                );
            }
            return;
        }
        if let Some(a) = self.warp.interpolation.cubic() {
            return self.cubic(target, pixel, [sx, sy], a);
        }
        let input = self.source.size();
        let far = |v: i64, n: usize| v < -1 || v >= n as i64;
        if border.is_constant() && (far(whole(sx), input.width) || far(whole(sy), input.height)) {
            for channel in 0..self.source.channels() {
                write(channel, T::from_f32(border.fill(channel)));
            }
            return;
        }
        let taps = if matches!(border, Border::ConstantHard(_)) {
            self.hard_taps(sx, sy)
        } else {
            self.taps(whole(sx), whole(sy))
        };
        let (tx, ty) = (fraction(sx), fraction(sy));
        if let [Some(a), Some(b), Some(c), Some(d)] = taps {
            for channel in 0..self.source.channels() {
                let around = [a, b, c, d].map(|pixel| read(pixel, channel));
                write(channel, T::between(around, tx, ty));
            }
            return;
        }
        let twice = matches!(border, Border::ConstantTwice(_));
        for channel in 0..self.source.channels() {
            let fill = border.fill(channel);
            let outside = if twice { 0.0 } else { fill };
            let value = |tap: Option<usize>| match tap {
                Some(pixel) => read(pixel, channel).to_f32(),
                None => outside,
            };
            let [a, b, c, d] = taps;
            let mut sum = lerp2([value(a), value(b), value(c), value(d)], tx, ty);
            if twice {
                let is = |tap: Option<usize>| f32::from(tap.is_some());
                let inside = lerp2([is(a), is(b), is(c), is(d)], tx, ty);
                sum = sum * inside + (1.0 - inside) * fill;
            }
            write(channel, T::from_f32(sum));
        }
    }

    /// The four neighbours of a point, through the border.
    pub(super) fn taps(&self, x: i64, y: i64) -> [Option<usize>; 4] {
        let Size { height, width } = self.source.size();
        let border = &self.warp.border;
        let (left, right) = (border.resolve(x, width), border.resolve(x + 1, width));
        let (top, low) = (border.resolve(y, height), border.resolve(y + 1, height));
        let at = |y: Option<usize>, x: Option<usize>| Some(y? * width + x?);
        [at(top, left), at(top, right), at(low, left), at(low, right)]
    }
}

/// Pixels of interleaved channels between others of which some are outside.
pub(super) struct Edge<'a, T> {
    job: &'a Job<'a, T>,
    /// The first channels of the constant, if there is one.
    fill: Option<[T; 4]>,
}

impl<'a, T: Element> Edge<'a, T> {
    pub(super) fn new(job: &'a Job<'a, T>) -> Self {
        let border = &job.warp.border;
        let fill = || std::array::from_fn(|channel| T::from_f32(border.fill(channel)));
        Self {
            job,
            fill: border.is_constant().then(fill),
        }
    }

    /// One pixel of `C` channels: what [`Job::outside`] does.
    #[inline(always)]
    pub(super) fn pixel<const C: usize>(&self, target: &mut [T], pixel: usize, [sx, sy]: [i64; 2]) {
        let job = self.job;
        let Size { height, width } = job.source.size();
        let (x, y) = (whole(sx), whole(sy));
        let out = &mut target.as_chunks_mut::<C>().0[pixel];
        if let Some(fill) = &self.fill {
            let near = |v: i64, n: usize| (-1..n as i64).contains(&v);
            if near(x, width) && near(y, height) {
                job.outside(target, pixel, [sx, sy]);
            } else {
                out.copy_from_slice(&fill[..C]);
            }
        } else if let [Some(a), Some(b), Some(c), Some(d)] = job.taps(x, y) {
            let source = job.source.data().as_chunks::<C>().0;
            let around = [source[a], source[b], source[c], source[d]];
            let (tx, ty) = (fraction(sx), fraction(sy));
            *out = std::array::from_fn(|i| T::between(around.map(|pixel| pixel[i]), tx, ty));
        }
    }
}

/// Between `[top left, top right, bottom left, bottom right]`.
#[inline(always)]
fn lerp2([a, b, c, d]: [f32; 4], tx: f32, ty: f32) -> f32 {
    let top = a + tx * (b - a);
    let low = c + tx * (d - c);
    top + ty * (low - top)
}
