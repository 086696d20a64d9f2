//! Hyperbolic tangent decay.

use crate::check::Check;
use crate::config::schedule_config;
use crate::math::reached;
use crate::{Curve, Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`Tanh`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TanhConfig {
    /// Value it starts near. Finite.
    pub start: f64,
    /// Length of the decay, `> 0`.
    pub length: f64,
    /// Value it ends near. Finite; 0 by default.
    #[serde(default)]
    pub end: f64,
    /// Argument of tanh at the start, below `upper`; -7 by default.
    #[serde(default = "minus_seven")]
    pub lower: f64,
    /// Argument of tanh at the end; 3 by default.
    #[serde(default = "three")]
    pub upper: f64,
}

const fn minus_seven() -> f64 {
    -7.0
}
const fn three() -> f64 {
    3.0
}

impl TanhConfig {
    /// From `start` to nearly 0 in `length`.
    #[must_use]
    pub const fn new(start: f64, length: f64) -> Self {
        Self {
            start,
            length,
            end: 0.0,
            lower: minus_seven(),
            upper: three(),
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<Tanh, ScheduleError> {
        let check = Check::of("tanh");
        check.finite("start", self.start)?;
        check.finite("end", self.end)?;
        check.positive("length", self.length)?;
        check.finite("lower", self.lower)?;
        check.finite("upper", self.upper)?;
        let below = format!("< `upper` = {}", self.upper);
        check.that(self.lower < self.upper, "lower", below, self.lower)?;
        Ok(Tanh {
            config: self.clone(),
        })
    }
}

schedule_config!(
    TanhConfig => Tanh, "tanh", "hyperbolic tangent decay",
    { with_end: end: f64, with_lower: lower: f64, with_upper: upper: f64 }
);

/// `end + (start - end) (1 - tanh(l (1 - p) + u p)) / 2`, then `end`. Hsueh et
/// al., [arXiv:1806.01593](https://arxiv.org/abs/1806.01593).
///
/// ```
/// use firecraft_schedule::{Schedule, TanhConfig};
/// let decay = TanhConfig::new(0.1, 100.0).init()?;
/// assert!((decay.value(70.0) - 0.05).abs() < 1e-12);
/// assert!(decay.value(99.0) < 0.001);
/// assert_eq!(decay.value(100.0), 0.0);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tanh {
    config: TanhConfig,
}

impl Schedule for Tanh {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let config = &self.config;
        if reached(at, config.length) {
            return config.end;
        }
        let curve = Curve::Tanh {
            lower: config.lower,
            upper: config.upper,
        };
        curve.between(config.start, config.end, at / config.length)
    }
    fn name(&self) -> &'static str {
        "tanh"
    }
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::new("decay", 0.0, self.config.length)]
    }
}
