//! Averages of a metric before it is compared.

use firecraft_spec::Value;

/// The mean of the last `window` values.
///
/// The sum is kept and updated, in the order of the peers, so that ties fall
/// alike; the ring is allocated once.
#[derive(Clone, Debug)]
pub(super) struct Window {
    values: Vec<f64>,
    next: usize,
    window: usize,
    sum: f64,
}

impl Window {
    pub(super) fn new(window: usize) -> Self {
        Self {
            values: Vec::with_capacity(window),
            next: 0,
            window,
            sum: 0.0,
        }
    }

    pub(super) fn push(&mut self, value: f64) -> f64 {
        self.sum += value;
        if self.values.len() < self.window {
            self.values.push(value);
        } else {
            self.sum -= std::mem::replace(&mut self.values[self.next], value);
            self.next = (self.next + 1) % self.window;
        }
        self.sum / self.values.len() as f64
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.next = 0;
        self.sum = 0.0;
    }

    /// The values, oldest first.
    pub(super) fn values(&self) -> Value {
        let (newer, older) = self.values.split_at(self.next);
        Value::List(older.iter().chain(newer).map(|&v| v.into()).collect())
    }

    pub(super) const fn sum(&self) -> f64 {
        self.sum
    }

    /// Puts saved values back; `false` if there are too many.
    pub(super) fn restore(&mut self, values: &[f64], sum: f64) -> bool {
        if values.len() > self.window {
            return false;
        }
        self.clear();
        self.values.extend_from_slice(values);
        self.sum = sum;
        true
    }
}
