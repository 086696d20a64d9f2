//! How strong the signal is in each part of the network before training.

use burn::module::Module as _;
use burn::tensor::Device;
use firecraft::data::{ImageDataset, LoaderConfig, Normalizer};

use crate::error::DigitsError;
use crate::model::DigitNet;

/// Standard deviation of the activations after one part of the network.
pub(crate) struct Signal {
    pub(crate) layer: &'static str,
    pub(crate) std: f64,
}

/// The signal of a batch of training images in the untrained network.
///
/// Normalisation works with the statistics of the batch, as in the first step
/// of the training. The model is a copy; its own statistics stay as they are.
pub(crate) fn signals(
    model: &DigitNet,
    dataset: &ImageDataset,
    normalizer: &Normalizer,
    device: &Device,
) -> Result<Vec<Signal>, DigitsError> {
    let model = model.clone().train();
    let device = device.clone().autodiff();
    let loader = LoaderConfig::new(256).init(dataset.clone())?;
    let Some(batch) = loader.epoch(0)?.next() else {
        return Ok(Vec::new());
    };
    let images = batch?.to_normalized_tensors(normalizer, &device)?.images;
    let signals = model.activations(images).into_iter().map(|(layer, x)| {
        let values: Vec<f64> = x.into_data().iter::<f64>().collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        Signal {
            layer,
            std: variance.sqrt(),
        }
    });
    Ok(signals.collect())
}
