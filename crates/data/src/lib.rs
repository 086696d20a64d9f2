//! Data sets and a deterministic loader.
//!
//! | step | here |
//! |---|---|
//! | read samples | [`ImageDataset`] from [`Digits`], [`Mnist`], [`FashionMnist`], [`Cifar10`], [`Cifar100`]; [`ImageFiles`] from folders or a [`CsvIndex`]; any [`Dataset`] |
//! | split them | [`ImageDataset::split`], [`validation_split`], [`stratified_split`], [`Subset`] |
//! | keep them | [`Cached`] |
//! | order, map, batch them | [`LoaderConfig`], [`LoaderBuilder`], a [`Sampler`] → [`Loader`] → [`Epoch`] of [`Batch`]es |
//! | hand them to a model | [`Batch::to_tensors`], [`Normalizer`] |
//!
//! The promise of the [`Loader`]: the batches of epoch *e* are the same bits
//! in the same order for any number of workers, and an epoch that is continued
//! from a [`Cursor`] equals the uninterrupted one. Every sample has a key of
//! its own ([`SampleContext::key`]), made of seed, epoch and sample id.
//!
//! What must not be here: transforms (they come in through [`SampleMap`]; this
//! crate and the augmentation crate don't know each other), models, training.
//! burn appears in `tensor.rs` and `burn_loader.rs` alone.
//!
//! Where things go: a file format is one file with its reader, limits and
//! tests; a data set is one file on top; what decides order is a sampler.
//!
//! ```
//! use firecraft_data::{Digits, LoaderConfig};
//! use firecraft_key::Key;
//!
//! let splits = Digits::split(Key::from_seed(0))?;
//! let loader = LoaderConfig::new(64).shuffled().with_seed(7).with_workers(2).init(splits.train)?;
//! let mut seen = 0;
//! for batch in loader.epoch(0)? {
//!     seen += batch?.len();
//! }
//! assert_eq!(seen, 1258);
//! # Ok::<(), firecraft_data::DataError>(())
//! ```

mod batch;
#[cfg(feature = "burn-loader")]
mod burn_loader;
mod cached;
mod checksum;
mod cifar;
mod csv_index;
mod dataset;
#[cfg(feature = "images")]
mod decode;
mod digits;
mod error;
pub mod idx;
mod image_dataset;
#[cfg(feature = "images")]
mod image_files;
mod loader;
mod mnist;
mod normalize;
mod sampler;
mod split;
mod subset;
mod tensor;

pub use batch::{Batch, BatchInfo, BatchPixels, Collate, ImageCollate};
#[cfg(feature = "burn-loader")]
pub use burn_loader::BurnLoader;
pub use cached::{ByteSize, CacheUsage, Cached};
pub use checksum::sha256_hex;
pub use cifar::{Cifar10, Cifar100};
pub use csv_index::{CsvIndex, CsvRow};
pub use dataset::{Dataset, ImageSample, Pixels};
#[cfg(feature = "images")]
pub use decode::{Channels, DECODE_LIMIT, decode_image};
pub use digits::Digits;
pub use error::{BoxError, DataError};
pub use image_dataset::{ImageDataset, Splits};
#[cfg(feature = "images")]
pub use image_files::ImageFiles;
pub use loader::{
    Bottleneck, CorruptPolicy, Cursor, Epoch, Identity, Loader, LoaderBuilder, LoaderConfig, Order,
    SampleContext, SampleMap, Skipped, Throughput,
};
pub use mnist::{FashionMnist, Mnist, Part};
pub use normalize::Normalizer;
pub use sampler::{Balanced, Bucketed, Repeated, Sampler, Sequential, Shuffled, Weighted};
pub use split::stratified_split;
pub use subset::{Labelled, Subset, validation_split};
pub use tensor::BatchTensors;

/// The code of the guide, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/data.md")]
struct Guide;
