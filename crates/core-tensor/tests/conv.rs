//! The convolution of burn's CPU backend against burn's own.
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "flex")]

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use firecraft_core_tensor::Key;
use firecraft_core_tensor::kernels::{Kernels, conv2d};
use proptest::prelude::*;

fn random<const D: usize>(slot: u64, shape: [usize; D]) -> Tensor<D> {
    let mut rng = Key::from_seed(1).fold(slot).rng();
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

/// Output, and gradients of the input, the weight and the bias.
fn run(
    kernels: Kernels,
    x: [usize; 4],
    weight: [usize; 4],
    options: &ConvOptions<2>,
) -> [Vec<f32>; 4] {
    let x = random(0, x).require_grad();
    let bias = random(2, [weight[0]]).require_grad();
    let weight = random(1, weight).require_grad();
    let y = conv2d(
        x.clone(),
        weight.clone(),
        Some(bias.clone()),
        options.clone(),
        kernels,
    );
    let gradients = (y.clone() * random(3, y.dims())).sum().backward();
    [
        values(y),
        values(x.grad(&gradients).unwrap()),
        values(weight.grad(&gradients).unwrap()),
        values(bias.grad(&gradients).unwrap()),
    ]
}

/// Sums of so many products of normal numbers differ by the order of the sum.
fn agree(x: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) {
    let own = run(Kernels::Auto, x, weight, options);
    let burn = run(Kernels::Composite, x, weight, options);
    let names = ["output", "gradient of x", "of weight", "of bias"];
    for ((name, own), burn) in names.iter().zip(&own).zip(&burn) {
        assert_eq!(own.len(), burn.len(), "{name}");
        let size = burn.iter().fold(1.0_f32, |most, b| most.max(b.abs()));
        for (i, (own, burn)) in own.iter().zip(burn).enumerate() {
            let close = (own - burn).abs() <= 1e-5 * size;
            let what = format!("{name}[{i}] of {x:?} and {weight:?}, {options:?}");
            assert!(close, "{what}: {own} is not {burn}");
        }
    }
}

fn plain(padding: usize) -> ConvOptions<2> {
    ConvOptions::new([1, 1], [padding; 2], [1, 1], 1)
}

#[test]
fn it_is_burns_convolution_at_every_size() {
    agree([5, 3, 6, 7], [4, 3, 3, 3], &plain(1)); // all images in one tile
    agree([9, 2, 14, 14], [3, 2, 3, 3], &plain(1)); // an image is a tile
    agree([2, 2, 40, 50], [3, 2, 3, 3], &plain(1)); // some rows are one
    agree([1, 1, 3, 1500], [2, 1, 1, 5], &plain(2)); // a row is longer
    agree([3, 8, 5, 5], [6, 8, 1, 1], &plain(0)); // patches are elements
    agree([40, 4, 4, 4], [8, 4, 3, 3], &plain(1)); // several parts of the sum
    agree([2, 3, 5, 5], [4, 3, 5, 5], &plain(0)); // one output per image
    agree([2, 3, 2, 2], [4, 3, 5, 5], &plain(2)); // most of the kernel is outside
}

#[test]
fn padding_of_one_side_is_burns() {
    let options = ConvOptions::new_with_padding([1, 1], [(0, 2), (2, 0)], [1, 1], 1);
    agree([3, 2, 6, 8], [4, 2, 3, 3], &options);
    agree([3, 2, 6, 8], [4, 2, 2, 2], &options);
}

#[test]
fn groups_and_other_types_are_left_to_burn() {
    agree(
        [2, 4, 6, 6],
        [6, 2, 3, 3],
        &ConvOptions::new([1, 1], [1, 1], [1, 1], 2),
    );
    let [x, weight] = [random(0, [1, 2, 4, 4]), random(1, [3, 2, 3, 3])]
        .map(|t| t.cast(burn::tensor::FloatDType::F64));
    let y = conv2d(x, weight, None, plain(0), Kernels::Auto);
    assert_eq!(y.dtype(), burn::tensor::DType::F64);
    assert_eq!(y.dims(), [1, 3, 2, 2]);
}

#[test]
fn images_and_frozen_weights_go_without_a_gradient() {
    let [_, of_x, of_weight, _] = run(Kernels::Auto, [3, 2, 6, 6], [4, 2, 3, 3], &plain(1));
    let (x, weight) = (random(0, [3, 2, 6, 6]), random(1, [4, 2, 3, 3]));
    let gradients = |x: &Tensor<4>, weight: &Tensor<4>| {
        let y = conv2d(x.clone(), weight.clone(), None, plain(1), Kernels::Auto);
        (y.clone() * random(3, y.dims())).sum().backward()
    };
    let trained = weight.clone().require_grad();
    let found = gradients(&x, &trained);
    assert!(x.grad(&found).is_none());
    assert_eq!(values(trained.grad(&found).unwrap()), of_weight);
    let input = x.require_grad();
    let found = gradients(&input, &weight);
    assert!(weight.grad(&found).is_none());
    assert_eq!(values(input.grad(&found).unwrap()), of_x);
}

#[test]
#[should_panic]
fn a_bias_of_another_length_is_burns_panic() {
    let (x, weight) = (random(0, [1, 2, 4, 4]), random(1, [3, 2, 3, 3]));
    let bias = random(2, [2]);
    let _ = conv2d(x, weight, Some(bias), plain(0), Kernels::Auto);
}

#[test]
#[should_panic(expected = "channels")]
fn channels_that_do_not_fit_panic_with_burns_message() {
    let (x, weight) = (random(0, [1, 3, 4, 4]), random(1, [3, 2, 3, 3]));
    let _ = conv2d(x, weight, None, plain(0), Kernels::Auto);
}

#[test]
fn views_are_taken_for_what_they_show() {
    let view = random(0, [4, 6, 5, 7]).swap_dims(2, 3).narrow(1, 1, 3);
    let copy = Tensor::from_data(view.clone().into_data(), &Device::flex());
    let weight = random(1, [2, 3, 3, 3]);
    let run = |x| values(conv2d(x, weight.clone(), None, plain(1), Kernels::Auto));
    assert_eq!(run(view), run(copy));
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            [[70, 6, 9, 9], [2, 8, 60, 60]]
                .map(|x| run(Kernels::Auto, x, [7, x[1], 3, 3], &plain(1)))
        })
    };
    let one = on(1);
    for threads in [2, 5] {
        assert!(one == on(threads), "{threads} threads");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn it_is_burns_convolution_in_every_geometry(
        x in prop::array::uniform4(1..9_usize),
        outputs in 1..5_usize,
        kernel in prop::array::uniform2(1..5_usize),
        stride in prop::array::uniform2(1..4_usize),
        padding in prop::array::uniform2(0..4_usize),
        dilation in prop::array::uniform2(1..3_usize),
    ) {
        let fits = |a: usize| x[a + 2] + 2 * padding[a] > (kernel[a] - 1) * dilation[a];
        prop_assume!(fits(0) && fits(1));
        let options = ConvOptions::new(stride, padding, dilation, 1);
        agree(x, [outputs, x[1], kernel[0], kernel[1]], &options);
    }
}
