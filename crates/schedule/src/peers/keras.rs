//! Keras 3: `keras.optimizers.schedules` and `ReduceLROnPlateau`.
//!
//! Keras evaluates its schedules in `f32`; here they are `f64` and agree to
//! about 1e-6. A decay rate is rounded to `f32` first: its error would grow with
//! every step.

use super::{Formula, default};
use crate::check::Check;
use crate::config::schedule_config;
use crate::registry::{closed_form, simple};
use crate::{
    CosineConfig, Exponential, ExponentialConfig, InverseTimeDecay as InverseTime,
    InverseTimeDecayConfig, Mode, PiecewiseConstant, PiecewiseConstantConfig, Polynomial,
    PolynomialConfig, ReduceOnPlateau, ReduceOnPlateauConfig, Schedule, ScheduleError, Schedulers,
    WarmRestarts, WarmRestartsConfig,
};
use firecraft_spec::{Registry, SpecError};
use serde::{Deserialize, Serialize};

pub(super) fn register(registry: &mut Registry<Schedulers>) -> Result<(), SpecError> {
    closed_form::<ExponentialDecay>(registry)?;
    closed_form::<PiecewiseConstantDecay>(registry)?;
    closed_form::<PolynomialDecay>(registry)?;
    closed_form::<InverseTimeDecay>(registry)?;
    closed_form::<CosineDecay>(registry)?;
    closed_form::<CosineDecayRestarts>(registry)?;
    simple(
        registry,
        "keras.ReduceLROnPlateau",
        "Keras' ReduceLROnPlateau",
        ReduceLROnPlateau::init,
    )
}

/// `keras.optimizers.schedules.ExponentialDecay`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ExponentialDecay {
    pub initial_learning_rate: f64,
    pub decay_steps: f64,
    pub decay_rate: f64,
    #[serde(default)]
    pub staircase: bool,
}

impl ExponentialDecay {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Exponential, ScheduleError> {
        let check = Check::of("keras.ExponentialDecay");
        check.finite("initial_learning_rate", self.initial_learning_rate)?;
        check.positive("decay_steps", self.decay_steps)?;
        check.positive("decay_rate", self.decay_rate)?;
        ExponentialConfig::new(
            self.initial_learning_rate,
            default::rounded(self.decay_rate),
        )
        .with_length(self.decay_steps)
        .with_staircase(self.staircase)
        .init()
    }
}

schedule_config!(
    ExponentialDecay => Exponential, "keras.ExponentialDecay", "Keras' ExponentialDecay"
);

/// `keras.optimizers.schedules.PiecewiseConstantDecay`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct PiecewiseConstantDecay {
    pub boundaries: Vec<f64>,
    pub values: Vec<f64>,
}

impl PiecewiseConstantDecay {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<PiecewiseConstant, ScheduleError> {
        PiecewiseConstantConfig::keras(self.boundaries.clone(), self.values.clone()).init()
    }
}

schedule_config!(
    PiecewiseConstantDecay => PiecewiseConstant, "keras.PiecewiseConstantDecay",
    "Keras' PiecewiseConstantDecay"
);

/// `keras.optimizers.schedules.PolynomialDecay`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct PolynomialDecay {
    pub initial_learning_rate: f64,
    pub decay_steps: f64,
    #[serde(default = "end_learning_rate")]
    pub end_learning_rate: f64,
    #[serde(default = "default::one")]
    pub power: f64,
    #[serde(default)]
    pub cycle: bool,
}

const fn end_learning_rate() -> f64 {
    1e-4
}

impl PolynomialDecay {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Polynomial, ScheduleError> {
        let check = Check::of("keras.PolynomialDecay");
        check.finite("initial_learning_rate", self.initial_learning_rate)?;
        check.finite("end_learning_rate", self.end_learning_rate)?;
        check.positive("decay_steps", self.decay_steps)?;
        check.positive("power", self.power)?;
        PolynomialConfig::new(self.initial_learning_rate, self.decay_steps)
            .with_end(self.end_learning_rate)
            .with_power(self.power)
            .with_cycle(self.cycle)
            .init()
    }
}

schedule_config!(PolynomialDecay => Polynomial, "keras.PolynomialDecay", "Keras' PolynomialDecay");

/// `keras.optimizers.schedules.InverseTimeDecay`, and what `decay=` was to its
/// older optimisers (with `decay_steps` 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct InverseTimeDecay {
    pub initial_learning_rate: f64,
    pub decay_steps: f64,
    pub decay_rate: f64,
    #[serde(default)]
    pub staircase: bool,
}

impl InverseTimeDecay {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<InverseTime, ScheduleError> {
        let check = Check::of("keras.InverseTimeDecay");
        check.finite("initial_learning_rate", self.initial_learning_rate)?;
        check.positive("decay_steps", self.decay_steps)?;
        check.non_negative("decay_rate", self.decay_rate)?;
        InverseTimeDecayConfig::new(self.initial_learning_rate, self.decay_rate)
            .with_length(self.decay_steps)
            .with_staircase(self.staircase)
            .init()
    }
}

schedule_config!(
    InverseTimeDecay => InverseTime, "keras.InverseTimeDecay", "Keras' InverseTimeDecay"
);

/// `keras.optimizers.schedules.CosineDecay`: `warmup_steps` count only if there
/// is a `warmup_target`, and the ramp starts at `initial_learning_rate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CosineDecay {
    pub initial_learning_rate: f64,
    pub decay_steps: f64,
    #[serde(default)]
    pub alpha: f64,
    #[serde(default)]
    pub warmup_target: Option<f64>,
    #[serde(default)]
    pub warmup_steps: f64,
}

impl CosineDecay {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "keras.CosineDecay";
        let check = Check::of(name);
        check.finite("initial_learning_rate", self.initial_learning_rate)?;
        check.positive("decay_steps", self.decay_steps)?;
        check.finite("alpha", self.alpha)?;
        check.non_negative("warmup_steps", self.warmup_steps)?;
        let start = self.initial_learning_rate;
        let Some(target) = self.warmup_target else {
            let cosine = CosineConfig::keras(start, self.decay_steps, self.alpha).init()?;
            return Ok(Formula::new(name, move |at| cosine.value(at)));
        };
        check.finite("warmup_target", target)?;
        let warmup = self.warmup_steps;
        let cosine = CosineConfig::keras(target, self.decay_steps, self.alpha).init()?;
        Ok(Formula::new(name, move |at| {
            if at < warmup {
                start + (target - start) * (at / warmup)
            } else {
                cosine.value(at - warmup)
            }
        })
        .warming("warmup_steps", warmup))
    }
}

schedule_config!(CosineDecay => Formula, "keras.CosineDecay", "Keras' CosineDecay");

/// `keras.optimizers.schedules.CosineDecayRestarts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CosineDecayRestarts {
    pub initial_learning_rate: f64,
    pub first_decay_steps: f64,
    #[serde(default = "default::two")]
    pub t_mul: f64,
    #[serde(default = "default::one")]
    pub m_mul: f64,
    #[serde(default)]
    pub alpha: f64,
}

impl CosineDecayRestarts {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<WarmRestarts, ScheduleError> {
        let check = Check::of("keras.CosineDecayRestarts");
        check.finite("initial_learning_rate", self.initial_learning_rate)?;
        check.positive("first_decay_steps", self.first_decay_steps)?;
        check.positive("t_mul", self.t_mul)?;
        check.non_negative("m_mul", self.m_mul)?;
        check.finite("alpha", self.alpha)?;
        WarmRestartsConfig::keras(
            self.initial_learning_rate,
            self.first_decay_steps,
            self.t_mul,
            self.m_mul,
            self.alpha,
        )
        .init()
    }
}

schedule_config!(
    CosineDecayRestarts => WarmRestarts, "keras.CosineDecayRestarts", "Keras' CosineDecayRestarts"
);

/// `keras.callbacks.ReduceLROnPlateau`. `monitor` only serves to find the mode
/// `auto`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ReduceLROnPlateau {
    pub base_lr: f64,
    #[serde(default = "val_loss")]
    pub monitor: String,
    #[serde(default = "default::tenth")]
    pub factor: f64,
    #[serde(default = "ten")]
    pub patience: u64,
    #[serde(default = "auto")]
    pub mode: String,
    #[serde(default = "min_delta")]
    pub min_delta: f64,
    #[serde(default)]
    pub cooldown: u64,
    #[serde(default)]
    pub min_lr: f64,
}

fn val_loss() -> String {
    "val_loss".to_owned()
}
fn auto() -> String {
    "auto".to_owned()
}
const fn ten() -> u64 {
    10
}
const fn min_delta() -> f64 {
    1e-4
}

/// Keras' mode: `auto` goes by the name of the metric.
///
/// # Errors
/// If the mode is none of `auto`, `min`, `max`.
pub fn mode(owner: &'static str, mode: &str, monitor: &str) -> Result<Mode, ScheduleError> {
    match mode {
        "auto" => Ok(Mode::of_metric(monitor)),
        "min" => Ok(Mode::Min),
        "max" => Ok(Mode::Max),
        _ => {
            let allowed = "one of auto, min, max";
            Err(ScheduleError::parameter(owner, "mode", allowed, mode))
        }
    }
}

impl ReduceLROnPlateau {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<ReduceOnPlateau, ScheduleError> {
        let name = "keras.ReduceLROnPlateau";
        let check = Check::of(name);
        check.finite("base_lr", self.base_lr)?;
        check.non_negative("min_lr", self.min_lr)?;
        ReduceOnPlateauConfig::keras(self.base_lr)
            .with_factor(self.factor)
            .with_patience(self.patience)
            .with_mode(mode(name, &self.mode, &self.monitor)?)
            // Keras takes the absolute value.
            .with_min_delta(self.min_delta.abs())
            .with_cooldown(self.cooldown)
            .with_min(self.min_lr)
            .init()
    }
}
