//! Polynomial decay, once or in growing cycles.

use crate::check::Check;
use crate::config::{is_default, one, schedule_config};
use crate::math::whole_up;
use crate::{Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`Polynomial`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolynomialConfig {
    /// Value at position 0. Finite.
    pub start: f64,
    /// Length of the decay, `> 0`.
    pub length: f64,
    /// Value at the end. Finite; 0 by default.
    #[serde(default)]
    pub end: f64,
    /// Exponent, `> 0`; 1 (linear) by default.
    #[serde(default = "one")]
    pub power: f64,
    /// Whether to start over at every multiple of the length, each time with
    /// the whole past as the length (Keras' `cycle`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub cycle: bool,
    /// Exponent of the progress, `> 0`; 1 by default. Zhang & Li,
    /// [arXiv:2004.05909](https://arxiv.org/abs/2004.05909).
    #[serde(default = "one")]
    pub k_decay: f64,
}

impl PolynomialConfig {
    /// From `start` to 0 in `length`.
    #[must_use]
    pub const fn new(start: f64, length: f64) -> Self {
        Self {
            start,
            length,
            end: 0.0,
            power: 1.0,
            cycle: false,
            k_decay: 1.0,
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<Polynomial, ScheduleError> {
        let check = Check::of("polynomial");
        check.finite("start", self.start)?;
        check.finite("end", self.end)?;
        check.positive("length", self.length)?;
        check.positive("power", self.power)?;
        check.positive("k_decay", self.k_decay)?;
        Ok(Polynomial {
            config: self.clone(),
        })
    }
}

schedule_config!(
    PolynomialConfig => Polynomial, "polynomial", "polynomial decay, once or in growing cycles",
    { with_end: end: f64, with_power: power: f64, with_cycle: cycle: bool, with_k_decay: k_decay: f64 }
);

/// `end + (start - end) (1 - p^k)^power` with `p = min(t / length, 1)`.
///
/// With `cycle`, `p = t / (length ceil(t / length))`: the value jumps back up
/// after each multiple of the length, a little less far each time.
///
/// ```
/// use firecraft_schedule::{PolynomialConfig, Schedule};
/// let decay = PolynomialConfig::new(1.0, 10.0).with_power(2.0).init()?;
/// assert_eq!([0.0, 5.0, 10.0, 15.0].map(|t| decay.value(t)), [1.0, 0.25, 0.0, 0.0]);
/// let cycles = PolynomialConfig::new(1.0, 10.0).with_cycle(true).init()?;
/// assert_eq!([5.0, 10.0, 15.0].map(|t| cycles.value(t)), [0.5, 0.0, 0.25]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Polynomial {
    config: PolynomialConfig,
}

impl Schedule for Polynomial {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let config = &self.config;
        let mut p = at.max(0.0) / config.length;
        if config.cycle && p > 0.0 {
            p /= whole_up(p);
        }
        p = p.min(1.0);
        if config.k_decay != 1.0 {
            p = p.powf(config.k_decay);
        }
        let fall = if config.power == 1.0 {
            1.0 - p
        } else {
            (1.0 - p).powf(config.power)
        };
        config.end + (config.start - config.end) * fall
    }
    fn name(&self) -> &'static str {
        "polynomial"
    }
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::new("decay", 0.0, self.config.length)]
    }
}
