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
        Border, ColorJitter, Compose, HorizontalFlip, Image, Plan, RandomAffine, Sample,
        SampleMeta, Size, Transform, layer::apply_batch,
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
    let meta = SampleMeta {
        size: SIZE,
        channels: 3,
    };
    let plans: Vec<Plan> = (0..BATCH as u64)
        .map(|i| transform.plan(&meta, Key::from_seed(5).fold(i)).unwrap())
        .collect();
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
