//! A model as burn-train wants it; nothing here knows firecraft's schedules.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};
use firecraft_data::BatchTensors;

/// Two convolutions and a linear layer: `[N, 1, 8, 8]` to `[N, 10]`.
#[derive(Module, Debug)]
pub struct DigitNet {
    conv1: Conv2d,
    conv2: Conv2d,
    pool: MaxPool2d,
    head: Linear,
}

impl DigitNet {
    /// A network with new weights.
    #[must_use]
    pub fn new(device: &Device) -> Self {
        let conv = |from, to| {
            Conv2dConfig::new([from, to], [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .init(device)
        };
        Self {
            conv1: conv(1, 16),
            conv2: conv(16, 32),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            head: LinearConfig::new(32 * 4, 10).init(device),
        }
    }

    fn classify(&self, batch: BatchTensors) -> ClassificationOutput {
        let x = self.pool.forward(relu(self.conv1.forward(batch.images)));
        let x = self.pool.forward(relu(self.conv2.forward(x)));
        let logits: Tensor<2> = self.head.forward(x.flatten(1, 3));
        let loss = CrossEntropyLossConfig::new()
            .init(&logits.device())
            .forward(logits.clone(), batch.labels.clone());
        ClassificationOutput::new(loss, logits, batch.labels)
    }
}

impl TrainStep for DigitNet {
    type Input = BatchTensors;
    type Output = ClassificationOutput;

    fn step(&self, batch: BatchTensors) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for DigitNet {
    type Input = BatchTensors;
    type Output = ClassificationOutput;

    fn step(&self, batch: BatchTensors) -> ClassificationOutput {
        self.classify(batch)
    }
}
