//! Warps that only move whole pixels.

use super::fixed::{Line, whole};
use super::pixels::{Element, Layout};
use super::warp::Job;
use crate::Size;

impl<T: Element> Job<'_, T> {
    /// Copies whole pixels.
    pub(super) fn copy(&self, target: &mut [T], map: [[i64; 3]; 2]) {
        let data = self.source.data();
        match (self.source.layout(), self.source.channels()) {
            (Layout::Hwc, 1) => self.copy_plane::<1>(data, target, map, 0),
            (Layout::Hwc, 3) => self.copy_plane::<3>(data, target, map, 0),
            (Layout::Hwc, 4) => self.copy_plane::<4>(data, target, map, 0),
            (Layout::Hwc, channels) => {
                for channel in 0..channels {
                    self.copy_channel(target, map, channel);
                }
            }
            (Layout::Chw, channels) => {
                let (from, to) = (self.read.channel, self.write.channel);
                for channel in 0..channels {
                    let plane = &data[channel * from..][..from];
                    let out = &mut target[channel * to..][..to];
                    self.copy_plane::<1>(plane, out, map, channel);
                }
            }
        }
    }

    /// The line of source points of row `y`, the columns inside, and the
    /// source pixel of the first of them.
    fn pixel_line(&self, map: [[i64; 3]; 2], y: usize) -> (Line, std::ops::Range<usize>, i64) {
        let input = self.source.size();
        let start = map.map(|row| row[1] * y as i64 + row[2]);
        let line = Line {
            start: start.map(|v| v << 32),
            step: map.map(|row| row[0] << 32),
        };
        let (low, high) = line.inside(input, self.warp.size.width);
        let [x, y] = line.at(low).map(whole);
        (line, low..high, y * input.width as i64 + x)
    }

    /// Copies the pixels of `C` channels of an image, of which the first is
    /// channel number `channel`.
    fn copy_plane<const C: usize>(
        &self,
        source: &[T],
        target: &mut [T],
        map: [[i64; 3]; 2],
        channel: usize,
    ) {
        let width = self.warp.size.width;
        let (source, target) = (source.as_chunks::<C>().0, target.as_chunks_mut::<C>().0);
        let step = map[1][0] * self.source.size().width as i64 + map[0][0];
        for (y, row) in target.chunks_exact_mut(width.max(1)).enumerate() {
            let (line, inside, first) = self.pixel_line(map, y);
            for x in (0..inside.start).chain(inside.end..width) {
                let [sx, sy] = line.at(x).map(whole);
                row[x] = match self.pixel(sx, sy) {
                    Some(pixel) => source[pixel],
                    None => {
                        std::array::from_fn(|c| T::from_f32(self.warp.border.fill(channel + c)))
                    }
                };
            }
            if inside.is_empty() {
                continue;
            }
            let (out, first) = (&mut row[inside], first as usize);
            match step {
                1 => out.copy_from_slice(&source[first..first + out.len()]),
                -1 => T::reverse(&source[first + 1 - out.len()..=first], out),
                _ => {
                    let mut from = first as i64;
                    for out in out {
                        *out = source[from as usize];
                        from += step;
                    }
                }
            }
        }
    }

    /// Copies one channel of interleaved ones.
    fn copy_channel(&self, target: &mut [T], map: [[i64; 3]; 2], channel: usize) {
        let data = self.source.data();
        let Size { height, width } = self.warp.size;
        for y in 0..height {
            let (line, _, _) = self.pixel_line(map, y);
            for x in 0..width {
                let [sx, sy] = line.at(x).map(whole);
                target[(y * width + x) * self.write.pixel + channel] = match self.pixel(sx, sy) {
                    Some(pixel) => data[pixel * self.read.pixel + channel],
                    None => T::from_f32(self.warp.border.fill(channel)),
                };
            }
        }
    }
}
