//! Changing the size of an image, one direction after the other.

use super::Scratch;
use super::filter::weigh;
use super::pixels::{Element, Layout, Pixels, PixelsMut};
use super::simd::vectorised;
use crate::{AugmentError, Region};
use serde::{Deserialize, Serialize};

/// How the pixels of a resized image are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeFilter {
    /// The pixel at `floor(i * scale)`: torch's and OpenCV's nearest.
    Nearest,
    /// The pixel at `floor((i + 1/2) * scale)`: Keras' nearest, torch's
    /// nearest-exact. Unlike [`ResizeFilter::Nearest`], it doesn't shift the
    /// content.
    NearestExact,
    /// The mean of the pixels whose centres a pixel covers (box filter):
    /// Pillow's box.
    Area,
    /// The mean of what a pixel covers, parts of pixels included; linear in
    /// between if a side grows: OpenCV's area.
    Coverage,
    /// Linear between neighbours (triangle filter).
    #[default]
    Bilinear,
    /// Cubic convolution (Keys 1981), with `a = -1/2` if smoothed and
    /// `a = -3/4` if not, as in torch.
    Bicubic,
    /// Windowed sinc with three lobes: Pillow, Keras.
    Lanczos3,
    /// Windowed sinc with four lobes: OpenCV.
    Lanczos4,
    /// Windowed sinc with five lobes: Keras.
    Lanczos5,
}

impl ResizeFilter {
    /// Reach to either side, in pixels of the coarser grid.
    const fn support(self) -> f64 {
        match self {
            Self::Nearest | Self::NearestExact | Self::Area | Self::Coverage => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos3 => 3.0,
            Self::Lanczos4 => 4.0,
            Self::Lanczos5 => 5.0,
        }
    }

    fn weight(self, x: f64, smooth: bool) -> f64 {
        let x = x.abs();
        match self {
            Self::Nearest | Self::NearestExact => 1.0,
            Self::Area if x <= 0.5 => 1.0,
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic => {
                let a = if smooth { -0.5 } else { -0.75 };
                if x < 1.0 {
                    ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * a
                } else {
                    0.0
                }
            }
            Self::Lanczos3 | Self::Lanczos4 | Self::Lanczos5 if x < self.support() => {
                sinc(x) * sinc(x / self.support())
            }
            _ => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let (sin, _) = crate::geometry::sin_cos(x / 2.0);
    sin / (x * std::f64::consts::PI)
}

/// Writes the `region` of `source` into `target`, resized to fit.
///
/// With `antialias` the filter is as wide as the output pixels where the image
/// shrinks (Pillow, torchvision); without, it always spans the neighbours in
/// the source (Keras, OpenCV), which is cheaper and shows patterns that are
/// not there. Nearest neighbours are never smoothed. Bytes are rounded
/// half up and clipped after each direction, columns first, as in Pillow and torch.
///
/// # Errors
/// If the region is empty or reaches outside, or `target` has other channels
/// or another layout.
///
/// ```
/// use firecraft_augment::kernel::{Layout, Pixels, PixelsMut, ResizeFilter, resize};
/// use firecraft_augment::{Region, Size};
/// let row = [0.0, 1.0, 2.0, 9.0_f32];
/// let mut out = [0.0; 2];
/// resize(
///     Pixels::new(&row, Size::new(1, 4), 1, Layout::Chw)?,
///     Region::all(Size::new(1, 4)),
///     PixelsMut::new(&mut out, Size::new(1, 2), 1, Layout::Chw)?,
///     ResizeFilter::Area,
///     true,
/// )?;
/// assert_eq!(out, [0.5, 5.5]);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
pub fn resize<T: Element>(
    source: Pixels<'_, T>,
    region: Region,
    target: PixelsMut<'_, T>,
    filter: ResizeFilter,
    antialias: bool,
) -> Result<(), AugmentError> {
    let style = ResizeStyle {
        filter,
        antialias,
        flipped: (false, false),
    };
    resize_with(source, region, target, style, &mut Scratch::new())
}

/// How [`resize_with`] resizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResizeStyle {
    pub(crate) filter: ResizeFilter,
    pub(crate) antialias: bool,
    /// Whether left and right, and top and bottom, change places.
    pub(crate) flipped: (bool, bool),
}

/// [`resize`] with buffers from before.
pub(crate) fn resize_with<T: Element>(
    source: Pixels<'_, T>,
    region: Region,
    mut target: PixelsMut<'_, T>,
    style: ResizeStyle,
    scratch: &mut Scratch,
) -> Result<(), AugmentError> {
    if !region.is_inside(source.size()) {
        return Err(AugmentError::Image {
            operation: "resize",
            got: format!("an image of {}", source.size()),
            expected: format!("one that holds the region {region}"),
        });
    }
    if (target.channels(), target.layout()) != (source.channels(), source.layout()) {
        return Err(AugmentError::Image {
            operation: "resize",
            got: format!("{} channels, {:?}", target.channels(), target.layout()),
            expected: format!("{} channels, {:?}", source.channels(), source.layout()),
        });
    }
    let size = target.size();
    let (width, channels) = (source.size().width, source.channels());
    let mut taps = std::mem::take(&mut scratch.taps);
    let [columns, rows] = &mut taps;
    let (from, to) = (region.size, size);
    let weights = match style.filter {
        ResizeFilter::Coverage => Weights::Coverage {
            grows: to.width > from.width || to.height > from.height,
        },
        other => Weights::Filter(other),
    };
    columns.set(region.left, from.width, to.width, weights, style.antialias);
    rows.set(region.top, from.height, to.height, weights, style.antialias);
    if style.flipped.0 {
        columns.spans.reverse();
    }
    if style.flipped.1 {
        rows.spans.reverse();
    }
    let out = target.data();
    match source.layout() {
        Layout::Hwc => separable(
            (source.data(), width, channels),
            [columns, rows],
            out,
            scratch,
        ),
        Layout::Chw => {
            let (from, to) = (source.size().area(), size.area());
            for c in 0..channels {
                let plane = &source.data()[c * from..(c + 1) * from];
                let out = &mut out[c * to..(c + 1) * to];
                separable((plane, width, 1), [columns, rows], out, scratch);
            }
        }
    }
    scratch.taps = taps;
    Ok(())
}

/// Where the weights of the source pixels come from.
#[derive(Clone, Copy)]
enum Weights {
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
pub(super) struct Taps {
    spans: Vec<Span>,
    weights: Vec<f32>,
}

impl Taps {
    pub(super) const fn empty() -> Self {
        Self {
            spans: Vec::new(),
            weights: Vec::new(),
        }
    }

    /// For `to` pixels made of the `from` pixels from `offset` on.
    fn set(&mut self, offset: usize, from: usize, to: usize, weights: Weights, antialias: bool) {
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
        let first = self.weights.len();
        self.weights.resize(first + inside(high) - start + 1, 0.0);
        let weight = |j: i64| filter.weight(j as f64 - point, false);
        let sum: f64 = (low..=high).map(weight).sum();
        for j in low..=high {
            self.weights[first + inside(j) - start] += (weight(j) / sum) as f32;
        }
        start
    }

    fn of(&self, i: usize) -> (usize, &[f32]) {
        let (start, range) = &self.spans[i];
        (*start, &self.weights[range.clone()])
    }

    /// The source pixels that any output pixel needs.
    fn range(&self) -> std::ops::Range<usize> {
        let start = self.spans.iter().map(|(start, _)| *start).min();
        let end = self
            .spans
            .iter()
            .map(|(start, range)| start + range.len())
            .max();
        start.unwrap_or(0)..end.unwrap_or(0)
    }
}

/// Across, then down. The source has rows of `width` pixels.
fn separable<T: Element>(
    (source, width, channels): (&[T], usize, usize),
    [columns, rows]: [&Taps; 2],
    target: &mut [T],
    scratch: &mut Scratch,
) {
    let across = columns.spans.len() * channels;
    if across == 0 {
        return;
    }
    let needed = rows.range();
    let mut between: Vec<T> = scratch.take(needed.len() * across);
    let lines = between.chunks_exact_mut(across);
    let pixels = columns.range();
    let mut wide: Vec<f32> = scratch.take(4 * pixels.len());
    for (y, line) in needed.clone().zip(lines) {
        // One pixel more, if there is one: vectors read beyond the last.
        let row = &source[(y * width + pixels.start) * channels..];
        let row = &row[..row.len().min((pixels.len() + 1) * channels)];
        match channels {
            1 => line_across::<T, 1>(row, pixels.start, columns, &mut wide, line),
            3 => line_across::<T, 3>(row, pixels.start, columns, &mut wide, line),
            4 => line_across::<T, 4>(row, pixels.start, columns, &mut wide, line),
            _ => any_across(row, channels, pixels.start, columns, line, 0),
        }
    }
    let mut sum: Vec<f32> = scratch.take(across);
    for (y, out) in target.chunks_exact_mut(across).enumerate() {
        let (start, weights) = rows.of(y);
        let line = |j: usize| &between[(start + j - needed.start) * across..];
        weigh(weights, line, &mut sum);
        vectorised(
            #[inline(always)]
            || {
                for (out, sum) in out.iter_mut().zip(&sum) {
                    *out = T::from_f32_half_up(*sum);
                }
            },
        );
    }
    scratch.give(sum);
    scratch.give(wide);
    scratch.give(between);
}

/// One line of pixels of `C` channels, of which `row` has those from `first`
/// on.
fn line_across<T: Element, const C: usize>(
    row: &[T],
    first: usize,
    columns: &Taps,
    wide: &mut [f32],
    line: &mut [T],
) {
    let done = if C == 3 {
        T::weighted_rgb(row, first, (&columns.spans, &columns.weights), line)
    } else {
        0
    };
    if done > 0 {
        any_across(row, C, first, columns, line, done);
        return;
    }
    // Every pixel gets four channels: one register, whose sums are taken at
    // once.
    let wide = wide.as_chunks_mut::<4>().0;
    vectorised(
        #[inline(always)]
        || {
            for (wide, pixel) in wide.iter_mut().zip(row.as_chunks::<C>().0) {
                let at = |c: usize| if c < C { pixel[c].to_f32() } else { 0.0 };
                *wide = [at(0), at(1), at(2), at(3)];
            }
            for (i, (start, range)) in columns.spans.iter().enumerate() {
                let weights = &columns.weights[range.clone()];
                let pixels = &wide[start - first..][..weights.len()];
                let sum = match (pixels, weights) {
                    ([p, q], [v, w]) => sum4(scaled4(p, *v), scaled4(q, *w)),
                    ([p, q, r], [v, w, x]) => {
                        sum4(sum4(scaled4(p, *v), scaled4(q, *w)), scaled4(r, *x))
                    }
                    _ => pixels
                        .iter()
                        .zip(weights)
                        .fold([0.0; 4], |sum, (pixel, w)| sum4(sum, scaled4(pixel, *w))),
                };
                // The next pixel overwrites what is too much.
                let out = &mut line[i * C..];
                match out.first_chunk_mut::<4>() {
                    Some(out) => {
                        for (out, sum) in out.iter_mut().zip(sum) {
                            *out = T::from_f32_half_up(sum);
                        }
                    }
                    None => {
                        for (out, sum) in out[..C].iter_mut().zip(sum) {
                            *out = T::from_f32_half_up(sum);
                        }
                    }
                }
            }
        },
    );
}

#[inline(always)]
fn scaled4(pixel: &[f32; 4], weight: f32) -> [f32; 4] {
    let [a, b, c, d] = *pixel;
    [a * weight, b * weight, c * weight, d * weight]
}

#[inline(always)]
fn sum4(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
}

/// [`line_across`] for any number of channels, from pixel number `from` on.
fn any_across<T: Element>(
    row: &[T],
    channels: usize,
    first: usize,
    columns: &Taps,
    line: &mut [T],
    from: usize,
) {
    for (x, out) in line.chunks_exact_mut(channels).enumerate().skip(from) {
        let (start, weights) = columns.of(x);
        for (c, out) in out.iter_mut().enumerate() {
            let pixels = row[(start - first) * channels + c..]
                .iter()
                .step_by(channels);
            let sum = pixels.zip(weights).map(|(v, weight)| weight * v.to_f32());
            *out = T::from_f32_half_up(sum.sum());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;
    use proptest::prelude::*;

    const ALL: [ResizeFilter; 6] = [
        ResizeFilter::Nearest,
        ResizeFilter::NearestExact,
        ResizeFilter::Area,
        ResizeFilter::Bilinear,
        ResizeFilter::Bicubic,
        ResizeFilter::Lanczos3,
    ];

    fn run(
        data: &[f32],
        size: Size,
        region: Region,
        to: Size,
        channels: usize,
        layout: Layout,
        filter: (ResizeFilter, bool),
    ) -> Vec<f32> {
        let mut out = vec![f32::NAN; to.area() * channels];
        resize(
            Pixels::new(data, size, channels, layout).unwrap(),
            region,
            PixelsMut::new(&mut out, to, channels, layout).unwrap(),
            filter.0,
            filter.1,
        )
        .unwrap();
        out
    }

    proptest! {
        #[test]
        fn one_colour_stays(
            height in 1_usize..20, width in 1_usize..20, to_h in 1_usize..20, to_w in 1_usize..20,
            antialias: bool,
        ) {
            let (size, to) = (Size::new(height, width), Size::new(to_h, to_w));
            for filter in ALL {
                let data = vec![0.7; size.area()];
                let filter = (filter, antialias);
                let out = run(&data, size, Region::all(size), to, 1, Layout::Hwc, filter);
                prop_assert!(out.iter().all(|v| (v - 0.7).abs() < 1e-5), "{filter:?} {out:?}");
            }
        }

        #[test]
        fn a_region_is_the_crop_resized(
            top in 0_usize..5, left in 0_usize..5, antialias: bool, channels in 1_usize..6,
        ) {
            let size = Size::new(11, 9);
            let region = Region { top, left, size: Size::new(6, 4) };
            let data: Vec<f32> =
                (0..size.area() * channels).map(|i| (i * 37 % 101) as f32).collect();
            let crop: Vec<f32> = (0..6)
                .flat_map(|y| ((top + y) * 9 + left) * channels..((top + y) * 9 + left + 4) * channels)
                .map(|i| data[i])
                .collect();
            for filter in ALL {
                let (filter, to) = ((filter, antialias), Size::new(5, 7));
                let whole = run(&data, size, region, to, channels, Layout::Hwc, filter);
                let all = Region::all(region.size);
                let part = run(&crop, region.size, all, to, channels, Layout::Hwc, filter);
                prop_assert_eq!(whole, part);
            }
        }
    }

    #[test]
    fn the_same_size_is_the_same_image() {
        let size = Size::new(5, 4);
        let data: Vec<f32> = (0..20).map(|i| i as f32).collect();
        for filter in ALL {
            for antialias in [false, true] {
                let all = Region::all(size);
                let out = run(&data, size, all, size, 1, Layout::Chw, (filter, antialias));
                for (a, b) in out.iter().zip(&data) {
                    assert!((a - b).abs() < 1e-4, "{filter:?}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn layouts_agree() {
        let (size, to) = (Size::new(6, 5), Size::new(4, 8));
        let planes: Vec<f32> = (0..90).map(|i| (i * 31 % 89) as f32).collect();
        let pixels: Vec<f32> = (0..90).map(|i| planes[i % 3 * 30 + i / 3]).collect();
        let filter = (ResizeFilter::Bicubic, true);
        let chw = run(&planes, size, Region::all(size), to, 3, Layout::Chw, filter);
        let hwc = run(&pixels, size, Region::all(size), to, 3, Layout::Hwc, filter);
        for i in 0..96 {
            assert_eq!(hwc[i], chw[i % 3 * 32 + i / 3]);
        }
    }

    #[test]
    fn a_region_outside_is_refused() {
        let mut out = [0_u8; 1];
        let error = resize(
            Pixels::new(&[0_u8; 4], Size::new(2, 2), 1, Layout::Hwc).unwrap(),
            Region {
                top: 1,
                left: 0,
                size: Size::new(2, 1),
            },
            PixelsMut::new(&mut out, Size::new(1, 1), 1, Layout::Hwc).unwrap(),
            ResizeFilter::Bilinear,
            true,
        )
        .unwrap_err();
        assert!(
            error.to_string().contains("2x1 (height x width) at row 1"),
            "{error}"
        );
    }
}
