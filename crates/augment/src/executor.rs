//! The CPU executor: samples of bytes to a batch of numbers.

use crate::kernel::{Pixels, to_planes, tones_to_planes};
use crate::passes::{apply, begin, split_last_tones};
use crate::plan::Step;
use crate::{AugmentError, Image, Plan, Sample, Size, Transform, Values};
use firecraft_key::Key;
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Applies plans to images of bytes and writes a batch for a network,
/// `[sample, channel, height, width]`, in one go.
///
/// The last pass changes type and layout and normalises at once: a
/// [`Normalize`](crate::Normalize) at the end of a plan costs nothing of its
/// own. Without one, bytes become numbers in `0..=1`. Samples are spread over
/// rayon's threads, with the same bits for any number of them. Workers keep
/// their buffers: once they have grown, applying a plan allocates nothing
/// (drawing one allocates its list of steps).
///
/// ```
/// use firecraft_augment::kernel::{Layout, Pixels};
/// use firecraft_augment::{Executor, HorizontalFlip, Size};
/// use firecraft_key::Key;
/// let size = Size::new(1, 2);
/// let image = Pixels::new(&[255, 0, 0, 0, 0, 255_u8], size, 3, Layout::Hwc)?;
/// let mut batch = [0.0; 6];
/// Executor::new().run(&HorizontalFlip::new(1.0), &[image], &[Key::from_seed(1)], size, &mut batch)?;
/// // Mirrored, and a plane per channel.
/// assert_eq!(batch, [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Debug, Default)]
pub struct Executor {
    idle: Mutex<Vec<Worker>>,
}

impl Executor {
    /// An executor without workers yet; each thread that needs one makes one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Draws a plan for every image from its key and applies it. Every result
    /// must have the given `size` and the channels of the first image.
    ///
    /// # Errors
    /// If there isn't one key per image, `batch` doesn't fit, an image can't
    /// be planned for or refuses a step, or a result has another size.
    pub fn run(
        &self,
        transform: &dyn Transform,
        images: &[Pixels<'_, u8>],
        keys: &[Key],
        size: Size,
        batch: &mut [f32],
    ) -> Result<(), AugmentError> {
        check("executor: keys", keys.len(), images.len())?;
        self.each(images, size, batch, |i, worker, image, out| {
            let meta = crate::SampleMeta {
                size: image.size(),
                channels: image.channels(),
            };
            worker.run(image, &transform.plan(&meta, keys[i])?, size, out)
        })
    }

    /// Applies plan number `i` to image number `i`; see [`Executor::run`].
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn apply(
        &self,
        plans: &[Plan],
        images: &[Pixels<'_, u8>],
        size: Size,
        batch: &mut [f32],
    ) -> Result<(), AugmentError> {
        check("executor: plans", plans.len(), images.len())?;
        self.each(images, size, batch, |i, worker, image, out| {
            worker.run(image, &plans[i], size, out)
        })
    }

    fn each(
        &self,
        images: &[Pixels<'_, u8>],
        size: Size,
        batch: &mut [f32],
        work: impl Fn(usize, &mut Worker, &Pixels<'_, u8>, &mut [f32]) -> Result<(), AugmentError>
        + Sync,
    ) -> Result<(), AugmentError> {
        let each = size.area() * images.first().map_or(0, Pixels::channels);
        check("executor: batch", batch.len(), each * images.len())?;
        if each == 0 {
            return Ok(());
        }
        batch
            .par_chunks_exact_mut(each)
            .zip(images)
            .enumerate()
            .try_for_each(|(i, (out, image))| {
                let mut worker = self.lock().pop().unwrap_or_default();
                let done = work(i, &mut worker, image, out);
                self.lock().push(worker);
                done
            })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        // Workers hold nothing that a panic elsewhere could leave half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(operation: &'static str, got: usize, expected: usize) -> Result<(), AugmentError> {
    if got == expected {
        Ok(())
    } else {
        Err(AugmentError::Length {
            operation,
            got,
            expected,
        })
    }
}

/// The buffers of one thread.
#[derive(Debug)]
struct Worker {
    sample: Sample,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            sample: Sample::new(Image::empty()),
        }
    }
}

impl Worker {
    fn run(
        &mut self,
        source: &Pixels<'_, u8>,
        plan: &Plan,
        size: Size,
        out: &mut [f32],
    ) -> Result<(), AugmentError> {
        let (last, steps) = match plan.steps.split_last() {
            Some((Step::Normalize(last), before)) => (Some(last), before),
            _ => (None, &*plan.steps),
        };
        let rest = begin(steps, source, &mut self.sample)?;
        // The last pass changes colours, too.
        let (rest, tones) = split_last_tones(rest);
        apply(rest, &mut self.sample)?;
        let image = &mut self.sample.image;
        let tones = match image.values() {
            Values::U8(_) if image.channels() == 3 => tones,
            _ => {
                apply(tones, &mut self.sample)?;
                &[]
            }
        };
        let image = &mut self.sample.image;
        if let (Values::F32(_), Some(last)) = (image.values(), last) {
            crate::Apply::apply(last, &mut self.sample)?;
        }
        let image = &self.sample.image;
        if image.size() != size {
            return Err(AugmentError::BatchSize {
                operation: "executor",
                got: image.size(),
                expected: size,
            });
        }
        let channels = image.channels();
        check("executor: channels", size.area() * channels, out.len())?;
        if let Some(last) = last {
            last.check_channels(channels)?;
        }
        // Without a normalisation, white becomes 1.
        let of_byte = |c: usize| last.map_or([0.0, 1.0 / 255.0], |last| last.of_byte(c));
        match image.values() {
            Values::U8(data) if tones.is_empty() => to_planes(data, channels, out, of_byte),
            Values::U8(data) => {
                let tones = tones.iter().filter_map(|step| step.as_apply().tone());
                tones_to_planes(data, tones, out, of_byte);
            }
            Values::F32(data) => to_planes(data, channels, out, |_| [0.0, 1.0]),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Layout;
    use crate::{
        Brightness, ColorJitter, Compose, Contrast, GaussianBlur, Hue, Normalize, RandomAffine,
        RandomResizedCrop, SampleMeta,
    };

    const SIZE: Size = Size::new(40, 50);
    const OUT: Size = Size::new(24, 32);

    fn bytes() -> Vec<u8> {
        (0..SIZE.area() * 3).map(|i| (i * 37 % 251) as u8).collect()
    }

    fn chain() -> Compose {
        Compose::new()
            .with(RandomResizedCrop::new(OUT))
            .with(RandomAffine::new(20.0))
            .with(ColorJitter::new(0.4, 0.4, 0.4, 0.1))
            .with(GaussianBlur::new(5, 1.0))
            .with(Normalize::imagenet())
    }

    fn keys(n: u64) -> Vec<Key> {
        (0..n).map(|i| Key::from_seed(9).fold(i)).collect()
    }

    fn batch(executor: &Executor, chain: &Compose, n: u64) -> Vec<f32> {
        let data = bytes();
        let images = vec![Pixels::new(&data, SIZE, 3, Layout::Hwc).unwrap(); n as usize];
        let mut out = vec![f32::NAN; n as usize * OUT.area() * 3];
        executor
            .run(chain, &images, &keys(n), OUT, &mut out)
            .unwrap();
        out
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let out = pool
                .build()
                .unwrap()
                .install(|| batch(&Executor::new(), &chain(), 12));
            out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(8));
    }

    #[test]
    fn the_batch_holds_what_applying_to_samples_gives() {
        let got = batch(&Executor::new(), &chain(), 3);
        for (key, got) in keys(3).into_iter().zip(got.chunks(OUT.area() * 3)) {
            let mut sample = Sample::new(Image::from_u8(bytes(), SIZE, 3).unwrap());
            let plan = chain().plan(&sample.meta(), key).unwrap();
            plan.apply(&mut sample).unwrap();
            assert_eq!(sample.image.to_planes(), got);
        }
    }

    #[test]
    fn after_warming_up_nothing_is_allocated() {
        let data = bytes();
        let image = Pixels::new(&data, SIZE, 3, Layout::Hwc).unwrap();
        let meta = SampleMeta {
            size: SIZE,
            channels: 3,
        };
        let plans: Vec<Plan> = keys(8)
            .into_iter()
            .map(|key| chain().plan(&meta, key).unwrap())
            .chain([Plan {
                steps: vec![
                    crate::Warp::exact(crate::Matrix::translation(3.0, 2.0), OUT).into(),
                    Brightness::new(1.2).into(),
                    Contrast::new(0.7).into(),
                    Hue::new(0.1).into(),
                    crate::Equalize::new().into(),
                    crate::AutoContrast::new().into(),
                    crate::Sharpness::new(1.5).into(),
                    crate::BoxBlur::new(1.0).into(),
                ],
            }])
            .collect();
        let mut worker = Worker::default();
        let mut out = vec![0.0; OUT.area() * 3];
        let mut all = || {
            for plan in &plans {
                worker.run(&image, plan, OUT, &mut out).unwrap();
            }
        };
        all();
        all();
        let counted = allocation_counter::measure(all);
        assert_eq!(counted.count_total, 0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let data = bytes();
        let images = [Pixels::new(&data, SIZE, 3, Layout::Hwc).unwrap()];
        let executor = Executor::new();
        let mut out = vec![0.0; OUT.area() * 3];
        let run = |plans: &[Plan], out: &mut [f32]| executor.apply(plans, &images, OUT, out);
        assert!(run(&[], &mut out).is_err());
        assert!(run(&[Plan::identity()], &mut out[1..]).is_err());
        let error = run(&[Plan::identity()], &mut out).unwrap_err();
        assert!(error.to_string().contains("40x50"), "{error}");
        let wrong = Plan::from(Normalize::new([0.0; 2], [1.0; 2]));
        let mut whole = vec![0.0; SIZE.area() * 3];
        assert!(executor.apply(&[wrong], &images, SIZE, &mut whole).is_err());
        executor.apply(&[], &[], OUT, &mut []).unwrap();
    }
}
