//! How many batches make an update, over the epochs.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// From an epoch on, so many batches make an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccumulateFrom {
    /// The 0-based epoch from which it holds.
    pub epoch: u64,
    /// Batches per update, at least 1.
    pub batches: u64,
}

/// Batches per update over the epochs: 1, and changes in the order of epochs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accumulation(Vec<AccumulateFrom>);

impl Default for Accumulation {
    fn default() -> Self {
        Self(vec![AccumulateFrom {
            epoch: 0,
            batches: 1,
        }])
    }
}

impl Accumulation {
    pub(crate) fn set(&mut self, epoch: u64, batches: u64) {
        self.0.retain(|change| change.epoch != epoch);
        self.0.push(AccumulateFrom { epoch, batches });
        self.0.sort_by_key(|change| change.epoch);
    }

    /// Batches per update in an epoch; at least 1, whatever was set.
    pub(crate) fn at(&self, epoch: u64) -> u64 {
        let started = self.0.iter().rev().find(|change| change.epoch <= epoch);
        started.map_or(1, |change| change.batches.max(1))
    }

    /// Updates of several epochs of so many batches each.
    pub(crate) fn updates(&self, epochs: Range<u64>, batches: u64) -> u64 {
        let mut total = 0_u64;
        let mut epoch = epochs.start;
        while epoch < epochs.end {
            let changes = self.0.iter().map(|change| change.epoch);
            let next = changes.filter(|change| *change > epoch).min();
            let next = next.unwrap_or(epochs.end).min(epochs.end);
            let updates = batches.div_ceil(self.at(epoch));
            total = total.saturating_add(updates.saturating_mul(next - epoch));
            epoch = next;
        }
        total
    }

    /// Every change after the start.
    pub(crate) fn changes(&self) -> Vec<AccumulateFrom> {
        let later = self.0.iter().filter(|change| change.epoch > 0);
        later.copied().collect()
    }

    pub(crate) fn is_constant(&self) -> bool {
        self.0.len() == 1
    }

    /// The least number that was set, to refuse 0.
    pub(crate) fn least(&self) -> u64 {
        self.0
            .iter()
            .map(|change| change.batches)
            .min()
            .unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_change_counts_whatever_the_order_of_setting() {
        let mut accumulation = Accumulation::default();
        accumulation.set(4, 8);
        accumulation.set(2, 3);
        accumulation.set(4, 5);
        let found: Vec<u64> = (0..6).map(|epoch| accumulation.at(epoch)).collect();
        assert_eq!(found, [1, 1, 3, 3, 5, 5]);
        assert!(!accumulation.is_constant());
        // 7, 7, 3, 3, 2, 2 updates of 7 batches.
        assert_eq!(accumulation.updates(0..6, 7), 24);
        assert_eq!(accumulation.updates(1..5, 7), 15);
        assert_eq!(accumulation.updates(0..u64::MAX, u64::MAX), u64::MAX);
        accumulation.set(9, 0);
        assert_eq!(accumulation.least(), 0);
    }
}
