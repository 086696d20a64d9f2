//! Several views of each image in one batch.

use super::{Sampler, Shuffled};
use firecraft_key::Key;

/// Repeated augmentation: a shuffled pass in which every sample comes several
/// times in a row, each time with another key, so that a batch holds several
/// views of it (Hoffer et al., *Augment your batch*, CVPR 2020; used by DeiT).
///
/// By default an epoch has as many draws as the data set has samples, and so
/// visits only some of them, as DeiT does.
///
/// ```
/// use firecraft_data::{Repeated, Sampler};
/// use firecraft_key::Key;
/// let order = Repeated::new(3).order(6, Key::from_seed(1));
/// assert_eq!(order[0], order[2]);
/// assert_eq!(order[3], order[5]);
/// assert_eq!(Repeated::new(3).full().order(6, Key::from_seed(1)).len(), 18);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Repeated {
    times: usize,
    full: bool,
}

impl Repeated {
    /// Every visited sample comes `times` times (at least once).
    #[must_use]
    pub fn new(times: usize) -> Self {
        Self {
            times: times.max(1),
            full: false,
        }
    }

    /// Visits all samples: an epoch is `times` as long.
    #[must_use]
    pub fn full(mut self) -> Self {
        self.full = true;
        self
    }
}

impl Sampler for Repeated {
    fn order(&self, samples: usize, key: Key) -> Vec<usize> {
        let draws = if self.full {
            samples.saturating_mul(self.times)
        } else {
            samples
        };
        let order = Shuffled.order(samples, key);
        order
            .iter()
            .flat_map(|&index| std::iter::repeat_n(index, self.times))
            .take(draws)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_pass_visits_every_sample_as_often() {
        let mut order = Repeated::new(4).full().order(5, Key::from_seed(2));
        order.sort_unstable();
        let expected: Vec<usize> = (0..5).flat_map(|i| [i; 4]).collect();
        assert_eq!(order, expected);
    }
}
