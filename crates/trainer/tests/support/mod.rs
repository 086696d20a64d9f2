//! A small network with everything that makes resuming hard: burn's own batch
//! normalisation (shared statistics) and dropout (global generator).
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use firecraft_key::Key;
use firecraft_trainer::checkpoint::{CheckpointStore, Payloads};
use firecraft_trainer::{InMemory, Labelled, Supervised, Targets};

#[derive(Module, Debug)]
pub(crate) struct Net {
    first: Linear,
    norm: BatchNorm,
    dropout: Dropout,
    last: Linear,
}

pub(crate) const FEATURES: usize = 6;
pub(crate) const CLASSES: usize = 3;
pub(crate) const BATCH: usize = 8;

impl Net {
    pub(crate) fn new(seed: u64) -> Self {
        let device = Device::flex().autodiff();
        device.seed(seed);
        let net = Self {
            first: LinearConfig::new(FEATURES, 16).init(&device),
            norm: BatchNormConfig::new(16).init(&device),
            dropout: DropoutConfig::new(0.2).init(),
            last: LinearConfig::new(16, CLASSES).init(&device),
        };
        // Parameters are lazy: draw them now, from the seed.
        let _ = firecraft_trainer::ModelState::of(&net);
        net
    }
}

impl Supervised for Net {
    type Input = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = relu(self.norm.forward(self.first.forward(x)));
        self.last.forward(self.dropout.forward(x))
    }
}

/// Points around three centres; the same for the same epoch and batch.
pub(crate) fn batch(epoch: u64, index: u64, device: &Device) -> Labelled<Tensor<2>> {
    sized_batch(epoch, index, BATCH, device)
}

pub(crate) fn sized_batch(
    epoch: u64,
    index: u64,
    size: usize,
    device: &Device,
) -> Labelled<Tensor<2>> {
    let mut rng = Key::from_seed(99).fold(epoch).fold(index).rng();
    let mut inputs = Vec::new();
    let mut classes = Vec::new();
    for _ in 0..size {
        let class = rng.below(CLASSES as u64) as i64;
        classes.push(class);
        for feature in 0..FEATURES {
            let centre = if feature as i64 % CLASSES as i64 == class {
                1.0
            } else {
                0.0
            };
            inputs.push(centre + 0.7 * rng.normal());
        }
    }
    Labelled {
        inputs: Tensor::from_data(TensorData::new(inputs, [size, FEATURES]), device),
        targets: Targets::Classes(Tensor::<1, Int>::from_data(
            TensorData::new(classes, [size]),
            device,
        )),
        weights: None,
    }
}

/// burn's generator is global: trainings with dropout must not overlap.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static TRAINING: Mutex<()> = Mutex::new(());
    TRAINING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the batch of an epoch and an index.
pub(crate) type Make = fn(u64, u64, &Device) -> Labelled<Tensor<2>>;

pub(crate) fn train(batches: u64) -> InMemory<Make> {
    InMemory::new(batches, batches * BATCH as u64, batch)
}

pub(crate) fn valid() -> InMemory<Make> {
    fn make(_epoch: u64, index: u64, device: &Device) -> Labelled<Tensor<2>> {
        batch(1_000_000, index, device)
    }
    InMemory::new(3, 3 * BATCH as u64, make)
}

/// One linear layer: no state, no randomness.
#[derive(Module, Debug)]
pub(crate) struct Flat {
    layer: Linear,
}

impl Flat {
    pub(crate) fn new(seed: u64) -> Self {
        let device = Device::flex().autodiff();
        device.seed(seed);
        let layer = LinearConfig::new(FEATURES, CLASSES).init(&device);
        let flat = Self { layer };
        let _ = firecraft_trainer::ModelState::of(&flat);
        flat
    }
}

impl Flat {
    pub(crate) fn valid_weight(&self) -> Vec<f32> {
        self.layer.weight.val().into_data().iter().collect()
    }

    /// The same layer with a weight in `[-limit, limit]`.
    pub(crate) fn clamped(mut self, limit: f64) -> Self {
        self.layer.weight = self
            .layer
            .weight
            .map(|w| Tensor::from_inner(w.inner().clamp(-limit, limit)).require_grad());
        self
    }
}

impl Supervised for Flat {
    type Input = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.layer.forward(x)
    }
}

/// The newest checkpoint, without what a clock has said.
pub(crate) fn newest(folder: &Path) -> (String, Payloads) {
    let store = CheckpointStore::open(folder.join("checkpoints")).unwrap();
    let latest = store.latest().unwrap().unwrap();
    let mut payloads = latest.payloads;
    let state = String::from_utf8(payloads.remove("state.json").unwrap()).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&state).unwrap();
    for callback in json["callbacks"].as_array_mut().unwrap() {
        if callback["key"] == "time_limit" {
            callback["values"] = serde_json::Value::Null;
        }
    }
    payloads.insert("state.json".into(), json.to_string().into_bytes());
    (latest.name, payloads)
}

/// The files of a run, without those that hold the time of day.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_file() && name != "timing.csv" {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    files
}
