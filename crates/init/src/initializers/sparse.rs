//! Weights most of which are zero.

use crate::error::non_negative;
use crate::initializer::same_length;
use crate::{InitError, Initializer, Layout, Target, fill};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};

/// `N(0, std²)` with a fixed number of zeros per input: of the weights that
/// leave one input, `⌈sparsity · outputs⌉` at random places are 0 (Martens 2010,
/// as torch does it).
///
/// ```
/// use firecraft_init::{Initializer, Layout, Sparse, Target};
/// use firecraft_key::Key;
/// // burn's layout: one row per input.
/// let target = Target::new(&[4, 10], Layout::LINEAR);
/// let values = Sparse::new(0.34).values(&target, Key::from_seed(0))?;
/// for row in values.chunks(10) {
///     assert_eq!(row.iter().filter(|x| **x == 0.0).count(), 4);
/// }
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sparse {
    /// Fraction of zeros, in `[0, 1]`; 0.9 by default.
    pub sparsity: f64,
    /// Standard deviation of the others; 0.01 by default.
    pub std: f64,
}

impl Default for Sparse {
    fn default() -> Self {
        Self::new(0.9)
    }
}

impl Sparse {
    /// This fraction of zeros, the others `N(0, 0.01²)`.
    #[must_use]
    pub const fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            std: 0.01,
        }
    }

    /// Replaces the standard deviation of the others.
    #[must_use]
    pub const fn with_std(mut self, std: f64) -> Self {
        self.std = std;
        self
    }

    /// Zeros among the weights that leave one of the inputs.
    #[must_use]
    pub fn zeros(&self, outputs: usize) -> usize {
        ((self.sparsity * outputs as f64).ceil() as usize).min(outputs)
    }
}

impl Initializer for Sparse {
    fn name(&self) -> &str {
        "sparse"
    }

    fn validate(&self) -> Result<(), InitError> {
        non_negative("sparse", "std", self.std)?;
        if !(0.0..=1.0).contains(&self.sparsity) {
            return Err(InitError::setting(
                "sparse",
                "sparsity",
                self.sparsity,
                "a number in 0..=1",
            ));
        }
        Ok(())
    }

    fn check(&self, target: &Target) -> Result<(), InitError> {
        self.validate()?;
        match target.shape.len() {
            2 => Ok(()),
            _ => Err(InitError::shape("sparse", "a matrix", &target.shape)),
        }
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("sparse", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], key: Key) -> Result<(), InitError> {
        self.check(target)?;
        same_length(target, out)?;
        fill::normal(out, 0.0, self.std as f32, key.named("values"));
        let [rows, columns] = [target.shape[0], target.shape[1]];
        let inputs_are_rows = matches!(target.layout, Layout::ChannelsLast { .. });
        let (inputs, outputs) = if inputs_are_rows {
            (rows, columns)
        } else {
            (columns, rows)
        };
        let zeros = self.zeros(outputs);
        let places = key.named("zeros");
        let mut order: Vec<usize> = (0..outputs).collect();
        for input in 0..inputs {
            let mut rng = places.fold(input as u64).rng();
            for i in 0..zeros {
                let other = i + rng.below((outputs - i) as u64) as usize;
                order.swap(i, other);
                let (row, column) = if inputs_are_rows {
                    (input, order[i])
                } else {
                    (order[i], input)
                };
                out[row * columns + column] = 0.0;
            }
            order.iter_mut().enumerate().for_each(|(i, at)| *at = i);
        }
        Ok(())
    }

    fn moments(&self, target: &Target) -> Option<(f64, f64)> {
        let outputs = match target.layout {
            Layout::ChannelsLast { .. } => *target.shape.last()?,
            _ => *target.shape.first()?,
        };
        let kept = 1.0 - self.zeros(outputs) as f64 / outputs as f64;
        Some((0.0, self.std * kept.sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_spread_over_all_places() {
        let target = Target::new(&[10, 400], Layout::CONV);
        let values = Sparse::new(0.3).values(&target, Key::from_seed(1)).unwrap();
        for row in values.chunks(400) {
            let zeros = row.iter().filter(|x| **x == 0.0).count();
            // Binomial(400, 0.3): four standard deviations.
            assert!((84..=156).contains(&zeros), "{zeros}");
        }
    }

    #[test]
    fn counts_round_up_as_torch_does() {
        assert_eq!(Sparse::new(0.1).zeros(10), 1);
        assert_eq!(Sparse::new(0.34).zeros(3), 2);
        assert_eq!(Sparse::new(1.0).zeros(7), 7);
    }

    #[test]
    fn fractions_outside_the_unit_interval_are_errors() {
        let target = Target::new(&[4, 4], Layout::LINEAR);
        for sparsity in [-0.1, 1.1, f64::NAN] {
            assert!(Sparse::new(sparsity).check(&target).is_err());
        }
        assert!(
            Sparse::new(0.5)
                .check(&Target::new(&[4, 4, 3], Layout::CONV))
                .is_err()
        );
    }
}
