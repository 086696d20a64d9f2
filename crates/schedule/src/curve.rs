//! Shapes of a transition between two values.

use crate::ScheduleError;
use crate::check::Check;
use crate::math::half_cosine;
use serde::{Deserialize, Serialize};

/// How a transition is spread over its length.
///
/// [`Curve::fall`] maps the progress `p` in `[0, 1]` to a factor that falls
/// from 1 to 0; a value going from `a` to `b` is `b + (a - b) * fall(p)`. A
/// warm-up is the same curve run backwards: [`Curve::rise`] is `fall(1 - p)`.
///
/// ```
/// use firecraft_schedule::Curve;
/// assert_eq!(Curve::Linear.fall(0.25), 0.75);
/// assert_eq!(Curve::OneMinusSqrt.fall(0.25), 0.5);
/// assert_eq!(Curve::Power(2.0).fall(0.5), 0.75);
/// assert_eq!(Curve::Polynomial(2.0).fall(0.5), 0.25);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Curve {
    /// `1 - p`
    #[default]
    Linear,
    /// `(1 + cos(pi p)) / 2`
    Cosine,
    /// `(1 + cos(2 pi w p)) / 2`: `w` waves, of which half a one is
    /// [`Curve::Cosine`]. Not monotone for more, and ends where the wave does.
    Waves(f64),
    /// `1 - sqrt(p)`, the cooldown of Hägele et al.,
    /// [arXiv:2405.18392](https://arxiv.org/abs/2405.18392).
    #[serde(rename = "1-sqrt")]
    OneMinusSqrt,
    /// `1 - p^2`
    #[serde(rename = "1-square")]
    OneMinusSquare,
    /// `1 - p^e` with `e > 0`.
    Power(f64),
    /// `(1 - p)^e` with `e > 0`.
    Polynomial(f64),
    /// `(r^p - r) / (1 - r)` with `r` in (0, 1): exponential, made to reach 0.
    Exponential(f64),
    /// `(1 - tanh(l (1 - p) + u p)) / 2` with `l < u`; reaches neither 1 nor 0
    /// exactly. Hsueh et al., [arXiv:1806.01593](https://arxiv.org/abs/1806.01593).
    Tanh {
        /// `l`, usually around -6.
        lower: f64,
        /// `u`, usually around 3.
        upper: f64,
    },
}

impl Curve {
    /// The factor at progress `p`, which is clamped to `[0, 1]`.
    #[inline]
    #[must_use]
    pub fn fall(self, p: f64) -> f64 {
        self.extrapolate(p.clamp(0.0, 1.0))
    }

    /// The curve run backwards: from 0 to 1.
    #[inline]
    #[must_use]
    pub fn rise(self, p: f64) -> f64 {
        self.fall(1.0 - p)
    }

    /// The formula without the clamp. NaN where it has no value.
    #[inline]
    pub(crate) fn extrapolate(self, p: f64) -> f64 {
        match self {
            Self::Linear => 1.0 - p,
            Self::Cosine => half_cosine(p),
            Self::Waves(waves) => half_cosine(waves * 2.0 * p),
            Self::OneMinusSqrt => 1.0 - p.sqrt(),
            Self::OneMinusSquare => 1.0 - p * p,
            Self::Power(exponent) => 1.0 - p.powf(exponent),
            Self::Polynomial(exponent) => (1.0 - p).powf(exponent),
            Self::Exponential(ratio) => (ratio.powf(p) - ratio) / (1.0 - ratio),
            Self::Tanh { lower, upper } => 0.5 * (1.0 - (lower * (1.0 - p) + upper * p).tanh()),
        }
    }

    /// A value on the way from `start` to `end`.
    #[inline]
    #[must_use]
    pub fn between(self, start: f64, end: f64, p: f64) -> f64 {
        end + (start - end) * self.fall(p)
    }

    pub(crate) fn check(self, schedule: &'static str, field: &str) -> Result<(), ScheduleError> {
        let check = Check::of(schedule);
        match self {
            Self::Linear | Self::Cosine | Self::OneMinusSqrt | Self::OneMinusSquare => Ok(()),
            Self::Waves(waves) => check.positive(&format!("{field}.waves"), waves),
            Self::Power(exponent) => check.positive(&format!("{field}.power"), exponent),
            Self::Polynomial(exponent) => check.positive(&format!("{field}.polynomial"), exponent),
            Self::Exponential(ratio) => check.open_fraction(&format!("{field}.exponential"), ratio),
            Self::Tanh { lower, upper } => {
                check.finite(&format!("{field}.tanh.lower"), lower)?;
                check.finite(&format!("{field}.tanh.upper"), upper)?;
                check.that(
                    lower < upper,
                    format!("{field}.tanh.lower"),
                    format!("< `upper` = {upper}"),
                    lower,
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn curves() -> impl Strategy<Value = Curve> {
        prop_oneof![
            Just(Curve::Linear),
            Just(Curve::Cosine),
            Just(Curve::OneMinusSqrt),
            Just(Curve::OneMinusSquare),
            (0.1..5.0_f64).prop_map(Curve::Power),
            (0.1..5.0_f64).prop_map(Curve::Polynomial),
            (0.01..0.99_f64).prop_map(Curve::Exponential),
        ]
    }

    proptest! {
        #[test]
        fn curves_fall_from_one_to_zero(curve in curves(), a in 0.0..1.0_f64, b in 0.0..1.0_f64) {
            prop_assert!((curve.fall(0.0) - 1.0).abs() < 1e-15);
            prop_assert!(curve.fall(1.0).abs() < 1e-15);
            let (a, b) = (a.min(b), a.max(b));
            prop_assert!(curve.fall(a) >= curve.fall(b) - 1e-15);
        }
    }

    #[test]
    fn a_warm_up_is_the_decay_run_backwards() {
        assert!((Curve::OneMinusSqrt.rise(0.75) - 0.5).abs() < 1e-15);
        assert_eq!(Curve::Cosine.rise(0.0), 0.0);
        assert_eq!(Curve::Cosine.rise(1.0), 1.0);
    }

    #[test]
    fn curves_are_words_or_small_tables() {
        let parse = serde_json::from_str::<Curve>;
        assert_eq!(parse("\"1-sqrt\"").unwrap(), Curve::OneMinusSqrt);
        assert_eq!(parse("{\"power\": 2.0}").unwrap(), Curve::Power(2.0));
        let tanh = Curve::Tanh {
            lower: -7.0,
            upper: 3.0,
        };
        let json = serde_json::to_string(&tanh).unwrap();
        assert_eq!(parse(&json).unwrap(), tanh);
        assert!(parse("\"cubic\"").is_err());
    }

    #[test]
    fn parameters_are_checked() {
        let error = Curve::Power(-1.0).check("decay", "curve").unwrap_err();
        assert_eq!(
            error.to_string(),
            "decay: `curve.power` must be > 0 and finite, got -1"
        );
        let tanh = Curve::Tanh {
            lower: 3.0,
            upper: -7.0,
        };
        assert!(tanh.check("decay", "curve").is_err());
    }
}
