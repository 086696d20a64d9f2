//! A counter that belongs to one module and is saved with it.

use std::sync::atomic::{AtomicU64, Ordering};

use burn::module::{
    Content, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, ParamId,
};
use burn::tensor::Device;

use crate::host_words;

/// The container type under which visitors and mappers meet a count.
pub const CONTAINER: &str = "Struct:CountCell";

/// A count that a layer advances in its forward pass, such as the batches that
/// a cumulative average has seen. It lives on the host, is recorded as a small
/// int tensor, and a clone has its own.
///
/// ```
/// use firecraft_core_tensor::CountCell;
/// let batches = CountCell::default();
/// let snapshot = batches.clone();
/// assert_eq!(batches.increment(), 1);
/// assert_eq!((batches.get(), snapshot.get()), (1, 0));
/// ```
#[derive(Debug)]
pub struct CountCell {
    id: ParamId,
    count: AtomicU64,
    recorded: bool,
}

impl Default for CountCell {
    fn default() -> Self {
        Self::new(0)
    }
}

impl CountCell {
    /// A cell that starts at `count`.
    #[must_use]
    pub fn new(count: u64) -> Self {
        Self {
            id: ParamId::new(),
            count: AtomicU64::new(count),
            recorded: true,
        }
    }

    /// The same cell, left out of records: for a layer whose records another
    /// one without such a count must be able to load. Visitors and mappers
    /// don't see it, except mappers that [`reveal`](crate::cells::reveal) it.
    #[must_use]
    pub const fn unrecorded(mut self) -> Self {
        self.recorded = false;
        self
    }

    /// The current count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Sets the count.
    pub fn set(&self, count: u64) {
        self.count.store(count, Ordering::Relaxed);
    }

    /// Adds one and returns the new count.
    pub fn increment(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Clone for CountCell {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            count: AtomicU64::new(self.get()),
            recorded: self.recorded,
        }
    }
}

impl Module for CountCell {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        if self.recorded {
            host_words::visit(visitor, CONTAINER, self.id, [self.get()]);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        if !self.recorded && !host_words::wanted(mapper) {
            return self;
        }
        let (id, [count]) = host_words::map(mapper, CONTAINER, self.id, [self.get()]);
        Self {
            id,
            count: AtomicU64::new(count),
            recorded: self.recorded,
        }
    }

    fn to_device(self, _device: &Device) -> Self {
        self
    }

    fn fork(self, _device: &Device) -> Self {
        self
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        devices
    }

    fn materialize(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn train(self) -> Self {
        self
    }
}

impl ModuleDisplayDefault for CountCell {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&self.get()).optional()
    }
}

impl ModuleDisplay for CountCell {}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::store::ModuleRecord;

    #[derive(Module, Debug)]
    struct Layer {
        batches: CountCell,
    }

    #[test]
    fn a_count_beyond_32_bits_survives_a_record() {
        let count = (7 << 40) + u64::from(u32::MAX);
        let saved = Layer {
            batches: CountCell::new(count),
        };
        let bytes = saved.into_record().into_bytes().unwrap();
        let fresh = Layer {
            batches: CountCell::default(),
        };
        let loaded = fresh.load_record(ModuleRecord::from_bytes(bytes).unwrap());
        assert_eq!(loaded.batches.get(), count);
    }

    #[test]
    fn an_unrecorded_count_is_neither_saved_nor_loaded() {
        let layer = |count| Layer {
            batches: CountCell::new(count).unrecorded(),
        };
        let record = layer(3).into_record();
        assert!(record.is_empty());
        assert_eq!(layer(5).load_record(record).batches.get(), 5);
    }

    #[test]
    fn a_clone_counts_for_itself() {
        let layer = Layer {
            batches: CountCell::new(4),
        };
        let clone = layer.clone();
        layer.batches.increment();
        assert_eq!((layer.batches.get(), clone.batches.get()), (5, 4));
    }
}
