//! Hugging Face transformers: `get_scheduler`.
//!
//! All are factors of the learning rate. The warm-up is a prefix that starts at
//! 0 unless said otherwise; a cosine is not clamped at the end of training.

use super::{Formula, default};
use crate::check::Check;
use crate::config::schedule_config;
use crate::math::cos_pi;
use crate::registry::{closed_form, simple};
use crate::{
    Curve, Greedy as OurGreedy, GreedyConfig, Margin, ScheduleError, Schedulers,
    WarmupStableDecayConfig,
};
use crate::{Mode, WarmupStableDecay as OurWsd};
use firecraft_spec::{Registry, SpecError};
use serde::{Deserialize, Serialize};

pub(super) fn register(registry: &mut Registry<Schedulers>) -> Result<(), SpecError> {
    closed_form::<Constant>(registry)?;
    closed_form::<ConstantWithWarmup>(registry)?;
    closed_form::<Linear>(registry)?;
    closed_form::<Cosine>(registry)?;
    closed_form::<CosineWithRestarts>(registry)?;
    closed_form::<Polynomial>(registry)?;
    closed_form::<InverseSqrt>(registry)?;
    closed_form::<CosineWithMinLr>(registry)?;
    closed_form::<CosineWarmupWithMinLr>(registry)?;
    closed_form::<WarmupStableDecay>(registry)?;
    simple(
        registry,
        "transformers.greedy",
        "transformers' GreedyLR",
        Greedy::init,
    )?;
    simple(
        registry,
        "transformers.reduce_lr_on_plateau",
        "torch's ReduceLROnPlateau under transformers' name",
        super::torch::ReduceLROnPlateau::init,
    )
}

/// A linear warm-up from 0, then `factor` of the steps since.
fn warmed_up(
    name: &'static str,
    base_lr: f64,
    warmup: u64,
    factor: impl Fn(f64) -> f64 + Send + 'static,
) -> Formula {
    let warmup = warmup as f64;
    Formula::new(name, move |at| {
        base_lr
            * if at < warmup {
                at / warmup.max(1.0)
            } else {
                factor(at - warmup)
            }
    })
    .warming("num_warmup_steps", warmup)
}

/// The length of the decay as transformers has it.
fn decay(warmup: u64, training: u64) -> f64 {
    training.saturating_sub(warmup).max(1) as f64
}

/// `constant`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Constant {
    pub base_lr: f64,
}

impl Constant {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "transformers.constant";
        Check::of(name).finite("base_lr", self.base_lr)?;
        Ok(warmed_up(name, self.base_lr, 0, |_| 1.0))
    }
}

schedule_config!(Constant => Formula, "transformers.constant", "transformers' constant");

/// `constant_with_warmup`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ConstantWithWarmup {
    pub base_lr: f64,
    pub num_warmup_steps: u64,
}

impl ConstantWithWarmup {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "transformers.constant_with_warmup";
        Check::of(name).finite("base_lr", self.base_lr)?;
        Ok(warmed_up(name, self.base_lr, self.num_warmup_steps, |_| {
            1.0
        }))
    }
}

schedule_config!(
    ConstantWithWarmup => Formula, "transformers.constant_with_warmup",
    "transformers' constant_with_warmup"
);

/// `linear`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Linear {
    pub base_lr: f64,
    pub num_warmup_steps: u64,
    pub num_training_steps: u64,
}

impl Linear {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "transformers.linear";
        Check::of(name).finite("base_lr", self.base_lr)?;
        let warmup = self.num_warmup_steps;
        let left = self.num_training_steps as f64 - warmup as f64;
        let length = decay(warmup, self.num_training_steps);
        let factor = move |at: f64| ((left - at) / length).max(0.0);
        Ok(warmed_up(name, self.base_lr, warmup, factor))
    }
}

schedule_config!(Linear => Formula, "transformers.linear", "transformers' linear");

/// `cosine`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Cosine {
    pub base_lr: f64,
    pub num_warmup_steps: u64,
    pub num_training_steps: u64,
    #[serde(default = "default::half")]
    pub num_cycles: f64,
}

impl Cosine {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "transformers.cosine";
        let check = Check::of(name);
        check.finite("base_lr", self.base_lr)?;
        check.finite("num_cycles", self.num_cycles)?;
        let length = decay(self.num_warmup_steps, self.num_training_steps);
        let half_turns = self.num_cycles * 2.0;
        let factor = move |at: f64| (0.5 * (1.0 + cos_pi(half_turns * (at / length)))).max(0.0);
        Ok(warmed_up(name, self.base_lr, self.num_warmup_steps, factor))
    }
}

schedule_config!(Cosine => Formula, "transformers.cosine", "transformers' cosine");

/// `cosine_with_restarts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CosineWithRestarts {
    pub base_lr: f64,
    pub num_warmup_steps: u64,
    pub num_training_steps: u64,
    #[serde(default = "default::one")]
    pub num_cycles: f64,
}

impl CosineWithRestarts {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "transformers.cosine_with_restarts";
        let check = Check::of(name);
        check.finite("base_lr", self.base_lr)?;
        check.finite("num_cycles", self.num_cycles)?;
        let length = decay(self.num_warmup_steps, self.num_training_steps);
        let cycles = self.num_cycles;
        let factor = move |at: f64| {
            let progress = at / length;
            if progress >= 1.0 {
                0.0
            } else {
                (0.5 * (1.0 + cos_pi((cycles * progress).rem_euclid(1.0)))).max(0.0)
            }
        };
        Ok(warmed_up(name, self.base_lr, self.num_warmup_steps, factor))
    }
}

schedule_config!(
    CosineWithRestarts => Formula, "transformers.cosine_with_restarts",
    "transformers' cosine_with_restarts"
);

/// `polynomial`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Polynomial {
    pub base_lr: f64,
    pub num_warmup_steps: u64,
    pub num_training_steps: u64,
    #[serde(default = "lr_end")]
    pub lr_end: f64,
    #[serde(default = "default::one")]
    pub power: f64,
}

const fn lr_end() -> f64 {
    1e-7
}

impl Polynomial {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range, or `lr_end >= base_lr`.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "transformers.polynomial";
        let check = Check::of(name);
        check.positive("base_lr", self.base_lr)?;
        let below = format!("< `base_lr` = {}", self.base_lr);
        check.that(self.lr_end < self.base_lr, "lr_end", below, self.lr_end)?;
        check.finite("lr_end", self.lr_end)?;
        check.positive("power", self.power)?;
        let length = self.num_training_steps as f64 - self.num_warmup_steps as f64;
        let Self {
            base_lr,
            lr_end,
            power,
            ..
        } = *self;
        let factor = move |at: f64| {
            let left = if at >= length { 0.0 } else { 1.0 - at / length };
            ((base_lr - lr_end) * left.powf(power) + lr_end) / base_lr
        };
        Ok(warmed_up(name, base_lr, self.num_warmup_steps, factor))
    }
}

schedule_config!(Polynomial => Formula, "transformers.polynomial", "transformers' polynomial");

/// `inverse_sqrt`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct InverseSqrt {
    pub base_lr: f64,
    pub num_warmup_steps: u64,
    #[serde(default)]
    pub timescale: Option<f64>,
}

impl InverseSqrt {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "transformers.inverse_sqrt";
        let check = Check::of(name);
        check.finite("base_lr", self.base_lr)?;
        let timescale = match (self.timescale, self.num_warmup_steps) {
            (Some(timescale), _) => timescale,
            (None, 0) => 10_000.0,
            (None, warmup) => warmup as f64,
        };
        check.positive("timescale", timescale)?;
        let factor = move |at: f64| 1.0 / ((at + timescale) / timescale).sqrt();
        Ok(warmed_up(name, self.base_lr, self.num_warmup_steps, factor))
    }
}

schedule_config!(InverseSqrt => Formula, "transformers.inverse_sqrt", "transformers' inverse_sqrt");

/// The floor of a cosine as a fraction of the learning rate.
fn min_rate(
    name: &'static str,
    base_lr: f64,
    min_lr: Option<f64>,
    min_lr_rate: Option<f64>,
) -> Result<f64, ScheduleError> {
    let check = Check::of(name);
    check.positive("base_lr", base_lr)?;
    check.finite("min_lr_rate", min_lr_rate.unwrap_or(0.0))?;
    let rate = match (min_lr, min_lr_rate) {
        (Some(min_lr), None) => {
            check.finite("min_lr", min_lr)?;
            min_lr / base_lr
        }
        (None, Some(rate)) => rate,
        (Some(min_lr), Some(_)) => {
            let allowed = "absent if `min_lr_rate` is given";
            return Err(ScheduleError::parameter(name, "min_lr", allowed, min_lr));
        }
        (None, None) => {
            let allowed = "given, or else `min_lr_rate`";
            return Err(ScheduleError::parameter(name, "min_lr", allowed, "neither"));
        }
    };
    check.finite("min_lr_rate", rate)?;
    Ok(rate)
}

/// `cosine_with_min_lr`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CosineWithMinLr {
    pub base_lr: f64,
    pub num_warmup_steps: u64,
    pub num_training_steps: u64,
    #[serde(default = "default::half")]
    pub num_cycles: f64,
    #[serde(default)]
    pub min_lr: Option<f64>,
    #[serde(default)]
    pub min_lr_rate: Option<f64>,
}

impl CosineWithMinLr {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range, or there are two floors or none.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "transformers.cosine_with_min_lr";
        let floor = min_rate(name, self.base_lr, self.min_lr, self.min_lr_rate)?;
        Check::of(name).finite("num_cycles", self.num_cycles)?;
        let length = decay(self.num_warmup_steps, self.num_training_steps);
        let half_turns = self.num_cycles * 2.0;
        let factor = move |at: f64| {
            let cosine = 0.5 * (1.0 + cos_pi(half_turns * (at / length)));
            (cosine * (1.0 - floor) + floor).max(0.0)
        };
        Ok(warmed_up(name, self.base_lr, self.num_warmup_steps, factor))
    }
}

schedule_config!(
    CosineWithMinLr => Formula, "transformers.cosine_with_min_lr",
    "transformers' cosine_with_min_lr"
);

/// `cosine_warmup_with_min_lr`, whose warm-up reaches its end one step early
/// and whose cosine is one step ahead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CosineWarmupWithMinLr {
    pub base_lr: f64,
    pub num_warmup_steps: u64,
    pub num_training_steps: u64,
    #[serde(default = "default::half")]
    pub num_cycles: f64,
    #[serde(default)]
    pub min_lr: Option<f64>,
    #[serde(default)]
    pub min_lr_rate: Option<f64>,
    #[serde(default)]
    pub warmup_lr_rate: Option<f64>,
}

impl CosineWarmupWithMinLr {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range, or there are two floors or none.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "transformers.cosine_warmup_with_min_lr";
        let floor = min_rate(name, self.base_lr, self.min_lr, self.min_lr_rate)?;
        let check = Check::of(name);
        check.finite("num_cycles", self.num_cycles)?;
        check.finite("warmup_lr_rate", self.warmup_lr_rate.unwrap_or(0.0))?;
        let warmup = self.num_warmup_steps as f64;
        let length = decay(self.num_warmup_steps, self.num_training_steps);
        let half_turns = self.num_cycles * 2.0;
        let (base_lr, start) = (self.base_lr, self.warmup_lr_rate);
        Ok(Formula::new(name, move |at| {
            let factor = if at < warmup {
                match start {
                    None => (at + 1.0) / warmup.max(1.0),
                    Some(start) => start + (1.0 - start) * at / (warmup - 1.0).max(1.0),
                }
            } else {
                let progress = (at - warmup + 1.0) / length;
                let cosine = 0.5 * (1.0 + cos_pi(half_turns * progress));
                (cosine * (1.0 - floor) + floor).max(0.0)
            };
            base_lr * factor
        })
        .warming("num_warmup_steps", warmup))
    }
}

schedule_config!(
    CosineWarmupWithMinLr => Formula, "transformers.cosine_warmup_with_min_lr",
    "transformers' cosine_warmup_with_min_lr"
);

/// `warmup_stable_decay`: `num_stable_steps`, or what is left of
/// `num_training_steps`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct WarmupStableDecay {
    pub base_lr: f64,
    pub num_warmup_steps: u64,
    pub num_decay_steps: u64,
    #[serde(default)]
    pub num_training_steps: Option<u64>,
    #[serde(default)]
    pub num_stable_steps: Option<u64>,
    #[serde(default = "linear")]
    pub warmup_type: String,
    #[serde(default = "cosine")]
    pub decay_type: String,
    #[serde(default)]
    pub min_lr_ratio: f64,
    #[serde(default = "default::half")]
    pub num_cycles: f64,
}

fn linear() -> String {
    "linear".to_owned()
}
fn cosine() -> String {
    "cosine".to_owned()
}

impl WarmupStableDecay {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range, or the lengths don't fit.
    pub fn init(&self) -> Result<OurWsd, ScheduleError> {
        let name = "transformers.warmup_stable_decay";
        let check = Check::of(name);
        check.finite("base_lr", self.base_lr)?;
        check.finite("min_lr_ratio", self.min_lr_ratio)?;
        check.positive("num_cycles", self.num_cycles)?;
        let around = self.num_warmup_steps.saturating_add(self.num_decay_steps);
        let stable = match (self.num_stable_steps, self.num_training_steps) {
            (Some(stable), _) => stable,
            (None, Some(total)) => {
                let allowed = format!(">= warm-up and decay, which are {around} together");
                check.that(total >= around, "num_training_steps", allowed, total)?;
                total - around
            }
            (None, None) => {
                let allowed = "given, or else `num_training_steps`";
                return Err(ScheduleError::parameter(
                    name,
                    "num_stable_steps",
                    allowed,
                    "neither",
                ));
            }
        };
        let curve = |field: &str, word: &str| match word {
            "linear" => Ok(Curve::Linear),
            "cosine" => Ok(Curve::Cosine),
            "1-sqrt" => Ok(Curve::OneMinusSqrt),
            _ => {
                let allowed = "one of linear, cosine, 1-sqrt";
                Err(ScheduleError::parameter(name, field, allowed, word))
            }
        };
        let decay = match curve("decay_type", &self.decay_type)? {
            Curve::Cosine => Curve::Waves(self.num_cycles),
            other => other,
        };
        let end = self.base_lr * self.min_lr_ratio;
        WarmupStableDecayConfig::new(
            self.base_lr,
            self.num_warmup_steps as f64,
            stable as f64,
            self.num_decay_steps as f64,
        )
        .with_start(end)
        .with_end(end)
        .with_warmup_curve(curve("warmup_type", &self.warmup_type)?)
        .with_decay_curve(decay)
        .init()
    }
}

schedule_config!(
    WarmupStableDecay => OurWsd, "transformers.warmup_stable_decay",
    "transformers' warmup_stable_decay"
);

/// `greedy`: `GreedyLR`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Greedy {
    pub base_lr: f64,
    #[serde(default)]
    pub mode: Mode,
    #[serde(default = "greedy_factor")]
    pub factor: f64,
    #[serde(default = "greedy_patience")]
    pub patience: u64,
    #[serde(default = "greedy_threshold")]
    pub threshold: f64,
    #[serde(default = "abs")]
    pub threshold_mode: String,
    #[serde(default)]
    pub cooldown: u64,
    #[serde(default)]
    pub warmup: u64,
    #[serde(default = "greedy_min")]
    pub min_lr: f64,
    #[serde(default = "default::one")]
    pub max_lr: f64,
    #[serde(default = "greedy_eps")]
    pub eps: f64,
    #[serde(default)]
    pub smooth: bool,
    #[serde(default = "greedy_window")]
    pub window_size: u64,
    #[serde(default = "greedy_reset")]
    pub reset_start: u64,
}

fn abs() -> String {
    "abs".to_owned()
}
const fn greedy_factor() -> f64 {
    0.95
}
const fn greedy_patience() -> u64 {
    10
}
const fn greedy_threshold() -> f64 {
    1e-6
}
const fn greedy_min() -> f64 {
    1e-3
}
const fn greedy_eps() -> f64 {
    1e-8
}
const fn greedy_window() -> u64 {
    50
}
const fn greedy_reset() -> u64 {
    500
}

impl Greedy {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<OurGreedy, ScheduleError> {
        let name = "transformers.greedy";
        let (relative, absolute) =
            super::torch::threshold(name, self.threshold, &self.threshold_mode)?;
        let check = Check::of(name);
        check.finite("base_lr", self.base_lr)?;
        check.non_negative("min_lr", self.min_lr)?;
        check.finite("max_lr", self.max_lr)?;
        check.ordered(("min_lr", self.min_lr), ("max_lr", self.max_lr))?;
        check.at_least_one("window_size", self.window_size)?;
        check.at_least_one("reset_start", self.reset_start)?;
        GreedyConfig::new(self.base_lr)
            .with_mode(self.mode)
            .with_factor(self.factor)
            .with_patience(self.patience)
            .with_min_delta(absolute)
            .with_relative_delta(relative)
            .with_margin(Margin::Signed)
            .with_cooldown(self.cooldown)
            .with_warmup(self.warmup)
            .with_min(self.min_lr)
            .with_max(self.max_lr)
            .with_eps(self.eps)
            .with_window(if self.smooth { self.window_size } else { 1 })
            .with_reset_after(self.reset_start)
            .init()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schedule;

    #[test]
    fn two_floors_or_none_are_refused() {
        let config = CosineWithMinLr {
            base_lr: 0.1,
            num_warmup_steps: 0,
            num_training_steps: 10,
            num_cycles: 0.5,
            min_lr: None,
            min_lr_rate: None,
        };
        assert!(config.init().is_err());
        let both = CosineWithMinLr {
            min_lr: Some(0.1),
            min_lr_rate: Some(0.1),
            ..config.clone()
        };
        assert!(both.init().is_err());
        let one = CosineWithMinLr {
            min_lr_rate: Some(0.1),
            ..config
        };
        assert!((one.init().unwrap().value(10.0) - 0.01).abs() < 1e-15);
    }
}
