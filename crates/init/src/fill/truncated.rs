//! Normal distributions cut to an interval, by inversion.

use super::lanes::upper_quantile;
use crate::InitError;
use crate::error::{finite, positive};

/// A normal distribution `N(mean, std²)` restricted to `[low, high]`.
///
/// Element from word `w`: `p = p(low) + (w + 1/2)/2³² · (p(high) − p(low))` in
/// f64, `z = Φ⁻¹(p)` from the nearer tail, `mean + std·z` in f32, clamped to
/// the bounds. One word per element, no rejection.
#[derive(Debug, Clone, PartialEq)]
pub struct Truncated {
    mean: f32,
    std: f32,
    low: f32,
    high: f32,
    /// Lower-tail probability at the start, and the width, both for the
    /// mirrored variable if `sign` is -1.
    start: f64,
    width: f64,
    sign: f32,
    moments: (f64, f64),
}

/// Smallest tail probability that the quantile function covers.
const SMALLEST_TAIL: f64 = 1.0 / 8_589_934_592.0;
/// Below this much probability the words no longer resolve the interval.
const SMALLEST_MASS: f64 = 1e-8;

impl Truncated {
    /// The distribution; `low` and `high` are absolute (not multiples of `std`).
    ///
    /// # Errors
    /// [`InitError::Setting`] for numbers that are not finite, `std <= 0`, an
    /// empty interval, or one that holds less than 1e-8 of the probability.
    pub fn new(mean: f64, std: f64, low: f64, high: f64) -> Result<Self, InitError> {
        const OF: &str = "truncated_normal";
        finite(OF, "mean", mean)?;
        positive(OF, "std", std)?;
        if low.is_nan() || high.is_nan() || low >= high {
            let expected = format!("a number above `low` = {low}");
            return Err(InitError::setting(OF, "high", high, expected));
        }
        let (alpha, beta) = ((low - mean) / std, (high - mean) / std);
        // The lower tail is the one with digits to spare: mirror intervals
        // that lie in the upper one.
        let mirrored = alpha + beta > 0.0;
        let (from, to) = if mirrored {
            (-beta, -alpha)
        } else {
            (alpha, beta)
        };
        let (start, end) = (lower_tail(from), lower_tail(to));
        let width = end - start;
        if width < SMALLEST_MASS {
            return Err(InitError::setting(
                OF,
                "low..high",
                format!("{low}..{high}"),
                format!("an interval with probability under N({mean}, {std}²), it holds {width:e}"),
            ));
        }
        let (first, second) = (density(alpha), density(beta));
        let scaled = |x: f64, d: f64| if x.is_finite() { x * d } else { 0.0 };
        let shift = (first - second) / width;
        let spread = 1.0 + (scaled(alpha, first) - scaled(beta, second)) / width - shift * shift;
        Ok(Self {
            mean: mean as f32,
            std: std as f32,
            low: low as f32,
            high: high as f32,
            start,
            width,
            sign: if mirrored { -1.0 } else { 1.0 },
            moments: (mean + std * shift, std * spread.max(0.0).sqrt()),
        })
    }

    /// Mean and standard deviation of the cut distribution.
    ///
    /// ```
    /// use firecraft_init::fill::Truncated;
    /// let (mean, std) = Truncated::new(0.0, 1.0, -2.0, 2.0)?.moments();
    /// assert_eq!(mean, 0.0);
    /// assert!((std - 0.8796256610342398).abs() < 1e-12);
    /// # Ok::<(), firecraft_init::InitError>(())
    /// ```
    #[must_use]
    pub fn moments(&self) -> (f64, f64) {
        self.moments
    }

    /// The value that a word of a key's stream gives.
    #[inline(always)]
    #[must_use]
    pub fn value(&self, word: u32) -> f32 {
        let u = (f64::from(word) + 0.5) * (1.0 / 4_294_967_296.0);
        let p = self.start + u * self.width;
        let lower = p <= 0.5;
        let tail = if lower { p } else { 1.0 - p };
        let tail = if tail > SMALLEST_TAIL {
            tail
        } else {
            SMALLEST_TAIL
        };
        let magnitude = upper_quantile(tail as f32);
        let z = if lower { -magnitude } else { magnitude } * self.sign;
        let value = self.mean + self.std * z;
        let value = if value < self.low { self.low } else { value };
        if value > self.high { self.high } else { value }
    }
}

/// Φ(z), the probability below `z`.
fn lower_tail(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

fn density(z: f64) -> f64 {
    libm::exp(-z * z / 2.0) / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use firecraft_key::Key;

    /// Largest distance of the empirical from the true distribution function.
    fn kolmogorov_smirnov(d: &Truncated, mean: f64, std: f64, low: f64, high: f64) -> f64 {
        let (n, key) = (40_000_u64, Key::from_seed(5));
        let mut draws: Vec<f64> = (0..n).map(|i| f64::from(d.value(key.word(i)))).collect();
        draws.sort_by(f64::total_cmp);
        let cdf = |x: f64| lower_tail((x - mean) / std);
        (draws.iter().enumerate())
            .map(|(i, &x)| {
                let p = (cdf(x) - cdf(low)) / (cdf(high) - cdf(low));
                (p - i as f64 / n as f64).abs()
            })
            .fold(0.0, f64::max)
            * (n as f64).sqrt()
    }

    #[test]
    fn cut_normals_pass_kolmogorov_smirnov() {
        for (mean, std, low, high) in [
            (0.0, 1.0, -2.0, 2.0),
            (1.0, 0.5, 0.0, 1.2),
            (-0.3, 0.1, -0.35, 0.1),
            (0.0, 0.02, -2.0, 2.0),
            (0.0, 1.0, 3.0, 5.0),
            (0.0, 1.0, -5.0, -3.5),
        ] {
            let d = Truncated::new(mean, std, low, high).unwrap();
            let distance = kolmogorov_smirnov(&d, mean, std, low, high);
            // 1.95 is the 0.1 % point.
            assert!(distance < 1.95, "{mean} {std} {low} {high}: {distance}");
        }
    }

    #[test]
    fn moments_agree_with_the_golden_ones() {
        let (mean, std) = Truncated::new(1.0, 0.5, 0.0, 1.2).unwrap().moments();
        assert!((mean - 0.751_625_354).abs() < 1e-9, "{mean}");
        assert!((std - 0.295_689_485).abs() < 1e-9, "{std}");
        let (mean, std) = Truncated::new(0.0, 1.0, f64::NEG_INFINITY, f64::INFINITY)
            .unwrap()
            .moments();
        assert_eq!((mean, std), (0.0, 1.0));
    }

    #[test]
    fn impossible_intervals_are_errors() {
        for (low, high) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (8.0, 9.0)] {
            assert!(Truncated::new(0.0, 1.0, low, high).is_err(), "{low} {high}");
        }
        assert!(Truncated::new(0.0, 0.0, -1.0, 1.0).is_err());
    }
}
