//! What the layers with kernels do at the edges, with the kernels and with the
//! composites: half precision, non-finite and empty input, a batch of one,
//! shapes that don't fit.
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "flex")]

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use firecraft_core_tensor::Key;
use firecraft_norm::{
    BatchNorm, BatchNormConfig, GroupNormConfig, InstanceNormConfig, Kernels, LayerNormConfig,
    NormError, RmsNormConfig,
};

const SHAPE: [usize; 4] = [3, 4, 5, 7];
const BOTH: [Kernels; 2] = [Kernels::Auto, Kernels::Composite];

type Forward = Box<dyn Fn(Tensor<4>) -> Result<Tensor<4>, NormError>>;

/// A layer of 4 channels on axis 1, and whether two elements share a statistic.
struct Layer {
    name: &'static str,
    forward: Forward,
    together: fn([usize; 4], [usize; 4]) -> bool,
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn layers(kernels: Kernels) -> Vec<Layer> {
    let device = device();
    let batch = BatchNormConfig::new(4).with_kernels(kernels).init(&device);
    let layer = LayerNormConfig::new([4]).with_axis(1);
    let layer = layer.with_kernels(kernels).init(&device);
    let rms = RmsNormConfig::new([4]).with_axis(1);
    let rms = rms.with_kernels(kernels).init(&device);
    let group = GroupNormConfig::new(2, 4)
        .with_kernels(kernels)
        .init(&device);
    let instance = InstanceNormConfig::new(4)
        .with_kernels(kernels)
        .init(&device);
    let position = |a: [usize; 4], b: [usize; 4]| [a[0], a[2], a[3]] == [b[0], b[2], b[3]];
    vec![
        Layer {
            name: "batch",
            forward: Box::new(move |x| batch.try_forward(x)),
            together: |a, b| a[1] == b[1],
        },
        Layer {
            name: "layer",
            forward: Box::new(move |x| layer.try_forward(x)),
            together: position,
        },
        Layer {
            name: "rms",
            forward: Box::new(move |x| rms.try_forward(x)),
            together: position,
        },
        Layer {
            name: "group",
            forward: Box::new(move |x| group.try_forward(x)),
            together: |a, b| [a[0], a[1] / 2] == [b[0], b[1] / 2],
        },
        Layer {
            name: "instance",
            forward: Box::new(move |x| instance.try_forward(x)),
            together: |a, b| a[..2] == b[..2],
        },
    ]
}

fn random(slot: u64, shape: [usize; 4], scale: f32) -> Tensor<4> {
    let mut rng = Key::from_seed(9).fold(slot).rng();
    let length = shape.iter().product();
    let values: Vec<f32> = (0..length).map(|_| rng.normal() * scale).collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

fn index(mut i: usize) -> [usize; 4] {
    let mut index = [0; 4];
    for (axis, length) in SHAPE.into_iter().enumerate().rev() {
        index[axis] = i % length;
        i /= length;
    }
    index
}

#[test]
fn half_precision_is_computed_in_single_precision() {
    for (format, digit) in [(FloatDType::F16, 1e-3), (FloatDType::BF16, 1e-2)] {
        for kernels in BOTH {
            for layer in layers(kernels) {
                // Squares and sums of these are beyond the largest half number.
                let half = random(0, SHAPE, 2e4).clamp(-6e4, 6e4).cast(format);
                let run = |x: Tensor<4>| {
                    let x = x.detach().require_grad();
                    let y = (layer.forward)(x.clone()).unwrap();
                    assert_eq!(y.dtype(), x.dtype());
                    let weight = random(1, SHAPE, 1.0).cast(FloatDType::from(x.dtype()));
                    let gradients = (y.clone() * weight).sum().backward();
                    // The gradients are as small as the input is large.
                    let gradient = x.grad(&gradients).unwrap().cast(FloatDType::F32) * 2e4;
                    [values(y), values(gradient)]
                };
                let got = run(half.clone());
                let want = run(half.cast(FloatDType::F32));
                for (what, (got, want)) in ["y", "gx"].iter().zip(got.iter().zip(&want)) {
                    for (got, want) in got.iter().zip(want) {
                        assert!(
                            (got - want).abs() <= digit * (4.0 + want.abs()),
                            "{} {format:?} {kernels:?}: {what} {got} is not {want}",
                            layer.name
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn non_finite_input_stays_with_its_statistic() {
    for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for layer in BOTH.into_iter().flat_map(layers) {
            let clean = values(random(0, SHAPE, 1.0));
            let mut poisoned = clean.clone();
            let at = 200;
            poisoned[at] = poison;
            let x = Tensor::from_data(TensorData::new(poisoned, SHAPE), &device());
            let got = values((layer.forward)(x).unwrap());
            let want = values((layer.forward)(random(0, SHAPE, 1.0)).unwrap());
            assert!(got[at].is_nan(), "{}: {}", layer.name, got[at]);
            for (i, (got, want)) in got.iter().zip(want).enumerate() {
                if !(layer.together)(index(i), index(at)) {
                    assert_eq!(*got, want, "{} at {:?}", layer.name, index(i));
                }
            }
        }
    }
}

#[test]
fn an_empty_batch_is_an_error_with_batch_statistics_and_empty_otherwise() {
    for layer in BOTH.into_iter().flat_map(layers) {
        for shape in [[0, 4, 5, 7], [3, 4, 0, 7]] {
            let x = Tensor::from_data(TensorData::new(Vec::<f32>::new(), shape), &device());
            match (layer.forward)(x) {
                Ok(y) => assert_eq!((y.dims(), layer.name == "batch"), (shape, false)),
                Err(error) => {
                    assert_eq!(layer.name, "batch", "{error}");
                    assert!(matches!(error, NormError::Empty { .. }), "{error}");
                }
            }
        }
    }
}

#[test]
fn a_batch_of_one_is_normalised_and_a_single_value_is_an_error() {
    for layer in BOTH.into_iter().flat_map(layers) {
        let y = values((layer.forward)(random(0, [1, 4, 5, 7], 1.0)).unwrap());
        assert!(y.iter().all(|v| v.is_finite()), "{}", layer.name);
        let alone = (layer.forward)(random(0, [1, 4, 1, 1], 1.0));
        let is_error = matches!(alone, Err(NormError::SingleValue { .. }));
        assert_eq!(is_error, ["batch", "instance"].contains(&layer.name));
    }
}

#[test]
fn a_wrong_number_of_channels_is_an_error_that_names_both() {
    for layer in BOTH.into_iter().flat_map(layers) {
        let error = (layer.forward)(random(0, [3, 6, 5, 7], 1.0)).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("has 6 features"), "{message}");
        assert!(message.contains("made for 4"), "{message}");
    }
}

#[test]
fn forward_relu_is_relu_after_forward_in_every_mode() {
    let config = BatchNormConfig::new(4).with_initial_affine(1.0, 0.5);
    for layer in BOTH.map(|kernels| config.clone().with_kernels(kernels).init(&device())) {
        for layer in [layer.clone(), layer.clone().freeze(), layer.valid()] {
            let [fused, separate] = [layer.clone(), layer];
            let x = random(0, SHAPE, 3.0);
            let got = values(fused.forward_relu(x.clone()));
            let want = values(relu(separate.forward(x)));
            assert!(got.contains(&0.0));
            assert_eq!(got, want, "{:?}", fused.mode());
            let mean = |layer: &BatchNorm| values(layer.running_mean.as_ref().unwrap().value());
            assert_eq!(mean(&fused), mean(&separate));
        }
    }
}

#[test]
fn every_configuration_chooses_the_composite_by_name() {
    let composite = r#""kernels": "composite""#;
    let json = |rest: &str| format!("{{{rest}, {composite}}}");
    let features = json(r#""num_features": 4"#);
    let batch: BatchNormConfig = serde_json::from_str(&features).unwrap();
    let instance: InstanceNormConfig = serde_json::from_str(&features).unwrap();
    let shape = json(r#""normalized_shape": [4]"#);
    let layer: LayerNormConfig = serde_json::from_str(&shape).unwrap();
    let rms: RmsNormConfig = serde_json::from_str(&shape).unwrap();
    let group = json(r#""num_groups": 2, "num_channels": 4"#);
    let group: GroupNormConfig = serde_json::from_str(&group).unwrap();
    let chosen = [
        batch.kernels,
        instance.kernels,
        layer.kernels,
        rms.kernels,
        group.kernels,
    ];
    assert_eq!(chosen, [Kernels::Composite; 5]);
}
