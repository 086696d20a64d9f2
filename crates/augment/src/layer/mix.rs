//! Mixing batches of tensors, and as a layer.

use crate::{AugmentError, MixHow, MixPlan, Mixing, Size};
use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use firecraft_core_tensor::{KeyCell, Mode, ModeCell};
use firecraft_key::Key;

impl MixPlan {
    /// [`MixPlan::apply`] on a batch `[batch, channels, height, width]` of any
    /// device. Gradients flow to both samples.
    ///
    /// # Errors
    /// If the batch doesn't hold the samples of the plan.
    pub fn images(&self, images: Tensor<4>) -> Result<Tensor<4>, AugmentError> {
        let [batch, _, height, width] = images.dims();
        self.check_batch(batch)?;
        let (device, dtype) = (images.device(), images.dtype());
        let kept = self.pairs.len();
        if kept == 0 || images.shape().num_elements() == 0 {
            return Ok(images);
        }
        let others = images.clone().select(0, self.partners(&device));
        let own = images.narrow(0, 0, kept);
        // The share of the sample itself at each pixel.
        let any_paste = self.pairs.iter().any(|mix| mix.how != MixHow::Blend);
        let (rows, columns) = if any_paste { (height, width) } else { (1, 1) };
        let mut share = Vec::with_capacity(kept * rows * columns);
        for mix in &self.pairs {
            share.extend((0..rows * columns).map(|i| match mix.how {
                MixHow::Blend => mix.weight as f32,
                MixHow::Paste(region) => {
                    let (y, x) = (i / columns, i % columns);
                    let inside = (region.top..region.top + region.size.height).contains(&y)
                        && (region.left..region.left + region.size.width).contains(&x);
                    f32::from(!inside)
                }
            }));
        }
        let share = TensorData::new(share, [kept, 1, rows, columns]);
        let share = Tensor::<4>::from_data(share, (&device, dtype));
        Ok(own * share.clone() + others * (-share + 1.0))
    }

    /// [`MixPlan::labels`] for a batch `[batch, classes]` of any device.
    ///
    /// # Errors
    /// If the batch doesn't hold the samples of the plan.
    pub fn targets(&self, labels: Tensor<2>) -> Result<Tensor<2>, AugmentError> {
        let [batch, classes] = labels.dims();
        self.check_batch(batch)?;
        let (device, dtype) = (labels.device(), labels.dtype());
        if self.pairs.is_empty() || classes == 0 {
            return Ok(labels);
        }
        let smoothing = self.label_smoothing;
        let labels = labels * (1.0 - smoothing) + smoothing / classes as f64;
        let weights: Vec<f32> = self.pairs.iter().map(|mix| mix.weight as f32).collect();
        let weights = TensorData::new(weights, [self.pairs.len(), 1]);
        let weights = Tensor::<2>::from_data(weights, (&device, dtype));
        let others = labels.clone().select(0, self.partners(&device));
        let own = labels.narrow(0, 0, self.pairs.len());
        Ok(own * weights.clone() + others * (-weights + 1.0))
    }

    fn partners(&self, device: &Device) -> Tensor<1, Int> {
        let partners: Vec<i64> = self.pairs.iter().map(|mix| mix.partner as i64).collect();
        let n = partners.len();
        Tensor::from_data(TensorData::new(partners, [n]), (device, DType::I64))
    }

    fn check_batch(&self, batch: usize) -> Result<(), AugmentError> {
        let partners = self.pairs.iter().map(|mix| mix.partner + 1).max();
        let expected = partners.unwrap_or(0).max(self.pairs.len());
        if batch >= expected {
            return Ok(());
        }
        Err(AugmentError::Length {
            operation: "mixing: batch",
            got: batch,
            expected,
        })
    }
}

/// [`Mixing`] as a layer: it mixes a batch and its labels in training and
/// gives both back as they are otherwise.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_augment::{Mixing, layer::Mixer};
/// let device = Device::flex().autodiff();
/// let mixer = Mixer::new(Mixing::keras_mixup(0.2))?.with_seed(1);
/// let images = Tensor::<4>::ones([4, 3, 8, 8], &device);
/// let labels = Tensor::<2>::ones([4, 10], &device) / 10.0;
/// let (images, labels) = mixer.forward(images, labels)?;
/// assert_eq!((images.dims(), labels.dims()), ([4, 3, 8, 8], [4, 10]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Module, Debug)]
pub struct Mixer {
    #[module(skip)]
    mixing: Mixing,
    keys: KeyCell,
    mode: ModeCell,
}

impl Mixer {
    /// A layer that mixes in that way.
    ///
    /// # Errors
    /// If the configuration is not valid.
    pub fn new(mixing: Mixing) -> Result<Self, AugmentError> {
        mixing.validate()?;
        let slot = Key::from_seed(0).named("mixing").words()[0];
        Ok(Self {
            mixing,
            keys: KeyCell::new(slot),
            mode: ModeCell::default(),
        })
    }

    /// Sets the seed of the draws, for use without a trainer.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.keys = self.keys.with_seed(seed);
        self
    }

    /// Mixes in training.
    ///
    /// # Errors
    /// If there are fewer labels than images, or a batch of an odd size is to
    /// be halved.
    pub fn forward(
        &self,
        images: Tensor<4>,
        labels: Tensor<2>,
    ) -> Result<(Tensor<4>, Tensor<2>), AugmentError> {
        if self.mode.resolve(&images) == Mode::Eval {
            return Ok((images, labels));
        }
        let [batch, _, height, width] = images.dims();
        let plan = self
            .mixing
            .plan(batch, Size::new(height, width), self.keys.next())?;
        Ok((plan.images(images)?, plan.targets(labels)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MixMode;

    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i * 31 % 101) as f32 / 101.0).collect()
    }

    #[test]
    fn tensors_are_mixed_as_buffers_are() {
        let (n, c, size, classes) = (4, 2, Size::new(5, 6), 3);
        let device = Device::flex();
        for mixing in [
            Mixing::mixup(1.0),
            Mixing::cutmix(1.0),
            Mixing::timm(0.8, 1.0, MixMode::Element),
            Mixing::timm(0.8, 1.0, MixMode::Half),
        ] {
            for seed in 0..6 {
                let plan = mixing.plan(n, size, Key::from_seed(seed)).unwrap();
                let mut expected = numbers(n * c * size.area());
                let images = Tensor::<1>::from_data(expected.as_slice(), &device).reshape([
                    n,
                    c,
                    size.height,
                    size.width,
                ]);
                plan.apply(&mut expected, size, c).unwrap();
                let got: Vec<f32> = plan
                    .images(images)
                    .unwrap()
                    .into_data()
                    .try_into_vec()
                    .unwrap();
                assert_eq!(got.len(), expected.len());
                assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
                let labels = numbers(n * classes);
                let tensor =
                    Tensor::<1>::from_data(labels.as_slice(), &device).reshape([n, classes]);
                let got: Vec<f32> = plan
                    .targets(tensor)
                    .unwrap()
                    .into_data()
                    .try_into_vec()
                    .unwrap();
                let expected = plan.labels(&labels).unwrap();
                assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
            }
        }
    }

    #[test]
    fn the_layer_acts_in_training_only() {
        let mixer = Mixer::new(Mixing::mixup(1.0)).unwrap();
        let of = |device: &Device| {
            let data = numbers(2 * 4);
            let images = Tensor::<1>::from_data(data.as_slice(), device).reshape([2, 1, 2, 2]);
            (images, Tensor::<2>::eye(2, device))
        };
        let (images, labels) = of(&Device::flex());
        let (same, _) = mixer.forward(images.clone(), labels).unwrap();
        assert_eq!(same.into_data(), images.into_data());
        let (images, labels) = of(&Device::flex().autodiff());
        let (mixed, labels) = mixer.forward(images.clone(), labels).unwrap();
        assert_ne!(mixed.into_data(), images.into_data());
        let sums: Vec<f32> = labels.sum_dim(1).into_data().try_into_vec().unwrap();
        assert!(sums.iter().all(|s| (s - 1.0).abs() < 1e-6));
        assert!(Mixer::new(Mixing::mixup(-1.0)).is_err());
    }
}
