//! The schedule of the original Transformer.

use crate::check::Check;
use crate::config::{one, schedule_config};
use crate::{Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`Noam`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoamConfig {
    /// Width of the model, `> 0`.
    pub model_size: f64,
    /// Length of the warm-up, `> 0`.
    pub warmup: f64,
    /// A factor on the whole, finite; 1 by default.
    #[serde(default = "one")]
    pub scale: f64,
}

impl NoamConfig {
    /// For a model of width `model_size` and a warm-up of `warmup`.
    #[must_use]
    pub const fn new(model_size: f64, warmup: f64) -> Self {
        Self {
            model_size,
            warmup,
            scale: 1.0,
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<Noam, ScheduleError> {
        let check = Check::of("noam");
        check.positive("model_size", self.model_size)?;
        check.positive("warmup", self.warmup)?;
        check.finite("scale", self.scale)?;
        Ok(Noam {
            factor: self.scale / self.model_size.sqrt(),
            slope: self.warmup.powf(-1.5),
            warmup: self.warmup,
        })
    }
}

schedule_config!(
    NoamConfig => Noam, "noam", "the schedule of the original Transformer",
    { with_scale: scale: f64 }
);

/// `scale d^-0.5 min(s^-0.5, s w^-1.5)` with `s = t + 1`: linear warm-up, then
/// inverse square root. Vaswani et al.,
/// [arXiv:1706.03762](https://arxiv.org/abs/1706.03762), equation 3.
///
/// ```
/// use firecraft_schedule::{NoamConfig, Schedule};
/// let noam = NoamConfig::new(256.0, 16.0).init()?;
/// assert_eq!(noam.value(15.0), 1.0 / 64.0);
/// assert_eq!(noam.value(63.0), 1.0 / 128.0);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Noam {
    factor: f64,
    slope: f64,
    warmup: f64,
}

impl Schedule for Noam {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let step = at.max(0.0) + 1.0;
        self.factor * (1.0 / step.sqrt()).min(step * self.slope)
    }
    fn name(&self) -> &'static str {
        "noam"
    }
    fn warmup(&self) -> Option<(&'static str, f64)> {
        Some(("warmup", self.warmup))
    }
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::new("warm-up", 0.0, self.warmup)]
    }
}
