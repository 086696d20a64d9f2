//! Orders in which some samples come more often than others.

use super::Sampler;
use crate::DataError;
use firecraft_key::Key;

/// Draws with replacement, each sample with a probability proportional to its
/// weight.
///
/// ```
/// use firecraft_data::{Sampler, Weighted};
/// use firecraft_key::Key;
/// let order = Weighted::new(&[0.0, 3.0, 1.0])?.order(3, Key::from_seed(1));
/// assert_eq!(order.len(), 3);
/// assert!(!order.contains(&0));
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Weighted {
    /// Sum of the weights up to and with each sample.
    sums: Vec<f64>,
    draws: Option<usize>,
}

impl Weighted {
    /// Weights of all samples of the data set, in its order.
    ///
    /// # Errors
    /// [`DataError::Config`] if a weight is negative or not finite, or all are 0.
    pub fn new(weights: &[f64]) -> Result<Self, DataError> {
        if let Some(bad) = weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
            let value = format!("{} (sample {bad})", weights[bad]);
            return Err(DataError::config("weight", value, "finite, at least 0"));
        }
        let mut total = 0.0;
        let sums: Vec<f64> = weights
            .iter()
            .map(|weight| {
                total += weight;
                total
            })
            .collect();
        if total <= 0.0 || !total.is_finite() {
            return Err(DataError::config(
                "sum of weights",
                total,
                "positive and finite",
            ));
        }
        Ok(Self { sums, draws: None })
    }

    /// Number of draws in an epoch (default: the number of samples).
    #[must_use]
    pub fn with_draws(mut self, draws: usize) -> Self {
        self.draws = Some(draws);
        self
    }
}

impl Sampler for Weighted {
    fn order(&self, samples: usize, key: Key) -> Vec<usize> {
        let total = self.sums.last().copied().unwrap_or_default();
        let mut rng = key.rng();
        (0..self.draws.unwrap_or(samples))
            .map(|_| {
                let at = rng.range(0.0, total);
                self.sums.partition_point(|&sum| sum <= at)
            })
            .collect()
    }
}

/// Every class equally often, whatever its size: small classes are repeated,
/// large ones take turns over the epochs.
///
/// Within a class each sample comes before any comes again.
///
/// ```
/// use firecraft_data::{Balanced, Sampler};
/// use firecraft_key::Key;
/// let labels = [0, 0, 0, 0, 0, 1];
/// let order = Balanced::new(&labels)?.order(6, Key::from_seed(1));
/// assert_eq!(order.iter().filter(|&&i| labels[i] == 1).count(), 3);
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Balanced {
    classes: Vec<Vec<usize>>,
    draws: Option<usize>,
}

impl Balanced {
    /// Classes of all samples of the data set, in its order.
    ///
    /// # Errors
    /// [`DataError::Empty`] without labels.
    pub fn new(labels: &[u32]) -> Result<Self, DataError> {
        let mut classes = std::collections::BTreeMap::<u32, Vec<usize>>::new();
        for (index, &label) in labels.iter().enumerate() {
            classes.entry(label).or_default().push(index);
        }
        if classes.is_empty() {
            return Err(DataError::Empty {
                what: "the data set to balance".to_owned(),
            });
        }
        Ok(Self {
            classes: classes.into_values().collect(),
            draws: None,
        })
    }

    /// Number of draws in an epoch (default: the number of samples).
    #[must_use]
    pub fn with_draws(mut self, draws: usize) -> Self {
        self.draws = Some(draws);
        self
    }
}

impl Sampler for Balanced {
    fn order(&self, samples: usize, key: Key) -> Vec<usize> {
        let draws = self.draws.unwrap_or(samples);
        let mut order = Vec::with_capacity(draws);
        for (class, members) in self.classes.iter().enumerate() {
            // The first classes take what does not divide.
            let count = (draws + self.classes.len() - 1 - class) / self.classes.len();
            let key = key.named("class").fold(class as u64);
            for (round, _) in (0..count).step_by(members.len()).enumerate() {
                let mut turn = members.clone();
                key.fold(round as u64).rng().shuffle(&mut turn);
                turn.truncate(count - round * members.len());
                order.extend(turn);
            }
        }
        key.rng().shuffle(&mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn draws_follow_the_weights() {
        let order = Weighted::new(&[1.0, 0.0, 3.0])
            .unwrap()
            .with_draws(40_000)
            .order(3, Key::from_seed(5));
        let count = |index| order.iter().filter(|&&i| i == index).count() as f64;
        assert_eq!(count(1), 0.0);
        // Four standard deviations of a binomial with p = 1/4.
        assert!((count(0) - 10_000.0).abs() < 4.0 * (40_000.0_f64 * 0.1875).sqrt());
    }

    #[test]
    fn impossible_weights_are_refused() {
        for weights in [
            &[][..],
            &[0.0],
            &[-1.0, 2.0],
            &[f64::NAN],
            &[f64::MAX, f64::MAX],
        ] {
            assert!(Weighted::new(weights).is_err(), "{weights:?}");
        }
        assert!(Balanced::new(&[]).is_err());
    }

    proptest! {
        #[test]
        fn classes_come_equally_often_and_samples_in_turns(
            labels in proptest::collection::vec(0_u32..5, 1..60), draws in 0_usize..200, seed: u64,
        ) {
            let order = Balanced::new(&labels).unwrap().with_draws(draws).order(labels.len(), Key::from_seed(seed));
            prop_assert_eq!(order.len(), draws);
            let mut classes: Vec<u32> = labels.clone();
            classes.sort_unstable();
            classes.dedup();
            for class in &classes {
                let count = order.iter().filter(|&&i| labels[i] == *class).count();
                prop_assert!(count == draws / classes.len() || count == draws / classes.len() + 1);
                let visits: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == *class)
                    .map(|i| order.iter().filter(|&&j| j == i).count()).collect();
                prop_assert!(visits.iter().max().unwrap() - visits.iter().min().unwrap() <= 1);
            }
        }

        #[test]
        fn weighted_draws_exist_and_have_weight(weights in proptest::collection::vec(0.0..10.0_f64, 1..30), seed: u64) {
            prop_assume!(weights.iter().any(|&w| w > 0.0));
            for index in Weighted::new(&weights).unwrap().order(weights.len(), Key::from_seed(seed)) {
                prop_assert!(weights[index] > 0.0);
            }
        }
    }
}
