//! Warm-up, stable, decay.

use crate::check::Check;
use crate::config::{is_default, schedule_config};
use crate::{Curve, Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// What the value does between warm-up and decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StablePhase {
    /// It stays at the peak.
    #[default]
    Constant,
    /// It falls as `(1 + t / timescale)^-power`, in the decay phase too. A
    /// `power` of 0.5 is Big Vision's `rsqrt`; others are the Power scheduler's,
    /// Shen et al., [arXiv:2408.13359](https://arxiv.org/abs/2408.13359).
    Power {
        /// `> 0`
        timescale: f64,
        /// `> 0`
        power: f64,
    },
}

impl StablePhase {
    #[inline]
    fn factor(self, since_warmup: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Power { timescale, power } => (1.0 + since_warmup / timescale).powf(-power),
        }
    }
}

/// Configuration of [`WarmupStableDecay`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmupStableDecayConfig {
    /// Value of the stable phase. Finite.
    pub peak: f64,
    /// Length of the warm-up, `>= 0`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub warmup: f64,
    /// Length of the stable phase, `>= 0`.
    pub stable: f64,
    /// Length of the decay, `>= 0`.
    pub decay: f64,
    /// Value at position 0. Finite; 0 by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start: f64,
    /// Value after the decay. Finite; 0 by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub end: f64,
    /// The curve of the warm-up, run backwards; linear by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub warmup_curve: Curve,
    /// The curve of the decay; `1-sqrt` by default.
    #[serde(default = "one_minus_sqrt")]
    pub decay_curve: Curve,
    /// What happens between warm-up and decay.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stable_phase: StablePhase,
}

const fn one_minus_sqrt() -> Curve {
    Curve::OneMinusSqrt
}

impl WarmupStableDecayConfig {
    /// The three lengths around a value of `peak`.
    #[must_use]
    pub const fn new(peak: f64, warmup: f64, stable: f64, decay: f64) -> Self {
        Self {
            peak,
            warmup,
            stable,
            decay,
            start: 0.0,
            end: 0.0,
            warmup_curve: Curve::Linear,
            decay_curve: one_minus_sqrt(),
            stable_phase: StablePhase::Constant,
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<WarmupStableDecay, ScheduleError> {
        let name = "warmup_stable_decay";
        let check = Check::of(name);
        check.finite("peak", self.peak)?;
        check.finite("start", self.start)?;
        check.finite("end", self.end)?;
        check.non_negative("warmup", self.warmup)?;
        check.non_negative("stable", self.stable)?;
        check.non_negative("decay", self.decay)?;
        self.warmup_curve.check(name, "warmup_curve")?;
        self.decay_curve.check(name, "decay_curve")?;
        if let StablePhase::Power { timescale, power } = self.stable_phase {
            check.positive("stable_phase.power.timescale", timescale)?;
            check.positive("stable_phase.power.power", power)?;
        }
        Ok(WarmupStableDecay {
            config: self.clone(),
        })
    }
}

schedule_config!(
    WarmupStableDecayConfig => WarmupStableDecay, "warmup_stable_decay", "warm-up, stable, decay",
    {
        with_start: start: f64, with_end: end: f64, with_warmup_curve: warmup_curve: Curve,
        with_decay_curve: decay_curve: Curve, with_stable_phase: stable_phase: StablePhase,
    }
);

/// Up to the peak, level, and down to the end, each with its own curve.
///
/// Hu et al., *MiniCPM*, [arXiv:2404.06395](https://arxiv.org/abs/2404.06395);
/// Hägele et al., [arXiv:2405.18392](https://arxiv.org/abs/2405.18392). A run
/// can be continued from the end of the stable phase, so its length need not be
/// known beforehand.
///
/// ```
/// use firecraft_schedule::{Schedule, WarmupStableDecayConfig};
/// let wsd = WarmupStableDecayConfig::new(0.1, 10.0, 70.0, 20.0).init()?;
/// let at = |t| (wsd.value(t) * 1e6).round() / 1e6;
/// assert_eq!([0.0, 5.0, 10.0, 79.0, 85.0, 100.0].map(at), [0.0, 0.05, 0.1, 0.1, 0.05, 0.0]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct WarmupStableDecay {
    config: WarmupStableDecayConfig,
}

impl Schedule for WarmupStableDecay {
    fn value(&self, at: f64) -> f64 {
        let config = &self.config;
        let at = at.max(0.0);
        if at < config.warmup {
            let rise = config.warmup_curve.rise(at / config.warmup);
            return config.start + (config.peak - config.start) * rise;
        }
        let since_warmup = at - config.warmup;
        let stable = (config.peak * config.stable_phase.factor(since_warmup)).max(config.end);
        let decayed = since_warmup - config.stable;
        if decayed >= config.decay {
            // The curve may end elsewhere (`Waves`); the phase doesn't.
            config.end
        } else if decayed <= 0.0 {
            stable
        } else {
            config
                .decay_curve
                .between(stable, config.end, decayed / config.decay)
        }
    }
    fn name(&self) -> &'static str {
        "warmup_stable_decay"
    }
    fn warmup(&self) -> Option<(&'static str, f64)> {
        Some(("warmup", self.config.warmup))
    }
    fn phases(&self) -> Vec<Phase> {
        let config = &self.config;
        let stable = config.warmup + config.stable;
        vec![
            Phase::new("warm-up", 0.0, config.warmup),
            Phase::new("stable", config.warmup, stable),
            Phase::new("decay", stable, stable + config.decay),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_falling_stable_phase_goes_on_falling_in_the_decay() {
        let wsd = WarmupStableDecayConfig::new(1.0, 10.0, 30.0, 10.0)
            .with_stable_phase(StablePhase::Power {
                timescale: 10.0,
                power: 0.5,
            })
            .with_decay_curve(Curve::Linear)
            .init()
            .unwrap();
        assert_eq!(wsd.value(40.0), 0.5);
        assert!((wsd.value(45.0) - 0.5 / 4.5_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn phases_of_no_length_are_skipped() {
        let wsd = WarmupStableDecayConfig::new(1.0, 0.0, 0.0, 0.0)
            .init()
            .unwrap();
        assert_eq!(wsd.value(0.0), 0.0);
    }
}
