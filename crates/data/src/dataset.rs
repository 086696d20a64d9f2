//! What a data set is: numbered samples that can be read in any order.

use crate::DataError;
use std::sync::Arc;

/// Numbered samples, readable from several threads in any order.
///
/// Reading must be pure: the same index gives the same sample, whichever
/// thread asks and whatever was read before. Randomness belongs into a
/// [`SampleMap`](crate::SampleMap), which is given a key.
pub trait Dataset: Send + Sync + 'static {
    /// One sample.
    type Item: Send + 'static;

    /// Number of samples.
    fn len(&self) -> usize;

    /// The sample at `index`, which is below [`len`](Self::len).
    ///
    /// # Errors
    /// If the sample can't be read; the loader's
    /// [`CorruptPolicy`](crate::CorruptPolicy) decides what follows.
    fn get(&self, index: usize) -> Result<Self::Item, DataError>;

    /// A number that stays with the sample through splits and selections; keys
    /// are derived from it. The index, unless the set is a part of another.
    fn id(&self, index: usize) -> u64 {
        index as u64
    }

    /// Whether there is no sample.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<D: Dataset> Dataset for Arc<D> {
    type Item = D::Item;

    fn len(&self) -> usize {
        (**self).len()
    }

    fn get(&self, index: usize) -> Result<Self::Item, DataError> {
        (**self).get(index)
    }

    fn id(&self, index: usize) -> u64 {
        (**self).id(index)
    }
}

/// The values of an image: rows from top to bottom, channels last.
#[derive(Clone, Debug, PartialEq)]
pub enum Pixels {
    /// Levels from 0 to 255.
    U8(Vec<u8>),
    /// Any values; `[0, 1]` if they came from levels.
    F32(Vec<f32>),
}

impl Pixels {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One labelled image, height × width × channels.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSample {
    /// `height * width * channels` values.
    pub pixels: Pixels,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values per pixel.
    pub channels: usize,
    /// Number of the class.
    pub label: u32,
}
