//! Where a batch becomes tensors; the one place of this crate that knows burn.

use crate::{Batch, BatchPixels, DataError, Normalizer};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// A batch on a device.
#[derive(Clone, Debug)]
pub struct BatchTensors {
    /// Images, `[N, C, H, W]`.
    pub images: Tensor<4>,
    /// Classes, `[N]`.
    pub labels: Tensor<1, Int>,
    /// Weights in the loss, `[N]`.
    pub weights: Option<Tensor<1>>,
}

impl Batch {
    /// The batch on `device`: levels become `[0, 1]`, values stay, and channels
    /// come before rows.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use firecraft_data::{Digits, LoaderConfig};
    /// let loader = LoaderConfig::new(32).init(Digits::load()?)?;
    /// for batch in loader.epoch(0)?.take(1) {
    ///     let tensors = batch?.to_tensors(&Device::flex());
    ///     assert_eq!(tensors.images.dims(), [32, 1, 8, 8]);
    ///     assert_eq!(tensors.images.max().into_scalar::<f32>(), 1.0);
    ///     assert_eq!(tensors.labels.dims(), [32]);
    /// }
    /// # Ok::<(), firecraft_data::DataError>(())
    /// ```
    #[must_use]
    pub fn to_tensors(&self, device: &Device) -> BatchTensors {
        self.tensors(self.to_nchw(&Normalizer::identity(self.shape[3])), device)
    }

    /// As [`to_tensors`](Self::to_tensors), normalised in the same pass.
    ///
    /// # Errors
    /// [`DataError::Mismatch`] if the normaliser is for another number of
    /// channels.
    pub fn to_normalized_tensors(
        &self,
        normalizer: &Normalizer,
        device: &Device,
    ) -> Result<BatchTensors, DataError> {
        let (expected, got) = (self.shape[3], normalizer.mean().len());
        if expected != got {
            return Err(DataError::Mismatch {
                what: "channels of the normaliser".to_owned(),
                expected: expected.to_string(),
                got: got.to_string(),
                remedy: "fit it to the data set that is loaded",
            });
        }
        Ok(self.tensors(self.to_nchw(normalizer), device))
    }

    fn tensors(&self, images: Vec<f32>, device: &Device) -> BatchTensors {
        let [n, height, width, channels] = self.shape;
        let labels: Vec<i64> = self.labels.iter().map(|&label| i64::from(label)).collect();
        let weights = self.info.weights.as_ref();
        BatchTensors {
            images: Tensor::from_data(
                TensorData::new(images, [n, channels, height, width]),
                device,
            ),
            labels: Tensor::from_data(TensorData::new(labels, [n]), device),
            weights: weights.map(|w| Tensor::from_data(TensorData::new(w.clone(), [n]), device)),
        }
    }

    /// Normalised values, N × C × H × W.
    fn to_nchw(&self, normalizer: &Normalizer) -> Vec<f32> {
        let [n, height, width, channels] = self.shape;
        let plane = height * width;
        let mut values = vec![0.0; n * plane * channels];
        if values.is_empty() {
            return values;
        }
        match &self.pixels {
            BatchPixels::U8(levels) => {
                let tables = normalizer.tables();
                for (image, out) in levels
                    .chunks_exact(plane * channels)
                    .zip(values.chunks_exact_mut(plane * channels))
                {
                    for (c, (table, out)) in
                        tables.iter().zip(out.chunks_exact_mut(plane)).enumerate()
                    {
                        for (pixel, value) in image.chunks_exact(channels).zip(out) {
                            *value = table[usize::from(pixel[c])];
                        }
                    }
                }
            }
            BatchPixels::F32(pixels) => {
                let statistics = normalizer.mean().iter().zip(normalizer.std());
                for (image, out) in pixels
                    .chunks_exact(plane * channels)
                    .zip(values.chunks_exact_mut(plane * channels))
                {
                    for (c, ((mean, std), out)) in statistics
                        .clone()
                        .zip(out.chunks_exact_mut(plane))
                        .enumerate()
                    {
                        for (pixel, value) in image.chunks_exact(channels).zip(out) {
                            *value = (pixel[c] - mean) / std;
                        }
                    }
                }
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BatchInfo;
    use firecraft_key::Key;

    fn batch(pixels: BatchPixels) -> Batch {
        let info = BatchInfo {
            epoch: 0,
            index: 0,
            key: Key::from_seed(0),
            ids: vec![0],
            weights: Some(vec![0.5]),
        };
        Batch {
            pixels,
            shape: [1, 1, 2, 2],
            labels: vec![3],
            info,
        }
    }

    fn values(tensor: Tensor<4>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn channels_come_first_and_are_normalised_separately() {
        let normalizer = Normalizer::new(vec![0.0, 1.0], vec![1.0, 0.5]).unwrap();
        let device = Device::flex();
        let levels = batch(BatchPixels::U8(vec![0, 255, 51, 0]));
        let tensors = levels.to_normalized_tensors(&normalizer, &device).unwrap();
        assert_eq!(values(tensors.images), [0.0, 0.2, 0.0, -2.0]);
        assert_eq!(
            tensors.labels.into_data().iter::<i64>().collect::<Vec<_>>(),
            [3]
        );
        assert_eq!(
            tensors
                .weights
                .unwrap()
                .into_data()
                .try_to_vec::<f32>()
                .unwrap(),
            [0.5]
        );
        let floats = batch(BatchPixels::F32(vec![0.0, 1.0, 0.2, 0.0]));
        assert_eq!(
            values(
                floats
                    .to_normalized_tensors(&normalizer, &device)
                    .unwrap()
                    .images
            ),
            [0.0, 0.2, 0.0, -2.0]
        );
        assert_eq!(
            values(floats.to_tensors(&device).images),
            [0.0, 0.2, 1.0, 0.0]
        );
    }

    #[test]
    fn a_normaliser_for_other_channels_is_refused() {
        let error = batch(BatchPixels::U8(vec![0; 4]))
            .to_normalized_tensors(&Normalizer::imagenet(), &Device::flex());
        assert!(error.unwrap_err().to_string().contains("got 3, expected 2"));
    }
}
