use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{Bool, Device, FloatDType, Tensor, TensorData};
use proptest::prelude::*;

use super::*;
use crate::{Kernels, Mode, Momentum, NormError};

fn training() -> Device {
    Device::flex().autodiff()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

fn mean_of(layer: &BatchNorm) -> Vec<f32> {
    values(layer.running_mean.as_ref().unwrap().value())
}

fn variance_of(layer: &BatchNorm) -> Vec<f32> {
    values(layer.running_var.as_ref().unwrap().value())
}

fn close(got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        let error = (f64::from(*got) - want).abs();
        assert!(
            error <= tolerance * want.abs().max(1.0),
            "{got} is not {want}"
        );
    }
}

fn batch(device: &Device) -> Tensor<3> {
    Tensor::from_floats([[[1.0, 2.0], [5.0, 5.0]], [[3.0, 6.0], [1.0, 9.0]]], device)
}

#[test]
fn running_statistics_follow_torch_and_keras() {
    // Channel 0 has mean 3, sum of squares 14; channel 1 mean 5, sum 32.
    let torch = BatchNormConfig::new(2).init(&training());
    let _ = torch.forward(batch(&training()));
    close(&mean_of(&torch), &[0.3, 0.5], 1e-6);
    close(
        &variance_of(&torch),
        &[0.9 + 1.4 / 3.0, 0.9 + 3.2 / 3.0],
        1e-6,
    );

    let keras = BatchNormConfig::keras(2).with_axis(1).init(&training());
    let _ = keras.forward(batch(&training()));
    close(&mean_of(&keras), &[0.03, 0.05], 1e-6);
    close(&variance_of(&keras), &[0.99 + 0.035, 0.99 + 0.08], 1e-6);
}

#[test]
fn a_cumulative_average_weighs_all_batches_equally() {
    let layer = BatchNormConfig::new(1)
        .with_momentum(None)
        .init(&training());
    for start in [0.0, 4.0, 11.0] {
        let x = Tensor::<2>::from_floats([[start], [start + 2.0]], &training());
        let _ = layer.forward(x);
    }
    close(&mean_of(&layer), &[6.0], 1e-6);
    close(&variance_of(&layer), &[2.0], 1e-6);
    assert_eq!(layer.num_batches_tracked.get(), 3);

    let bytes = layer.into_record().into_bytes().unwrap();
    let loaded = BatchNormConfig::new(1)
        .with_momentum(None)
        .init(&training());
    let loaded = loaded.load_record(ModuleRecord::from_bytes(bytes).unwrap());
    assert_eq!(loaded.num_batches_tracked.get(), 3);
}

#[test]
fn evaluation_leaves_the_statistics_and_training_moves_them() {
    let layer = BatchNormConfig::new(2).init(&training());
    let plain = Device::flex();
    let _ = layer.forward(batch(&plain));
    let _ = layer.valid().forward(batch(&plain));
    let _ = layer.forward_mode(batch(&training()), Mode::Eval);
    assert_eq!(mean_of(&layer), [0.0, 0.0]);
    let _ = layer.forward_mode(batch(&plain), Mode::Train);
    close(&mean_of(&layer), &[0.3, 0.5], 1e-6);
}

#[test]
fn a_frozen_layer_keeps_its_statistics_whatever_it_is_asked() {
    let layer = BatchNormConfig::new(2).init(&training()).freeze();
    assert_eq!(layer.mode(), BatchNormMode::Frozen);
    let y = layer.forward(batch(&training()));
    let again = layer.forward_mode(batch(&training()), Mode::Train);
    assert_eq!(values(y), values(again));
    assert_eq!(mean_of(&layer), [0.0, 0.0]);

    let layer = layer.valid().train();
    assert_eq!(layer.mode(), BatchNormMode::Frozen);
    assert_eq!(layer.unfreeze().mode(), BatchNormMode::Train);
}

#[test]
fn a_clone_never_shares_running_statistics() {
    let layer = BatchNormConfig::new(2).init(&training());
    let _ = layer.forward(batch(&training()));
    let best = layer.clone();
    let valid = layer.valid();
    let record = layer.clone().into_record();
    let _ = layer.forward(batch(&training()));
    close(&mean_of(&layer), &[0.57, 0.95], 1e-6);
    for snapshot in [&best, &valid] {
        close(&mean_of(snapshot), &[0.3, 0.5], 1e-6);
        assert_eq!(snapshot.num_batches_tracked.get(), 1);
    }
    let restored = layer.clone().load_record(record);
    close(&mean_of(&restored), &[0.3, 0.5], 1e-6);
    close(&mean_of(&layer), &[0.57, 0.95], 1e-6);
}

#[test]
fn records_load_from_burns_layer_and_back() {
    let device = training();
    let burns = burn::nn::BatchNormConfig::new(2).init(&device);
    for _ in 0..2 {
        let _ = burns.forward(batch(&device));
    }
    let x = batch(&Device::flex());
    let expected = values(burns.valid().forward(x.clone()));

    let ours = BatchNormConfig::new(2).init(&device);
    let ours = ours.load_record(burns.valid().into_record());
    close(
        &values(ours.valid().forward(x.clone())),
        &expected.iter().map(|v| f64::from(*v)).collect::<Vec<_>>(),
        1e-6,
    );

    let fresh = burn::nn::BatchNormConfig::new(2).init(&device);
    let back = fresh.load_record(ours.into_record());
    assert_eq!(values(back.valid().forward(x)), expected);
}

#[test]
fn one_value_per_channel_is_an_error_or_beta() {
    let x = Tensor::<2>::from_floats([[4.0, -7.0]], &training());
    let strict = BatchNormConfig::new(2).init(&training());
    let error = strict.try_forward(x.clone()).unwrap_err();
    assert!(matches!(error, NormError::SingleValue { .. }), "{error}");
    assert_eq!(mean_of(&strict), [0.0, 0.0]);

    let keras = BatchNormConfig::keras(2).init(&training());
    assert_eq!(values(keras.forward(x)), [0.0, 0.0]);
}

#[test]
#[should_panic(expected = "BatchNorm: axis 1 of the input [1, 3, 2] has 3 features")]
fn forward_panics_with_the_message_of_the_error() {
    let layer = BatchNormConfig::new(2).init(&Device::flex());
    let _ = layer.forward(Tensor::<3>::zeros([1, 3, 2], &Device::flex()));
}

#[test]
fn an_empty_batch_is_an_error_in_training_and_empty_in_evaluation() {
    let layer = BatchNormConfig::new(2).init(&training());
    let empty = |device: &Device| {
        Tensor::<2>::from_data(TensorData::new(Vec::<f32>::new(), [0, 2]), device)
    };
    let error = layer.try_forward(empty(&training())).unwrap_err();
    assert!(matches!(error, NormError::Empty { .. }), "{error}");
    let y = layer.valid().forward(empty(&Device::flex()));
    assert_eq!(y.dims(), [0, 2]);
}

#[test]
fn without_running_statistics_the_batch_is_used_always() {
    let layer = BatchNormConfig::new(2)
        .with_track_running_stats(false)
        .init(&training());
    let trained = values(layer.forward(batch(&training())));
    assert_eq!(
        trained,
        values(layer.valid().forward(batch(&Device::flex())))
    );
    assert_eq!(layer.into_record().len(), 2);
}

#[test]
fn non_finite_input_stays_in_its_channel() {
    let layer = BatchNormConfig::new(2).init(&training());
    let x = Tensor::<2>::from_floats([[f32::INFINITY, 1.0], [0.0, 3.0]], &training());
    let y = values(layer.forward(x));
    assert!(y[0].is_nan() && y[2].is_nan());
    close(&[y[1], y[3]], &[-1.0, 1.0], 1e-5);
    assert!(!mean_of(&layer)[0].is_finite());
    close(&mean_of(&layer)[1..], &[0.2], 1e-6);
}

#[test]
fn half_precision_does_not_overflow() {
    let layer = BatchNormConfig::new(1).init(&training());
    let x = Tensor::<2>::from_floats([[60000.0], [-60000.0], [60000.0]], &training());
    let y = layer.forward(x.cast(FloatDType::F16));
    assert_eq!(y.dtype(), FloatDType::F16.into());
    let half = (0.5_f64).sqrt();
    close(&values(y), &[half, -2.0 * half, half], 1e-3);
    close(&mean_of(&layer), &[2000.0], 1e-3);
}

#[test]
fn a_large_mean_costs_no_digits() {
    let spread = [-1.5, -0.5, 0.5, 1.5];
    let x: Vec<f32> = spread.iter().map(|s| 1e4 + s).collect();
    let x = Tensor::<2>::from_data(TensorData::new(x, [4, 1]), &training());
    for kernels in [Kernels::Auto, Kernels::Composite] {
        let layer = BatchNormConfig::new(1)
            .with_kernels(kernels)
            .init(&training());
        let scale = 1.0 / (1.25_f64 + 1e-5).sqrt();
        let expected: Vec<f64> = spread.iter().map(|s| f64::from(*s) * scale).collect();
        close(&values(layer.forward(x.clone())), &expected, 2e-7);
    }
}

fn masked(x: [[f32; 3]; 2], mask: [[bool; 3]; 2], layer: &BatchNorm) -> Vec<f32> {
    let x = Tensor::<2>::from_floats(x, &training()).reshape([2, 1, 3]);
    let mask = Tensor::<2, Bool>::from_data(TensorData::from(mask), &training());
    values(layer.forward_masked(x, mask.reshape([2, 1, 3])))
}

#[test]
fn masked_positions_do_not_enter_the_statistics() {
    let layer = BatchNormConfig::new(1).init(&training());
    let mask = [[true, true, false], [true, false, false]];
    let y = masked([[1.0, 2.0, f32::NAN], [6.0, 100.0, 3.0]], mask, &layer);
    let scale = 1.0 / (14.0_f64 / 3.0 + 1e-5).sqrt();
    let expected = [-2.0, -1.0, 3.0, 97.0, 0.0].map(|c| c * scale);
    close(&[y[0], y[1], y[3], y[4], y[5]], &expected, 1e-6);
    close(&mean_of(&layer), &[0.3], 1e-6);
    close(&variance_of(&layer), &[0.9 + 0.7], 1e-6);
}

#[test]
fn a_full_mask_is_no_mask() {
    let masked_layer = BatchNormConfig::new(2).init(&training());
    let plain_layer = masked_layer.clone();
    let x = batch(&training());
    let mask = Tensor::<3>::ones([1, 1, 1], &training()).greater_elem(0.0);
    let got = values(masked_layer.forward_masked(x.clone(), mask));
    let want: Vec<f64> = values(plain_layer.forward(x))
        .iter()
        .map(|v| f64::from(*v))
        .collect();
    close(&got, &want, 1e-6);
    assert_eq!(variance_of(&masked_layer).len(), 2);
}

#[test]
fn a_mask_of_nothing_uses_and_keeps_the_running_statistics() {
    for momentum in [Momentum::Weight(0.1), Momentum::Cumulative] {
        let layer = BatchNormConfig::new(1)
            .with_momentum(momentum)
            .with_initial_statistics(1.0, 4.0)
            .init(&training());
        let y = masked([[1.0, 3.0, 5.0], [1.0, 1.0, 1.0]], [[false; 3]; 2], &layer);
        close(&y, &[0.0, 1.0, 2.0, 0.0, 0.0, 0.0], 1e-5);
        close(&mean_of(&layer), &[1.0], 0.0);
        close(&variance_of(&layer), &[4.0], 0.0);
    }
}

#[test]
fn a_mask_that_does_not_fit_is_an_error() {
    let layer = BatchNormConfig::new(2).init(&training());
    for dims in [[2, 2, 2], [3, 1, 2], [2, 1, 3]] {
        let mask = Tensor::<3>::ones(dims, &training()).greater_elem(0.0);
        let error = layer
            .try_forward_masked(batch(&training()), mask)
            .unwrap_err();
        assert!(matches!(error, NormError::Mask { .. }), "{error}");
    }
}

#[test]
fn configurations_are_checked_and_survive_serialisation() {
    let config = BatchNormConfig::keras(8)
        .with_momentum(None)
        .with_scale(false);
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(
        serde_json::from_str::<BatchNormConfig>(&text).unwrap(),
        config
    );
    let minimal: BatchNormConfig = serde_json::from_str(r#"{"num_features": 3}"#).unwrap();
    assert_eq!(minimal, BatchNormConfig::new(3));
    assert!(serde_json::from_str::<BatchNormConfig>(r#"{"num_features": 3, "eps": 1}"#).is_err());

    for (config, field) in [
        (BatchNormConfig::new(0), "num_features"),
        (BatchNormConfig::new(1).with_epsilon(0.0), "epsilon"),
        (BatchNormConfig::new(1).with_epsilon(f64::NAN), "epsilon"),
        (BatchNormConfig::new(1).with_momentum(1.5), "momentum"),
        (
            BatchNormConfig::new(1).with_initial_affine(f64::NAN, 0.0),
            "initial_gamma",
        ),
        (
            BatchNormConfig::new(1).with_initial_statistics(0.0, -1.0),
            "initial_variance",
        ),
    ] {
        let error = config.try_init(&Device::flex()).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}

/// The gradient of `sum(y * g)` by central differences, in `f64`.
fn numeric_gradient(layer: &BatchNorm, x: &[f64], g: &[f64], shape: [usize; 3]) -> Vec<f64> {
    let device = Device::flex();
    let loss = |x: Vec<f64>| {
        let layer = layer.clone();
        let x =
            Tensor::<3>::from_data(TensorData::new(x, shape), (&device, FloatDType::F64.into()));
        let y = layer
            .forward_mode(x, Mode::Train)
            .try_into_vec_as::<f64>()
            .unwrap();
        y.iter().zip(g).map(|(y, g)| y * g).sum::<f64>()
    };
    let step = 1e-5;
    (0..x.len())
        .map(|i| {
            let at = |delta: f64| {
                let mut x = x.to_vec();
                x[i] += delta;
                loss(x)
            };
            (at(step) - at(-step)) / (2.0 * step)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn gradients_agree_with_differences(
        x in prop::collection::vec(-3.0..3.0_f64, 12),
        g in prop::collection::vec(-1.0..1.0_f64, 12),
    ) {
        let shape = [2, 2, 3];
        let device = training();
        let config = BatchNormConfig::new(2).with_initial_affine(1.5, -0.5).with_epsilon(0.1);
        let layer = config.init(&device);
        let tensor = |data: &[f64]| {
            let data: Vec<f32> = data.iter().map(|v| *v as f32).collect();
            Tensor::<3>::from_data(TensorData::new(data, shape), &device)
        };
        let input = tensor(&x).require_grad();
        let loss = (layer.forward(input.clone()) * tensor(&g)).sum();
        let gradients = loss.backward();
        let got = values(input.grad(&gradients).unwrap());
        let exact: Vec<f64> = x.iter().map(|v| f64::from(*v as f32)).collect();
        let want = numeric_gradient(&config.init(&Device::flex()), &exact, &g, shape);
        for (got, want) in got.iter().zip(&want) {
            prop_assert!((f64::from(*got) - want).abs() < 2e-4, "{} is not {}", got, want);
        }
    }

    #[test]
    fn the_output_is_invariant_to_shift_and_scale_of_the_input(
        x in prop::collection::vec(-3.0..3.0_f32, 8),
        shift in -100.0..100.0_f32,
        scale in 0.5..20.0_f32,
    ) {
        let layer = BatchNormConfig::new(2).with_epsilon(1e-9).init(&training());
        let spread = x.iter().step_by(2).fold(0.0_f32, |m, v| m.max((v - x[0]).abs()));
        let other = x.iter().skip(1).step_by(2).fold(0.0_f32, |m, v| m.max((v - x[1]).abs()));
        prop_assume!(spread > 0.1 && other > 0.1);
        let run = |x: Vec<f32>| {
            values(layer.forward(Tensor::<2>::from_data(TensorData::new(x, [4, 2]), &training())))
        };
        let moved = x.iter().map(|v| v * scale + shift).collect();
        for (a, b) in run(x).iter().zip(&run(moved)) {
            prop_assert!((a - b).abs() < 2e-3, "{} is not {}", a, b);
        }
    }
}
