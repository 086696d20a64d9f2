//! Layers that act in both modes and may change the size.

use crate::{
    AugmentError, CenterCrop, Image, OddRest, RandomCrop, Sample, SampleMeta, Size, Transform,
};
use burn::module::Module;
use burn::tensor::{DType, Tensor, TensorData};
use firecraft_core_tensor::{KeyCell, Mode, ModeCell};
use firecraft_key::Key;
use rayon::prelude::*;
use std::sync::Arc;

/// Transforms that belong to a model, not to its training: one for training
/// and one for use. Keras' `Resizing`, `CenterCrop`, `RandomCrop`,
/// `Rescaling`.
///
/// Plans that keep size and channels run as those of
/// [`apply_batch`](super::apply_batch) do: on the device, and with gradients to
/// the input, where the steps can. All others go through the host, image by
/// image, and cut the gradient.
///
/// Shapes: `[batch, channels, height, width]` in; the size and the channels of
/// the transform out, which have to be the same for all.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_augment::{Resizing, Size, layer::Preprocess};
/// let device = Device::flex();
/// let small = Preprocess::always(Resizing::new(Size::new(8, 8)))?;
/// assert_eq!(small.forward(Tensor::<4>::ones([2, 3, 20, 30], &device))?.dims(), [2, 3, 8, 8]);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Module, Debug)]
pub struct Preprocess {
    #[module(skip)]
    train: Arc<dyn Transform>,
    #[module(skip)]
    eval: Arc<dyn Transform>,
    keys: KeyCell,
    mode: ModeCell,
}

impl Preprocess {
    /// Does `train` in training and `eval` otherwise.
    ///
    /// # Errors
    /// If one of them is not valid.
    pub fn new(train: impl Transform, eval: impl Transform) -> Result<Self, AugmentError> {
        Self::of(Arc::new(train), Arc::new(eval))
    }

    /// Does the same in both modes.
    ///
    /// # Errors
    /// If the transform is not valid.
    pub fn always(transform: impl Transform) -> Result<Self, AugmentError> {
        let transform: Arc<dyn Transform> = Arc::new(transform);
        Self::of(transform.clone(), transform)
    }

    /// A crop of that size: anywhere in training, the middle otherwise. Keras'
    /// `RandomCrop`.
    ///
    /// # Errors
    /// If the size is empty.
    pub fn random_crop(size: Size) -> Result<Self, AugmentError> {
        let middle = CenterCrop::new(size).with_odd_rest(OddRest::Down);
        Self::new(RandomCrop::new(size), middle)
    }

    fn of(train: Arc<dyn Transform>, eval: Arc<dyn Transform>) -> Result<Self, AugmentError> {
        train.validate()?;
        eval.validate()?;
        let slot = Key::from_seed(0).named(train.name()).words()[0];
        Ok(Self {
            train,
            eval,
            keys: KeyCell::new(slot),
            mode: ModeCell::default(),
        })
    }

    /// Changes the images.
    ///
    /// # Errors
    /// What a transform reports for one of the images, or if the results
    /// differ in size.
    pub fn forward(&self, images: Tensor<4>) -> Result<Tensor<4>, AugmentError> {
        let mode = self.mode.resolve(&images);
        self.forward_mode(images, mode)
    }

    /// [`Preprocess::forward`] in a mode of the caller's choice.
    ///
    /// # Errors
    /// As [`Preprocess::forward`].
    pub fn forward_mode(&self, images: Tensor<4>, mode: Mode) -> Result<Tensor<4>, AugmentError> {
        let transform = match mode {
            Mode::Train => &*self.train,
            Mode::Eval => &*self.eval,
        };
        let [batch, channels, height, width] = images.dims();
        let meta = SampleMeta {
            size: Size::new(height, width),
            channels,
        };
        let each = meta.size.area() * channels;
        if batch * each == 0 {
            return Ok(images);
        }
        let key = self.keys.next();
        let plans = (0..batch)
            .map(|row| transform.plan(&meta, key.fold(row as u64)))
            .collect::<Result<Vec<_>, _>>()?;
        if plans.iter().all(|plan| plan.output_meta(&meta) == meta) {
            return super::executor::run(images, &plans);
        }
        let unreadable = |error: &dyn std::fmt::Display| AugmentError::Image {
            operation: "preprocess",
            got: error.to_string(),
            expected: "a batch that can be read as f32".into(),
        };
        let (device, dtype) = (images.device(), images.dtype());
        let data = images
            .without_autodiff()
            .try_into_data_dtype(DType::F32)
            .map_err(|error| unreadable(&error))?;
        let values = data.as_slice::<f32>().map_err(|error| unreadable(&error))?;
        let done = values
            .par_chunks(each)
            .zip(&plans)
            .map(|(planes, plan)| {
                let image = Image::from_f32_planes(planes, meta.size, channels)?;
                let mut sample = Sample::new(image);
                plan.apply(&mut sample)?;
                Ok(sample.image)
            })
            .collect::<Result<Vec<Image>, AugmentError>>()?;
        let (size, channels) = (done[0].size(), done[0].channels());
        if let Some(other) = done
            .iter()
            .find(|i| (i.size(), i.channels()) != (size, channels))
        {
            return Err(AugmentError::BatchSize {
                operation: "preprocess",
                got: other.size(),
                expected: size,
            });
        }
        let out: Vec<f32> = done.iter().flat_map(Image::to_planes).collect();
        let out = TensorData::new(out, [batch, channels, size.height, size.width]);
        Ok(Tensor::from_data(out, (&device, dtype)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rescale;
    use burn::tensor::Device;

    fn values(tensor: Tensor<4>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn a_random_crop_is_the_middle_when_it_is_used() {
        let crop = Preprocess::random_crop(Size::new(2, 2)).unwrap();
        let ramp: Vec<f32> = (0..36).map(|i| i as f32).collect();
        let images = Tensor::<1>::from_data(ramp.as_slice(), &Device::flex()).reshape([1, 1, 6, 6]);
        let used = values(crop.forward(images.clone()).unwrap());
        assert_eq!(used, [14.0, 15.0, 20.0, 21.0]);
        let trained: Vec<_> = (0..8)
            .map(|_| values(crop.forward_mode(images.clone(), Mode::Train).unwrap()))
            .collect();
        assert!(trained.iter().any(|crop| *crop != used));
        let large = Preprocess::random_crop(Size::new(9, 9)).unwrap();
        assert!(large.forward_mode(images, Mode::Train).is_err());
    }

    #[test]
    fn rescaling_always_acts() {
        let rescale = Preprocess::always(Rescale::new(0.5, 1.0)).unwrap();
        for mode in [Mode::Train, Mode::Eval] {
            let ones = Tensor::<4>::ones([2, 1, 1, 2], &Device::flex());
            let out = values(rescale.forward_mode(ones, mode).unwrap());
            assert_eq!(out, [1.5; 4]);
        }
        let device = Device::flex().autodiff();
        let x = Tensor::<4>::ones([1, 1, 1, 2], &device).require_grad();
        let gradients = rescale.forward(x.clone()).unwrap().sum().backward();
        assert_eq!(values(x.grad(&gradients).unwrap()), [0.5; 2]);
        let none = Tensor::<4>::ones([0, 1, 1, 2], &Device::flex());
        assert_eq!(rescale.forward(none).unwrap().dims(), [0, 1, 1, 2]);
    }
}
