//! Batch normalisation with statistics of its own for every part of a batch.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::Mode;
use serde::{Deserialize, Serialize};

use crate::{BatchNorm, BatchNormConfig, NormError, check};

const LAYER: &str = "SplitBatchNorm";

/// The configuration of a [`SplitBatchNorm`] layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitBatchNormConfig {
    /// Every one of the layers.
    pub norm: BatchNormConfig,
    /// The number of parts of a batch, at least 2. Default 2.
    #[serde(default = "two")]
    pub num_splits: usize,
}

fn two() -> usize {
    2
}

impl SplitBatchNormConfig {
    /// timm's `SplitBatchNorm2d`: torch's batch normalisation, two parts.
    #[must_use]
    pub fn new(num_features: usize) -> Self {
        Self {
            norm: BatchNormConfig::new(num_features),
            num_splits: two(),
        }
    }

    /// The layer on a device.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<SplitBatchNorm, NormError> {
        if self.num_splits < 2 {
            let allowed = "at least 2";
            return Err(check::config(LAYER, "num_splits", self.num_splits, allowed));
        }
        let layers = (1..self.num_splits).map(|_| self.norm.try_init(device));
        Ok(SplitBatchNorm {
            main: self.norm.try_init(device)?,
            auxiliary: layers.collect::<Result<_, _>>()?,
            config: self.clone(),
        })
    }
}

setters!(SplitBatchNormConfig {
    /// Sets every one of the layers.
    with_norm(norm: BatchNormConfig);
    /// Sets `num_splits`.
    with_num_splits(num_splits: usize);
});
init_in_burns_manner!(SplitBatchNormConfig => SplitBatchNorm);
forward_in_burns_manner!(SplitBatchNorm, SplitBatchNormConfig);

/// A batch normalisation for every part of a batch, the first of which is used
/// in evaluation.
///
/// For batches whose parts come from different distributions: clean and
/// adversarial images (Xie et al., *Adversarial Examples Improve Image
/// Recognition*, CVPR 2020), weakly and strongly augmented ones. In training a
/// batch is cut along its first axis into `num_splits` equal parts, the
/// clean ones first; or a whole batch goes through one of the layers by
/// [`try_forward_part`](Self::try_forward_part).
///
/// ```
/// use burn::{module::Module, tensor::{Device, Tensor}};
/// use firecraft_norm::SplitBatchNormConfig;
///
/// let device = Device::flex().autodiff();
/// let layer = SplitBatchNormConfig::new(1).init(&device);
/// let y = layer.forward(Tensor::<2>::from_floats([[1.0], [3.0], [5.0], [9.0]], &device));
/// let y: Vec<f32> = y.try_into_vec_as()?;
/// assert!((y[0] + 1.0).abs() < 1e-4 && (y[2] + 1.0).abs() < 1e-4); // each part for itself
/// let mean = |norm: &firecraft_norm::BatchNorm| norm.running_mean.as_ref().unwrap().value();
/// assert_eq!(mean(&layer.main).into_scalar::<f32>(), 0.2);
/// assert_eq!(mean(&layer.auxiliary[0]).into_scalar::<f32>(), 0.7);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Module, Debug)]
pub struct SplitBatchNorm {
    /// The layer of the first part and of evaluation.
    pub main: BatchNorm,
    /// The layers of the other parts.
    pub auxiliary: Vec<BatchNorm>,
    #[module(skip)]
    config: SplitBatchNormConfig,
}

impl SplitBatchNorm {
    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// Those of [`BatchNorm::try_forward`], and [`NormError::Parts`] if the
    /// batch can't be cut into equal parts.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let mode = self.main.mode_for(&x);
        self.try_forward_mode(x, mode)
    }

    /// [`try_forward`](Self::try_forward) in the given mode.
    ///
    /// # Errors
    /// Those of [`try_forward`](Self::try_forward).
    pub fn try_forward_mode<const D: usize>(
        &self,
        x: Tensor<D>,
        mode: Mode,
    ) -> Result<Tensor<D>, NormError> {
        if mode == Mode::Eval {
            return self.main.try_forward_mode(x, mode);
        }
        let parts = self.config.num_splits;
        let rows = x.dims()[0];
        if rows == 0 || !rows.is_multiple_of(parts) {
            return Err(NormError::Parts {
                layer: LAYER,
                shape: x.dims().to_vec(),
                parts,
            });
        }
        let layers = std::iter::once(&self.main).chain(&self.auxiliary);
        let outputs = x
            .chunk(parts, 0)
            .into_iter()
            .zip(layers)
            .map(|(part, layer)| layer.try_forward_mode(part, mode));
        Ok(Tensor::cat(outputs.collect::<Result<_, _>>()?, 0))
    }

    /// Normalises a whole batch by the layer of one part, 0 being the main one.
    ///
    /// # Errors
    /// Those of [`BatchNorm::try_forward`], and [`NormError::Config`] if there
    /// is no such part.
    pub fn try_forward_part<const D: usize>(
        &self,
        x: Tensor<D>,
        part: usize,
    ) -> Result<Tensor<D>, NormError> {
        let layer = match part.checked_sub(1) {
            None => Some(&self.main),
            Some(index) => self.auxiliary.get(index),
        };
        let layer =
            layer.ok_or_else(|| check::config(LAYER, "part", part, "below the number of parts"))?;
        layer.try_forward(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    #[test]
    fn parts_are_normalised_by_layers_of_their_own() {
        let device = Device::flex().autodiff();
        let config = SplitBatchNormConfig::new(3).with_num_splits(3);
        let layer = config.init(&device);
        let x = random([6, 3, 4], 1).autodiff();
        let y = layer.forward(x.clone());
        for part in 0..3 {
            let alone = BatchNormConfig::new(3).init(&device);
            let want = alone.forward(x.clone().narrow(0, part * 2, 2));
            let got = y.clone().narrow(0, part * 2, 2);
            assert_eq!(values(got), values(want));
        }
        let main = layer.main.running_mean.as_ref().unwrap().value();
        let other = layer.auxiliary[1].running_mean.as_ref().unwrap().value();
        assert_ne!(values(main), values(other));
    }

    #[test]
    fn evaluation_uses_the_main_layer() {
        let device = Device::flex().autodiff();
        let layer = SplitBatchNormConfig::new(2).init(&device);
        let x = random([4, 2], 3);
        let _ = layer.forward(x.clone().autodiff());
        let valid = layer.valid();
        let want = values(valid.main.forward(x.clone()));
        assert_eq!(values(valid.forward(x)), want);
    }

    #[test]
    fn a_batch_that_cannot_be_cut_is_an_error() {
        let device = Device::flex().autodiff();
        let layer = SplitBatchNormConfig::new(2).init(&device);
        for rows in [0, 3] {
            let error = layer.try_forward(Tensor::<2>::ones([rows, 2], &device));
            assert!(matches!(error, Err(NormError::Parts { .. })));
        }
        let x = Tensor::<2>::ones([3, 2], &device);
        assert!(layer.try_forward_part(x.clone(), 1).is_ok());
        assert!(layer.try_forward_part(x, 2).is_err());
        let one = SplitBatchNormConfig::new(2).with_num_splits(1);
        assert!(one.try_init(&device).is_err());
    }
}
