//! Changes of colour as tensor operations: one matrix for the whole batch, with
//! the numbers of each sample in it.

use super::composite::cast;
use crate::change::{Change, LinearChange, fits, of_channel};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

/// Changes the samples that have a change, all of one kind; the others stay as
/// they are, bit for bit.
pub(super) fn pass(images: Tensor<4>, changes: &[Option<Change>]) -> Tensor<4> {
    let shape = images.dims();
    let [batch, channels, height, width] = shape;
    let constants = Constants {
        batch,
        device: images.device(),
        dtype: images.dtype(),
    };
    let planes = || images.clone().reshape([batch, channels, height * width]);
    let changed = match changes.iter().flatten().next() {
        None | Some(Change::Nothing) => return images,
        Some(Change::Linear(_)) => linear(planes(), changes, &constants).reshape(shape),
        Some(Change::Hue { .. }) => hue(planes(), changes, &constants).reshape(shape),
        Some(Change::Gamma { .. }) => gamma(planes(), changes, &constants).reshape(shape),
        Some(Change::Solarize { .. }) => solarize(planes(), changes, &constants).reshape(shape),
        Some(Change::Fill { .. }) => fill(images.clone(), changes, &constants),
    };
    if changes.iter().all(Option::is_some) {
        return changed;
    }
    let acts: Vec<bool> = changes.iter().map(Option::is_some).collect();
    let acts = constants
        .mask(acts, [batch, 1, 1])
        .reshape([batch, 1, 1, 1]);
    images.mask_where(acts.expand(shape), changed)
}

/// Makes tensors of what the samples need.
struct Constants {
    batch: usize,
    device: Device,
    dtype: DType,
}

impl Constants {
    /// `[batch, n, 1]` of `n` numbers per sample.
    fn numbers(&self, n: usize, of: impl Fn(usize) -> Vec<f32>) -> Tensor<3> {
        let values: Vec<f32> = (0..self.batch).flat_map(of).collect();
        let data = TensorData::new(values, [self.batch, n, 1]);
        Tensor::from_data(data, (&self.device, self.dtype))
    }

    fn mask(&self, values: Vec<bool>, shape: [usize; 3]) -> Tensor<3, Bool> {
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }
}

fn linear(x: Tensor<3>, changes: &[Option<Change>], constants: &Constants) -> Tensor<3> {
    let [batch, channels, pixels] = x.dims();
    let identity = LinearChange::identity(channels);
    let of = |sample: usize| match &changes[sample] {
        Some(Change::Linear(change)) => change,
        _ => &identity,
    };
    let all = || (0..batch).map(of);
    // Column `j` of one of the two matrices: what channel `j` adds to each.
    let column = |j: usize, part: fn(&LinearChange) -> &[f32]| {
        constants.numbers(channels, |sample| {
            let matrix = part(of(sample));
            (0..channels).map(|i| matrix[i * channels + j]).collect()
        })
    };
    let product = |x: &Tensor<3>, part: fn(&LinearChange) -> &[f32]| {
        let term = |j: usize| x.clone().narrow(1, j, 1) * column(j, part);
        (1..channels).fold(term(0), |sum, j| sum + term(j))
    };
    let mut rest = constants.numbers(channels, |sample| of(sample).offset.clone());
    if all().any(LinearChange::uses_mean) {
        // In f32: a sum over all pixels is no number for half precision.
        let mean = cast(cast(x.clone(), DType::F32).mean_dim(2), constants.dtype);
        let of_mean = product(&mean, |change| &change.mean);
        // A mean that is no number must not reach samples that don't use it.
        let unused: Vec<bool> = all().map(|change| !change.uses_mean()).collect();
        let unused = constants.mask(unused, [batch, 1, 1]);
        rest = rest + of_mean.mask_fill(unused.expand([batch, channels, 1]), 0.0);
    }
    let y = if all().all(LinearChange::is_diagonal) {
        let scale = constants.numbers(channels, |sample| {
            let weights = &of(sample).weights;
            (0..channels).map(|c| weights[c * channels + c]).collect()
        });
        x * scale + rest
    } else {
        product(&x, |change| &change.weights) + rest
    };
    let clip: Vec<bool> = all().flat_map(|change| change.clip.clone()).collect();
    if clip.iter().all(|&clip| clip) {
        return y.clamp(0.0, 1.0);
    }
    if !clip.contains(&true) {
        return y;
    }
    let clip = constants.mask(clip, [batch, channels, 1]);
    let clipped = y.clone().clamp(0.0, 1.0);
    y.mask_where(clip.expand([batch, channels, pixels]), clipped)
}

/// As the kernel `turn_hue`, on planes.
fn hue(x: Tensor<3>, changes: &[Option<Change>], constants: &Constants) -> Tensor<3> {
    let channels = x.dims()[1];
    let sixths = constants.numbers(1, |sample| match changes[sample] {
        Some(Change::Hue { sixths }) => vec![sixths],
        _ => vec![0.0],
    });
    let [r, g, b] = [0, 1, 2].map(|c| x.clone().narrow(1, c, 1));
    let value = r.clone().max_pair(g.clone()).max_pair(b.clone());
    let low = r.clone().min_pair(g.clone()).min_pair(b.clone());
    let range = value.clone() - low;
    // The hue of grey counts for nothing; it only must not be infinite.
    let grey = range.clone().equal_elem(0.0);
    let inverse = range.clone().mask_fill(grey, 1.0).recip();
    let of_red = (g.clone() - b.clone()) * inverse.clone();
    let of_green = (b - r.clone()) * inverse.clone() + 2.0;
    let of_blue = (r.clone() - g.clone()) * inverse + 4.0;
    let hue = of_blue
        .mask_where(value.clone().equal(g), of_green)
        .mask_where(value.clone().equal(r), of_red)
        + sixths;
    let turns = (hue.clone().detach() / 6.0).floor() * 6.0;
    let hue = hue - turns;
    let channel = |fallen: Tensor<3>| value.clone() - range.clone() * fallen.clamp(0.0, 1.0);
    let mut planes = vec![
        channel(-(hue.clone() - 3.0).abs() + 2.0),
        channel((hue.clone() - 2.0).abs() - 1.0),
        channel((hue - 4.0).abs() - 1.0),
    ];
    if channels > 3 {
        planes.push(x.narrow(1, 3, channels - 3));
    }
    Tensor::cat(planes, 1)
}

fn gamma(x: Tensor<3>, changes: &[Option<Change>], constants: &Constants) -> Tensor<3> {
    let shape = x.dims();
    let of = |sample: usize| match changes[sample] {
        Some(Change::Gamma { gamma, gain }) => [gamma, gain],
        _ => [1.0, 1.0],
    };
    let [gamma, gain] = [0, 1].map(|i| constants.numbers(1, |sample| vec![of(sample)[i]]));
    (x.powf(gamma.expand(shape)) * gain).clamp(0.0, 1.0)
}

fn solarize(x: Tensor<3>, changes: &[Option<Change>], constants: &Constants) -> Tensor<3> {
    let shape = x.dims();
    let of = |sample: usize| match changes[sample] {
        Some(Change::Solarize {
            threshold,
            addition,
        }) => [threshold, addition],
        _ => [2.0, 0.0],
    };
    let [threshold, addition] = [0, 1].map(|i| constants.numbers(1, |s| vec![of(s)[i]]));
    let added: Vec<bool> = (0..constants.batch).map(|s| of(s)[1] != 0.0).collect();
    let moved = if added.contains(&true) {
        let moved = (x.clone() + addition).clamp(0.0, 1.0);
        let added = constants.mask(added, [constants.batch, 1, 1]);
        x.mask_where(added.expand(shape), moved)
    } else {
        x
    };
    let bright = moved.clone().greater_equal(threshold.expand(shape));
    let negative = -moved.clone() + 1.0;
    moved.mask_where(bright, negative)
}

fn fill(images: Tensor<4>, changes: &[Option<Change>], constants: &Constants) -> Tensor<4> {
    let shape = images.dims();
    let [batch, channels, height, width] = shape;
    let of = |sample: usize| match &changes[sample] {
        Some(Change::Fill { region, value }) if fits(value, channels) => Some((region, value)),
        _ => None,
    };
    let inside = |n: usize, side: fn(&crate::Region) -> [usize; 2]| {
        let line = |sample: usize| {
            let [from, length] = of(sample).map_or([0, 0], |(region, _)| side(region));
            (0..n).map(move |i| i >= from && i - from < length)
        };
        constants.mask((0..batch).flat_map(line).collect(), [batch, 1, n])
    };
    let rows = inside(height, |region| [region.top, region.size.height]);
    let columns = inside(width, |region| [region.left, region.size.width]);
    let rows = rows.reshape([batch, 1, height, 1]).expand(shape);
    let columns = columns.reshape([batch, 1, 1, width]).expand(shape);
    let value = constants.numbers(channels, |sample| {
        let of = |c: usize| of(sample).map_or(0.0, |(_, value)| of_channel(value, c));
        (0..channels).map(of).collect()
    });
    let value = value.reshape([batch, channels, 1, 1]).expand(shape);
    images.mask_where(rows.bool_and(columns), value)
}

#[cfg(test)]
mod tests {
    use super::super::composite;
    use crate::{
        Brightness, ColorMatrix, Contrast, Denormalize, Erase, Gamma, Grayscale, GreyMean,
        GreyMethod, Hue, Image, Invert, Linear, Matrix, Normalize, PermuteChannels, Plan, Region,
        Rescale, Sample, Saturation, Size, Solarize, Step, Warp,
    };
    use burn::tensor::{Device, Tensor};
    use proptest::prelude::*;

    const SIZE: Size = Size::new(5, 7);

    fn step(kind: usize, a: f32, b: f32, channels: usize) -> Step {
        let region = Region {
            top: 1,
            left: 2,
            size: Size::new(2, 9),
        };
        match kind {
            0 => Brightness::new(a).into(),
            1 => Contrast::new(b).into(),
            2 => Contrast::new(a).with_mean(GreyMean::PerChannel).into(),
            3 => Saturation::new(b).into(),
            4 => Grayscale::new().with_method(GreyMethod::Weighted).into(),
            5 => Invert::new().into(),
            6 => Linear::new([a], [b - 1.0]).into(),
            7 => PermuteChannels::new((0..channels).rev().collect::<Vec<_>>()).into(),
            8 => Normalize::new([a], [b]).into(),
            9 => Denormalize::new([0.3], [a]).into(),
            10 => Rescale::new(a, -0.2).into(),
            11 => Hue::new(a - 0.9).into(),
            12 => Gamma::new(b).with_gain(a).into(),
            13 => Solarize::new(a * 100.0).into(),
            14 => Solarize::new(128.0).with_addition(b * 30.0).into(),
            15 => Erase::new(region, [a]).into(),
            16 => Grayscale::new().into(),
            17 => ColorMatrix::sepia().with_mean([[0.1, -0.2, a]; 3]).into(),
            _ => Warp::exact(Matrix::horizontal_flip(SIZE), SIZE).into(),
        }
    }

    fn values(n: usize) -> Vec<f32> {
        // With some greys, and values at the ends.
        (0..n)
            .map(|i| (i * 37 % 101).min(96) as f32 / 96.0)
            .collect()
    }

    fn on_samples(data: &[f32], channels: usize, plans: &[Plan]) -> Vec<f32> {
        data.chunks(channels * SIZE.area())
            .zip(plans)
            .flat_map(|(planes, plan)| {
                let image = Image::from_f32_planes(planes, SIZE, channels).unwrap();
                let mut sample = Sample::new(image);
                plan.apply(&mut sample).unwrap();
                sample.image.to_planes()
            })
            .collect()
    }

    proptest! {
        /// Any chains side by side, with alpha and without colours, too.
        #[test]
        fn tensor_operations_do_what_the_kernels_do(
            kinds in proptest::collection::vec(proptest::collection::vec(0_usize..19, 0..4), 1..4),
            a in 0.6..1.3_f32, b in 0.5..1.5_f32,
            channels in proptest::sample::select(vec![1_usize, 3, 4]),
        ) {
            let plans: Vec<Plan> = kinds
                .iter()
                .map(|kinds| Plan {
                    steps: kinds
                        .iter()
                        // A power of a negative number is none.
                        .filter(|&&kind| kind != 12 || !kinds.iter().any(|k| (6..12).contains(k)))
                        .filter(|&&kind| kind != 17 || !kinds.contains(&12))
                        .map(|&kind| step(kind, a, b, channels))
                        .collect(),
                })
                .collect();
            let data = values(plans.len() * channels * SIZE.area());
            let images = Tensor::<1>::from_data(data.as_slice(), &Device::flex())
                .reshape([plans.len(), channels, SIZE.height, SIZE.width]);
            let works = plans
                .iter()
                .map(|plan| composite::works(plan, channels).unwrap())
                .collect();
            let got: Vec<f32> = composite::run(images, works).into_data().try_into_vec().unwrap();
            for (i, (got, expected)) in got.iter().zip(on_samples(&data, channels, &plans)).enumerate() {
                prop_assert!((got - expected).abs() < 1e-4, "{i}: {got} {expected} {plans:?}");
            }
        }
    }

    /// The gradient of a weighted sum, by the graph and by finite differences.
    #[test]
    fn gradients_are_finite_differences() {
        let channels = 3;
        let chains: [&[usize]; 7] = [
            &[0, 3, 8],
            &[1],
            &[17, 18],
            &[11],
            &[12],
            &[15, 14],
            &[2, 10, 7],
        ];
        let plans: Vec<Plan> = chains
            .iter()
            .map(|kinds| Plan {
                steps: kinds.iter().map(|&k| step(k, 1.04, 0.83, 3)).collect(),
            })
            .collect();
        let n = plans.len() * channels * SIZE.area();
        // Away from the corners of the functions.
        let data: Vec<f32> = (0..n)
            .map(|i| 0.1 + (i * 41 % 103) as f32 / 150.0)
            .collect();
        let weights: Vec<f32> = (0..n).map(|i| (i * 29 % 31) as f32 / 31.0 - 0.4).collect();
        let device = Device::flex().autodiff();
        let shape = [plans.len(), channels, SIZE.height, SIZE.width];
        let tensor = |values: &[f32]| Tensor::<1>::from_data(values, &device).reshape(shape);
        let x = tensor(&data).require_grad();
        let y = crate::layer::apply_batch(x.clone(), &plans).unwrap();
        let gradients = (y * tensor(&weights)).sum().backward();
        let gradient: Vec<f32> = x
            .grad(&gradients)
            .unwrap()
            .into_data()
            .try_into_vec()
            .unwrap();
        let loss = |data: &[f32]| -> f64 {
            let out = on_samples(data, channels, &plans);
            let terms = out.iter().zip(&weights);
            terms.map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
        };
        let step = 2e-3_f32;
        let mut compared = 0;
        for i in (0..n).step_by(3) {
            let at = |by: f32| {
                let mut moved = data.clone();
                moved[i] += by;
                loss(&moved)
            };
            let [above, here, below] = [at(step), at(0.0), at(-step)];
            let (right, left) = ((above - here), (here - below));
            if (right - left).abs() > 2e-5 {
                continue; // A corner, such as where a value begins to be clipped.
            }
            let expected = (above - below) / f64::from(2.0 * step);
            let got = f64::from(gradient[i]);
            assert!((got - expected).abs() < 5e-3, "{i}: {got} {expected}");
            compared += 1;
        }
        assert!(compared * 3 > n * 8 / 10, "{compared} of {n}");
    }
}
