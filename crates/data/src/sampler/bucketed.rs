//! Batches of samples that are alike.

use super::{Sampler, chunk};
use firecraft_key::Key;
use std::collections::BTreeMap;

/// Puts samples of one bucket together, so that images of one aspect ratio or
/// texts of one length share a batch; the order inside comes from another
/// sampler, the order of the batches from the key.
///
/// `drop_last` applies to each bucket. A sample beyond the list of buckets is
/// in bucket 0.
///
/// ```
/// use firecraft_data::{Bucketed, Sampler, Sequential};
/// use firecraft_key::Key;
/// let wide = [0, 1, 0, 1, 0];
/// let sampler = Bucketed::new(wide.to_vec(), Sequential);
/// let mut batches = sampler.batches(vec![0, 1, 2, 3, 4], 2, false, Key::from_seed(1));
/// batches.sort();
/// assert_eq!(batches, [vec![0, 2], vec![1, 3], vec![4]]);
/// ```
#[derive(Clone, Debug)]
pub struct Bucketed<S> {
    buckets: Vec<u32>,
    inner: S,
}

impl<S: Sampler> Bucketed<S> {
    /// The bucket of each sample, in the order of the data set.
    #[must_use]
    pub fn new(buckets: Vec<u32>, inner: S) -> Self {
        Self { buckets, inner }
    }
}

impl<S: Sampler> Sampler for Bucketed<S> {
    fn order(&self, samples: usize, key: Key) -> Vec<usize> {
        self.inner.order(samples, key)
    }

    fn batches(
        &self,
        order: Vec<usize>,
        batch_size: usize,
        drop_last: bool,
        key: Key,
    ) -> Vec<Vec<usize>> {
        let mut buckets = BTreeMap::<u32, Vec<usize>>::new();
        for index in order {
            let bucket = self.buckets.get(index).copied().unwrap_or(0);
            buckets.entry(bucket).or_default().push(index);
        }
        let mut batches: Vec<_> = buckets
            .values()
            .flat_map(|members| chunk(members, batch_size, drop_last))
            .collect();
        key.rng().shuffle(&mut batches);
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shuffled;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_are_pure_and_complete(
            buckets in proptest::collection::vec(0_u32..4, 1..80), size in 1_usize..9, drop_last: bool, seed: u64,
        ) {
            let sampler = Bucketed::new(buckets.clone(), Shuffled);
            let key = Key::from_seed(seed);
            let batches = sampler.batches(sampler.order(buckets.len(), key), size, drop_last, key);
            for batch in &batches {
                prop_assert!(batch.iter().all(|&i| buckets[i] == buckets[batch[0]]));
                prop_assert!(batch.len() == size || !drop_last && batch.len() < size);
            }
            let mut all = batches.concat();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len(), batches.iter().map(Vec::len).sum::<usize>());
            if !drop_last {
                prop_assert_eq!(all.len(), buckets.len());
            }
        }
    }
}
