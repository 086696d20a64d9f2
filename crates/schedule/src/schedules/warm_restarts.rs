//! Annealing with warm restarts (SGDR).

use crate::check::Check;
use crate::config::{is_default, one, schedule_config};
use crate::math::{reached, whole};
use crate::{Curve, Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// What a cycle's `shrink` multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shrink {
    /// The peak: `end + (start s^i - end) fall(p)`, as in timm.
    #[default]
    Peak,
    /// The distance from the floor: `end + (start - end) s^i fall(p)`, as in
    /// Keras.
    Range,
}

/// Configuration of [`WarmRestarts`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmRestartsConfig {
    /// Value at position 0. Finite.
    pub start: f64,
    /// Length of the first cycle, `> 0`.
    pub length: f64,
    /// Value at the end of each cycle. Finite; 0 by default.
    #[serde(default)]
    pub end: f64,
    /// Each cycle is this much longer than the one before, `> 0`; 1 by
    /// default. Below 1 the cycles get shorter and end at
    /// `length / (1 - length_factor)`.
    #[serde(default = "one")]
    pub length_factor: f64,
    /// Each cycle is this much lower than the one before, `>= 0`; 1 by default.
    #[serde(default = "one")]
    pub shrink: f64,
    /// What `shrink` multiplies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shrink_of: Shrink,
    /// Number of cycles, after which the value stays at `end`; unlimited by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles: Option<u64>,
    /// The curve of a cycle; cosine by default.
    #[serde(default = "cosine")]
    pub curve: Curve,
    /// Exponent of the progress in a cycle, `> 0`; 1 by default.
    #[serde(default = "one")]
    pub k_decay: f64,
}

const fn cosine() -> Curve {
    Curve::Cosine
}

impl WarmRestartsConfig {
    /// Cosine cycles of equal `length` from `start` to 0.
    #[must_use]
    pub const fn new(start: f64, length: f64) -> Self {
        Self {
            start,
            length,
            end: 0.0,
            length_factor: 1.0,
            shrink: 1.0,
            shrink_of: Shrink::Peak,
            cycles: None,
            curve: cosine(),
            k_decay: 1.0,
        }
    }

    /// torch's `CosineAnnealingWarmRestarts`.
    #[must_use]
    pub fn torch(base_lr: f64, t_0: f64, t_mult: f64, eta_min: f64) -> Self {
        Self::new(base_lr, t_0)
            .with_length_factor(t_mult)
            .with_end(eta_min)
    }

    /// Keras' `CosineDecayRestarts`.
    #[must_use]
    pub fn keras(initial: f64, first_decay_steps: f64, t_mul: f64, m_mul: f64, alpha: f64) -> Self {
        Self::new(initial, first_decay_steps)
            .with_length_factor(t_mul)
            .with_shrink(m_mul)
            .with_shrink_of(Shrink::Range)
            .with_end(initial * alpha)
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<WarmRestarts, ScheduleError> {
        let check = Check::of("warm_restarts");
        check.finite("start", self.start)?;
        check.finite("end", self.end)?;
        check.positive("length", self.length)?;
        check.positive("length_factor", self.length_factor)?;
        check.non_negative("shrink", self.shrink)?;
        check.positive("k_decay", self.k_decay)?;
        self.curve.check("warm_restarts", "curve")?;
        Ok(WarmRestarts {
            config: self.clone(),
            loose: false,
        })
    }
}

schedule_config!(
    WarmRestartsConfig => WarmRestarts, "warm_restarts", "annealing with warm restarts (SGDR)",
    {
        with_end: end: f64, with_length_factor: length_factor: f64, with_shrink: shrink: f64,
        with_shrink_of: shrink_of: Shrink, with_cycles: cycles: Option<u64>,
        with_curve: curve: Curve, with_k_decay: k_decay: f64,
    }
);

/// A decay that starts over: cycle `i` is `length length_factor^i` long and
/// `shrink^i` high. Loshchilov & Hutter,
/// [arXiv:1608.03983](https://arxiv.org/abs/1608.03983).
///
/// Positions need not be whole: over
/// [`FractionalEpochs`](crate::Unit::FractionalEpochs) the value changes in
/// the middle of an epoch, as torch's `step(epoch + i / iters)`.
///
/// ```
/// use firecraft_schedule::{Schedule, WarmRestartsConfig};
/// let sgdr = WarmRestartsConfig::new(0.1, 10.0).with_length_factor(2.0).init()?;
/// let at = |t| (sgdr.value(t) * 1e6).round() / 1e6;
/// assert_eq!([0.0, 5.0, 10.0, 20.0, 30.0].map(at), [0.1, 0.05, 0.1, 0.05, 0.1]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct WarmRestarts {
    config: WarmRestartsConfig,
    /// Whether rounding errors may move a restart by one step, as in timm.
    loose: bool,
}

/// One cycle: its number, and the progress in it.
struct Cycle {
    index: f64,
    progress: f64,
}

impl WarmRestarts {
    /// With timm's arithmetic, rounding errors and all: after 24 steps of cycles
    /// of 10, 14, … it is still at the end of the second one.
    pub(crate) fn loose(mut self) -> Self {
        self.loose = true;
        self
    }

    /// The cycle at `at`, or `None` past the end of shrinking cycles.
    fn cycle(&self, at: f64) -> Option<Cycle> {
        let WarmRestartsConfig {
            length,
            length_factor: factor,
            ..
        } = self.config;
        let at = at.max(0.0);
        if factor == 1.0 {
            let index = if self.loose {
                // Python's `//`, which rounds the exact quotient down.
                ((at - at % length) / length).round()
            } else {
                whole(at / length)
            };
            // Not the remainder: `at - length * index` is what peers compute.
            let progress = (at - length * index) / length;
            return Some(Cycle { index, progress });
        }
        let start_of = |index: f64| length * (factor.powf(index) - 1.0) / (factor - 1.0);
        let reach = 1.0 + at / length * (factor - 1.0);
        if reach <= 0.0 {
            return None;
        }
        let mut index = (reach.ln() / factor.ln()).floor().max(0.0);
        // The logarithm may miss a boundary, and the boundary the position, by
        // a rounding error.
        if !self.loose {
            if reached(at, start_of(index + 1.0)) {
                index += 1.0;
            } else if index > 0.0 && !reached(at, start_of(index)) {
                index -= 1.0;
            }
        }
        let progress = (at - start_of(index)) / (length * factor.powf(index));
        Some(Cycle { index, progress })
    }
}

impl Schedule for WarmRestarts {
    fn value(&self, at: f64) -> f64 {
        let config = &self.config;
        let limit = config.cycles.map_or(f64::INFINITY, |n| n as f64);
        let Some(Cycle { index, progress }) = self.cycle(at).filter(|c| c.index < limit) else {
            return config.end;
        };
        let p = if config.k_decay == 1.0 {
            progress
        } else {
            progress.max(0.0).powf(config.k_decay)
        };
        let fall = config.curve.fall(p);
        let shrink = config.shrink.powf(index);
        let range = match config.shrink_of {
            Shrink::Peak => config.start * shrink - config.end,
            Shrink::Range => (config.start - config.end) * shrink,
        };
        config.end + range * fall
    }

    fn name(&self) -> &'static str {
        "warm_restarts"
    }

    fn phases(&self) -> Vec<Phase> {
        let mut phases = Vec::new();
        let (mut start, mut length) = (0.0, self.config.length);
        for index in 1..=self.config.cycles.unwrap_or(12).min(12) {
            phases.push(Phase::new(format!("cycle {index}"), start, start + length));
            start += length;
            length *= self.config.length_factor;
        }
        phases
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_limit_leaves_the_floor() {
        let sgdr = WarmRestartsConfig::new(1.0, 10.0)
            .with_cycles(2)
            .with_end(0.25)
            .init()
            .unwrap();
        assert!(sgdr.value(19.9) > 0.25);
        assert_eq!(sgdr.value(20.0), 0.25);
    }

    #[test]
    fn shrinking_cycles_end_at_their_sum() {
        let sgdr = WarmRestartsConfig::new(1.0, 10.0)
            .with_length_factor(0.5)
            .init()
            .unwrap();
        assert_eq!(sgdr.value(10.0), 1.0);
        assert_eq!(sgdr.value(15.0), 1.0);
        assert_eq!(sgdr.value(20.0), 0.0);
        assert_eq!(sgdr.value(1e6), 0.0);
    }

    #[test]
    fn the_two_ways_to_shrink_differ_by_the_floor() {
        let config = WarmRestartsConfig::new(1.0, 10.0)
            .with_end(0.5)
            .with_shrink(0.5);
        assert_eq!(config.init().unwrap().value(10.0), 0.5);
        let keras = config.with_shrink_of(Shrink::Range).init().unwrap();
        assert_eq!(keras.value(10.0), 0.75);
    }

    #[test]
    fn rounding_does_not_put_the_floor_at_a_restart() {
        let growing = WarmRestartsConfig::new(1.0, 10.0).with_length_factor(1.4);
        // Cycles of 10 and 14; the logarithm says that 1.9999999999999996 are over.
        assert_eq!(growing.init().unwrap().value(24.0), 1.0);
        assert!(growing.init().unwrap().loose().value(24.0) < 1e-9);
        // And 0.3 / 0.1 is 2.9999999999999996.
        let even = WarmRestartsConfig::new(1.0, 0.1).init().unwrap();
        assert_eq!(even.value(0.3), 1.0);
        assert!(even.value(0.299) < 0.01);
    }

    proptest! {
        #[test]
        fn every_restart_is_at_the_peak(
            length in 0.05..50.0_f64, factor in 0.3..3.0_f64, whole: bool, n in 0..12_u32,
        ) {
            let (length, factor) = if whole { (length.ceil(), factor.ceil()) } else { (length, factor) };
            let sgdr = WarmRestartsConfig::new(1.0, length)
                .with_length_factor(factor)
                .init()
                .unwrap();
            // Added up one by one, as a user would.
            let (mut restart, mut cycle) = (0.0, length);
            for _ in 0..n {
                restart += cycle;
                cycle *= factor;
            }
            // Cycles that have shrunk to a rounding error can't be told apart.
            prop_assume!(cycle > 1e-6 * restart);
            prop_assert!((sgdr.value(restart) - 1.0).abs() < 1e-9);
            let before = restart - 1e-3 * cycle / factor;
            prop_assert!(n == 0 || sgdr.value(before) < 0.01);
        }
    }
}
