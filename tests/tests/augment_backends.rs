//! Plans on several devices: what a layer does there is what the CPU kernels
//! do, to 1e-4.
//!
//! Compiled in by `--features wgpu,ndarray`, as CI does; without them there is
//! nothing to compare.
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]
#![cfg(any(feature = "wgpu", feature = "ndarray"))]

use burn::tensor::{Tensor, TensorData};
use firecraft::{
    augment::{
        Border, ColorJitter, ColorMatrix, Compose, Contrast, Denormalize, Erase, Gamma, Grayscale,
        GreyMean, HorizontalFlip, Hue, Image, Invert, Linear, Normalize, PermuteChannels, Plan,
        RandomAffine, RandomApply, RandomErasing, Region, Rescale, Sample, SampleMeta, Saturation,
        Size, Solarize, Transform, layer::apply_batch,
    },
    core_tensor::device,
    key::Key,
};

const SIZE: Size = Size::new(9, 7);
const BATCH: usize = 3;

fn numbers() -> Vec<f32> {
    (0..BATCH * 3 * SIZE.area())
        .map(|i| (i * 37 % 101) as f32 / 101.0)
        .collect()
}

/// The same plans, image by image on the CPU.
fn on_samples(plans: &[Plan]) -> Vec<f32> {
    numbers()
        .chunks(3 * SIZE.area())
        .zip(plans)
        .flat_map(|(planes, plan)| {
            let image = Image::from_f32_planes(planes, SIZE, 3).unwrap();
            let mut sample = Sample::new(image);
            plan.apply(&mut sample).unwrap();
            sample.image.to_planes()
        })
        .collect()
}

fn agrees(device: &str, transform: &dyn Transform) {
    let plans = plans(transform);
    let device = device::open(device).unwrap();
    let shape = [BATCH, 3, SIZE.height, SIZE.width];
    let images = Tensor::<4>::from_data(TensorData::new(numbers(), shape), &device);
    let got: Vec<f32> = apply_batch(images, &plans)
        .unwrap()
        .into_data()
        .try_into_vec()
        .unwrap();
    let expected = on_samples(&plans);
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert!((got - expected).abs() < 1e-4, "{i}: {got} {expected}");
    }
}

fn all(device: &str) {
    for border in [Border::Constant(vec![0.25]), Border::Reflect] {
        let turn = RandomAffine::new(40.0).with_border(border);
        agrees(
            device,
            &Compose::new().with(HorizontalFlip::new(0.5)).with(turn),
        );
    }
    agrees(device, &ColorJitter::new(0.4, 0.4, 0.4, 0.1));
    colours(device);
    // One resampling and one matrix for each image, some of which have neither.
    let sometimes = |transform: Compose| RandomApply::new(0.6, transform);
    let turn = Compose::new().with(RandomAffine::new(20.0));
    let jitter = Compose::new().with(ColorJitter::new(0.4, 0.4, 0.4, 0.0));
    let chain = Compose::new()
        .with(sometimes(turn))
        .with(sometimes(jitter))
        .with(Normalize::imagenet());
    agrees(device, &chain);
    agrees(device, &RandomErasing::new());
    gradients(device);
}

/// Every change of colour that runs on a device, by itself.
fn colours(device: &str) {
    let region = Region {
        top: 2,
        left: 3,
        size: Size::new(4, 9),
    };
    let steps: Vec<Box<dyn Transform>> = vec![
        Box::new(Contrast::new(0.6)),
        Box::new(Contrast::new(1.4).with_mean(GreyMean::PerChannel)),
        Box::new(Saturation::new(1.7)),
        Box::new(Grayscale::new()),
        Box::new(Invert::new()),
        Box::new(Linear::new([1.3, 0.8, 1.0], [0.1, 0.0, -0.2])),
        Box::new(ColorMatrix::sepia().with_mean([[0.1, -0.2, 0.05]; 3])),
        Box::new(PermuteChannels::new([2, 0, 1])),
        Box::new(Normalize::imagenet()),
        Box::new(Denormalize::new([0.3], [0.5])),
        Box::new(Rescale::new(2.0, -1.0)),
        Box::new(Hue::new(0.3)),
        Box::new(Gamma::new(0.7).with_gain(1.1)),
        Box::new(Solarize::new(100.0).with_addition(20.0)),
        Box::new(Erase::new(region, [0.1, 0.2, 0.3])),
    ];
    for step in steps {
        agrees(device, &*step);
    }
}

/// Gradients flow through a warp, a matrix and a hue, and are those of the CPU.
fn gradients(device: &str) {
    let chain = Compose::new()
        .with(RandomAffine::new(20.0))
        .with(Contrast::new(0.7))
        .with(Hue::new(0.2));
    let plans = plans(&chain);
    let gradient = |device: &str| -> Vec<f32> {
        let device = device::open(device).unwrap().autodiff();
        let shape = [BATCH, 3, SIZE.height, SIZE.width];
        let x = Tensor::<4>::from_data(TensorData::new(numbers(), shape), &device).require_grad();
        let out = apply_batch(x.clone(), &plans).unwrap();
        let gradients = (out.clone() * out).sum().backward();
        let gradient = x.grad(&gradients).unwrap();
        gradient.into_data().try_into_vec().unwrap()
    };
    for (i, (got, expected)) in gradient(device).iter().zip(gradient("flex")).enumerate() {
        assert!((got - expected).abs() < 1e-3, "{i}: {got} {expected}");
    }
}

fn plans(transform: &dyn Transform) -> Vec<Plan> {
    let meta = SampleMeta {
        size: SIZE,
        channels: 3,
    };
    (0..BATCH as u64)
        .map(|i| transform.plan(&meta, Key::from_seed(5).fold(i)).unwrap())
        .collect()
}

#[test]
#[cfg(feature = "wgpu")]
fn wgpu_does_what_the_kernels_do() {
    all("wgpu");
}

#[test]
#[cfg(feature = "ndarray")]
fn ndarray_does_what_the_kernels_do() {
    all("ndarray");
}
