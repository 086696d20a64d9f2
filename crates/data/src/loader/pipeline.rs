//! Making one batch of a plan: read, map, collate.

use super::config::CorruptPolicy;
use super::plan::{Draw, EpochPlan};
use super::{SampleContext, SampleMap};
use crate::{BatchInfo, Collate, DataError, Dataset};
use firecraft_key::Key;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A sample that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Id of the sample in its data set.
    pub id: u64,
    /// The epoch in which it was first left out.
    pub epoch: u64,
    /// Why it could not be read.
    pub reason: String,
}

/// What came of a batch.
pub(super) struct Made<B> {
    /// `None` if no sample was left, or the work was cancelled.
    pub(super) batch: Result<Option<B>, DataError>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) work: Duration,
}

/// A pipeline without its types: what a pool needs to know.
pub(super) trait Produce<B>: Send + Sync {
    fn samples(&self) -> usize;
    fn id(&self, index: usize) -> u64;
    /// Makes a batch; never panics, returns early once `cancelled`.
    fn produce(&self, plan: &EpochPlan, batch: usize, cancelled: &AtomicBool) -> Made<B>;
}

pub(super) struct Pipeline<D, M, C> {
    pub(super) dataset: D,
    pub(super) map: M,
    pub(super) collate: C,
    pub(super) weights: Option<Vec<f32>>,
    pub(super) on_corrupt: CorruptPolicy,
    pub(super) key: Key,
}

impl<D, M, C> Produce<C::Batch> for Pipeline<D, M, C>
where
    D: Dataset,
    M: SampleMap<D::Item>,
    C: Collate<M::Output>,
{
    fn samples(&self) -> usize {
        self.dataset.len()
    }

    fn id(&self, index: usize) -> u64 {
        self.dataset.id(index)
    }

    fn produce(&self, plan: &EpochPlan, batch: usize, cancelled: &AtomicBool) -> Made<C::Batch> {
        let start = Instant::now();
        let mut skipped = Vec::new();
        let batch = self.make(plan, batch, cancelled, &mut skipped);
        Made {
            batch,
            skipped,
            work: start.elapsed(),
        }
    }
}

impl<D, M, C> Pipeline<D, M, C>
where
    D: Dataset,
    M: SampleMap<D::Item>,
    C: Collate<M::Output>,
{
    fn make(
        &self,
        plan: &EpochPlan,
        batch: usize,
        cancelled: &AtomicBool,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Option<C::Batch>, DataError> {
        let draws = plan.batch(batch);
        let sample_key = self.key.named("sample").fold(plan.epoch);
        let mut samples = Vec::with_capacity(draws.len());
        let mut info = BatchInfo {
            epoch: plan.epoch,
            index: batch as u64,
            key: self.key.named("batch").fold(plan.epoch).fold(batch as u64),
            ids: Vec::with_capacity(draws.len()),
            weights: self
                .weights
                .as_ref()
                .map(|_| Vec::with_capacity(draws.len())),
        };
        for &Draw { index, occurrence } in draws {
            if cancelled.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let index = index as usize;
            let id = self.dataset.id(index);
            let key = sample_key.fold(id);
            let key = if occurrence == 0 {
                key
            } else {
                key.fold(u64::from(occurrence))
            };
            let context = SampleContext {
                key,
                epoch: plan.epoch,
                id,
                occurrence,
            };
            let item = match guarded(id, plan.epoch, || self.dataset.get(index))? {
                Ok(item) => item,
                Err(error) if self.on_corrupt == CorruptPolicy::Skip => {
                    skipped.push(Skipped {
                        id,
                        epoch: plan.epoch,
                        reason: error.to_string(),
                    });
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mapped = guarded(id, plan.epoch, || self.map.map(item, &context))?;
            samples.push(mapped.map_err(|source| DataError::Map {
                id,
                epoch: plan.epoch,
                source,
            })?);
            info.ids.push(id);
            if let (Some(own), Some(all)) = (&mut info.weights, &self.weights) {
                own.push(all[index]);
            }
        }
        let Some(&first) = info.ids.first() else {
            return Ok(None);
        };
        guarded(first, plan.epoch, || self.collate.collate(samples, info))?.map(Some)
    }
}

/// Runs foreign code and turns a panic into an error.
fn guarded<T>(id: u64, epoch: u64, work: impl FnOnce() -> T) -> Result<T, DataError> {
    // Nothing that the closure borrows is used after a panic, except the data
    // set and the map, which are shared and pure by contract.
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| DataError::Panic {
        id,
        epoch,
        message: message(&*payload),
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
