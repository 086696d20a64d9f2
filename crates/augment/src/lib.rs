//! Data augmentation: random changes of images that keep what they show.
//!
//! Augmentation makes a small data set look larger: a network that never sees
//! the same picture twice has to learn what the pictures share. It costs
//! accuracy when the changes leave what the task allows (a mirrored 6 is no 6).
//!
//! # Plan and apply
//! A [`Transform`] draws everything random from a [`Key`](firecraft_key::Key)
//! and the sample's size, and writes it down as a [`Plan`]: pure, cheap,
//! replayable, JSON. Executors apply plans. Between the two, [`Plan::fused`]
//! joins a chain of geometric steps into one matrix and one resampling: fewer
//! artefacts, and the price of one.
//!
//! # As layers
//! With the feature `burn` (on by default through `flex`), transforms are
//! layers, to stand at the front of a model as in Keras: `RandomFlip`,
//! `RandomRotation`, `RandomTranslation`, `RandomZoom`, and `Augment` for
//! several of them with one resampling. They act in training only; see
//! `Layer`.
//!
//! # On samples
//! [`Sample`] is an image of bytes or numbers with masks, boxes and key
//! points, which every geometric step moves along; [`Plan::apply`] changes it
//! in place. [`Compose`], [`Choice`] and [`RandomApply`] combine transforms,
//! and [`register`] makes all of them available to specs. [`Mixing`] mixes the
//! samples of a batch, [`Views`] are several looks at one sample, and
//! [`preview_sample`] draws what a transform does.
//! [`Executor`] makes a normalised batch of many images of bytes at once, on
//! all threads.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::{module::Module, tensor::{Device, Tensor}};
//! use firecraft_augment::{Augment, Compose, RandomRotationConfig, RandomZoomConfig};
//!
//! #[derive(Module, Debug)]
//! struct Model {
//!     augment: Augment,
//!     // conv, norm, …
//! }
//!
//! let device = Device::flex().autodiff();
//! let model = Model {
//!     augment: Compose::new()
//!         .with(RandomRotationConfig::new(10.0 / 360.0))
//!         .with(RandomZoomConfig::new(0.1))
//!         .init(&device)?,
//! };
//! let images = Tensor::<4>::ones([2, 1, 8, 8], &device);
//! assert_eq!(model.augment.forward(images).dims(), [2, 1, 8, 8]);
//! # }
//! # Ok::<(), firecraft_augment::AugmentError>(())
//! ```
//!
//! # Where things go
//! What lives here: geometry ([`geometry`]), kernels over slices ([`kernel`]),
//! one file per operation (`ops`), plans, and the executors. What must not:
//! data sets and loaders (`firecraft-data`), anything that trains. A new
//! operation is one file in `ops`, one line in `ops/mod.rs` and one in
//! `registry.rs`, and its parameters in `tests/every_transform.rs`. Without the feature `burn` the crate is free of burn; only
//! `layer` may use it.

mod change;
mod color;
mod error;
mod executor;
mod factor;
pub mod geometry;
pub mod kernel;
mod lab;
#[cfg(feature = "burn")]
pub mod layer;
pub mod mix;
mod opaque;
mod ops;
mod passes;
mod patches;
mod plan;
mod planner;
mod preview;
mod registry;
mod sample;
mod test_card;
mod transform;
mod views;

pub use error::AugmentError;
pub use executor::Executor;
pub use factor::Factor;
pub use geometry::{Border, Interpolation, Matrix, Region, Size, Warp, fuse};
pub use kernel::ResizeFilter;
#[cfg(feature = "burn")]
pub use layer::{
    Augment, Layer, RandomFlip, RandomRotation, RandomShear, RandomTranslation, RandomZoom,
};
pub use mix::{Mix, MixHow, MixMode, MixPlan, Mixing, Partner, cut_region, one_hot};
pub use opaque::{External, Opaque};
pub use ops::{
    Affine, AspectRatio, AugMix, AutoAugment, AutoAugmentPolicy, AutoContrast, AutoContrastMethod,
    Blend, BoxBlur, Brightness, Call, CenterCrop, Choice, Clahe, ClaheMethod, ColorJitter,
    ColorMatrix, Compose, Compress, Contrast, Crop, Denormalize, Displace, Displacement, Elastic,
    Equalize, EqualizeMethod, Erase, EraseMode, EraseNoise, FillMode, FlipMode, Gamma,
    GaussianBlur, GaussianNoise, Grayscale, GreyMean, GreyMethod, HorizontalFlip, HsvShift, Hue,
    Identity, Invert, Jpeg, KerasAugMix, KerasRandAugment, Lambda, Linear, LinearTransformation,
    MeanBlur, MedianBlur, Noise, NoiseKind, Normalize, OddRest, Pad, PadIfNeeded, PadPlace,
    PermuteChannels, Perspective, PolicyOp, PolicySpace, PolicyStyle, Posterize, PosterizeNumbers,
    RandAugment, RandomAdjustSharpness, RandomAffine, RandomApply, RandomAutoContrast,
    RandomBrightness, RandomChannelPermutation, RandomColorDegeneration, RandomContrast,
    RandomCrop, RandomEqualize, RandomErasing, RandomFlipConfig, RandomGamma, RandomGaussianBlur,
    RandomGrayscale, RandomHue, RandomInvert, RandomIouCrop, RandomPerspective,
    RandomPhotometricDistort, RandomPosterization, RandomPosterize, RandomResize,
    RandomResizedCrop, RandomRotationConfig, RandomSaturation, RandomSharpness, RandomShearConfig,
    RandomShortestSize, RandomSolarization, RandomSolarize, RandomTranslationConfig,
    RandomZoomConfig, RandomZoomOut, Replay, Rescale, Resize, ResizeRegion, ResizeTo, ResizedCrop,
    Resizing, Rotate, SaltAndPepper, SanitizeBoxes, SanitizePoints, Saturation, SaturationOf,
    ScaleJitter, Scheduled, SelectBoxes, Sharpness, SharpnessEdge, Solarize, SolarizeAdd, Strength,
    SubPolicy, ThreeAugment, TimmAutoAugment, TimmOp, TimmPolicy, TimmRandAugment, ToF32, ToRgb,
    ToU8, Transpose, TrimBorder, TrivialAugment, VerticalFlip, WarpAffine,
};
pub use patches::Patches;
pub use plan::{Apply, Plan, Step};
pub use planner::{Fused, Fusion};
pub use preview::{Preview, preview, preview_sample};
pub use registry::register;
pub use sample::{BoxFormat, BoxPolicy, BoxRules, Boxes, Image, Points, Sample, Values};
pub use test_card::test_card;
pub use transform::{LayerTransform, SampleMeta, Transform, Transforms};
pub use views::{Merge, Views, merge_scores};
