//! Everything about an epoch that is decided before its first sample is read.

use super::LoaderConfig;
use crate::{DataError, Sampler};
use firecraft_key::Key;
use std::ops::Range;
use std::sync::OnceLock;

/// The n-th visit of a sample.
#[derive(Clone, Copy)]
pub(super) struct Draw {
    pub(super) index: u32,
    pub(super) occurrence: u32,
}

/// Which samples are in which batch.
pub(super) struct EpochPlan {
    pub(super) epoch: u64,
    draws: Vec<Draw>,
    /// Where each batch ends in `draws`.
    ends: Vec<usize>,
    /// Digest of the whole plan, once it was asked for.
    fingerprint: OnceLock<String>,
}

impl EpochPlan {
    pub(super) fn new(
        sampler: &dyn Sampler,
        config: &LoaderConfig,
        key: Key,
        epoch: u64,
        samples: usize,
    ) -> Result<Self, DataError> {
        let key = key.named("order").fold(epoch);
        let order = sampler.order(samples, key);
        let batches = sampler.batches(
            order,
            config.batch_size(),
            config.drop_last(),
            key.named("batches"),
        );
        let mut seen = vec![0_u32; samples];
        let mut plan = Self {
            epoch,
            draws: Vec::new(),
            ends: Vec::with_capacity(batches.len()),
            fingerprint: OnceLock::new(),
        };
        for batch in batches.iter().filter(|batch| !batch.is_empty()) {
            for &index in batch {
                let Some(count) = seen.get_mut(index) else {
                    return Err(DataError::config(
                        "index chosen by the sampler",
                        index,
                        format!("below {samples}"),
                    ));
                };
                // Indices are below the number of samples, which fits.
                plan.draws.push(Draw {
                    index: index as u32,
                    occurrence: *count,
                });
                *count += 1;
            }
            plan.ends.push(plan.draws.len());
        }
        Ok(plan)
    }

    /// Keeps the draws at positions `window`; batches stay where they are cut.
    pub(super) fn restricted(self, window: &Range<usize>) -> Self {
        let clamp = |position: usize| position.clamp(window.start, window.end.max(window.start));
        let last = self.draws.len();
        let draws = self.draws[clamp(0).min(last)..clamp(last).min(last)].to_vec();
        let mut ends: Vec<usize> = self
            .ends
            .iter()
            .map(|&end| clamp(end) - window.start)
            .collect();
        ends.dedup();
        ends.retain(|&end| end > 0 && end <= draws.len());
        Self {
            epoch: self.epoch,
            draws,
            ends,
            fingerprint: OnceLock::new(),
        }
    }

    pub(super) fn batches(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn batch(&self, batch: usize) -> &[Draw] {
        &self.draws[self.range(batch)]
    }

    pub(super) fn draws(&self) -> usize {
        self.draws.len()
    }

    /// Number of draws in the batches before `batch`.
    pub(super) fn draws_before(&self, batch: usize) -> usize {
        if batch == 0 { 0 } else { self.ends[batch - 1] }
    }

    fn range(&self, batch: usize) -> Range<usize> {
        let start = if batch == 0 { 0 } else { self.ends[batch - 1] };
        start..self.ends[batch]
    }

    /// A digest of key, samples, their order and the batches.
    pub(super) fn fingerprint(&self, key: Key, id: impl Fn(usize) -> u64) -> &str {
        self.fingerprint.get_or_init(|| {
            let mut digest = key.named("fingerprint").fold(self.epoch);
            for draw in &self.draws {
                digest = digest.fold(id(draw.index as usize));
            }
            for &end in &self.ends {
                digest = digest.fold(end as u64);
            }
            format!("{:016x}", digest.words()[0])
        })
    }
}
