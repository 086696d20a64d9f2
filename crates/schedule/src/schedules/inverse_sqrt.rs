//! Inverse square root decay, and other powers.

use crate::check::Check;
use crate::config::{is_default, schedule_config};
use crate::{Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`InverseSqrt`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InverseSqrtConfig {
    /// Value at position 0. Finite.
    pub start: f64,
    /// After this much of the decay the value is `start / sqrt(2)`; `> 0`.
    /// Usually the length of the warm-up.
    pub timescale: f64,
    /// Length of a constant stretch before the decay, `>= 0`; T5 uses
    /// `flat = timescale`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub flat: f64,
    /// The power of the decay, `> 0`; 0.5 by default. Others: Shen et al.,
    /// *Power Scheduler*, [arXiv:2408.13359](https://arxiv.org/abs/2408.13359).
    #[serde(default = "half")]
    pub power: f64,
}

const fn half() -> f64 {
    0.5
}

impl InverseSqrtConfig {
    /// `start / sqrt(1 + t / timescale)`.
    #[must_use]
    pub const fn new(start: f64, timescale: f64) -> Self {
        Self {
            start,
            timescale,
            flat: 0.0,
            power: half(),
        }
    }

    /// The schedule of T5 (Raffel et al.,
    /// [arXiv:1910.10683](https://arxiv.org/abs/1910.10683)):
    /// `scale / sqrt(max(t, k))`.
    #[must_use]
    pub fn t5(scale: f64, k: f64) -> Self {
        Self::new(scale / k.sqrt(), k).with_flat(k)
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<InverseSqrt, ScheduleError> {
        let check = Check::of("inverse_sqrt");
        check.finite("start", self.start)?;
        check.positive("timescale", self.timescale)?;
        check.non_negative("flat", self.flat)?;
        check.positive("power", self.power)?;
        Ok(InverseSqrt {
            config: self.clone(),
        })
    }
}

schedule_config!(
    InverseSqrtConfig => InverseSqrt, "inverse_sqrt", "inverse square root decay",
    { with_flat: flat: f64, with_power: power: f64 }
);

/// `start (1 + max(t - flat, 0) / timescale)^-power`.
///
/// After a linear warm-up as long as the timescale this is the schedule of
/// transformers' `inverse_sqrt` and of Big Vision's `rsqrt`.
///
/// ```
/// use firecraft_schedule::{InverseSqrtConfig, Schedule};
/// let decay = InverseSqrtConfig::new(0.1, 100.0).init()?;
/// assert_eq!([0.0, 300.0].map(|t| decay.value(t)), [0.1, 0.05]);
/// let t5 = InverseSqrtConfig::t5(1.0, 10_000.0).init()?;
/// assert_eq!([0.0, 10_000.0, 1_000_000.0].map(|t| t5.value(t)), [0.01, 0.01, 0.001]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct InverseSqrt {
    config: InverseSqrtConfig,
}

impl Schedule for InverseSqrt {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let config = &self.config;
        let stretch = 1.0 + (at - config.flat).max(0.0) / config.timescale;
        if config.power == 0.5 {
            config.start / stretch.sqrt()
        } else {
            config.start * stretch.powf(-config.power)
        }
    }
    fn name(&self) -> &'static str {
        "inverse_sqrt"
    }
    fn phases(&self) -> Vec<Phase> {
        if self.config.flat > 0.0 {
            vec![Phase::new("flat", 0.0, self.config.flat)]
        } else {
            Vec::new()
        }
    }
}
