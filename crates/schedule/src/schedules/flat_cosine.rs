//! Flat, then a cosine: fastai's `fit_flat_cos`.

use crate::check::Check;
use crate::config::schedule_config;
use crate::{Curve, Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`FlatCosine`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlatCosineConfig {
    /// Value of the flat stretch. Finite.
    pub start: f64,
    /// Length of the whole, `> 0`.
    pub length: f64,
    /// Fraction of the length that is flat, in `[0, 1)`; 0.75 by default.
    #[serde(default = "three_quarters")]
    pub flat: f64,
    /// Value at the end. Finite; 0 by default.
    #[serde(default)]
    pub end: f64,
}

const fn three_quarters() -> f64 {
    0.75
}

impl FlatCosineConfig {
    /// `start` for three quarters of `length`, then a cosine to 0.
    #[must_use]
    pub const fn new(start: f64, length: f64) -> Self {
        Self {
            start,
            length,
            flat: three_quarters(),
            end: 0.0,
        }
    }

    /// fastai's `fit_flat_cos`, which ends at `lr / div_final`.
    #[must_use]
    pub fn fastai(lr: f64, length: f64, pct_start: f64, div_final: f64) -> Self {
        Self::new(lr, length)
            .with_flat(pct_start)
            .with_end(lr / div_final)
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<FlatCosine, ScheduleError> {
        let check = Check::of("flat_cosine");
        check.finite("start", self.start)?;
        check.finite("end", self.end)?;
        check.positive("length", self.length)?;
        check.that(
            (0.0..1.0).contains(&self.flat),
            "flat",
            "in [0, 1)",
            self.flat,
        )?;
        Ok(FlatCosine {
            config: self.clone(),
        })
    }
}

schedule_config!(
    FlatCosineConfig => FlatCosine, "flat_cosine", "flat, then a cosine",
    { with_flat: flat: f64, with_end: end: f64 }
);

/// `start` up to `flat length`, then a cosine to `end` at `length`.
///
/// ```
/// use firecraft_schedule::{FlatCosineConfig, Schedule};
/// let schedule = FlatCosineConfig::new(0.1, 100.0).init()?;
/// assert_eq!([0.0, 75.0, 100.0].map(|t| schedule.value(t)), [0.1, 0.1, 0.0]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FlatCosine {
    config: FlatCosineConfig,
}

impl Schedule for FlatCosine {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let config = &self.config;
        let p = (at / config.length - config.flat) / (1.0 - config.flat);
        Curve::Cosine.between(config.start, config.end, p)
    }
    fn name(&self) -> &'static str {
        "flat_cosine"
    }
    fn phases(&self) -> Vec<Phase> {
        let FlatCosineConfig { length, flat, .. } = self.config;
        vec![
            Phase::new("flat", 0.0, flat * length),
            Phase::new("cosine", flat * length, length),
        ]
    }
}
