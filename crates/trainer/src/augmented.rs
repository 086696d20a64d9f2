//! Transforms of `firecraft-augment` in the loader of `firecraft-data`.

use std::sync::Arc;

use firecraft_augment::{AugmentError, Image, Sample, Size, Transform, Values};
use firecraft_data::{BoxError, ImageSample, Pixels, SampleContext, SampleMap};

/// Augments every sample in the workers of a loader, with the key of the
/// sample: the same images for any number of workers, and after a resume.
///
/// Neighbouring geometric steps become one resampling;
/// [`exact`](Self::exact) does one step after the other, as the peers do.
/// Labels stay as they are.
///
/// ```
/// use firecraft_augment::{Compose, FlipMode, RandomFlipConfig, RandomRotationConfig};
/// use firecraft_data::{Digits, LoaderBuilder, LoaderConfig};
/// use firecraft_trainer::Augmented;
///
/// let augment = Compose::new()
///     .with(RandomFlipConfig::new().with_mode(FlipMode::Horizontal))
///     .with(RandomRotationConfig::new(10.0 / 360.0));
/// let loader = |workers| {
///     let config = LoaderConfig::new(32).shuffled().with_workers(workers);
///     LoaderBuilder::new(Digits::load()?).map(Augmented::new(augment.clone())).build(&config)
/// };
/// let first = loader(0)?.epoch(3)?.next().unwrap()?;
/// assert_eq!(first.pixels, loader(2)?.epoch(3)?.next().unwrap()?.pixels);
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Augmented {
    transform: Arc<dyn Transform>,
    exact: bool,
}

impl Augmented {
    /// Applies `transform` with fusion.
    pub fn new(transform: impl Transform) -> Self {
        Self {
            transform: Arc::new(transform),
            exact: false,
        }
    }

    /// Applies one step after the other.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    fn apply(&self, sample: &mut Sample, context: &SampleContext) -> Result<(), AugmentError> {
        let meta = sample.meta();
        let plan = self.transform.plan(&meta, context.key.named("augment"))?;
        if self.exact {
            plan.apply(sample)
        } else {
            plan.fused_for(&meta).apply(sample)
        }
    }
}

impl SampleMap<ImageSample> for Augmented {
    type Output = ImageSample;

    fn map(&self, sample: ImageSample, context: &SampleContext) -> Result<ImageSample, BoxError> {
        let size = Size::new(sample.height, sample.width);
        let image = match sample.pixels {
            Pixels::U8(levels) => Image::from_u8(levels, size, sample.channels)?,
            Pixels::F32(values) => Image::from_f32(values, size, sample.channels)?,
        };
        let mut moved = Sample::new(image);
        self.apply(&mut moved, context)?;
        let (size, channels) = (moved.image.size(), moved.image.channels());
        let empty = Values::U8(Vec::new());
        let pixels = match std::mem::replace(moved.image.values_mut(), empty) {
            Values::U8(levels) => Pixels::U8(levels),
            Values::F32(values) => Pixels::F32(values),
        };
        Ok(ImageSample {
            pixels,
            height: size.height,
            width: size.width,
            channels,
            label: sample.label,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firecraft_augment::{CenterCrop, HorizontalFlip, RandomResizedCrop};
    use firecraft_key::Key;

    fn context(id: u64) -> SampleContext {
        SampleContext {
            key: Key::from_seed(1).fold(id),
            epoch: 0,
            id,
            occurrence: 0,
        }
    }

    fn sample(pixels: Pixels) -> ImageSample {
        ImageSample {
            pixels,
            height: 2,
            width: 3,
            channels: 1,
            label: 7,
        }
    }

    #[test]
    fn levels_and_numbers_are_moved_alike_and_keep_their_label() {
        let flip = Augmented::new(HorizontalFlip::new(1.0));
        let levels = sample(Pixels::U8(vec![1, 2, 3, 4, 5, 6]));
        let moved = flip.map(levels, &context(0)).unwrap();
        assert_eq!(moved.pixels, Pixels::U8(vec![3, 2, 1, 6, 5, 4]));
        assert_eq!(moved.label, 7);
        let numbers = sample(Pixels::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        let moved = flip.map(numbers, &context(0)).unwrap();
        assert_eq!(
            moved.pixels,
            Pixels::F32(vec![3.0, 2.0, 1.0, 6.0, 5.0, 4.0])
        );
    }

    #[test]
    fn draws_follow_the_key_of_the_sample_and_sizes_are_those_of_the_result() {
        let crop = Augmented::new(RandomResizedCrop::new(Size::new(2, 2)));
        let pixels = || sample(Pixels::U8(vec![0, 50, 100, 150, 200, 250]));
        let a = crop.map(pixels(), &context(1)).unwrap();
        assert_eq!((a.height, a.width), (2, 2));
        assert_eq!(a, crop.map(pixels(), &context(1)).unwrap());
        let others = (2..20).map(|id| crop.map(pixels(), &context(id)).unwrap());
        assert!(others.into_iter().any(|b| b != a));
    }

    #[test]
    fn a_sample_that_does_not_suit_the_transform_is_an_error() {
        let sample = ImageSample {
            width: 4,
            ..sample(Pixels::U8(vec![0; 6]))
        };
        let crop = Augmented::new(CenterCrop::new(Size::new(1, 1)));
        assert!(crop.map(sample, &context(0)).is_err());
    }
}
