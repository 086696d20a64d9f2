//! In which order an epoch visits its samples.

mod bucketed;
mod repeated;
mod weighted;

pub use bucketed::Bucketed;
pub use repeated::Repeated;
pub use weighted::{Balanced, Weighted};

use firecraft_key::Key;

/// Decides the order of an epoch and how it is cut into batches.
///
/// Pure: the same key and number of samples give the same order. The number of
/// batches must not depend on the key, so that progress can be told.
pub trait Sampler: Send + Sync + 'static {
    /// Indices to visit, each below `samples`. A full pass visits each once;
    /// others may repeat or leave out.
    fn order(&self, samples: usize, key: Key) -> Vec<usize>;

    /// Cuts the order into batches. By default in sequence; the last batch may
    /// be smaller, unless `drop_last`.
    fn batches(
        &self,
        order: Vec<usize>,
        batch_size: usize,
        drop_last: bool,
        key: Key,
    ) -> Vec<Vec<usize>> {
        let _ = key;
        chunk(&order, batch_size, drop_last)
    }
}

pub(crate) fn chunk(order: &[usize], batch_size: usize, drop_last: bool) -> Vec<Vec<usize>> {
    let whole = order.len() / batch_size * batch_size;
    let kept = if drop_last { whole } else { order.len() };
    order[..kept]
        .chunks(batch_size)
        .map(<[usize]>::to_vec)
        .collect()
}

/// Every sample once, in the order of the data set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl Sampler for Sequential {
    fn order(&self, samples: usize, _key: Key) -> Vec<usize> {
        (0..samples).collect()
    }
}

/// Every sample once, in an order that the key decides.
///
/// ```
/// use firecraft_data::{Sampler, Shuffled};
/// use firecraft_key::Key;
/// let mut order = Shuffled.order(5, Key::from_seed(1));
/// assert_ne!(order, [0, 1, 2, 3, 4]);
/// order.sort();
/// assert_eq!(order, [0, 1, 2, 3, 4]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Shuffled;

impl Sampler for Shuffled {
    fn order(&self, samples: usize, key: Key) -> Vec<usize> {
        let mut order: Vec<usize> = (0..samples).collect();
        key.rng().shuffle(&mut order);
        order
    }
}
