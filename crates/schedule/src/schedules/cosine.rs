//! Cosine annealing.

use crate::check::Check;
use crate::config::{is_default, one, schedule_config};
use crate::math::half_cosine;
use crate::{Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// What a schedule does past its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beyond {
    /// It keeps its last value.
    #[default]
    Hold,
    /// Its formula goes on; a cosine comes up again, as torch's does.
    Continue,
}

/// Configuration of [`Cosine`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineConfig {
    /// Value at position 0. Finite.
    pub start: f64,
    /// Length of the annealing, `> 0`.
    pub length: f64,
    /// Value at the end, the floor. Finite; 0 by default.
    #[serde(default)]
    pub end: f64,
    /// Exponent of the cosine factor, `> 0`; 1 by default.
    #[serde(default = "one")]
    pub exponent: f64,
    /// Exponent of the progress, `> 0`; 1 by default. Zhang & Li,
    /// [arXiv:2004.05909](https://arxiv.org/abs/2004.05909).
    #[serde(default = "one")]
    pub k_decay: f64,
    /// Waves in `length`, `> 0`; half a one by default, which ends at the
    /// floor.
    #[serde(default = "half")]
    pub cycles: f64,
    /// What happens past `length`; the value is held by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub beyond: Beyond,
}

const fn half() -> f64 {
    0.5
}

impl CosineConfig {
    /// From `start` to 0 in `length`.
    #[must_use]
    pub const fn new(start: f64, length: f64) -> Self {
        Self {
            start,
            length,
            end: 0.0,
            exponent: 1.0,
            k_decay: 1.0,
            cycles: half(),
            beyond: Beyond::Hold,
        }
    }

    /// torch's `CosineAnnealingLR`, which comes up again past `t_max`.
    #[must_use]
    pub fn torch(base_lr: f64, t_max: f64, eta_min: f64) -> Self {
        Self::new(base_lr, t_max)
            .with_end(eta_min)
            .with_beyond(Beyond::Continue)
    }

    /// Keras' `CosineDecay` without warm-up, and optax's
    /// `cosine_decay_schedule`: the floor is a fraction of the start.
    #[must_use]
    pub fn keras(initial_learning_rate: f64, decay_steps: f64, alpha: f64) -> Self {
        Self::new(initial_learning_rate, decay_steps).with_end(initial_learning_rate * alpha)
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<Cosine, ScheduleError> {
        let check = Check::of("cosine");
        check.finite("start", self.start)?;
        check.finite("end", self.end)?;
        check.positive("length", self.length)?;
        check.positive("exponent", self.exponent)?;
        check.positive("k_decay", self.k_decay)?;
        check.positive("cycles", self.cycles)?;
        Ok(Cosine {
            config: self.clone(),
            half_waves: self.cycles * 2.0,
            range: self.start - self.end,
            held_from: match self.beyond {
                Beyond::Hold => self.length,
                Beyond::Continue => f64::INFINITY,
            },
            bent: self.k_decay != 1.0 || self.exponent != 1.0,
        })
    }
}

schedule_config!(
    CosineConfig => Cosine, "cosine", "cosine annealing",
    {
        with_end: end: f64, with_exponent: exponent: f64, with_k_decay: k_decay: f64,
        with_cycles: cycles: f64, with_beyond: beyond: Beyond,
    }
);

/// `end + (start - end) ((1 + cos(2 pi cycles p^k)) / 2)^exponent` with
/// `p = t / length`. Loshchilov & Hutter,
/// [arXiv:1608.03983](https://arxiv.org/abs/1608.03983).
///
/// ```
/// use firecraft_schedule::{Beyond, CosineConfig, Schedule};
/// let cosine = CosineConfig::new(0.1, 100.0).with_end(0.02).init()?;
/// let at = |t| (cosine.value(t) * 1e6).round() / 1e6;
/// assert_eq!([at(0.0), at(50.0), at(100.0), at(150.0)], [0.1, 0.06, 0.02, 0.02]);
/// let torch = CosineConfig::torch(0.1, 100.0, 0.02).init()?;
/// assert!((torch.value(150.0) - 0.06).abs() < 1e-12);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cosine {
    config: CosineConfig,
    half_waves: f64,
    range: f64,
    /// From here on the value is that of this position.
    held_from: f64,
    /// Whether an exponent is not 1.
    bent: bool,
}

impl Cosine {
    fn bent_fall(&self, p: f64) -> f64 {
        half_cosine(self.half_waves * p.powf(self.config.k_decay)).powf(self.config.exponent)
    }
}

impl Schedule for Cosine {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let config = &self.config;
        let at = if at < self.held_from {
            at
        } else {
            self.held_from
        };
        let p = at.max(0.0) / config.length;
        let fall = if self.bent {
            self.bent_fall(p)
        } else {
            half_cosine(self.half_waves * p)
        };
        config.end + self.range * fall
    }
    fn name(&self) -> &'static str {
        "cosine"
    }
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::new("cosine", 0.0, self.config.length)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_exact() {
        let cosine = CosineConfig::new(0.3, 7.0).with_end(0.001).init().unwrap();
        assert_eq!(cosine.value(0.0), 0.3);
        assert_eq!(cosine.value(7.0), 0.001);
        assert_eq!(cosine.value(7e9), 0.001);
    }

    #[test]
    fn an_exponent_bends_the_curve_down() {
        let plain = CosineConfig::new(1.0, 10.0).init().unwrap();
        let bent = CosineConfig::new(1.0, 10.0)
            .with_exponent(2.0)
            .init()
            .unwrap();
        assert!((bent.value(3.0) - plain.value(3.0).powi(2)).abs() < 1e-15);
    }

    #[test]
    fn unknown_fields_are_refused() {
        let error =
            toml::from_str::<CosineConfig>("start = 1\nlength = 2\nlenght = 2").unwrap_err();
        assert!(error.to_string().contains("lenght"), "{error}");
    }
}
