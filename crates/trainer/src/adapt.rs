//! Sources made from sources.

use burn::tensor::Device;
use firecraft_key::Key;
use firecraft_spec::Value;

use crate::error::TrainerError;
use crate::source::BatchSource;

/// A source whose batches go through a function; see
/// [`BatchSource::map_batches`].
pub struct Mapped<S, F> {
    source: S,
    key: Key,
    name: &'static str,
    epoch: u64,
    batch: u64,
    map: F,
}

/// The first batches of the first epoch, again and again; see
/// [`BatchSource::overfit`].
#[derive(Debug)]
pub struct Overfit<S> {
    source: S,
    batches: u64,
    next: u64,
}

impl<S, F> Mapped<S, F> {
    pub(crate) fn new(source: S, seed: u64, name: &'static str, map: F) -> Self {
        Self {
            source,
            key: Key::from_seed(seed).named(name),
            name,
            epoch: 0,
            batch: 0,
            map,
        }
    }
}

impl<S> Overfit<S> {
    pub(crate) const fn new(source: S, batches: u64) -> Self {
        Self {
            source,
            batches,
            next: 0,
        }
    }
}

impl<S: std::fmt::Debug, F> std::fmt::Debug for Mapped<S, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapped")
            .field("source", &self.source)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<S, F, B> BatchSource for Mapped<S, F>
where
    S: BatchSource,
    F: FnMut(S::Batch, Key) -> Result<B, TrainerError>,
{
    type Batch = B;

    fn batches_per_epoch(&self) -> u64 {
        self.source.batches_per_epoch()
    }

    fn samples_per_epoch(&self) -> u64 {
        self.source.samples_per_epoch()
    }

    fn identity(&self) -> String {
        format!("{}, {}", self.source.identity(), self.name)
    }

    fn start_epoch(&mut self, epoch: u64) -> Result<(), TrainerError> {
        self.epoch = epoch;
        self.batch = 0;
        self.source.start_epoch(epoch)
    }

    fn next_batch(&mut self, device: &Device) -> Result<Option<B>, TrainerError> {
        let Some(batch) = self.source.next_batch(device)? else {
            return Ok(None);
        };
        let key = self.key.fold(self.epoch).fold(self.batch);
        self.batch += 1;
        (self.map)(batch, key).map(Some)
    }

    fn cursor(&self) -> Value {
        Value::from(vec![
            Value::Int(self.epoch as i64),
            Value::Int(self.batch as i64),
            self.source.cursor(),
        ])
    }

    fn restore(&mut self, cursor: &Value) -> Result<(), TrainerError> {
        let (epoch, batch, inner): (u64, u64, Value) = firecraft_spec::from_value(cursor)?;
        self.epoch = epoch;
        self.batch = batch;
        self.source.restore(&inner)
    }
}

impl<S: BatchSource> BatchSource for Overfit<S> {
    type Batch = S::Batch;

    fn batches_per_epoch(&self) -> u64 {
        self.batches.min(self.source.batches_per_epoch())
    }

    fn samples_per_epoch(&self) -> u64 {
        let all = self.source.batches_per_epoch().max(1);
        self.source.samples_per_epoch() * self.batches_per_epoch() / all
    }

    fn identity(&self) -> String {
        format!(
            "{}, the first {} batches",
            self.source.identity(),
            self.batches
        )
    }

    fn start_epoch(&mut self, _epoch: u64) -> Result<(), TrainerError> {
        self.next = 0;
        self.source.start_epoch(0)
    }

    fn next_batch(&mut self, device: &Device) -> Result<Option<S::Batch>, TrainerError> {
        if self.next >= self.batches {
            return Ok(None);
        }
        self.next += 1;
        self.source.next_batch(device)
    }

    fn cursor(&self) -> Value {
        Value::from(vec![Value::Int(self.next as i64), self.source.cursor()])
    }

    fn restore(&mut self, cursor: &Value) -> Result<(), TrainerError> {
        let (next, inner): (u64, Value) = firecraft_spec::from_value(cursor)?;
        self.next = next;
        self.source.restore(&inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::InMemory;

    fn numbers() -> InMemory<impl FnMut(u64, u64, &Device) -> u64> {
        InMemory::new(4, 8, |epoch, batch, _: &Device| 10 * epoch + batch)
    }

    fn epoch<S: BatchSource>(source: &mut S, epoch: u64) -> Vec<S::Batch> {
        source.start_epoch(epoch).unwrap();
        let device = Device::flex();
        std::iter::from_fn(|| source.next_batch(&device).unwrap()).collect()
    }

    #[test]
    fn every_batch_of_every_epoch_is_mapped_with_a_key_of_its_own() {
        let mapped =
            || numbers().map_batches(7, "pair", |batch, key: Key| Ok((batch, key.words())));
        let mut source = mapped();
        let all = [epoch(&mut source, 0), epoch(&mut source, 1)].concat();
        let mut keys: Vec<_> = all.iter().map(|(_, key)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 8);
        assert_eq!(epoch(&mut mapped(), 1), all[4..]);

        let device = Device::flex();
        source.start_epoch(1).unwrap();
        source.next_batch(&device).unwrap();
        let mut other = mapped();
        other.restore(&source.cursor()).unwrap();
        assert_eq!(
            other.next_batch(&device).unwrap(),
            source.next_batch(&device).unwrap()
        );
    }

    #[test]
    fn overfitting_sees_the_same_few_batches_in_every_epoch() {
        let mut source = numbers().overfit(2);
        assert_eq!(source.samples_per_epoch(), 4);
        assert_eq!(epoch(&mut source, 0), [0, 1]);
        assert_eq!(epoch(&mut source, 5), [0, 1]);
    }
}
