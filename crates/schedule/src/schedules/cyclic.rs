//! Cyclical values between two bounds.

use crate::check::Check;
use crate::config::{is_default, one, schedule_config};
use crate::math::whole;
use crate::{Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// How the height of the triangles changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CyclicMode {
    /// Always the same.
    #[default]
    Triangular,
    /// Halved after each cycle.
    Triangular2,
    /// Multiplied by `gamma^t`.
    ExpRange,
}

/// What a custom scale is a function of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleBy {
    /// The number of the cycle, from 1.
    Cycle,
    /// The position.
    Iteration,
}

/// Configuration of [`Cyclic`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CyclicConfig {
    /// The value at both ends of a cycle. Finite.
    pub base: f64,
    /// The value in the middle. Finite, `>= base`.
    pub max: f64,
    /// Length of the way from the ends to the middle, `> 0`.
    pub up: f64,
    /// Length of the way back, `>= 0`; that of the way up by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<f64>,
    /// How the height changes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: CyclicMode,
    /// The factor of [`CyclicMode::ExpRange`], `> 0`; 1 by default.
    #[serde(default = "one")]
    pub gamma: f64,
    /// Whether a cycle starts at `max` and goes down to `base` and back, as
    /// momentum does.
    #[serde(default, skip_serializing_if = "is_default")]
    pub inverse: bool,
}

impl CyclicConfig {
    /// Triangles between `base` and `max`, `up` updates up and as many down.
    #[must_use]
    pub const fn new(base: f64, max: f64, up: f64) -> Self {
        Self {
            base,
            max,
            up,
            down: None,
            mode: CyclicMode::Triangular,
            gamma: 1.0,
            inverse: false,
        }
    }

    /// The momentum that goes with it: `max` where the learning rate is low.
    #[must_use]
    pub fn momentum(&self, base: f64, max: f64) -> Self {
        Self {
            base,
            max,
            inverse: true,
            ..self.clone()
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range, or `base > max`.
    pub fn init(&self) -> Result<Cyclic, ScheduleError> {
        let check = Check::of("cyclic");
        check.finite("base", self.base)?;
        check.finite("max", self.max)?;
        check.ordered(("base", self.base), ("max", self.max))?;
        check.positive("up", self.up)?;
        let down = self.down.unwrap_or(self.up);
        check.non_negative("down", down)?;
        check.positive("gamma", self.gamma)?;
        Ok(Cyclic {
            config: self.clone(),
            total: self.up + down,
            ratio: self.up / (self.up + down),
            scale: None,
        })
    }
}

schedule_config!(
    CyclicConfig => Cyclic, "cyclic", "cyclical values between two bounds",
    {
        with_down: down: Option<f64>, with_mode: mode: CyclicMode, with_gamma: gamma: f64,
        with_inverse: inverse: bool,
    }
);

type Scale = Arc<dyn Fn(f64) -> f64 + Send + Sync>;

/// Triangles between two values. Smith,
/// [arXiv:1506.01186](https://arxiv.org/abs/1506.01186).
///
/// ```
/// use firecraft_schedule::{CyclicConfig, CyclicMode, Schedule};
/// let config = CyclicConfig::new(0.0, 1.0, 4.0).with_mode(CyclicMode::Triangular2);
/// let cyclic = config.init()?;
/// assert_eq!([0.0, 2.0, 4.0, 8.0, 12.0].map(|t| cyclic.value(t)), [0.0, 0.5, 1.0, 0.0, 0.5]);
/// let momentum = config.momentum(0.8, 0.9).init()?;
/// assert_eq!([0.0, 4.0].map(|t| momentum.value(t)), [0.9, 0.8]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone)]
pub struct Cyclic {
    config: CyclicConfig,
    total: f64,
    /// The part of a cycle that goes up.
    ratio: f64,
    scale: Option<(ScaleBy, Scale)>,
}

impl Cyclic {
    /// The same triangles with the height multiplied by `scale` of the cycle
    /// or of the position, in place of the mode.
    #[must_use]
    pub fn with_scale(
        mut self,
        by: ScaleBy,
        scale: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Self {
        self.scale = Some((by, Arc::new(scale)));
        self
    }
}

impl Schedule for Cyclic {
    fn value(&self, at: f64) -> f64 {
        let config = &self.config;
        let at = at.max(0.0);
        let cycle = 1.0 + whole(at / self.total);
        let x = (1.0 + at / self.total - cycle).max(0.0);
        let height = if x <= self.ratio {
            x / self.ratio
        } else {
            (x - 1.0) / (self.ratio - 1.0)
        };
        let scale = match (&self.scale, config.mode) {
            (Some((ScaleBy::Cycle, scale)), _) => scale(cycle),
            (Some((ScaleBy::Iteration, scale)), _) => scale(at),
            (None, CyclicMode::Triangular) => 1.0,
            (None, CyclicMode::Triangular2) => 0.5_f64.powf(cycle - 1.0),
            (None, CyclicMode::ExpRange) => config.gamma.powf(at),
        };
        let height = (config.max - config.base) * height * scale;
        if config.inverse {
            config.max - height
        } else {
            config.base + height
        }
    }
    fn name(&self) -> &'static str {
        "cyclic"
    }
    fn phases(&self) -> Vec<Phase> {
        vec![
            Phase::new("up", 0.0, self.config.up),
            Phase::new("down", self.config.up, self.total),
        ]
    }
}

impl fmt::Debug for Cyclic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cyclic")
            .field("config", &self.config)
            .field("custom_scale", &self.scale.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_scale_replaces_the_mode() {
        let cyclic = CyclicConfig::new(0.0, 1.0, 2.0).init().unwrap();
        let by_cycle = cyclic.clone().with_scale(ScaleBy::Cycle, |n| 1.0 / n);
        assert_eq!([2.0, 6.0].map(|t| by_cycle.value(t)), [1.0, 0.5]);
        let by_position = cyclic.with_scale(ScaleBy::Iteration, |t| t);
        assert_eq!(by_position.value(2.0), 2.0);
    }

    #[test]
    fn a_sawtooth_has_no_way_down() {
        let saw = CyclicConfig::new(0.0, 1.0, 4.0)
            .with_down(0.0)
            .init()
            .unwrap();
        assert_eq!([0.0, 3.0, 4.0].map(|t| saw.value(t)), [0.0, 0.75, 0.0]);
    }

    #[test]
    fn the_bounds_must_be_in_order() {
        let error = CyclicConfig::new(1.0, 0.5, 4.0).init().unwrap_err();
        assert_eq!(
            error.to_string(),
            "cyclic: `base` must be <= `max` = 0.5, got 1"
        );
    }
}
