//! The batches of one epoch, in order.

use super::pipeline::Made;
use super::plan::EpochPlan;
use super::pool::Pool;
use super::{Cursor, Loader, Shared, lock};
use crate::DataError;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Iterates over the batches of an epoch; made by
/// [`Loader::epoch`](super::Loader::epoch).
///
/// An error ends the epoch. Dropping it early cancels what is in work.
///
/// ```
/// use firecraft_data::{Digits, LoaderConfig};
/// let loader = LoaderConfig::new(100).shuffled().with_workers(2).init(Digits::load()?)?;
/// let mut epoch = loader.epoch(4)?;
/// epoch.next();
/// let cursor = epoch.cursor();
/// let rest: Vec<_> = epoch.collect::<Result<_, _>>()?;
/// let again: Vec<_> = loader.resume(&cursor)?.collect::<Result<_, _>>()?;
/// assert_eq!(rest, again);
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
pub struct Epoch<B: Send + 'static> {
    shared: Arc<Shared<B>>,
    plan: Arc<EpochPlan>,
    run: Option<(Arc<Pool<B>>, u64)>,
    next: usize,
    failed: bool,
    handed_out: Option<Instant>,
}

impl<B: Send + 'static> Epoch<B> {
    pub(super) fn start(loader: &Loader<B>, plan: Arc<EpochPlan>, first: usize) -> Self {
        let begin = |pool: &Arc<Pool<B>>| (Arc::clone(pool), pool.begin(Arc::clone(&plan), first));
        Self {
            run: loader.pool.as_ref().map(begin),
            shared: Arc::clone(&loader.shared),
            plan,
            next: first,
            failed: false,
            handed_out: None,
        }
    }

    /// The place before the batch that comes next.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let pipeline = &self.shared.pipeline;
        let fingerprint = self
            .plan
            .fingerprint(self.shared.key, |index| pipeline.id(index));
        Cursor::new(
            &self.shared.config,
            pipeline.samples(),
            fingerprint,
            self.plan.epoch,
            self.next,
        )
    }

    /// Number of the epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.plan.epoch
    }

    /// Number of batches in the whole epoch.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.plan.batches()
    }

    /// Number of samples in the whole epoch, repetitions counted.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.plan.draws()
    }

    /// Number of batches that were handed out or skipped, including those
    /// before the cursor that the epoch was continued from.
    #[must_use]
    pub fn position(&self) -> usize {
        self.next
    }

    /// Number of samples in the batches before [`position`](Self::position).
    #[must_use]
    pub fn samples_before(&self) -> usize {
        self.plan.draws_before(self.next)
    }

    fn make_next(&mut self) -> Option<Made<B>> {
        match &self.run {
            Some((pool, run)) => pool.next(*run),
            None if self.next < self.plan.batches() => Some(self.shared.pipeline.produce(
                &self.plan,
                self.next,
                &AtomicBool::new(false),
            )),
            None => None,
        }
    }

    fn close(&mut self) {
        if let Some((pool, run)) = self.run.take() {
            pool.end(run);
        }
    }
}

impl<B: Send + 'static> Iterator for Epoch<B> {
    type Item = Result<B, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.failed {
                return None;
            }
            let asked = Instant::now();
            let computed = self.handed_out.take().map(|then| asked - then);
            let made = self.make_next()?;
            let samples = self.plan.batch(self.next).len() - made.skipped.len();
            lock(&self.shared.counters).add(
                samples,
                asked.elapsed(),
                computed.unwrap_or_default(),
                made.work,
            );
            self.next += 1;
            if !made.skipped.is_empty() {
                let mut all = lock(&self.shared.skipped);
                for skipped in made.skipped {
                    all.entry(skipped.id).or_insert(skipped);
                }
            }
            match made.batch {
                // No sample of this batch could be read: go on with the next.
                Ok(None) => {}
                Ok(Some(batch)) => {
                    self.handed_out = Some(Instant::now());
                    return Some(Ok(batch));
                }
                Err(error) => {
                    self.failed = true;
                    self.close();
                    return Some(Err(error));
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = if self.failed {
            0
        } else {
            self.plan.batches() - self.next
        };
        // Batches may turn out empty when corrupt samples are skipped.
        (0, Some(left))
    }
}

impl<B: Send + 'static> std::iter::FusedIterator for Epoch<B> {}

impl<B: Send + 'static> Drop for Epoch<B> {
    fn drop(&mut self) {
        self.close();
    }
}
