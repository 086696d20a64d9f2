//! Transforms as layers of a network, and plans on batches of any device.

mod colour;
mod composite;
mod executor;
mod mix;
mod preprocess;

pub use executor::apply_batch;
pub use mix::Mixer;
pub use preprocess::Preprocess;

use crate::{
    AugmentError, Compose, LayerTransform, RandomFlipConfig, RandomRotationConfig,
    RandomShearConfig, RandomTranslationConfig, RandomZoomConfig, SampleMeta, Size,
};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::{KeyCell, Mode, ModeCell};
use firecraft_key::Key;

/// A transform as the first part of a model: it acts in training and is the
/// identity in [`valid()`](burn::module::Module::valid).
///
/// It acts iff its mode is `Train` and its input is on an autodiff device,
/// like every layer of firecraft; [`Layer::forward_mode`] overrides both.
/// Every image of a batch gets a draw of its own. Without a trainer, each call
/// draws anew; the trainer sets the keys of all layers before each step (see
/// [`KeyCell`]), which makes a resumed run repeat what the killed one did.
///
/// On flex and ndarray the kernels of the CPU do the work, on other devices and
/// for gradients tensor operations, with results equal to 1e-4; see
/// [`apply_batch`] for what runs on a device. Gradients flow to the input where
/// it takes part in the graph; the layers have no parameters.
///
/// Shapes: `[batch, channels, height, width]` in and out; a batch without
/// pixels comes back as it is.
///
/// ```
/// use burn::{module::Module, tensor::{Device, Tensor}};
/// use firecraft_augment::{FlipMode, RandomFlipConfig};
///
/// let device = Device::flex().autodiff();
/// let flip = RandomFlipConfig::new().with_mode(FlipMode::Horizontal).init(&device)?.with_seed(2);
/// let x = Tensor::<4>::from_data([[[[1.0, 2.0, 3.0]]], [[[4.0, 5.0, 6.0]]]], &device);
/// let y = flip.forward(x.clone());
/// let rows: Vec<f32> = y.into_data().try_into_vec().unwrap();
/// assert_eq!(rows, [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
///
/// let same = flip.valid().forward(x.clone());
/// assert_eq!(same.into_data(), x.into_data());
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Module, Debug)]
pub struct Layer<T: LayerTransform + Clone> {
    #[module(skip)]
    transform: T,
    keys: KeyCell,
    mode: ModeCell,
}

/// [`RandomFlipConfig`] as a layer.
pub type RandomFlip = Layer<RandomFlipConfig>;
/// [`RandomRotationConfig`] as a layer.
pub type RandomRotation = Layer<RandomRotationConfig>;
/// [`RandomTranslationConfig`] as a layer.
pub type RandomTranslation = Layer<RandomTranslationConfig>;
/// [`RandomShearConfig`] as a layer.
pub type RandomShear = Layer<RandomShearConfig>;
/// [`RandomZoomConfig`] as a layer.
pub type RandomZoom = Layer<RandomZoomConfig>;
/// Several transforms as one layer, which resamples each image once; see
/// [`Compose`].
pub type Augment = Layer<Compose>;

impl<T: LayerTransform + Clone> Layer<T> {
    /// A layer that does what `transform` does.
    ///
    /// # Errors
    /// If the configuration is not valid, or a part of it can't be a layer
    /// because it changes the size of images or comes from a plugin, which may
    /// fail.
    pub fn new(transform: T) -> Result<Self, AugmentError> {
        transform.validate()?;
        if transform.as_layer().is_none() {
            return Err(AugmentError::Image {
                operation: transform.name(),
                got: "a transform that changes the size of images, or a plugin's".into(),
                expected: "built-in transforms that keep it, in a layer; \
                           put this one into the data pipeline"
                    .into(),
            });
        }
        let slot = Key::from_seed(0).named(transform.name()).words()[0];
        Ok(Self {
            transform,
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

    /// The transform.
    #[must_use]
    pub const fn transform(&self) -> &T {
        &self.transform
    }

    /// Augments in training, gives `images` back otherwise.
    ///
    /// # Panics
    /// As [`Layer::forward_mode`].
    #[must_use]
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let mode = self.mode.resolve(&images);
        self.forward_mode(images, mode)
    }

    /// [`Layer::forward`] in a mode of the caller's choice.
    ///
    /// # Panics
    /// If the images don't suit the transform, such as two channels where
    /// colours are needed; see [`Layer::try_forward`].
    #[must_use]
    pub fn forward_mode(&self, images: Tensor<4>, mode: Mode) -> Tensor<4> {
        match self.try_forward(images, mode) {
            Ok(images) => images,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`Layer::forward_mode`] for images that may not suit the transform.
    ///
    /// # Errors
    /// What the transform reports for one of the images.
    pub fn try_forward(&self, images: Tensor<4>, mode: Mode) -> Result<Tensor<4>, AugmentError> {
        if mode == Mode::Eval || images.shape().num_elements() == 0 {
            return Ok(images);
        }
        let [batch, channels, height, width] = images.dims();
        let meta = SampleMeta {
            size: Size::new(height, width),
            channels,
        };
        let key = self.keys.next();
        let plans = (0..batch)
            .map(|row| self.transform.plan(&meta, key.fold(row as u64)))
            .collect::<Result<Vec<_>, _>>()?;
        executor::run(images, &plans)
    }
}

/// `init` for the configurations, as burn's have it.
macro_rules! init {
    ($($config:ty => $layer:ident),* $(,)?) => {$(
        impl $config {
            /// The layer of this configuration.
            ///
            /// It has no parameters: the device is not used, and the layer
            /// works on whichever device its input is.
            ///
            /// # Errors
            /// [`AugmentError::Parameter`] if the configuration is not valid;
            /// see [`Layer::new`].
            pub fn init(&self, _device: &Device) -> Result<$layer, AugmentError> {
                Layer::new(self.clone())
            }
        }
    )*};
}

init! {
    RandomFlipConfig => RandomFlip,
    RandomRotationConfig => RandomRotation,
    RandomTranslationConfig => RandomTranslation,
    RandomShearConfig => RandomShear,
    RandomZoomConfig => RandomZoom,
    Compose => Augment,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FillMode;
    use firecraft_core_tensor::{StepKey, set_step_key};

    fn values(tensor: Tensor<4>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    fn batch(device: &Device) -> Tensor<4> {
        let data: Vec<f32> = (0..4 * 2 * 8 * 8)
            .map(|i| (i * 31 % 101) as f32 / 101.0)
            .collect();
        Tensor::<1>::from_data(data.as_slice(), device).reshape([4, 2, 8, 8])
    }

    fn chain() -> Compose {
        Compose::new()
            .with(RandomFlipConfig::new())
            .with(RandomRotationConfig::new(0.1))
            .with(RandomTranslationConfig::new(0.1, 0.1))
            .with(RandomZoomConfig::new(0.1))
    }

    #[test]
    fn acts_in_training_only() {
        let (plain, training) = (Device::flex(), Device::flex().autodiff());
        let layer = chain().init(&training).unwrap();
        let before = values(batch(&plain));
        assert_ne!(values(layer.forward(batch(&training))), before);
        assert_eq!(values(layer.forward(batch(&plain))), before);
        assert_eq!(values(layer.valid().forward(batch(&training))), before);
        assert_eq!(
            values(layer.clone().freeze().valid().forward(batch(&plain))),
            before
        );
        assert_ne!(
            values(layer.clone().freeze().forward(batch(&training))),
            before
        );
        assert_ne!(
            values(layer.forward_mode(batch(&plain), Mode::Train)),
            before
        );
        assert_eq!(
            values(layer.forward_mode(batch(&training), Mode::Eval)),
            before
        );
    }

    #[test]
    fn the_same_step_draws_the_same_and_another_one_does_not() {
        let device = Device::flex().autodiff();
        let step = |update| StepKey {
            update,
            ..StepKey::default()
        };
        let at = |update| {
            let layer = set_step_key(chain().init(&device).unwrap(), &step(update));
            values(layer.forward(batch(&device)))
        };
        assert_eq!(at(3), at(3));
        assert_ne!(at(3), at(4));
    }

    #[test]
    fn every_sample_has_its_own_draw_and_every_call_draws_anew() {
        let device = Device::flex().autodiff();
        let layer = RandomRotationConfig::new(0.5).init(&device).unwrap();
        let one: Vec<f32> = (0..64).map(|i| (i % 13) as f32).collect();
        let same = Tensor::<1>::from_data(one.as_slice(), &device)
            .reshape([1, 1, 8, 8])
            .repeat_dim(0, 3);
        let first = values(layer.forward(same.clone()));
        assert_ne!(first[..64], first[64..128]);
        assert_ne!(first[64..128], first[128..]);
        assert_ne!(first, values(layer.forward(same)));
    }

    #[test]
    fn seeds_separate_layers() {
        let device = Device::flex().autodiff();
        let with = |seed| {
            let layer = chain().init(&device).unwrap().with_seed(seed);
            values(layer.forward(batch(&device)))
        };
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }

    #[test]
    fn invalid_configurations_make_no_layer() {
        let error = RandomZoomConfig::new(2.0)
            .init(&Device::flex())
            .unwrap_err();
        assert!(
            error.to_string().contains("height_factor = (-2, 2)"),
            "{error}"
        );
    }

    #[test]
    fn a_batch_without_pixels_comes_back() {
        let device = Device::flex().autodiff();
        let layer = chain().init(&device).unwrap();
        for shape in [[0, 3, 8, 8], [2, 3, 0, 8], [2, 0, 8, 8]] {
            let out = layer.forward(Tensor::zeros(shape, &device));
            assert_eq!(out.dims(), shape);
        }
    }

    #[test]
    fn one_pixel_and_long_rows_keep_their_colour() {
        let device = Device::flex().autodiff();
        let layer = chain().init(&device).unwrap();
        for shape in [[1, 1, 1, 1], [1, 1, 1, 20_000]] {
            let out = values(layer.forward(Tensor::full(shape, 0.3, &device)));
            assert!(out.iter().all(|&v| v == 0.3));
        }
        let filled = RandomTranslationConfig::new(0.0, (1.0, 1.0))
            .with_fill_mode(FillMode::Constant)
            .init(&device)
            .unwrap();
        assert_eq!(
            values(filled.forward(Tensor::full([1, 1, 1, 1], 0.3, &device))),
            [0.0]
        );
    }
}
