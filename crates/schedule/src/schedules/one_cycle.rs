//! The 1cycle policy, for the learning rate and for momentum.

use super::piecewise::{Knot, interpolate};
use crate::check::Check;
use crate::config::{is_default, schedule_config};
use crate::{Curve, Phase, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`OneCycle`] for the learning rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneCycleConfig {
    /// The highest value. Finite.
    pub peak: f64,
    /// Length of the whole, `> 1`. The last value is reached at `length - 1`,
    /// the last of `length` updates.
    pub length: f64,
    /// Fraction of the length spent rising, in `[0, 1]`; 0.3 by default.
    #[serde(default = "default_rise")]
    pub rise: f64,
    /// `peak / div_factor` is the first value, `> 0`; 25 by default.
    #[serde(default = "default_div_factor")]
    pub div_factor: f64,
    /// The first value over `final_div_factor` is the last one, `> 0`; 10000 by
    /// default.
    #[serde(default = "default_final_div_factor")]
    pub final_div_factor: f64,
    /// The curve of each phase; cosine by default.
    #[serde(default = "cosine")]
    pub curve: Curve,
    /// Whether to come down in two phases: as fast as up, then to the end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub three_phase: bool,
}

const fn default_rise() -> f64 {
    0.3
}
const fn default_div_factor() -> f64 {
    25.0
}
const fn default_final_div_factor() -> f64 {
    1e4
}
const fn cosine() -> Curve {
    Curve::Cosine
}

impl OneCycleConfig {
    /// Up to `peak` in 30 % of `length`, down in the rest; torch's defaults.
    #[must_use]
    pub const fn new(peak: f64, length: f64) -> Self {
        Self {
            peak,
            length,
            rise: default_rise(),
            div_factor: default_div_factor(),
            final_div_factor: default_final_div_factor(),
            curve: cosine(),
            three_phase: false,
        }
    }

    /// The schedule of the learning rate.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<OneCycle, ScheduleError> {
        let check = Check::of("one_cycle");
        check.finite("peak", self.peak)?;
        check.positive("div_factor", self.div_factor)?;
        check.positive("final_div_factor", self.final_div_factor)?;
        let first = self.peak / self.div_factor;
        let values = [first, self.peak, first, first / self.final_div_factor];
        OneCycle::new("one_cycle", self, values)
    }

    /// The schedule of momentum that goes with it: from `max` down to `base`
    /// while the learning rate rises, and back.
    #[must_use]
    pub fn momentum(&self, base: f64, max: f64) -> OneCycleMomentumConfig {
        OneCycleMomentumConfig {
            base,
            max,
            length: self.length,
            rise: self.rise,
            curve: self.curve,
            three_phase: self.three_phase,
        }
    }
}

schedule_config!(
    OneCycleConfig => OneCycle, "one_cycle", "the 1cycle policy",
    {
        with_rise: rise: f64, with_div_factor: div_factor: f64,
        with_final_div_factor: final_div_factor: f64, with_curve: curve: Curve,
        with_three_phase: three_phase: bool,
    }
);

/// Configuration of [`OneCycle`] for momentum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneCycleMomentumConfig {
    /// Momentum at the peak of the learning rate. Finite; 0.85 by default.
    #[serde(default = "default_base")]
    pub base: f64,
    /// Momentum at both ends. Finite; 0.95 by default.
    #[serde(default = "default_max")]
    pub max: f64,
    /// As [`OneCycleConfig::length`].
    pub length: f64,
    /// As [`OneCycleConfig::rise`].
    #[serde(default = "default_rise")]
    pub rise: f64,
    /// As [`OneCycleConfig::curve`].
    #[serde(default = "cosine")]
    pub curve: Curve,
    /// As [`OneCycleConfig::three_phase`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub three_phase: bool,
}

const fn default_base() -> f64 {
    0.85
}
const fn default_max() -> f64 {
    0.95
}

impl OneCycleMomentumConfig {
    /// The schedule.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<OneCycle, ScheduleError> {
        let check = Check::of("one_cycle_momentum");
        check.finite("base", self.base)?;
        check.finite("max", self.max)?;
        let cycle = OneCycleConfig {
            peak: self.base,
            length: self.length,
            rise: self.rise,
            div_factor: 1.0,
            final_div_factor: 1.0,
            curve: self.curve,
            three_phase: self.three_phase,
        };
        let values = [self.max, self.base, self.max, self.max];
        OneCycle::new("one_cycle_momentum", &cycle, values)
    }
}

schedule_config!(
    OneCycleMomentumConfig => OneCycle, "one_cycle_momentum", "momentum for the 1cycle policy"
);

/// Up to a peak, down to the first value, and down to a much lower one. Smith &
/// Topin, [arXiv:1708.07120](https://arxiv.org/abs/1708.07120); the phases are
/// torch's.
///
/// ```
/// use firecraft_schedule::{OneCycleConfig, Schedule};
/// let cycle = OneCycleConfig::new(0.1, 101.0).with_rise(0.5).init()?;
/// let at = |t| (cycle.value(t) * 1e9).round() / 1e9;
/// assert_eq!([0.0, 49.5, 100.0].map(at), [0.004, 0.1, 4e-7]);
/// let momentum = OneCycleConfig::new(0.1, 101.0).with_rise(0.5).momentum(0.85, 0.95).init()?;
/// assert_eq!([0.0, 49.5, 100.0].map(|t| momentum.value(t)), [0.95, 0.85, 0.95]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OneCycle {
    name: &'static str,
    knots: [Knot; 4],
    used: usize,
    curve: Curve,
}

impl OneCycle {
    fn new(
        name: &'static str,
        config: &OneCycleConfig,
        [first, peak, back, last]: [f64; 4],
    ) -> Result<Self, ScheduleError> {
        let check = Check::of(name);
        let length = config.length;
        let holds = length > 1.0 && length.is_finite();
        check.that(holds, "length", "> 1 and finite", length)?;
        if config.three_phase {
            let allowed = "in [0, 0.5], because the way down is as long";
            check.that(
                (0.0..=0.5).contains(&config.rise),
                "rise",
                allowed,
                config.rise,
            )?;
        } else {
            check.fraction("rise", config.rise)?;
        }
        config.curve.check(name, "curve")?;
        let risen = config.rise * length - 1.0;
        let end = length - 1.0;
        let knot = |at, value| Knot { at, value };
        let (knots, used) = if config.three_phase {
            let middle = 2.0 * config.rise * length - 2.0;
            (
                [
                    knot(0.0, first),
                    knot(risen, peak),
                    knot(middle, back),
                    knot(end, last),
                ],
                4,
            )
        } else {
            let last = knot(end, last);
            ([knot(0.0, first), knot(risen, peak), last, last], 3)
        };
        Ok(Self {
            name,
            knots,
            used,
            curve: config.curve,
        })
    }
}

impl Schedule for OneCycle {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let at = at.max(0.0);
        // A rise shorter than one update leaves knots before 0; they are
        // passed at once, as in torch.
        let knots = &self.knots[..self.used];
        match knots.windows(2).find(|pair| at <= pair[1].at) {
            Some([a, b]) if b.at > a.at => {
                self.curve
                    .between(a.value, b.value, (at - a.at) / (b.at - a.at))
            }
            Some([_, b]) => b.value,
            _ => interpolate(&knots[self.used - 1..], self.curve, at),
        }
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn phases(&self) -> Vec<Phase> {
        let names = ["rise", "fall", "annihilation"];
        let pairs = self.knots[..self.used].windows(2).zip(names);
        pairs
            .map(|(pair, name)| Phase::new(name, pair[0].at, pair[1].at))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_phases_come_back_to_the_first_value() {
        let cycle = OneCycleConfig::new(1.0, 100.0)
            .with_three_phase(true)
            .with_curve(Curve::Linear)
            .init()
            .unwrap();
        assert_eq!(cycle.value(29.0), 1.0);
        assert!((cycle.value(58.0) - 0.04).abs() < 1e-12);
        assert!((cycle.value(99.0) - 4e-6).abs() < 1e-12);
        assert_eq!(cycle.value(1e6), cycle.value(99.0));
    }

    #[test]
    fn a_rise_of_no_length_starts_on_the_way_down() {
        let cycle = OneCycleConfig::new(1.0, 100.0)
            .with_rise(0.0)
            .init()
            .unwrap();
        assert!(cycle.value(0.0) > 0.99);
        assert!(cycle.value(50.0) < 0.51);
    }

    #[test]
    fn ranges_are_checked() {
        assert!(OneCycleConfig::new(1.0, 1.0).init().is_err());
        assert!(OneCycleConfig::new(1.0, 9.0).with_rise(1.5).init().is_err());
        let three = OneCycleConfig::new(1.0, 9.0).with_three_phase(true);
        assert!(three.with_rise(0.6).init().is_err());
    }
}
