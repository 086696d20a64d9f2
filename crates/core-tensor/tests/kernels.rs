//! The kernels of single backends against the composites.
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "flex")]

use burn::tensor::{Device, Tensor, TensorData};
use firecraft_core_tensor::Key;
use firecraft_core_tensor::kernels::{
    Activation, Kernels, Moments, batch_norm_act_train, batch_norm_train, group_norm,
};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

fn random<const D: usize>(slot: u64, shape: [usize; D], shift: f32) -> Tensor<D> {
    let mut rng = Key::from_seed(1).fold(slot).rng();
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| rng.normal() + shift)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

fn agree(what: &str, got: Tensor<1>, want: Tensor<1>) {
    let (got, want) = (values(got), values(want));
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let bound = 2e-5 * (1.0 + want.abs());
        assert!(
            (got - want).abs() <= bound,
            "{what}[{i}]: {got} is not {want}"
        );
    }
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let n = tensor.shape().num_elements();
    tensor.reshape([n])
}

/// Output, statistics and gradients of one run.
fn batch(
    kernels: Kernels,
    activation: Activation,
    shape: [usize; 3],
    affine: bool,
) -> Vec<Tensor<1>> {
    let x = random(0, shape, 0.5).require_grad();
    let gamma = random(1, [shape[1]], 1.0).require_grad();
    let beta = random(2, [shape[1]], 0.0).require_grad();
    let [g, b] = [&gamma, &beta].map(|t| affine.then(|| t.clone()));
    let y = batch_norm_act_train(x.clone(), g, b, 1e-5, activation, kernels);
    let gradients = (y.output.clone() * random(3, shape, 0.0)).sum().backward();
    let mut all = vec![flat(y.output), y.mean, y.variance];
    all.push(flat(x.grad(&gradients).unwrap()));
    if affine {
        all.push(gamma.grad(&gradients).unwrap());
        all.push(beta.grad(&gradients).unwrap());
    }
    all
}

fn group(kernels: Kernels, shape: [usize; 4], moments: Moments, affine: bool) -> Vec<Tensor<1>> {
    let x = random(0, shape, 3.0).require_grad();
    let gamma = random(1, [shape[1] * shape[2]], 1.0).require_grad();
    let beta = random(2, [shape[1] * shape[2]], 0.0).require_grad();
    let [g, b] = [&gamma, &beta].map(|t| affine.then(|| t.clone()));
    let y = group_norm(x.clone(), g, b, moments, 1e-5, kernels);
    let gradients = (y.output.clone() * random(3, shape, 0.0)).sum().backward();
    let mut all = vec![flat(y.output), flat(y.mean), flat(y.variance)];
    all.push(flat(x.grad(&gradients).unwrap()));
    if affine {
        all.push(gamma.grad(&gradients).unwrap());
        all.push(beta.grad(&gradients).unwrap());
    }
    all
}

const NAMES: [&str; 6] = ["output", "mean", "variance", "gx", "ggamma", "gbeta"];

#[test]
fn batch_normalisation_on_flex_is_the_composite() {
    for shape in [
        [300, 7, 1],   // columns, several blocks of rows
        [6, 1400, 1],  // several blocks of columns
        [4, 3, 5],     // columns of short planes
        [70, 11, 63],  // just short
        [2, 3, 64],    // just long
        [3, 45, 70],   // several blocks of channels
        [3, 2, 10000], // several segments per plane
        [40, 1, 5000], // several parts per channel
        [2, 600, 128], // a block per thread, read and written in one go
        [1, 5, 2],
    ] {
        for activation in [Activation::Identity, Activation::Relu] {
            for affine in [true, false] {
                let fused = batch(Kernels::Auto, activation, shape, affine);
                let composite = batch(Kernels::Composite, activation, shape, affine);
                for ((name, got), want) in NAMES.iter().zip(fused).zip(composite) {
                    agree(&format!("{name} of {shape:?}, {activation:?}"), got, want);
                }
            }
        }
    }
}

#[test]
fn group_normalisation_on_flex_is_the_composite() {
    for shape in [
        [5, 1, 33, 1],   // layer normalisation
        [700, 1, 40, 1], // several parts
        [3, 2, 4, 9],    // group normalisation
        [2, 6, 1, 70],   // instance normalisation
        [2, 1, 3, 3000], // rows of several blocks
    ] {
        for moments in [Moments::MeanAndVariance, Moments::MeanSquare] {
            for affine in [true, false] {
                let fused = group(Kernels::Auto, shape, moments, affine);
                let composite = group(Kernels::Composite, shape, moments, affine);
                for ((name, got), want) in NAMES.iter().zip(fused).zip(composite) {
                    agree(&format!("{name} of {shape:?}, {moments:?}"), got, want);
                }
            }
        }
    }
}

#[test]
fn views_are_taken_for_what_they_show() {
    let x = random(0, [4, 6, 5], 0.0);
    let view = x.clone().swap_dims(0, 1).narrow(1, 1, 3);
    let copy = Tensor::from_data(view.clone().into_data(), &Device::flex());
    let run = |x: Tensor<3>| values(batch_norm_train(x, None, None, 1e-5, Kernels::Auto).output);
    assert_eq!(run(view), run(copy));
}

#[test]
fn a_gradient_that_is_held_elsewhere_is_not_overwritten() {
    let x = random(0, [4, 3, 5], 0.0).require_grad();
    let other = random(1, [4, 3, 5], 0.0).require_grad();
    let upstream = random(3, [4, 3, 5], 0.0);
    let y = batch_norm_train(x.clone(), None, None, 1e-5, Kernels::Auto).output;
    // The sum hands the same gradient to both of its terms.
    let gradients = ((y + other.clone()) * upstream.clone()).sum().backward();
    assert!(x.grad(&gradients).is_some());
    let gradient = flat(other.grad(&gradients).unwrap());
    agree("gradient", gradient, flat(upstream.without_autodiff()));
}

#[test]
fn a_mean_far_above_the_spread_keeps_its_digits() {
    let x = random(0, [64, 2, 50], 1e4);
    let exact: Vec<f64> = values(x.clone()).iter().map(|v| f64::from(*v)).collect();
    let channel = |c: usize| exact.chunks(50).skip(c).step_by(2).flatten().copied();
    let y = batch_norm_train(x, None, None, 1e-5, Kernels::Auto);
    for (c, (mean, variance)) in values(y.mean).iter().zip(values(y.variance)).enumerate() {
        let n = 64.0 * 50.0;
        let want = channel(c).sum::<f64>() / n;
        let spread = channel(c).map(|v| (v - want).powi(2)).sum::<f64>() / n;
        assert!((f64::from(*mean) - want).abs() < 1e-3);
        assert!((f64::from(variance) - spread).abs() < 1e-6 * spread);
    }
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let mut all = Vec::new();
            for shape in [[16, 4, 9000], [9, 64, 700], [700, 130, 3], [5000, 24, 1]] {
                all.extend(batch(Kernels::Auto, Activation::Relu, shape, true));
            }
            for shape in [[900, 1, 130, 1], [6, 4, 8, 300]] {
                all.extend(group(Kernels::Auto, shape, Moments::MeanAndVariance, true));
            }
            all.into_iter().map(values).collect::<Vec<_>>()
        })
    };
    let one = run(1);
    for threads in [2, 8] {
        assert_eq!(one, run(threads), "{threads} threads");
    }
}

#[test]
fn a_shared_gradient_gives_what_an_own_one_does() {
    let shape = [3, 4, 100];
    let run = |shared: bool| {
        let x = random(0, shape, 0.0).require_grad();
        let relu = Activation::Relu;
        let y = batch_norm_act_train(x.clone(), None, None, 1e-5, relu, Kernels::Auto);
        let mut y = y.output;
        if shared {
            // A leaf that keeps the gradient which the sum hands to both.
            y = y + random(1, shape, 0.0).require_grad();
        }
        let gradients = (y * random(3, shape, 0.0)).sum().backward();
        flat(x.grad(&gradients).unwrap())
    };
    assert_eq!(values(run(true)), values(run(false)));
}

#[test]
fn a_jump_between_samples_costs_no_digits() {
    // The shift of a block is the mean of the one before it.
    for shape in [[8, 1, 5000], [8, 1, 70], [300, 1, 1], [40, 1, 9]] {
        let [samples, _, positions] = shape;
        let noise = values(random(0, shape, 0.0));
        let x: Vec<f32> = noise
            .iter()
            .enumerate()
            .map(|(i, v)| {
                if i / positions < samples / 3 {
                    v - 5e3
                } else {
                    v + 5e3
                }
            })
            .collect();
        let n = x.len() as f64;
        let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let variance = x
            .iter()
            .map(|v| (f64::from(*v) - mean).powi(2))
            .sum::<f64>()
            / n;
        let x = Tensor::from_data(TensorData::new(x, shape), &Device::flex());
        let y = batch_norm_train(x, None, None, 1e-5, Kernels::Auto);
        let got = values(y.variance)[0];
        assert!(
            (f64::from(got) - variance).abs() < 1e-6 * variance,
            "{shape:?}: {got}"
        );
    }
}

#[test]
fn relu_lets_a_nan_through() {
    let x = Tensor::<3>::from_floats([[[f32::NAN, 1.0, 2.0], [-1.0, 0.0, 1.0]]], &Device::flex());
    for kernels in [Kernels::Auto, Kernels::Composite] {
        let y = batch_norm_act_train(x.clone(), None, None, 1e-5, Activation::Relu, kernels);
        let y = values(y.output);
        assert!(y[..3].iter().all(|v| v.is_nan()), "{kernels:?}: {y:?}");
        assert_eq!(y[3..5], [0.0, 0.0]);
    }
}
