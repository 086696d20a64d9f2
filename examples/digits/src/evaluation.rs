//! The test: what the trained network says about data it has never seen.

use burn::module::Module as _;
use burn::tensor::{Device, Tensor};
use firecraft::data::{Batch, ImageDataset, LoaderConfig, Normalizer};
use firecraft::trainer::Supervised as _;
use firecraft::trainer::report::Predictions;

use crate::error::DigitsError;
use crate::model::DigitNet;

/// The answers on a data set, in its order.
pub(crate) fn predictions(
    model: &DigitNet,
    dataset: &ImageDataset,
    normalizer: &Normalizer,
    device: &Device,
) -> Result<Predictions, DigitsError> {
    let model = model.valid();
    let device = device.clone().without_autodiff();
    let mut logits = Vec::new();
    for batch in LoaderConfig::new(256).init(dataset.clone())?.epoch(0)? {
        let batch: Batch = batch?;
        let images = batch.to_normalized_tensors(normalizer, &device)?.images;
        logits.push(model.forward(images));
    }
    Ok(Predictions::new(Tensor::cat(logits, 0), &dataset.labels())?)
}
