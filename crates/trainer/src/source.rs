//! Where batches come from.

use burn::tensor::{Device, Int, Tensor};
use firecraft_key::Key;
use firecraft_spec::Value;

use crate::adapt::{Mapped, Overfit};
use crate::error::TrainerError;

/// A source of batches with a known length and a position that can be saved.
///
/// One epoch of training takes the batches from
/// [`start_epoch`](Self::start_epoch) until [`next_batch`](Self::next_batch)
/// gives `None`. The same epoch must give the same batches every time.
pub trait BatchSource {
    /// What one batch holds.
    type Batch;

    /// Number of batches in an epoch. Fewer may come, when samples that can't
    /// be read are left out.
    fn batches_per_epoch(&self) -> u64;

    /// Number of samples in an epoch.
    fn samples_per_epoch(&self) -> u64;

    /// A text that identifies the data, to notice a run that is resumed with
    /// other data: at least the number of samples, better a hash.
    fn identity(&self) -> String;

    /// Goes to the first batch of an epoch (0-based).
    ///
    /// # Errors
    ///
    /// [`TrainerError::Data`] when the data can't be read.
    fn start_epoch(&mut self, epoch: u64) -> Result<(), TrainerError>;

    /// The next batch, with its tensors on `device`, or `None` at the end.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Data`] when the data can't be read.
    fn next_batch(&mut self, device: &Device) -> Result<Option<Self::Batch>, TrainerError>;

    /// The position, for a checkpoint.
    fn cursor(&self) -> Value;

    /// Goes to a position that [`cursor`](Self::cursor) gave.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Data`] when it is no position of this source.
    fn restore(&mut self, cursor: &Value) -> Result<(), TrainerError>;

    /// Sends every batch through a function: mixing (MixUp, CutMix), weights,
    /// another form. The function gets a key of the batch, from `seed`, `name`,
    /// epoch and index; `name` also tells a run from one without it.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use firecraft_trainer::{BatchSource, InMemory};
    ///
    /// let source = InMemory::new(1, 1, |_, _, _: &Device| 20.0);
    /// let mut noisy = source.map_batches(7, "noise", |x, key| {
    ///     Ok(x + key.rng().below(2) as f64)
    /// });
    /// noisy.start_epoch(0)?;
    /// assert!(noisy.next_batch(&Device::flex())?.unwrap() >= 20.0);
    /// # Ok::<(), firecraft_trainer::TrainerError>(())
    /// ```
    fn map_batches<B, F>(self, seed: u64, name: &'static str, map: F) -> Mapped<Self, F>
    where
        Self: Sized,
        F: FnMut(Self::Batch, Key) -> Result<B, TrainerError>,
    {
        Mapped::new(self, seed, name, map)
    }

    /// Only the first `batches` batches of the first epoch, in every epoch: a
    /// model that can't learn those by heart has a fault.
    fn overfit(self, batches: u64) -> Overfit<Self>
    where
        Self: Sized,
    {
        Overfit::new(self, batches)
    }
}

/// A batch of labelled samples.
#[derive(Debug, Clone)]
pub struct Labelled<I> {
    /// What the model takes, usually `[N, C, H, W]`.
    pub inputs: I,
    /// What it should say.
    pub targets: Targets,
    /// Weight of each sample in the loss, `[N]`; 1 when absent.
    pub weights: Option<Tensor<1>>,
}

/// What a model should say about a batch.
#[derive(Debug, Clone)]
pub enum Targets {
    /// Class indices, `[N]`.
    Classes(Tensor<1, Int>),
    /// Probabilities of the classes, `[N, K]`, as mixing makes them.
    Probabilities(Tensor<2>),
    /// Numbers, `[N, K]`: those of a regression, or K labels of 0 and 1.
    Values(Tensor<2>),
}

impl Targets {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.dims()[0],
            Self::Probabilities(values) | Self::Values(values) => values.dims()[0],
        }
    }

    /// The same targets off the autodiff tape.
    #[must_use]
    pub fn without_autodiff(self) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(classes.without_autodiff()),
            Self::Probabilities(values) => Self::Probabilities(values.without_autodiff()),
            Self::Values(values) => Self::Values(values.without_autodiff()),
        }
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Batches that lie in memory, for tests and small experiments.
///
/// `make` turns an epoch, a batch index and a device into a batch.
pub struct InMemory<F> {
    batches: u64,
    samples: u64,
    identity: String,
    epoch: u64,
    next: u64,
    make: F,
}

impl<B, F: FnMut(u64, u64, &Device) -> B> InMemory<F> {
    /// A source of `batches` batches, `samples` samples in all, per epoch.
    pub fn new(batches: u64, samples: u64, make: F) -> Self {
        Self {
            batches,
            samples,
            identity: format!("{samples} samples in {batches} batches"),
            epoch: 0,
            next: 0,
            make,
        }
    }
}

impl<F> std::fmt::Debug for InMemory<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InMemory")
            .field("batches", &self.batches)
            .field("samples", &self.samples)
            .finish_non_exhaustive()
    }
}

impl<B, F: FnMut(u64, u64, &Device) -> B> BatchSource for InMemory<F> {
    type Batch = B;

    fn batches_per_epoch(&self) -> u64 {
        self.batches
    }

    fn samples_per_epoch(&self) -> u64 {
        self.samples
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn start_epoch(&mut self, epoch: u64) -> Result<(), TrainerError> {
        self.epoch = epoch;
        self.next = 0;
        Ok(())
    }

    fn next_batch(&mut self, device: &Device) -> Result<Option<B>, TrainerError> {
        if self.next >= self.batches {
            return Ok(None);
        }
        self.next += 1;
        Ok(Some((self.make)(self.epoch, self.next - 1, device)))
    }

    fn cursor(&self) -> Value {
        Value::from(vec![self.epoch as i64, self.next as i64])
    }

    fn restore(&mut self, cursor: &Value) -> Result<(), TrainerError> {
        let [epoch, next]: [u64; 2] = firecraft_spec::from_value(cursor)?;
        self.epoch = epoch;
        self.next = next;
        Ok(())
    }
}
