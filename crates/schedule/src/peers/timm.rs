//! timm: `timm.scheduler`.
//!
//! The unit is epochs unless `t_in_epochs` is off. A warm-up that is no prefix
//! hides the schedule until it ends, and the learning rate may jump there. The
//! noise has timm's distribution but not its numbers, which come from torch's
//! generator.

use super::{Formula, default};
use crate::check::Check;
use crate::registry::simple;
use crate::{
    BoxScheduler, Curve, Jitter, JitterConfig, Mode, Noise, Pure, ReduceOnPlateauConfig, Schedule,
    ScheduleError, Schedulers, Unit, WarmRestartsConfig, WarmupConfig,
};
use firecraft_key::Key;
use firecraft_spec::{Registry, SpecError};
use serde::{Deserialize, Serialize};

pub(super) fn register(registry: &mut Registry<Schedulers>) -> Result<(), SpecError> {
    simple(
        registry,
        "timm.CosineLRScheduler",
        "timm's CosineLRScheduler",
        CosineLRScheduler::init,
    )?;
    simple(
        registry,
        "timm.TanhLRScheduler",
        "timm's TanhLRScheduler",
        TanhLRScheduler::init,
    )?;
    simple(
        registry,
        "timm.PolyLRScheduler",
        "timm's PolyLRScheduler",
        PolyLRScheduler::init,
    )?;
    simple(
        registry,
        "timm.StepLRScheduler",
        "timm's StepLRScheduler",
        StepLRScheduler::init,
    )?;
    simple(
        registry,
        "timm.MultiStepLRScheduler",
        "timm's MultiStepLRScheduler",
        MultiStepLRScheduler::init,
    )?;
    simple(
        registry,
        "timm.WSDLRScheduler",
        "timm's WSDLRScheduler",
        WSDLRScheduler::init,
    )?;
    simple(
        registry,
        "timm.PlateauLRScheduler",
        "timm's PlateauLRScheduler",
        PlateauLRScheduler::init,
    )
}

/// Where there is noise: from a position on, or between two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NoiseRange {
    /// From here on.
    From(f64),
    /// From the first to before the second.
    Between(f64, f64),
}

const fn noise_pct() -> f64 {
    0.67
}
const fn noise_seed() -> u64 {
    42
}

/// What every scheduler of timm has: warm-up, unit and noise.
struct Common {
    name: &'static str,
    base_lr: f64,
    warmup_t: f64,
    warmup_lr_init: f64,
    t_in_epochs: bool,
    jitter: JitterConfig,
    noise: Option<(NoiseRange, u64)>,
}

impl Common {
    fn check(&self) -> Result<Check, ScheduleError> {
        let check = Check::of(self.name);
        check.finite("base_lr", self.base_lr)?;
        check.non_negative("warmup_t", self.warmup_t)?;
        check.non_negative("warmup_lr_init", self.warmup_lr_init)?;
        check.fraction("noise_pct", self.jitter.limit)?;
        check.non_negative("noise_std", self.jitter.std)?;
        match self.noise {
            Some((NoiseRange::From(from), _)) => check.finite("noise_range_t", from)?,
            Some((NoiseRange::Between(from, to), _)) => {
                check.finite("noise_range_t[0]", from)?;
                check.finite("noise_range_t[1]", to)?;
            }
            None => {}
        }
        Ok(check)
    }

    const fn unit(&self) -> Unit {
        if self.t_in_epochs {
            Unit::Epochs
        } else {
            Unit::Updates
        }
    }

    /// A ramp to `target`, then `schedule`, shifted if `prefix`.
    fn schedule(
        self,
        prefix: bool,
        target: f64,
        schedule: impl Schedule + 'static,
    ) -> Result<BoxScheduler, ScheduleError> {
        let (warmup, start) = (self.warmup_t, self.warmup_lr_init);
        let slope = if warmup > 0.0 {
            (target - start) / warmup
        } else {
            0.0
        };
        let shift = if prefix { warmup } else { 0.0 };
        let base_lr = self.base_lr;
        let formula = Formula::new(self.name, move |at| {
            if at == 0.0 && warmup == 0.0 {
                // The constructor leaves the optimiser's learning rate alone.
                base_lr
            } else if at < warmup {
                start + at * slope
            } else {
                schedule.value(at - shift)
            }
        })
        .warming("warmup_t", warmup);
        let pure = Pure::new(formula, self.unit());
        self.noisy(pure)
    }

    fn noisy(
        self,
        scheduler: impl crate::Scheduler + 'static,
    ) -> Result<BoxScheduler, ScheduleError> {
        let unit = self.unit();
        let Some((range, seed)) = self.noise else {
            return Ok(Box::new(scheduler));
        };
        let (from, to) = match range {
            NoiseRange::From(from) => (from, None),
            NoiseRange::Between(from, to) => (from, Some(to)),
        };
        // The constructor makes no noise.
        let config = self
            .jitter
            .with_from(from.max(1.0))
            .with_to(to)
            .with_unit(unit);
        let key = Key::from_seed(seed).named("timm");
        let noisy: Jitter<_> = config.init(scheduler, key)?;
        Ok(Box::new(noisy))
    }
}

/// Writes a configuration with timm's common arguments, and its way to
/// [`Common`].
macro_rules! scheduler {
    (
        $(#[$doc:meta])*
        $config:ident, $name:literal,
        { $($(#[$attribute:meta])* $field:ident: $kind:ty),* $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs)]
        pub struct $config {
            pub base_lr: f64,
            $($(#[$attribute])* pub $field: $kind,)*
            #[serde(default)]
            pub warmup_t: f64,
            #[serde(default)]
            pub warmup_lr_init: f64,
            #[serde(default = "default::yes")]
            pub t_in_epochs: bool,
            #[serde(default)]
            pub noise_range_t: Option<NoiseRange>,
            #[serde(default = "noise_pct")]
            pub noise_pct: f64,
            #[serde(default = "default::one")]
            pub noise_std: f64,
            #[serde(default = "noise_seed")]
            pub noise_seed: u64,
        }

        impl $config {
            fn common(&self) -> Common {
                let jitter = JitterConfig::new()
                    .with_limit(self.noise_pct)
                    .with_std(self.noise_std);
                Common {
                    name: $name,
                    base_lr: self.base_lr,
                    warmup_t: self.warmup_t,
                    warmup_lr_init: self.warmup_lr_init,
                    t_in_epochs: self.t_in_epochs,
                    jitter,
                    noise: self.noise_range_t.map(|range| (range, self.noise_seed)),
                }
            }
        }
    };
}

/// The cycles that cosine, tanh and polynomial decay share.
struct Cycles {
    t_initial: f64,
    lr_min: f64,
    cycle_mul: f64,
    cycle_decay: f64,
    cycle_limit: u64,
    k_decay: f64,
}

impl Cycles {
    fn init(
        self,
        check: Check,
        base_lr: f64,
        curve: Curve,
    ) -> Result<crate::WarmRestarts, ScheduleError> {
        check.positive("t_initial", self.t_initial)?;
        check.non_negative("lr_min", self.lr_min)?;
        check.positive("cycle_mul", self.cycle_mul)?;
        check.non_negative("cycle_decay", self.cycle_decay)?;
        check.positive("k_decay", self.k_decay)?;
        WarmRestartsConfig::new(base_lr, self.t_initial)
            .with_end(self.lr_min)
            .with_length_factor(self.cycle_mul)
            .with_shrink(self.cycle_decay)
            .with_cycles(self.cycle_limit)
            .with_curve(curve)
            .with_k_decay(self.k_decay)
            .init()
            .map(crate::WarmRestarts::loose)
    }
}

const fn one_cycle() -> u64 {
    1
}

scheduler! {
    /// `CosineLRScheduler`.
    CosineLRScheduler, "timm.CosineLRScheduler",
    {
        t_initial: f64,
        #[serde(default)]
        lr_min: f64,
        #[serde(default = "default::one")]
        cycle_mul: f64,
        #[serde(default = "default::one")]
        cycle_decay: f64,
        #[serde(default = "one_cycle")]
        cycle_limit: u64,
        #[serde(default)]
        warmup_prefix: bool,
        #[serde(default = "default::one")]
        k_decay: f64,
    }
}

impl CosineLRScheduler {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<BoxScheduler, ScheduleError> {
        let common = self.common();
        let check = common.check()?;
        let cycles = Cycles {
            t_initial: self.t_initial,
            lr_min: self.lr_min,
            cycle_mul: self.cycle_mul,
            cycle_decay: self.cycle_decay,
            cycle_limit: self.cycle_limit,
            k_decay: self.k_decay,
        };
        let schedule = cycles.init(check, self.base_lr, Curve::Cosine)?;
        common.schedule(self.warmup_prefix, self.base_lr, schedule)
    }
}

scheduler! {
    /// `TanhLRScheduler`, whose warm-up meets the schedule where it ends.
    TanhLRScheduler, "timm.TanhLRScheduler",
    {
        t_initial: f64,
        #[serde(default = "lb")]
        lb: f64,
        #[serde(default = "ub")]
        ub: f64,
        #[serde(default)]
        lr_min: f64,
        #[serde(default = "default::one")]
        cycle_mul: f64,
        #[serde(default = "default::one")]
        cycle_decay: f64,
        #[serde(default = "one_cycle")]
        cycle_limit: u64,
        #[serde(default)]
        warmup_prefix: bool,
    }
}

const fn lb() -> f64 {
    -7.0
}
const fn ub() -> f64 {
    3.0
}

impl TanhLRScheduler {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<BoxScheduler, ScheduleError> {
        let common = self.common();
        let check = common.check()?;
        check.finite("ub", self.ub)?;
        check.that(
            self.lb < self.ub,
            "lb",
            format!("< `ub` = {}", self.ub),
            self.lb,
        )?;
        check.finite("lb", self.lb)?;
        let cycles = Cycles {
            t_initial: self.t_initial,
            lr_min: self.lr_min,
            cycle_mul: self.cycle_mul,
            cycle_decay: self.cycle_decay,
            cycle_limit: self.cycle_limit,
            k_decay: 1.0,
        };
        let tanh = Curve::Tanh {
            lower: self.lb,
            upper: self.ub,
        };
        let schedule = cycles.init(check, self.base_lr, tanh)?;
        let target = if self.warmup_prefix {
            self.base_lr
        } else {
            schedule.value(self.warmup_t)
        };
        common.schedule(self.warmup_prefix, target, schedule)
    }
}

scheduler! {
    /// `PolyLRScheduler`.
    PolyLRScheduler, "timm.PolyLRScheduler",
    {
        t_initial: f64,
        #[serde(default = "default::half")]
        power: f64,
        #[serde(default)]
        lr_min: f64,
        #[serde(default = "default::one")]
        cycle_mul: f64,
        #[serde(default = "default::one")]
        cycle_decay: f64,
        #[serde(default = "one_cycle")]
        cycle_limit: u64,
        #[serde(default)]
        warmup_prefix: bool,
        #[serde(default = "default::one")]
        k_decay: f64,
    }
}

impl PolyLRScheduler {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<BoxScheduler, ScheduleError> {
        let common = self.common();
        let check = common.check()?;
        check.positive("power", self.power)?;
        let cycles = Cycles {
            t_initial: self.t_initial,
            lr_min: self.lr_min,
            cycle_mul: self.cycle_mul,
            cycle_decay: self.cycle_decay,
            cycle_limit: self.cycle_limit,
            k_decay: self.k_decay,
        };
        let schedule = cycles.init(check, self.base_lr, Curve::Polynomial(self.power))?;
        common.schedule(self.warmup_prefix, self.base_lr, schedule)
    }
}

scheduler! {
    /// `StepLRScheduler`, whose interval need not be whole.
    StepLRScheduler, "timm.StepLRScheduler",
    {
        decay_t: f64,
        #[serde(default = "default::one")]
        decay_rate: f64,
        #[serde(default = "default::yes")]
        warmup_prefix: bool,
    }
}

impl StepLRScheduler {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<BoxScheduler, ScheduleError> {
        let common = self.common();
        let check = common.check()?;
        check.positive("decay_t", self.decay_t)?;
        check.positive("decay_rate", self.decay_rate)?;
        let (base_lr, every, rate) = (self.base_lr, self.decay_t, self.decay_rate);
        let schedule = Formula::new("timm.StepLRScheduler", move |at| {
            // Python's `//`, which rounds the exact quotient down.
            let steps = ((at - at % every) / every).round();
            base_lr * rate.powf(steps)
        });
        common.schedule(self.warmup_prefix, self.base_lr, schedule)
    }
}

scheduler! {
    /// `MultiStepLRScheduler`, whose milestones apply one step early.
    MultiStepLRScheduler, "timm.MultiStepLRScheduler",
    {
        decay_t: Vec<f64>,
        #[serde(default = "default::one")]
        decay_rate: f64,
        #[serde(default = "default::yes")]
        warmup_prefix: bool,
    }
}

impl MultiStepLRScheduler {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<BoxScheduler, ScheduleError> {
        let common = self.common();
        common.check()?.positive("decay_rate", self.decay_rate)?;
        let milestones: Vec<f64> = self.decay_t.iter().map(|t| t - 1.0).collect();
        let schedule = crate::MultiStepConfig::new(self.base_lr, milestones)
            .with_factor(self.decay_rate)
            .init()?;
        common.schedule(self.warmup_prefix, self.base_lr, schedule)
    }
}

scheduler! {
    /// `WSDLRScheduler`: `t_initial` is the length of the stable and the decay
    /// phase together; the warm-up is always a prefix.
    WSDLRScheduler, "timm.WSDLRScheduler",
    {
        t_initial: f64,
        decay_t: f64,
        #[serde(default)]
        lr_min: f64,
        #[serde(default = "constant")]
        stable_fn: String,
        #[serde(default)]
        stable_timescale: Option<f64>,
        #[serde(default = "default::half")]
        stable_power: f64,
        #[serde(default = "one_minus_sqrt")]
        decay_fn: String,
        #[serde(default = "default::half")]
        decay_power: f64,
        #[serde(default = "default::tenth")]
        decay_ratio: f64,
    }
}

fn constant() -> String {
    "constant".to_owned()
}
fn one_minus_sqrt() -> String {
    "1-sqrt".to_owned()
}

impl WSDLRScheduler {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<BoxScheduler, ScheduleError> {
        let name = "timm.WSDLRScheduler";
        let common = self.common();
        let check = common.check()?;
        check.positive("t_initial", self.t_initial)?;
        let in_range = self.decay_t > 0.0 && self.decay_t <= self.t_initial;
        let allowed = format!("in (0, `t_initial` = {}]", self.t_initial);
        check.that(in_range, "decay_t", allowed, self.decay_t)?;
        check.non_negative("lr_min", self.lr_min)?;
        check.open_fraction("decay_ratio", self.decay_ratio)?;
        check.positive("decay_power", self.decay_power)?;
        check.positive("stable_power", self.stable_power)?;
        check.finite("stable_timescale", self.stable_timescale.unwrap_or(0.0))?;
        let timescale = self.stable_timescale.unwrap_or(self.warmup_t);
        let stable = match self.stable_fn.as_str() {
            "constant" => crate::StablePhase::Constant,
            "rsqrt" | "power" => {
                check.positive("stable_timescale", timescale)?;
                crate::StablePhase::Power {
                    timescale,
                    power: if self.stable_fn == "rsqrt" {
                        0.5
                    } else {
                        self.stable_power
                    },
                }
            }
            other => {
                let allowed = "one of constant, rsqrt, power";
                return Err(ScheduleError::parameter(name, "stable_fn", allowed, other));
            }
        };
        let decay = match self.decay_fn.as_str() {
            "linear" => Curve::Linear,
            "1-sqrt" => Curve::OneMinusSqrt,
            "cosine" => Curve::Cosine,
            "power" => Curve::Power(self.decay_power),
            "exp" => Curve::Exponential(self.decay_ratio),
            other => {
                let allowed = "one of linear, 1-sqrt, cosine, power, exp";
                return Err(ScheduleError::parameter(name, "decay_fn", allowed, other));
            }
        };
        let schedule = crate::WarmupStableDecayConfig::new(
            self.base_lr,
            0.0,
            self.t_initial - self.decay_t,
            self.decay_t,
        )
        .with_end(self.lr_min)
        .with_stable_phase(stable)
        .with_decay_curve(decay)
        .init()?;
        common.schedule(true, self.base_lr, schedule)
    }
}

/// `PlateauLRScheduler`: torch's rule for a metric to maximise, with a warm-up
/// during which metrics don't count. Always in epochs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct PlateauLRScheduler {
    pub base_lr: f64,
    #[serde(default = "default::tenth")]
    pub decay_rate: f64,
    #[serde(default = "patience")]
    pub patience_t: u64,
    #[serde(default = "threshold")]
    pub threshold: f64,
    #[serde(default)]
    pub cooldown_t: u64,
    #[serde(default)]
    pub warmup_t: f64,
    #[serde(default)]
    pub warmup_lr_init: f64,
    #[serde(default)]
    pub lr_min: f64,
    #[serde(default = "maximise")]
    pub mode: Mode,
    #[serde(default)]
    pub noise_range_t: Option<NoiseRange>,
    #[serde(default)]
    pub noise_type: Noise,
    #[serde(default = "noise_pct")]
    pub noise_pct: f64,
    #[serde(default = "default::one")]
    pub noise_std: f64,
    #[serde(default)]
    pub noise_seed: Option<u64>,
}

const fn patience() -> u64 {
    10
}
const fn threshold() -> f64 {
    1e-4
}
const fn maximise() -> Mode {
    Mode::Max
}

impl PlateauLRScheduler {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<BoxScheduler, ScheduleError> {
        let jitter = JitterConfig::new()
            .with_noise(self.noise_type)
            .with_limit(self.noise_pct)
            .with_std(self.noise_std);
        let seed = self.noise_seed.unwrap_or(noise_seed());
        let common = Common {
            name: "timm.PlateauLRScheduler",
            base_lr: self.base_lr,
            warmup_t: self.warmup_t,
            warmup_lr_init: self.warmup_lr_init,
            t_in_epochs: true,
            jitter,
            noise: self.noise_range_t.map(|range| (range, seed)),
        };
        let check = common.check()?;
        check.open_fraction("decay_rate", self.decay_rate)?;
        check.fraction("threshold", self.threshold)?;
        check.non_negative("lr_min", self.lr_min)?;
        let plateau = ReduceOnPlateauConfig::timm(self.base_lr)
            .with_factor(self.decay_rate)
            .with_patience(self.patience_t)
            .with_relative_delta(self.threshold)
            .with_cooldown(self.cooldown_t)
            .with_min(self.lr_min)
            .with_mode(self.mode)
            .init()?;
        let warmup = WarmupConfig::new(self.warmup_t)
            .with_unit(Unit::Epochs)
            .with_start(self.warmup_lr_init);
        common.noisy(warmup.init(plateau)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StepContext, step_value};

    #[test]
    fn noise_is_limited_to_its_range_of_epochs() {
        let config: StepLRScheduler =
            toml::from_str("base_lr = 1\ndecay_t = 100\nnoise_range_t = [2, 4]\nnoise_pct = 0.1")
                .unwrap();
        let mut noisy = config.init().unwrap();
        let values: Vec<f64> = (0..6)
            .map(|epoch| step_value(&mut noisy, &StepContext::at(9).with_epoch(epoch)))
            .collect();
        assert_eq!([values[0], values[1], values[4], values[5]], [1.0; 4]);
        assert!(
            values[2..4]
                .iter()
                .all(|v| *v != 1.0 && (v - 1.0).abs() < 0.1)
        );
        let config: StepLRScheduler =
            toml::from_str("base_lr = 1\ndecay_t = 100\nnoise_range_t = 2").unwrap();
        assert_eq!(config.noise_range_t, Some(NoiseRange::From(2.0)));
    }
}
