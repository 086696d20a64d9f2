//! Resampling an image through a [`Warp`].

use super::Scratch;
use super::fixed::{HALF, Line, NEAR, ONE, TIE, fixed, nearest, nearly_fixed};
use super::pixels::{Element, Layout, Pixels, PixelsMut};
use super::row::{Row, project};
use crate::{AugmentError, Interpolation, Size, Warp};

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Border, Matrix};
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
