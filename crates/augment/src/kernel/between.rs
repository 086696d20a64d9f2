//! Pixels that lie inside the source with all of their neighbours.

use super::outside::Edge;
use super::pixels::{Element, Layout};
use super::row::{Places, Row};
use super::simd::vectorised;
use super::warp::Job;
use crate::{Interpolation, Size};

impl<T: Element> Job<'_, T> {
    pub(super) fn nearest(&self, target: &mut [T], first: usize, row: &Row) {
        let data = self.source.data();
        for channel in 0..self.source.channels() {
            let source = &data[channel * self.read.channel..];
            let target = &mut target[first * self.write.pixel + channel * self.write.channel..];
            for (i, &offset) in row.offset.iter().enumerate() {
                target[i * self.write.pixel] = source[offset as usize * self.read.pixel];
            }
        }
    }

    pub(super) fn bilinear(&self, target: &mut [T], first: usize, row: Places<'_>) {
        match (self.source.layout(), self.source.channels()) {
            (Layout::Hwc, 3) => self.bilinear_pixels::<3>(target, first, row),
            (Layout::Hwc, 4) => self.bilinear_pixels::<4>(target, first, row),
            (Layout::Hwc, 2..) => self.bilinear_strided(target, first, row),
            _ => self.bilinear_planes(target, first, row),
        }
    }

    fn bilinear_planes(&self, target: &mut [T], first: usize, row: Places<'_>) {
        let Size { width, .. } = self.source.size();
        for channel in 0..self.source.channels() {
            let plane = &self.source.data()[channel * self.source.size().area()..];
            let target = &mut target[first + channel * self.write.channel..][..row.offset.len()];
            T::bilinear_plane(plane, width, row.offset, [row.right, row.lower], target);
        }
    }

    fn bilinear_pixels<const C: usize>(&self, target: &mut [T], first: usize, row: Places<'_>) {
        let below = self.source.size().width * C;
        let data = self.source.data();
        let target = &mut target[first * C..][..row.offset.len() * C];
        if C == 3 && T::bilinear_rgb(data, below, row.offset, [row.right, row.lower], target) {
            return;
        }
        vectorised(
            #[inline(always)]
            || {
                let places = row.offset.iter().zip(row.weights()).enumerate();
                for (i, (&offset, weights)) in places {
                    put_between::<T, C>(data, offset as usize * C, below, weights, target, i * C);
                }
            },
        );
    }

    /// Pixels whose source points follow no line: those of `row`.
    pub(super) fn scattered(&self, target: &mut [T], first: usize, row: &mut Row) {
        let bilinear = self.warp.interpolation == Interpolation::Bilinear;
        match (self.source.layout(), self.source.channels()) {
            (Layout::Hwc, 1) if bilinear => self.scatter::<1>(target, first, row),
            (Layout::Hwc, 3) if bilinear => self.scatter::<3>(target, first, row),
            (Layout::Hwc, 4) if bilinear => self.scatter::<4>(target, first, row),
            _ => {
                for (i, &point) in row.points.iter().enumerate() {
                    self.outside(target, first + i, point);
                }
            }
        }
    }

    /// Runs of pixels inside as those of a line, the others one by one.
    fn scatter<const C: usize>(&self, target: &mut [T], first: usize, row: &mut Row) {
        row.set_scattered(self.source.size());
        let edge = Edge::new(self);
        let n = row.points.len();
        let mut at = 0;
        while at < n {
            let inside = row.offset[at] != Row::OUTSIDE;
            let run = row.offset[at..]
                .iter()
                .take_while(|&&offset| (offset != Row::OUTSIDE) == inside);
            let run = at..at + run.count();
            at = run.end;
            if inside {
                self.bilinear_pixels::<C>(target, first + run.start, row.part(run));
            } else {
                for i in run {
                    edge.pixel::<C>(target, first + i, row.points[i]);
                }
            }
        }
    }

    fn bilinear_strided(&self, target: &mut [T], first: usize, row: Places<'_>) {
        let channels = self.source.channels();
        let Size { width, .. } = self.source.size();
        let data = self.source.data();
        for (i, (&offset, [tx, ty])) in row.offset.iter().zip(row.weights()).enumerate() {
            let offset = offset as usize * channels;
            for c in 0..channels {
                let at = |dx: usize, dy: usize| data[offset + (dy * width + dx) * channels + c];
                target[(first + i) * channels + c] =
                    T::between([at(0, 0), at(1, 0), at(0, 1), at(1, 1)], tx, ty);
            }
        }
    }
}

/// Writes what is between a pixel of `C` channels that starts at `offset`, its
/// right neighbour and the two `below` values further, and with three channels
/// possibly the value after it, if `target` has one.
#[inline(always)]
fn put_between<T: Element, const C: usize>(
    data: &[T],
    offset: usize,
    below: usize,
    [tx, ty]: [f32; 2],
    target: &mut [T],
    at: usize,
) {
    // Four channels fill a register; with three, the fourth is that of the
    // next pixel, except at the end of the image.
    if C == 3
        && !T::IS_INTEGER
        && let Some(around) = data.get(offset..offset + below + 7)
        && let (Some(top), Some(low)) = (around.first_chunk(), around.last_chunk())
    {
        let left = lerp4(four(top, 0), four(top, 3), tx);
        let value = lerp4(left, lerp4(four(low, 0), four(low, 3), tx), ty);
        let target = &mut target[at..];
        match target.first_chunk_mut::<4>() {
            Some(out) => {
                for (out, value) in out.iter_mut().zip(value) {
                    *out = T::from_f32(value);
                }
            }
            None => {
                for (out, value) in target.iter_mut().zip(value) {
                    *out = T::from_f32(value);
                }
            }
        }
        return;
    }
    let top = &data[offset..offset + 2 * C];
    let low = &data[offset + below..offset + below + 2 * C];
    for (c, out) in target[at..at + C].iter_mut().enumerate() {
        *out = T::between([top[c], top[C + c], low[c], low[C + c]], tx, ty);
    }
}

#[inline(always)]
fn four<T: Element>(from: &[T; 7], at: usize) -> [f32; 4] {
    [
        from[at].to_f32(),
        from[at + 1].to_f32(),
        from[at + 2].to_f32(),
        from[at + 3].to_f32(),
    ]
}

#[inline(always)]
fn lerp4(mut a: [f32; 4], b: [f32; 4], t: f32) -> [f32; 4] {
    for (a, b) in a.iter_mut().zip(b) {
        *a += t * (b - *a);
    }
    a
}
