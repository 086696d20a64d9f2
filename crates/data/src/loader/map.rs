//! Work on one sample, done by the workers.

use crate::BoxError;
use firecraft_key::Key;

/// Which sample a map is working on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleContext {
    /// All randomness of the map comes from here: made of seed, epoch, sample
    /// id and occurrence, and of nothing else.
    pub key: Key,
    /// The epoch.
    pub epoch: u64,
    /// Id of the sample in its data set.
    pub id: u64,
    /// How many times the sample was already drawn in this epoch; above 0 only
    /// for samplers that repeat.
    pub occurrence: u32,
}

/// Per-sample work inside the loader: decoding, augmentation, conversion.
///
/// Pure in sample and context, like a [`Dataset`](crate::Dataset). A function
/// `fn(I, &SampleContext) -> Result<O, BoxError>` is one.
pub trait SampleMap<I>: Send + Sync + 'static {
    /// What becomes of a sample.
    type Output: Send + 'static;

    /// Maps one sample.
    ///
    /// # Errors
    /// Whatever went wrong; it reaches the consumer as
    /// [`DataError::Map`](crate::DataError::Map).
    fn map(&self, sample: I, context: &SampleContext) -> Result<Self::Output, BoxError>;
}

/// Leaves samples as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl<I: Send + 'static> SampleMap<I> for Identity {
    type Output = I;

    fn map(&self, sample: I, _: &SampleContext) -> Result<I, BoxError> {
        Ok(sample)
    }
}

impl<I, O, F> SampleMap<I> for F
where
    O: Send + 'static,
    F: Fn(I, &SampleContext) -> Result<O, BoxError> + Send + Sync + 'static,
{
    type Output = O;

    fn map(&self, sample: I, context: &SampleContext) -> Result<O, BoxError> {
        self(sample, context)
    }
}
