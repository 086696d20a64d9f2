//! Plans as tensor operations, for devices whose memory is not ours and for
//! gradients: warps here, changes of colour in `colour`.
//!
//! Positions are computed on the device from a matrix per sample, then each
//! neighbour is gathered. burn's `grid_sample_2d` would do for one border and
//! one interpolation, and panics for `Nearest` on CubeCL.

use super::colour;
use crate::change::Change;
use crate::{Border, Interpolation, Matrix, Plan, Size, Warp};
use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use std::collections::VecDeque;

/// What tensor operations can do to one sample.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Resample.
    Warp(Warp),
    /// Change the values.
    Change(Change),
}

impl Work {
    const fn as_warp(&self) -> Option<&Warp> {
        match self {
            Self::Warp(warp) => Some(warp),
            Self::Change(_) => None,
        }
    }
}

/// The steps of a plan as work; `None` if one can't be done this way.
pub(super) fn works(plan: &Plan, channels: usize) -> Option<VecDeque<Work>> {
    let work = |step: &crate::Step| match step.as_warp() {
        Some(warp) => Some(Work::Warp(warp.clone())),
        None => step.as_apply().on_numbers(channels).map(Work::Change),
    };
    let mut works: VecDeque<Work> = plan.steps.iter().map(work).collect::<Option<_>>()?;
    works.retain(|work| !matches!(work, Work::Change(Change::Nothing)));
    Some(works)
}

/// Does what there is to do for each sample, in order.
///
/// A pass over the batch does one kind of thing for all samples, with numbers
/// of their own: it resamples in one way, or changes colours in one way. Samples
/// whose next step is of another kind wait.
pub(super) fn run(images: Tensor<4>, mut works: Vec<VecDeque<Work>>) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    let mut sizes = vec![Size::new(height, width); works.len()];
    let mut images = images;
    loop {
        if let Some(style) = next_style(&works, &sizes) {
            let matrices: Vec<Matrix> = works
                .iter_mut()
                .zip(&mut sizes)
                .map(
                    |(works, size)| match works.front().and_then(Work::as_warp) {
                        Some(warp) if warp.is_exact(*size) || style.is_of(warp) => {
                            let matrix = warp.matrix;
                            *size = warp.size;
                            works.pop_front();
                            matrix
                        }
                        _ => Matrix::IDENTITY,
                    },
                )
                .collect();
            images = pass(images, &matrices, &style);
        } else if let Some(kind) = works.iter().find_map(next_kind) {
            let changes: Vec<Option<Change>> = works
                .iter_mut()
                .map(|works| {
                    if next_kind(works) != Some(kind) {
                        return None;
                    }
                    match works.pop_front() {
                        Some(Work::Change(change)) => Some(change),
                        _ => None,
                    }
                })
                .collect();
            images = colour::pass(images, &changes);
        } else {
            return images;
        }
    }
}

/// The kind of the change that comes next, if one does.
fn next_kind(works: &VecDeque<Work>) -> Option<std::mem::Discriminant<Change>> {
    match works.front()? {
        Work::Change(change) => Some(std::mem::discriminant(change)),
        Work::Warp(_) => None,
    }
}

#[derive(Clone, Debug)]
struct Style {
    interpolation: Interpolation,
    border: Border,
}

impl Style {
    fn is_of(&self, warp: &Warp) -> bool {
        self.interpolation == warp.interpolation && self.border == warp.border
    }
}

/// How the next pass reads, `None` when no warp comes next. Warps that only
/// rearrange pixels go along with any.
fn next_style(works: &[VecDeque<Work>], sizes: &[Size]) -> Option<Style> {
    let heads = || {
        works
            .iter()
            .zip(sizes)
            .filter_map(|(works, size)| Some((works.front()?.as_warp()?, *size)))
    };
    let style = |warp: &Warp| Style {
        interpolation: warp.interpolation,
        border: warp.border.clone(),
    };
    heads()
        .find(|(warp, size)| !warp.is_exact(*size))
        .or_else(|| heads().next())
        .map(|(warp, _)| style(warp))
}

/// Coordinates stay where `f32` holds whole numbers and halves.
const REACH: f32 = 4_000_000.0;

fn pass(images: Tensor<4>, matrices: &[Matrix], style: &Style) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    let device = images.device();
    let [x, y] = positions(matrices, Size::new(height, width), &device);
    let source = Source {
        planes: images.clone().reshape([batch, channels, height * width]),
        size: Size::new(height, width),
        border: &style.border,
        fill: fill(&style.border, channels, images.dtype(), &device),
    };
    let values = match style.interpolation {
        Interpolation::Nearest => {
            let (x, y) = (x.round(), y.round());
            source.tap(x, y, source.fill.clone()).value
        }
        Interpolation::Bilinear => source.bilinear(x, y),
        cubic => source.cubic(x, y, cubic.cubic().unwrap_or(-0.75)),
    };
    values.reshape([batch, channels, height, width])
}

/// The source `x` and `y` of every pixel, `[batch, 1, height * width]` each.
fn positions(matrices: &[Matrix], size: Size, device: &Device) -> [Tensor<3>; 2] {
    let options = || (device, DType::F32);
    let entry = |row: usize, column: usize| {
        let values: Vec<f32> = matrices
            .iter()
            .map(|matrix| matrix.rows()[row][column] as f32)
            .collect();
        Tensor::<3>::from_data(TensorData::new(values, [matrices.len(), 1, 1]), options())
    };
    let count = |n: usize| (0..n).map(|i| i as f32).collect::<Vec<_>>();
    let x = Tensor::<3>::from_data(
        TensorData::new(count(size.width), [1, 1, size.width]),
        options(),
    );
    let y = Tensor::<3>::from_data(
        TensorData::new(count(size.height), [1, size.height, 1]),
        options(),
    );
    let linear =
        |row: usize| entry(row, 0) * x.clone() + (entry(row, 1) * y.clone() + entry(row, 2));
    let mut axes = [linear(0), linear(1)];
    if !matrices.iter().all(|matrix| matrix.is_affine()) {
        let depth = linear(2);
        axes = axes.map(|axis| axis / depth.clone());
    }
    axes.map(|axis| {
        axis.clamp(-REACH, REACH)
            .reshape([matrices.len(), 1, size.area()])
    })
}

/// The fill as `[1, channels, 1]`; `None` for borders without one.
fn fill(border: &Border, channels: usize, dtype: DType, device: &Device) -> Option<Tensor<3>> {
    border.is_constant().then(|| {
        let values: Vec<f32> = (0..channels).map(|c| border.fill(c)).collect();
        Tensor::from_data(TensorData::new(values, [1, channels, 1]), (device, dtype))
    })
}

struct Source<'a> {
    planes: Tensor<3>,
    size: Size,
    border: &'a Border,
    fill: Option<Tensor<3>>,
}

/// Values at one neighbour of every output pixel.
struct Tap {
    /// `[batch, channels, pixels]`, the fill included.
    value: Tensor<3>,
    /// 1 inside and 0 outside, `[batch, 1, pixels]`, if there is a fill.
    inside: Option<Tensor<3>>,
}

impl Source<'_> {
    fn bilinear(&self, x: Tensor<3>, y: Tensor<3>) -> Tensor<3> {
        let dtype = self.planes.dtype();
        let (left, top) = (x.clone().floor(), y.clone().floor());
        let outside = match self.border {
            Border::ConstantTwice(_) => self.fill.as_ref().map(Tensor::zeros_like),
            Border::ConstantHard(_) => None,
            _ => self.fill.clone(),
        };
        let (rows, columns) = (self.size.height, self.size.width);
        let cut = matches!(self.border, Border::ConstantHard(_)).then(|| {
            inside(&(x.clone() + 0.5).floor(), columns)
                .bool_and(inside(&(y.clone() + 0.5).floor(), rows))
        });
        let tx = cast(x - left.clone(), dtype);
        let ty = cast(y - top.clone(), dtype);
        let taps = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
            .map(|(dx, dy)| self.tap(left.clone() + dx, top.clone() + dy, outside.clone()));
        let inside = taps.each_ref().map(|tap| tap.inside.clone());
        let value = lerp2(taps.map(|tap| tap.value), &tx, &ty);
        let shape = value.dims();
        if let (Some(cut), Some(fill)) = (cut, &self.fill) {
            return fill
                .clone()
                .expand(shape)
                .mask_where(cut.expand(shape), value);
        }
        match (self.border, &self.fill, inside) {
            (Border::ConstantTwice(_), Some(fill), [Some(a), Some(b), Some(c), Some(d)]) => {
                let inside = lerp2([a, b, c, d], &tx, &ty);
                // The taps hold 0 outside, so `value` is the sum inside.
                value * inside.clone() + (-inside + 1.0) * fill.clone()
            }
            _ => value,
        }
    }

    /// Cubic convolution with that parameter.
    fn cubic(&self, x: Tensor<3>, y: Tensor<3>, a: f32) -> Tensor<3> {
        let dtype = self.planes.dtype();
        let (left, top) = (x.clone().floor(), y.clone().floor());
        let weights = |t: Tensor<3>| {
            let near =
                |x: Tensor<3>| (x.clone() * (a + 2.0) - (a + 3.0)) * x.clone().powi_scalar(2) + 1.0;
            let far =
                |x: Tensor<3>| ((x.clone() * a - 5.0 * a) * x.clone() + 8.0 * a) * x - 4.0 * a;
            let t = cast(t, dtype);
            [
                far(t.clone() + 1.0),
                near(t.clone()),
                near(-t.clone() + 1.0),
                far(-t + 2.0),
            ]
        };
        let hard = matches!(self.border, Border::ConstantHard(_));
        let twice = matches!(self.border, Border::ConstantTwice(_));
        let outside = match self.border {
            _ if hard => None,
            _ if twice => self.fill.as_ref().map(Tensor::zeros_like),
            _ => self.fill.clone(),
        };
        let across = weights(x.clone() - left.clone());
        let down = weights(y.clone() - top.clone());
        let (mut value, mut weight): (Option<Tensor<3>>, Option<Tensor<3>>) = (None, None);
        let add = |sum: &mut Option<Tensor<3>>, term: Tensor<3>| {
            *sum = Some(match sum.take() {
                Some(sum) => sum + term,
                None => term,
            });
        };
        for (j, down) in down.iter().enumerate() {
            for (i, across) in across.iter().enumerate() {
                let (dx, dy) = (i as f32 - 1.0, j as f32 - 1.0);
                let tap = self.tap(left.clone() + dx, top.clone() + dy, outside.clone());
                let share = across.clone() * down.clone();
                add(&mut value, tap.value * share.clone());
                if let (true, Some(inside)) = (twice, tap.inside) {
                    add(&mut weight, inside * share);
                }
            }
        }
        let value = value.unwrap_or_else(|| self.planes.clone());
        match (&self.fill, weight) {
            (Some(fill), Some(inside)) => value * inside.clone() + (-inside + 1.0) * fill.clone(),
            (Some(fill), None) if hard => {
                let cut = inside(&(x + 0.5).floor(), self.size.width)
                    .bool_and(inside(&(y + 0.5).floor(), self.size.height));
                let shape = value.dims();
                let fill = fill.clone().expand(shape);
                fill.mask_where(cut.expand(shape), value)
            }
            _ => value,
        }
    }

    /// The pixels at whole positions, and `outside` where there is none.
    fn tap(&self, x: Tensor<3>, y: Tensor<3>, outside: Option<Tensor<3>>) -> Tap {
        let dtype = self.planes.dtype();
        let [batch, channels, _] = self.planes.dims();
        let Size { height, width } = self.size;
        let inside = outside
            .is_some()
            .then(|| inside(&x, width).bool_and(inside(&y, height)));
        let x = fold(x, width, self.border);
        let y = fold(y, height, self.border);
        let index: Tensor<3, Int> = y.int() * width as i64 + x.int();
        let pixels = index.dims()[2];
        let value = self
            .planes
            .clone()
            .gather(2, index.expand([batch, channels, pixels]));
        let (Some(inside), Some(outside)) = (inside, outside) else {
            return Tap {
                value,
                inside: None,
            };
        };
        let mask = inside.clone().expand([batch, channels, pixels]);
        let value = outside
            .expand([batch, channels, pixels])
            .mask_where(mask, value);
        Tap {
            value,
            inside: Some(cast(inside.float(), dtype)),
        }
    }
}

/// Whether whole positions are in `0..n`.
fn inside(axis: &Tensor<3>, n: usize) -> Tensor<3, Bool> {
    let low = axis.clone().greater_equal_elem(0.0);
    low.bool_and(axis.clone().lower_elem(n as f32))
}

/// Whole positions folded into `0..n`; those under a fill are clamped.
fn fold(axis: Tensor<3>, n: usize, border: &Border) -> Tensor<3> {
    let last = n as f32 - 1.0;
    // `i - n floor((i + 1/2) / n)` is safe against a quotient that rounds up.
    let remainder = |axis: Tensor<3>, n: f32| {
        let times = ((axis.clone() + 0.5) / n).floor();
        axis - times * n
    };
    let folded = match border {
        Border::Constant(_)
        | Border::ConstantTwice(_)
        | Border::ConstantHard(_)
        | Border::Replicate => axis,
        Border::Wrap => remainder(axis, n as f32),
        Border::Symmetric => {
            let period = 2.0 * n as f32;
            let axis = remainder(axis, period);
            axis.clone().min_pair(-axis + (period - 1.0))
        }
        Border::Reflect if n == 1 => axis * 0.0,
        Border::Reflect => {
            let period = 2.0 * last;
            let axis = remainder(axis, period);
            axis.clone().min_pair(-axis + period)
        }
    };
    folded.clamp(0.0, last)
}

fn lerp2([a, b, c, d]: [Tensor<3>; 4], tx: &Tensor<3>, ty: &Tensor<3>) -> Tensor<3> {
    let top = a.clone() + (b - a) * tx.clone();
    let low = c.clone() + (d - c) * tx.clone();
    top.clone() + (low - top) * ty.clone()
}

pub(super) fn cast(tensor: Tensor<3>, dtype: DType) -> Tensor<3> {
    if tensor.dtype() == dtype {
        tensor
    } else {
        tensor.cast(dtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::warp_batch;
    use proptest::prelude::*;

    fn border() -> impl Strategy<Value = Border> {
        prop_oneof![
            Just(Border::Constant(vec![0.25, 0.5])),
            Just(Border::ConstantTwice(vec![0.25])),
            Just(Border::ConstantHard(vec![0.5])),
            Just(Border::Replicate),
            Just(Border::Symmetric),
            Just(Border::Reflect),
            Just(Border::Wrap),
        ]
    }

    const SIZE: Size = Size::new(11, 8);

    fn affine(turns: f64, zoom: f64, shift: f64, perspective: f64) -> Matrix {
        Matrix::from([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [perspective, 0.0, 1.0]])
            .compose(Matrix::translation(shift, -shift / 3.0))
            .compose(Matrix::rotation(turns).about(SIZE.centre()))
            .compose(Matrix::scale(zoom, 1.0))
    }

    fn compare(chains: Vec<Vec<Warp>>) -> Result<(), TestCaseError> {
        let n = chains.len();
        let data: Vec<f32> = (0..n * 2 * SIZE.area())
            .map(|i| (i * 37 % 64) as f32 / 64.0)
            .collect();
        let mut expected = vec![0.0; data.len()];
        warp_batch(&data, &mut expected, SIZE, 2, &chains).unwrap();
        let images = Tensor::<1>::from_data(data.as_slice(), &Device::flex()).reshape([
            n,
            2,
            SIZE.height,
            SIZE.width,
        ]);
        let works = chains
            .into_iter()
            .map(|chain| chain.into_iter().map(Work::Warp).collect())
            .collect();
        let got: Vec<f32> = run(images, works).into_data().try_into_vec().unwrap();
        for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
            prop_assert!((got - expected).abs() < 1e-4, "{i}: {got} {expected}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn agrees_with_the_kernel(
            one in border(), two in border(), turns in -1.0..1.0_f64, zoom in 0.4..2.5_f64,
            shift in -30.0..30.0_f64, perspective in -1e-2..1e-2_f64,
        ) {
            let bilinear = |matrix, border: &Border| Warp {
                matrix,
                size: SIZE,
                interpolation: Interpolation::Bilinear,
                border: border.clone(),
            };
            let flip = Warp::exact(Matrix::horizontal_flip(SIZE), SIZE);
            compare(vec![
                vec![bilinear(affine(turns, zoom, shift, 0.0), &one)],
                vec![],
                vec![flip.clone()],
                vec![bilinear(affine(-turns, 1.0, 0.5, perspective), &two), flip],
                vec![
                    bilinear(affine(0.03, zoom, 1.5, 0.0), &two),
                    bilinear(affine(turns, 1.0, 0.0, 0.0), &one),
                ],
            ])?;
        }

        #[test]
        fn nearest_agrees_away_from_ties(
            border in border(), shift in -9_i32..9, tenth in 1_i32..5, still: bool,
        ) {
            let dx = f64::from(shift) + if still { 0.0 } else { f64::from(tenth) / 10.0 };
            compare(vec![vec![Warp {
                matrix: Matrix::translation(dx, 0.2),
                size: SIZE,
                interpolation: Interpolation::Nearest,
                border,
            }]])?;
        }
    }

    #[test]
    fn gradients_are_the_weights_of_the_pixels() {
        let device = Device::flex().autodiff();
        let x = Tensor::<4>::zeros([1, 1, 1, 4], &device).require_grad();
        let half = Warp {
            matrix: Matrix::translation(0.25, 0.0),
            size: Size::new(1, 4),
            interpolation: Interpolation::Bilinear,
            border: Border::Replicate,
        };
        let plans = [crate::Plan::from(half)];
        let y = crate::layer::apply_batch(x.clone(), &plans).unwrap();
        let gradients = y.sum().backward();
        let gradient: Vec<f32> = x
            .grad(&gradients)
            .unwrap()
            .into_data()
            .try_into_vec()
            .unwrap();
        assert_eq!(gradient, [0.75, 1.0, 1.0, 1.25]);
    }
}
