//! Ranges from which parameters are drawn.

use crate::AugmentError;
use firecraft_key::Rng;
use serde::{Deserialize, Serialize};

/// The range a random factor is drawn from, as Keras writes it: one number
/// `f` is the symmetric range `(-f, f)`, two numbers are its ends. Equal ends
/// fix the factor.
///
/// ```
/// use firecraft_augment::Factor;
/// assert_eq!(Factor::from(0.2), Factor::from((-0.2, 0.2)));
/// let json: Factor = serde_json::from_str("[0.0, 0.5]")?;
/// assert_eq!((json.low(), json.high()), (0.0, 0.5));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "(f64, f64)")]
pub struct Factor {
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a number or a pair of numbers")]
enum Written {
    One(f64),
    Two(f64, f64),
}

impl From<Written> for Factor {
    fn from(written: Written) -> Self {
        match written {
            Written::One(one) => one.into(),
            Written::Two(low, high) => (low, high).into(),
        }
    }
}

impl From<f64> for Factor {
    fn from(extent: f64) -> Self {
        Self {
            low: -extent.abs(),
            high: extent.abs(),
        }
    }
}

impl From<(f64, f64)> for Factor {
    fn from((low, high): (f64, f64)) -> Self {
        Self { low, high }
    }
}

impl From<Factor> for (f64, f64) {
    fn from(factor: Factor) -> Self {
        (factor.low, factor.high)
    }
}

impl Factor {
    /// The lower end.
    #[must_use]
    pub const fn low(self) -> f64 {
        self.low
    }

    /// The upper end.
    #[must_use]
    pub const fn high(self) -> f64 {
        self.high
    }

    /// The range from `floor` on, if this is a single number's and reaches
    /// below: how Keras reads a number where no mirror image makes sense.
    ///
    /// ```
    /// use firecraft_augment::Factor;
    /// assert_eq!(Factor::from(0.5).cut_below(0.0), Factor::from((0.0, 0.5)));
    /// assert_eq!(Factor::from((-0.1, 0.5)).cut_below(0.0), Factor::from((-0.1, 0.5)));
    /// ```
    #[must_use]
    pub const fn cut_below(self, floor: f64) -> Self {
        if self.low < floor && self.low == -self.high {
            Self {
                low: floor,
                high: self.high,
            }
        } else {
            self
        }
    }

    /// A value in `[low, high)`, or `low` if the ends are equal. Takes two
    /// words of the stream in either case.
    pub const fn draw(self, rng: &mut Rng) -> f64 {
        rng.range(self.low, self.high)
    }

    /// Checks that the ends are in order and inside `bounds`.
    ///
    /// # Errors
    /// [`AugmentError::Parameter`] with `expected` as the allowed range.
    pub fn check(
        self,
        operation: &'static str,
        field: &'static str,
        bounds: std::ops::RangeInclusive<f64>,
        expected: &'static str,
    ) -> Result<(), AugmentError> {
        let inside = bounds.contains(&self.low) && bounds.contains(&self.high);
        if inside && self.low <= self.high {
            return Ok(());
        }
        let got = format!("({}, {})", self.low, self.high);
        Err(AugmentError::parameter(operation, field, got, expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firecraft_key::Key;

    #[test]
    fn equal_ends_fix_the_factor() {
        let mut rng = Key::from_seed(1).rng();
        assert_eq!(Factor::from((0.3, 0.3)).draw(&mut rng), 0.3);
    }

    #[test]
    fn inverted_and_non_finite_ranges_are_refused() {
        for factor in [
            (0.2, 0.1),
            (f64::NAN, 0.1),
            (0.0, f64::INFINITY),
            (-2.0, 0.0),
        ] {
            let error = Factor::from(factor)
                .check("op", "factor", -1.0..=1.0, "an ordered pair in [-1, 1]")
                .unwrap_err();
            assert!(error.to_string().starts_with("op: factor = ("), "{error}");
        }
    }
}
