//! Resampling an image through a [`Warp`].

use super::Scratch;
use super::fixed::{HALF, Line, NEAR, ONE, TIE, fixed, fraction, nearest, nearly_fixed, whole};
use super::pixels::{Element, Layout, Pixels, PixelsMut};
use super::simd::vectorised;
use crate::{AugmentError, Border, Interpolation, Matrix, Size, Warp};

/// Writes `source`, seen through `warp`, into `target`.
///
/// Warps that only move whole pixels copy them, bit for bit. All others read
/// each output pixel at its source point (see [`Matrix`](crate::Matrix)) with
/// a resolution of 2⁻³² pixels, and interpolate as `a + t (b - a)`, bytes with
/// weights of 14 bits that add up to one, so that areas of one colour keep it
/// exactly.
///
/// ```
/// use firecraft_augment::kernel::{Layout, Pixels, PixelsMut, warp};
/// use firecraft_augment::{Border, Interpolation, Matrix, Size, Warp};
/// let size = Size::new(1, 4);
/// let row = [0.0, 1.0, 2.0, 3.0_f32];
/// let half_left = Warp {
///     matrix: Matrix::translation(0.5, 0.0),
///     size,
///     interpolation: Interpolation::Bilinear,
///     border: Border::Constant(vec![9.0]),
/// };
/// let mut out = [0.0; 4];
/// warp(
///     Pixels::new(&row, size, 1, Layout::Chw)?,
///     PixelsMut::new(&mut out, size, 1, Layout::Chw)?,
///     &half_left,
/// )?;
/// assert_eq!(out, [0.5, 1.5, 2.5, 6.0]);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
///
/// # Errors
/// If `target` doesn't have the size of the warp, or the channels or the
/// layout of `source`.
pub fn warp<T: Element>(
    source: Pixels<'_, T>,
    target: PixelsMut<'_, T>,
    warp: &Warp,
) -> Result<(), AugmentError> {
    warp_with(source, target, warp, &mut Scratch::new())
}

/// [`warp`] with buffers from before.
pub(crate) fn warp_with<T: Element>(
    source: Pixels<'_, T>,
    mut target: PixelsMut<'_, T>,
    warp: &Warp,
    scratch: &mut Scratch,
) -> Result<(), AugmentError> {
    if target.size() != warp.size {
        return Err(AugmentError::BatchSize {
            operation: "warp",
            got: warp.size,
            expected: target.size(),
        });
    }
    check_target(&source, &target)?;
    run(source, target.data(), warp, &mut scratch.row);
    Ok(())
}

pub(super) fn check_target<T>(
    source: &Pixels<'_, T>,
    target: &PixelsMut<'_, T>,
) -> Result<(), AugmentError> {
    if (target.channels(), target.layout()) == (source.channels(), source.layout()) {
        return Ok(());
    }
    Err(AugmentError::Image {
        operation: "warp",
        got: format!("{} channels, {:?}", target.channels(), target.layout()),
        expected: format!("{} channels, {:?}", source.channels(), source.layout()),
    })
}

/// Source positions of the pixels of one row.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Index of the top left neighbour of each pixel that lies inside.
    offset: Vec<u32>,
    /// Weights of the right neighbour.
    right: Vec<f32>,
    /// Weights of the lower neighbour.
    lower: Vec<f32>,
    /// Points in fixed point, where they follow no line.
    pub(super) points: Vec<[i64; 2]>,
}

impl Row {
    /// Positions of pixels that lie inside, with all of their neighbours.
    fn set(&mut self, line: &Line, columns: std::ops::Range<usize>, width: usize) {
        let n = columns.len();
        self.offset.resize(n, 0);
        self.right.resize(n, 0.0);
        self.lower.resize(n, 0.0);
        let [start_x, start_y] = line.at(columns.start);
        let [step_x, step_y] = line.step;
        vectorised(
            #[inline(always)]
            || {
                let weights = self.right.iter_mut().zip(&mut self.lower);
                for (i, (offset, (right, lower))) in self.offset.iter_mut().zip(weights).enumerate()
                {
                    let (x, y) = (start_x + step_x * i as i64, start_y + step_y * i as i64);
                    *offset = (whole(y) as u32)
                        .wrapping_mul(width as u32)
                        .wrapping_add(whole(x) as u32);
                    *right = fraction(x);
                    *lower = fraction(y);
                }
            },
        );
    }

    /// The offset of pixels that don't lie inside with all of their neighbours.
    const OUTSIDE: u32 = u32::MAX;

    /// Positions of `points` in an image of that size.
    fn set_scattered(&mut self, size: Size) {
        let n = self.points.len();
        self.offset.resize(n, 0);
        self.right.resize(n, 0.0);
        self.lower.resize(n, 0.0);
        // The right and lower neighbours have to be inside, too.
        let (right, bottom) = (size.width as u32 - 1, size.height as u32 - 1);
        let width = size.width as u32;
        vectorised(
            #[inline(always)]
            || {
                let weights = self.right.iter_mut().zip(&mut self.lower);
                let places = self.offset.iter_mut().zip(weights);
                for ((offset, (tx, ty)), &[sx, sy]) in places.zip(&self.points) {
                    let (x, y) = (whole(sx) as u32, whole(sy) as u32);
                    let place = y.wrapping_mul(width).wrapping_add(x);
                    let inside = (x < right) & (y < bottom);
                    *offset = if inside { place } else { Self::OUTSIDE };
                    (*tx, *ty) = (fraction(sx), fraction(sy));
                }
            },
        );
    }

    fn all(&self) -> Places<'_> {
        self.part(0..self.offset.len())
    }

    fn part(&self, range: std::ops::Range<usize>) -> Places<'_> {
        Places {
            offset: &self.offset[range.clone()],
            right: &self.right[range.clone()],
            lower: &self.lower[range],
        }
    }

    pub(super) const fn new() -> Self {
        Self {
            offset: Vec::new(),
            right: Vec::new(),
            lower: Vec::new(),
            points: Vec::new(),
        }
    }
}

/// Source positions of neighbouring pixels: see [`Row`].
#[derive(Clone, Copy)]
struct Places<'a> {
    offset: &'a [u32],
    right: &'a [f32],
    lower: &'a [f32],
}

impl<'a> Places<'a> {
    /// The weights of each pixel.
    #[inline(always)]
    fn weights(self) -> impl Iterator<Item = [f32; 2]> + 'a {
        self.right.iter().zip(self.lower).map(|(x, y)| [*x, *y])
    }
}

/// Where a value of channel `c` at pixel `p` lies: `p * pixel + c * channel`.
#[derive(Clone, Copy)]
pub(super) struct Strides {
    pub(super) pixel: usize,
    pub(super) channel: usize,
}

impl Strides {
    fn of(layout: Layout, size: Size, channels: usize) -> Self {
        match layout {
            Layout::Hwc => Self {
                pixel: channels,
                channel: 1,
            },
            Layout::Chw => Self {
                pixel: 1,
                channel: size.area(),
            },
        }
    }
}

pub(super) fn run<T: Element>(source: Pixels<'_, T>, target: &mut [T], warp: &Warp, row: &mut Row) {
    let size = source.size();
    let job = Job::new(source, warp);
    if size.area() == 0 {
        job.fill(target);
    } else if let Some(map) = warp.matrix.as_pixel_map() {
        job.copy(target, map);
    } else {
        for y in 0..warp.size.height {
            job.row(target, y, row);
        }
    }
}

pub(super) struct Job<'a, T> {
    pub(super) source: Pixels<'a, T>,
    pub(super) warp: &'a Warp,
    pub(super) read: Strides,
    pub(super) write: Strides,
}

impl<'a, T: Element> Job<'a, T> {
    pub(super) fn new(source: Pixels<'a, T>, warp: &'a Warp) -> Self {
        Self {
            read: Strides::of(source.layout(), source.size(), source.channels()),
            write: Strides::of(source.layout(), warp.size, source.channels()),
            source,
            warp,
        }
    }

    pub(super) fn fill(&self, target: &mut [T]) {
        self.fill_pixels(target, 0..self.warp.size.area());
    }

    /// Copies whole pixels.
    fn copy(&self, target: &mut [T], map: [[i64; 3]; 2]) {
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

    fn row(&self, target: &mut [T], y: usize, row: &mut Row) {
        let width = self.warp.size.width;
        let Some(line) = Line::of_row(&self.warp.matrix, y, width) else {
            let Size {
                height,
                width: across,
            } = self.source.size();
            let (matrix, points) = (&self.warp.matrix, &mut row.points);
            if height.max(across) < NEAR {
                project(matrix, y, width, points, nearly_fixed);
            } else {
                project(matrix, y, width, points, fixed);
            }
            self.scattered(target, y * width, row);
            return;
        };
        let input = self.source.size();
        row.offset.clear();
        let (low, high) = match self.warp.interpolation {
            Interpolation::Nearest => {
                // Ties at the edge are left to the general way.
                let (a, b) = line.shifted(HALF - TIE).inside(input, width);
                let (c, d) = line.shifted(HALF + TIE).inside(input, width);
                let (low, high) = (a.max(c), b.min(d).max(a.max(c)));
                for x in low..high {
                    let [sx, sy] = line.at(x).map(nearest);
                    row.offset.push(sy as u32 * input.width as u32 + sx as u32);
                }
                self.nearest(target, y * width + low, row);
                (low, high)
            }
            Interpolation::Bilinear => {
                // The right and lower neighbours have to be inside, too.
                let limit = Size::new(input.height - 1, input.width - 1);
                let (low, high) = line.inside(limit, width);
                row.set(&line, low..high, input.width);
                self.bilinear(target, y * width + low, row.all());
                (low, high)
            }
            // All by the general way.
            Interpolation::Bicubic | Interpolation::CatmullRom => (0, 0),
        };
        let (mut start, mut end) = (0, width);
        if self.warp.interpolation == Interpolation::Bilinear && self.warp.border.is_constant() {
            // Nothing of the image is seen from more than a pixel away.
            let around = Size::new(input.height + 1, input.width + 1);
            (start, end) = line.shifted(ONE).inside(around, width);
            self.fill_pixels(target, y * width..y * width + start);
            self.fill_pixels(target, y * width + end..(y + 1) * width);
        }
        let columns = (start..low).chain(high.max(start)..end);
        self.edges(target, columns.map(|x| (y * width + x, line.at(x))));
    }

    /// Writes the constant of the border.
    fn fill_pixels(&self, target: &mut [T], pixels: std::ops::Range<usize>) {
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

    fn nearest(&self, target: &mut [T], first: usize, row: &Row) {
        let data = self.source.data();
        for channel in 0..self.source.channels() {
            let source = &data[channel * self.read.channel..];
            let target = &mut target[first * self.write.pixel + channel * self.write.channel..];
            for (i, &offset) in row.offset.iter().enumerate() {
                target[i * self.write.pixel] = source[offset as usize * self.read.pixel];
            }
        }
    }

    fn bilinear(&self, target: &mut [T], first: usize, row: Places<'_>) {
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

    /// Pixels that don't lie inside with all of their neighbours, at points.
    fn edges(&self, target: &mut [T], pixels: impl Iterator<Item = (usize, [i64; 2])>) {
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
    fn taps(&self, x: i64, y: i64) -> [Option<usize>; 4] {
        let Size { height, width } = self.source.size();
        let border = &self.warp.border;
        let (left, right) = (border.resolve(x, width), border.resolve(x + 1, width));
        let (top, low) = (border.resolve(y, height), border.resolve(y + 1, height));
        let at = |y: Option<usize>, x: Option<usize>| Some(y? * width + x?);
        [at(top, left), at(top, right), at(low, left), at(low, right)]
    }
}

/// Pixels of interleaved channels between others of which some are outside.
struct Edge<'a, T> {
    job: &'a Job<'a, T>,
    /// The first channels of the constant, if there is one.
    fill: Option<[T; 4]>,
}

impl<'a, T: Element> Edge<'a, T> {
    fn new(job: &'a Job<'a, T>) -> Self {
        let border = &job.warp.border;
        let fill = || std::array::from_fn(|channel| T::from_f32(border.fill(channel)));
        Self {
            job,
            fill: border.is_constant().then(fill),
        }
    }

    /// One pixel of `C` channels: what [`Job::outside`] does.
    #[inline(always)]
    fn pixel<const C: usize>(&self, target: &mut [T], pixel: usize, [sx, sy]: [i64; 2]) {
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

/// The source points of row `y` under a projective map.
#[inline(always)]
fn project(
    matrix: &Matrix,
    y: usize,
    width: usize,
    points: &mut Vec<[i64; 2]>,
    to_fixed: impl Fn(f64) -> i64,
) {
    let [rx, ry, rz] = matrix.rows();
    let y = y as f64;
    let start = [rx, ry, rz].map(|row| row[1] * y + row[2]);
    let step = [rx[0], ry[0], rz[0]];
    points.resize(width, [0; 2]);
    let points = points.as_mut_slice();
    vectorised(
        #[inline(always)]
        move || {
            for (x, point) in points.iter_mut().enumerate() {
                let x = f64::from(x as i32);
                // Infinity and what is no number end up outside of all images.
                let inverse = 1.0 / (start[2] + step[2] * x);
                *point = [
                    to_fixed((start[0] + step[0] * x) * inverse),
                    to_fixed((start[1] + step[1] * x) * inverse),
                ];
            }
        },
    );
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

/// Between `[top left, top right, bottom left, bottom right]`.
#[inline(always)]
fn lerp2([a, b, c, d]: [f32; 4], tx: f32, ty: f32) -> f32 {
    let top = a + tx * (b - a);
    let low = c + tx * (d - c);
    top + ty * (low - top)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resample(data: &[f32], size: Size, channels: usize, layout: Layout, by: &Warp) -> Vec<f32> {
        let mut out = vec![f32::NAN; by.size.area() * channels];
        warp(
            Pixels::new(data, size, channels, layout).unwrap(),
            PixelsMut::new(&mut out, by.size, channels, layout).unwrap(),
            by,
        )
        .unwrap();
        out
    }

    /// The definition, in f64, pixel by pixel.
    fn reference(data: &[f32], size: Size, by: &Warp) -> Vec<f64> {
        let at = |x: i64, y: i64| match (
            by.border.resolve(y, size.height),
            by.border.resolve(x, size.width),
        ) {
            (Some(y), Some(x)) => f64::from(data[y * size.width + x]),
            _ => f64::from(by.border.fill(0)),
        };
        (0..by.size.height)
            .flat_map(|y| (0..by.size.width).map(move |x| (x, y)))
            .map(|(x, y)| {
                let (x, y) = by.matrix.map(x as f64, y as f64).unwrap();
                let (left, top) = (x.floor(), y.floor());
                let (tx, ty) = (x - left, y - top);
                let (x, y) = (left as i64, top as i64);
                let upper = at(x, y) * (1.0 - tx) + at(x + 1, y) * tx;
                let lower = at(x, y + 1) * (1.0 - tx) + at(x + 1, y + 1) * tx;
                upper * (1.0 - ty) + lower * ty
            })
            .collect()
    }

    fn border() -> impl Strategy<Value = Border> {
        prop_oneof![
            Just(Border::Constant(vec![0.25])),
            Just(Border::Replicate),
            Just(Border::Symmetric),
            Just(Border::Reflect),
            Just(Border::Wrap),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            border in border(), turns in -1.0..1.0_f64, zoom in 0.3..3.0_f64,
            dx in -20.0..20.0_f64, dy in -20.0..20.0_f64, perspective in -1e-3..1e-3_f64,
            height in 1_usize..12, width in 1_usize..12,
        ) {
            let size = Size::new(height, width);
            let data: Vec<f32> = (0..size.area()).map(|i| (i * 37 % 64) as f32 / 64.0).collect();
            let by = Warp {
                matrix: Matrix::from([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [perspective, 0.0, 1.0]])
                    .compose(Matrix::translation(dx, dy))
                    .compose(Matrix::rotation(turns))
                    .compose(Matrix::scale(zoom, 1.0)),
                size: Size::new(9, 14),
                interpolation: Interpolation::Bilinear,
                border,
            };
            let expected = reference(&data, size, &by);
            for (got, expected) in resample(&data, size, 1, Layout::Chw, &by).iter().zip(expected) {
                prop_assert!((f64::from(*got) - expected).abs() < 1e-6, "{got} {expected}");
            }
        }

        #[test]
        fn layouts_agree_bit_for_bit(
            border in border(), turns in -1.0..1.0_f64, channels in 1_usize..6, nearest: bool,
        ) {
            let size = Size::new(7, 5);
            let by = Warp {
                matrix: Matrix::rotation(turns).about((2.0, 3.5)),
                size: Size::new(8, 6),
                interpolation: if nearest { Interpolation::Nearest } else { Interpolation::Bilinear },
                border,
            };
            let planes: Vec<f32> =
                (0..size.area() * channels).map(|i| (i * 29 % 97) as f32).collect();
            let interleave = |planes: &[f32], size: Size| -> Vec<f32> {
                (0..planes.len())
                    .map(|i| planes[i % channels * size.area() + i / channels])
                    .collect()
            };
            let chw = resample(&planes, size, channels, Layout::Chw, &by);
            let hwc = resample(&interleave(&planes, size), size, channels, Layout::Hwc, &by);
            prop_assert_eq!(interleave(&chw, by.size), hwc);
        }
    }

    #[test]
    fn pixel_maps_copy_bits() {
        let size = Size::new(3, 4);
        let mut data: Vec<f32> = (0..12).map(|i| i as f32).collect();
        data[5] = f32::INFINITY;
        data[6] = -0.0;
        let flip = Warp::exact(Matrix::horizontal_flip(size), size);
        let out = resample(&data, size, 1, Layout::Chw, &flip);
        let expected: Vec<u32> = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8]
            .map(|i: usize| data[i].to_bits())
            .to_vec();
        assert_eq!(
            out.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn whole_steps_show_the_border() {
        let size = Size::new(1, 4);
        for (border, expected) in [
            (Border::Constant(vec![9.0]), [9.0, 9.0, 0.0, 1.0]),
            (Border::ConstantHard(vec![9.0]), [9.0, 9.0, 0.0, 1.0]),
            (Border::Replicate, [0.0, 0.0, 0.0, 1.0]),
            (Border::Symmetric, [1.0, 0.0, 0.0, 1.0]),
            (Border::Reflect, [2.0, 1.0, 0.0, 1.0]),
            (Border::Wrap, [2.0, 3.0, 0.0, 1.0]),
        ] {
            let right = Warp {
                matrix: Matrix::translation(-2.0, 0.0),
                size,
                interpolation: Interpolation::Bilinear,
                border,
            };
            let out = resample(&[0.0, 1.0, 2.0, 3.0], size, 1, Layout::Chw, &right);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_hard_border_does_not_blend() {
        let size = Size::new(1, 3);
        let mut by = Warp {
            matrix: Matrix::translation(-0.4, 0.0),
            size,
            interpolation: Interpolation::Bilinear,
            border: Border::ConstantHard(vec![9.0]),
        };
        let near = resample(&[1.0, 2.0, 3.0], size, 1, Layout::Chw, &by);
        assert_eq!(near[0], 1.0);
        by.matrix = Matrix::translation(-0.6, 0.0);
        let far = resample(&[1.0, 2.0, 3.0], size, 1, Layout::Chw, &by);
        assert_eq!(far[0], 9.0);
        assert!((far[1] - 1.4).abs() < 1e-6);
    }

    #[test]
    fn bytes_are_rounded() {
        let size = Size::new(1, 3);
        let by = Warp {
            matrix: Matrix::translation(0.25, 0.0),
            size: Size::new(1, 2),
            interpolation: Interpolation::Bilinear,
            border: Border::Replicate,
        };
        let mut out = [0_u8; 2];
        warp(
            Pixels::new(&[0, 10, 255], size, 1, Layout::Hwc).unwrap(),
            PixelsMut::new(&mut out, by.size, 1, Layout::Hwc).unwrap(),
            &by,
        )
        .unwrap();
        assert_eq!(out, [2, 71]);
    }

    #[test]
    fn an_empty_source_shows_the_fill_and_a_wrong_target_is_refused() {
        let by = Warp {
            matrix: Matrix::IDENTITY,
            size: Size::new(1, 2),
            interpolation: Interpolation::Nearest,
            border: Border::Constant(vec![4.0]),
        };
        assert_eq!(
            resample(&[], Size::new(0, 5), 1, Layout::Chw, &by),
            [4.0, 4.0]
        );
        let error = warp(
            Pixels::new(&[0.0_f32], Size::new(1, 1), 1, Layout::Chw).unwrap(),
            PixelsMut::new(&mut [0.0_f32], Size::new(1, 1), 1, Layout::Chw).unwrap(),
            &by,
        )
        .unwrap_err();
        assert!(
            error.to_string().contains("1x2 (height x width)"),
            "{error}"
        );
    }
}
