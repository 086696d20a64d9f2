//! Weights that PyTorch itself saved, and the answers that it gave with them.
//! The tests of `torch.save` need the feature `pytorch`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use firecraft_trainer::{Import, ModelState};
use serde::Deserialize;

/// `crates/trainer/tests/data/make_torch_reference.py` in burn, with names of
/// its own.
#[derive(Module, Debug)]
struct Net {
    conv: Conv2d,
    norm: BatchNorm,
    head: Linear,
}

impl Net {
    fn new(classes: usize, device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new([2, 4], [3, 3])
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device),
            norm: BatchNormConfig::new(4).init(device),
            head: LinearConfig::new(4 * 3 * 3, classes).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = relu(self.norm.forward(self.conv.forward(x)));
        self.head.forward(x.flatten(1, 3))
    }
}

#[derive(Deserialize)]
struct Reference {
    shape: [usize; 4],
    input: Vec<f32>,
    output: Vec<Vec<f32>>,
}

fn data(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.join("tests/data").join(name)
}

fn import(file: &str) -> Import {
    Import::open(&data(file))
        .unwrap()
        .pytorch()
        .rename("features.0.", "conv.")
        .rename("features.1.", "norm.")
        .rename("fc.", "head.")
}

fn answers_are_torchs(file: &str) {
    let text = std::fs::read_to_string(data("torch_reference.json")).unwrap();
    let reference: Reference = serde_json::from_str(&text).unwrap();
    let device = Device::flex();
    let (net, report) = import(file).apply(Net::new(3, &device)).unwrap();
    assert_eq!(report.loaded.len(), 8, "{report:?}");
    assert!(
        report.missing.is_empty() && report.unused.is_empty(),
        "{report:?}"
    );
    let input = TensorData::new(reference.input, reference.shape);
    let output = net.forward(Tensor::from_data(input, &device));
    let ours = output.into_data().try_to_vec::<f32>().unwrap();
    let theirs = reference.output.concat();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
    }
}

fn another_head_is_left_alone(file: &str) {
    let device = Device::flex();
    let fresh = Net::new(5, &device);
    let floats = |net: &Net, path: &str| {
        let state = ModelState::of(net);
        state.get(path).unwrap().try_to_vec::<f32>().unwrap()
    };
    let head = floats(&fresh, "head.weight");
    let error = import(file).apply(fresh.clone()).unwrap_err().to_string();
    assert!(error.contains("`head.bias`"), "{error}");
    let (net, report) = import(file).partial().apply(fresh).unwrap();
    assert_eq!(report.other_shape, ["head.bias", "head.weight"]);
    assert_eq!(floats(&net, "head.weight"), head);
    let (whole, _) = import(file).apply(Net::new(3, &device)).unwrap();
    for path in ["conv.weight", "norm.running_mean", "norm.gamma"] {
        assert_eq!(floats(&net, path), floats(&whole, path), "{path}");
    }
}

#[test]
fn safetensors_of_torch_give_its_answers() {
    answers_are_torchs("torch_reference.safetensors");
}

#[test]
fn a_backbone_of_torch_in_safetensors_goes_under_another_head() {
    another_head_is_left_alone("torch_reference.safetensors");
}

#[cfg(feature = "pytorch")]
#[test]
fn a_state_dict_of_torch_gives_its_answers() {
    answers_are_torchs("torch_reference.pt");
}

#[cfg(feature = "pytorch")]
#[test]
fn a_backbone_of_torch_in_a_state_dict_goes_under_another_head() {
    another_head_is_left_alone("torch_reference.pt");
}
