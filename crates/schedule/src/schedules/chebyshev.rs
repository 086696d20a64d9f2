//! Fractal Chebyshev learning rates.

use crate::check::Check;
use crate::config::{one, schedule_config};
use crate::math::cos_pi;
use crate::{Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// The longest table that is built.
const MAX_LENGTH: u64 = 1 << 20;

/// Configuration of [`Chebyshev`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChebyshevConfig {
    /// What the multipliers multiply. Finite.
    pub base: f64,
    /// Number of nodes, in `1 ..= 2^20`.
    pub length: u64,
    /// Smallest eigenvalue of the problem, `> 0`; 0.05 by default.
    #[serde(default = "default_lower")]
    pub lower: f64,
    /// Greatest eigenvalue of the problem, `> lower`; 1 by default.
    #[serde(default = "one")]
    pub upper: f64,
}

const fn default_lower() -> f64 {
    0.05
}

impl ChebyshevConfig {
    /// `length` steps around `base`.
    #[must_use]
    pub const fn new(base: f64, length: u64) -> Self {
        Self {
            base,
            length,
            lower: default_lower(),
            upper: 1.0,
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<Chebyshev, ScheduleError> {
        self.init_in_order_of(self.length)
    }

    /// The nodes in the fractal order of `count`, of which there may be fewer.
    pub(crate) fn init_in_order_of(&self, count: u64) -> Result<Chebyshev, ScheduleError> {
        let check = Check::of("chebyshev");
        check.finite("base", self.base)?;
        let allowed = format!("in 1 ..= {MAX_LENGTH}");
        let in_range = (1..=MAX_LENGTH).contains(&self.length);
        check.that(in_range, "length", allowed, self.length)?;
        check.positive("lower", self.lower)?;
        check.finite("upper", self.upper)?;
        let above = format!("> `lower` = {}", self.lower);
        check.that(self.upper > self.lower, "upper", above, self.upper)?;
        let centre = (self.upper + self.lower) / 2.0;
        let radius = (self.upper - self.lower) / 2.0;
        let n = self.length as f64;
        let node = |i: usize| 1.0 / (centre - radius * cos_pi((i as f64 + 0.5) / n));
        let values = fractal_permutation(count as usize)
            .into_iter()
            .filter(|&i| i < self.length as usize)
            .map(|i| self.base * node(i))
            .collect();
        Ok(Chebyshev { values })
    }
}

schedule_config!(
    ChebyshevConfig => Chebyshev, "chebyshev", "fractal Chebyshev learning rates",
    { with_lower: lower: f64, with_upper: upper: f64 }
);

/// Indices in fractal order: doubled by reflection until there are `count`, the
/// next power of two of them.
fn fractal_permutation(count: usize) -> Vec<usize> {
    let mut order = vec![0];
    while order.len() < count {
        let mirror = 2 * order.len() - 1;
        order = order.iter().flat_map(|&i| [i, mirror - i]).collect();
    }
    order
}

/// The reciprocals of the Chebyshev nodes of `[lower, upper]`, in an order that
/// keeps gradient descent stable. Agarwal, Goel & Zhang,
/// [arXiv:2103.01338](https://arxiv.org/abs/2103.01338).
///
/// The last value is held past the length. Whole epochs are its usual unit.
///
/// ```
/// use firecraft_schedule::{ChebyshevConfig, Schedule};
/// let steps = ChebyshevConfig::new(1.0, 2).init()?;
/// let at = |t| (steps.value(t) * 1e6).round() / 1e6;
/// assert_eq!([0.0, 1.0, 2.0].map(at), [5.287528, 1.161608, 1.161608]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Chebyshev {
    values: Vec<f64>,
}

impl Schedule for Chebyshev {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        // The conversion saturates, and the table is never empty.
        self.values[(at as usize).min(self.values.len() - 1)]
    }
    fn name(&self) -> &'static str {
        "chebyshev"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permutation_is_fractal() {
        assert_eq!(fractal_permutation(8), [0, 7, 3, 4, 1, 6, 2, 5]);
        assert_eq!(fractal_permutation(1), [0]);
    }

    #[test]
    fn every_node_is_used_once() {
        let steps = ChebyshevConfig::new(1.0, 13).init().unwrap();
        let mut values: Vec<f64> = (0..13).map(|t| steps.value(f64::from(t))).collect();
        values.sort_by(f64::total_cmp);
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(values[0] > 1.0 && values[12] < 20.0);
    }

    #[test]
    fn an_absurd_length_is_refused_before_the_table_is_built() {
        assert!(ChebyshevConfig::new(1.0, 1 << 40).init().is_err());
        assert!(ChebyshevConfig::new(1.0, 0).init().is_err());
    }
}
