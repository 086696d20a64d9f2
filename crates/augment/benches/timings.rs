//! Times of what `peers/augment.py` measures in albumentations and
//! torchvision, one `name seconds` per line.
//!
//! Every operation draws a plan and makes a new image of a photo-like one of
//! 256x256 RGB bytes, on one thread; the drawing counts. Arguments pick operations by parts of their names.
#![allow(missing_docs, clippy::print_stdout)]

use firecraft_augment::kernel::{Layout, Pixels};
use firecraft_augment::*;
use firecraft_key::Key;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const SIZE: Size = Size::new(256, 256);

/// Smooth shapes with some noise, over the whole range of bytes.
fn photo() -> Vec<u8> {
    let mut rng = Key::from_seed(7).rng();
    let wave = |x: usize, y: usize, c: usize| {
        let (x, y, c) = (x as f64, y as f64, c as f64);
        128.0 + 90.0 * ((x / (17.0 + 9.0 * c)).sin() + (y / (23.0 - 5.0 * c)).cos()) / 1.5
    };
    (0..SIZE.area() * 3)
        .map(|i| {
            let (x, y, c) = (i / 3 % SIZE.width, i / 3 / SIZE.width, i % 3);
            (wave(x, y, c) + rng.range(-12.0, 12.0)) as u8
        })
        .collect()
}

/// The best mean time of a few rounds, which other load on the machine
/// disturbs least.
fn best(mut work: impl FnMut(u64) -> Result) -> Result<f64> {
    const ROUNDS: u64 = 7;
    const ROUND: f64 = 0.02;
    let start = Instant::now();
    work(0)?;
    work(1)?;
    let runs = (ROUND / (start.elapsed().as_secs_f64() / 2.0).max(1e-6)).clamp(1.0, 4000.0) as u64;
    let mut best = f64::INFINITY;
    for round in 0..ROUNDS {
        let start = Instant::now();
        for run in 0..runs {
            work(round * runs + run)?;
        }
        best = best.min(start.elapsed().as_secs_f64() / runs as f64);
    }
    Ok(best)
}

struct Bench {
    photo: Vec<u8>,
    wanted: Vec<String>,
}

impl Bench {
    fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|part| name.contains(part))
    }

    /// One operation on one image.
    fn operation(&self, name: &str, transform: &dyn Transform) -> Result {
        if !self.wants(name) {
            return Ok(());
        }
        let mut sample = Sample::new(Image::from_u8(self.photo.clone(), SIZE, 3)?);
        let photo = Pixels::new(&self.photo, SIZE, 3, Layout::Hwc)?;
        let meta = sample.meta();
        let seconds = best(|run| {
            let plan = transform.plan(&meta, Key::from_seed(run))?;
            plan.apply_to(&photo, black_box(&mut sample))?;
            Ok(())
        })?;
        println!("{name} {seconds:.9}");
        Ok(())
    }
}

fn geometric() -> Compose {
    Compose::new()
        .with(HorizontalFlip::new(0.5))
        .with(RandomRotationConfig::new(0.04).with_fill_mode(FillMode::Constant))
        .with(RandomTranslationConfig::new(0.1, 0.1).with_fill_mode(FillMode::Constant))
        .with(RandomZoomConfig::new((-0.2, 0.2)).with_fill_mode(FillMode::Constant))
        .with(RandomAffine::new(8.0).with_border(Border::Constant(vec![0.0])))
}

impl Bench {
    /// From bytes to a batch of normalised planes: one image, and a batch of
    /// them on one and on two threads.
    fn pipeline(&self) -> Result {
        let out = Size::new(224, 224);
        let chain = Compose::new()
            .with(RandomResizedCrop::new(out).with_antialias(false))
            .with(HorizontalFlip::new(0.5))
            .with(ColorJitter::new(0.4, 0.4, 0.4, 0.1))
            .with(Normalize::imagenet());
        let photo = Pixels::new(&self.photo, SIZE, 3, Layout::Hwc)?;
        let executor = Executor::new();
        for (name, n, threads) in [
            ("training_pipeline", 1, 1),
            ("training_pipeline_batch_1_thread", 32, 1),
            ("training_pipeline_batch_2_threads", 32, 2),
        ] {
            if !self.wants(name) {
                continue;
            }
            let images = vec![photo; n];
            let mut batch = vec![0.0; n * 3 * out.area()];
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()?;
            let seconds = pool.install(|| {
                best(|run| {
                    let keys: Vec<Key> =
                        (0..n as u64).map(|i| Key::from_seed(run).fold(i)).collect();
                    executor.run(&chain, &images, &keys, out, black_box(&mut batch))?;
                    Ok(())
                })
            })?;
            println!("{name} {:.9}", seconds / n as f64);
        }
        Ok(())
    }
}

fn main() -> Result {
    let bench = Bench {
        photo: photo(),
        wanted: std::env::args()
            .skip(1)
            .filter(|a| !a.starts_with('-'))
            .collect(),
    };
    let reflect = || Border::Reflect;
    let operations: Vec<(&str, Box<dyn Transform>)> = vec![
        ("horizontal_flip", Box::new(HorizontalFlip::new(1.0))),
        ("vertical_flip", Box::new(VerticalFlip::new(1.0))),
        ("transpose", Box::new(Transpose::new(1.0))),
        (
            "random_crop_224",
            Box::new(RandomCrop::new(Size::new(224, 224))),
        ),
        ("rotate", Box::new(Rotate::new(17.0).with_border(reflect()))),
        ("affine", Box::new(RandomAffine::new(15.0))),
        (
            "perspective",
            Box::new(RandomPerspective::new(0.2).with_p(1.0)),
        ),
        ("elastic", Box::new(Elastic::new(50.0, 5.0))),
        (
            "resize_224",
            Box::new(Resize::new(ResizeTo::Exactly(Size::new(224, 224))).with_antialias(false)),
        ),
        (
            "random_resized_crop_224",
            Box::new(RandomResizedCrop::new(Size::new(224, 224)).with_antialias(false)),
        ),
        ("brightness_contrast", Box::new(Linear::new([1.2], [0.1]))),
        ("gamma", Box::new(Gamma::new(0.9))),
        ("hue", Box::new(Hue::new(0.1))),
        ("saturation", Box::new(Saturation::new(1.3))),
        (
            "color_jitter",
            Box::new(ColorJitter::new(0.4, 0.4, 0.4, 0.1)),
        ),
        ("grayscale", Box::new(Grayscale::new())),
        (
            "rgb_shift",
            Box::new(Linear::new([1.0], [0.05, -0.05, 0.02])),
        ),
        (
            "permute_channels",
            Box::new(PermuteChannels::new([2, 0, 1])),
        ),
        ("invert", Box::new(Invert::new())),
        ("posterize", Box::new(Posterize::new(4))),
        ("solarize", Box::new(Solarize::new(128.0))),
        ("auto_contrast", Box::new(AutoContrast::new())),
        (
            "equalize",
            Box::new(Equalize::new().with_method(EqualizeMethod::OpenCv)),
        ),
        ("sharpness", Box::new(Sharpness::new(1.7))),
        ("box_blur_5", Box::new(BoxBlur::new(2.0))),
        ("gaussian_blur_7", Box::new(GaussianBlur::new(7, 1.5))),
        ("erasing", Box::new(RandomErasing::new().with_p(1.0))),
        ("normalize", Box::new(Normalize::imagenet())),
        ("geometric_chain", Box::new(geometric())),
        ("geometric_chain_exact", Box::new(geometric().exact())),
    ];
    for (name, transform) in &operations {
        bench.operation(name, &**transform)?;
    }
    bench.pipeline()
}
