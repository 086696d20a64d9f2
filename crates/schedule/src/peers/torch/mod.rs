//! PyTorch: `torch.optim.lr_scheduler` and `torch.optim.swa_utils`.
//!
//! torch computes most learning rates from the one before; here they are closed
//! forms, equal up to rounding, so a run may be entered anywhere. Where the
//! recurrence matters, in [`ChainedScheduler`] and [`SequentialLR`], it is
//! followed ([`Recurrence`]).
//!
//! `CosineAnnealingLR` comes up again past `T_max`. A `MultiStepLR` milestone
//! of 0 applies at once, and one that is listed twice applies twice.

mod cycles;
mod plateau;
mod recurrence;

pub use cycles::{CyclicLR, OneCycleLR};
pub use plateau::ReduceLROnPlateau;
pub(super) use plateau::threshold;
pub use recurrence::{ChainedScheduler, Recurrence, SequentialLR};

use super::default;
use crate::check::Check;
use crate::config::schedule_config;
use crate::registry::{closed_form, simple};
use crate::{
    ConstantFactor, ConstantFactorConfig, Cosine, CosineConfig, Curve, Exponential,
    ExponentialConfig, Linear, LinearConfig, MultiStep, MultiStepConfig, Piecewise,
    PiecewiseConfig, Polynomial, PolynomialConfig, ScheduleError, Schedulers, Step, StepConfig,
    WarmRestarts, WarmRestartsConfig,
};
use firecraft_spec::{Registry, SpecError};
use serde::{Deserialize, Serialize};

pub(super) fn register(registry: &mut Registry<Schedulers>) -> Result<(), SpecError> {
    closed_form::<StepLR>(registry)?;
    closed_form::<MultiStepLR>(registry)?;
    closed_form::<ConstantLR>(registry)?;
    closed_form::<LinearLR>(registry)?;
    closed_form::<ExponentialLR>(registry)?;
    closed_form::<PolynomialLR>(registry)?;
    closed_form::<CosineAnnealingLR>(registry)?;
    closed_form::<CosineAnnealingWarmRestarts>(registry)?;
    closed_form::<SWALR>(registry)?;
    simple(
        registry,
        "torch.OneCycleLR",
        "torch's OneCycleLR",
        OneCycleLR::init,
    )?;
    simple(
        registry,
        "torch.CyclicLR",
        "torch's CyclicLR",
        CyclicLR::init,
    )?;
    simple(
        registry,
        "torch.ReduceLROnPlateau",
        "torch's ReduceLROnPlateau",
        ReduceLROnPlateau::init,
    )?;
    simple(
        registry,
        "torch.SequentialLR",
        "torch's SequentialLR",
        SequentialLR::init,
    )?;
    simple(
        registry,
        "torch.ChainedScheduler",
        "torch's ChainedScheduler",
        ChainedScheduler::init,
    )
}

/// `StepLR`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct StepLR {
    pub base_lr: f64,
    pub step_size: u64,
    #[serde(default = "default::tenth")]
    pub gamma: f64,
}

impl StepLR {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Step, ScheduleError> {
        let check = Check::of("torch.StepLR");
        check.finite("base_lr", self.base_lr)?;
        check.at_least_one("step_size", self.step_size)?;
        check.positive("gamma", self.gamma)?;
        StepConfig::new(self.base_lr, self.step_size as f64)
            .with_factor(self.gamma)
            .init()
    }
}

schedule_config!(StepLR => Step, "torch.StepLR", "torch's StepLR");

/// `MultiStepLR`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct MultiStepLR {
    pub base_lr: f64,
    pub milestones: Vec<u64>,
    #[serde(default = "default::tenth")]
    pub gamma: f64,
}

impl MultiStepLR {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<MultiStep, ScheduleError> {
        let check = Check::of("torch.MultiStepLR");
        check.finite("base_lr", self.base_lr)?;
        check.positive("gamma", self.gamma)?;
        let milestones: Vec<f64> = self.milestones.iter().map(|&m| m as f64).collect();
        MultiStepConfig::new(self.base_lr, milestones)
            .with_factor(self.gamma)
            .init()
    }
}

schedule_config!(MultiStepLR => MultiStep, "torch.MultiStepLR", "torch's MultiStepLR");

/// `ConstantLR`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ConstantLR {
    pub base_lr: f64,
    #[serde(default = "default::third")]
    pub factor: f64,
    #[serde(default = "five")]
    pub total_iters: u64,
}

const fn five() -> u64 {
    5
}

impl ConstantLR {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<ConstantFactor, ScheduleError> {
        let check = Check::of("torch.ConstantLR");
        check.finite("base_lr", self.base_lr)?;
        check.fraction("factor", self.factor)?;
        ConstantFactorConfig::new(self.base_lr, self.total_iters as f64)
            .with_factor(self.factor)
            .init()
    }
}

schedule_config!(ConstantLR => ConstantFactor, "torch.ConstantLR", "torch's ConstantLR");

/// `LinearLR`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct LinearLR {
    pub base_lr: f64,
    #[serde(default = "default::third")]
    pub start_factor: f64,
    #[serde(default = "default::one")]
    pub end_factor: f64,
    #[serde(default = "five")]
    pub total_iters: u64,
}

impl LinearLR {
    fn check(&self) -> Result<(), ScheduleError> {
        let check = Check::of("torch.LinearLR");
        check.finite("base_lr", self.base_lr)?;
        let in_range = self.start_factor > 0.0 && self.start_factor <= 1.0;
        check.that(in_range, "start_factor", "in (0, 1]", self.start_factor)?;
        check.fraction("end_factor", self.end_factor)?;
        check.at_least_one("total_iters", self.total_iters)
    }

    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Linear, ScheduleError> {
        self.check()?;
        LinearConfig::new(
            self.base_lr * self.start_factor,
            self.base_lr * self.end_factor,
            self.total_iters as f64,
        )
        .init()
    }
}

schedule_config!(LinearLR => Linear, "torch.LinearLR", "torch's LinearLR");

/// `ExponentialLR`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ExponentialLR {
    pub base_lr: f64,
    pub gamma: f64,
}

impl ExponentialLR {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Exponential, ScheduleError> {
        let check = Check::of("torch.ExponentialLR");
        check.finite("base_lr", self.base_lr)?;
        check.positive("gamma", self.gamma)?;
        ExponentialConfig::new(self.base_lr, self.gamma).init()
    }
}

schedule_config!(ExponentialLR => Exponential, "torch.ExponentialLR", "torch's ExponentialLR");

/// `PolynomialLR`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct PolynomialLR {
    pub base_lr: f64,
    #[serde(default = "five")]
    pub total_iters: u64,
    #[serde(default = "default::one")]
    pub power: f64,
}

impl PolynomialLR {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Polynomial, ScheduleError> {
        let check = Check::of("torch.PolynomialLR");
        check.finite("base_lr", self.base_lr)?;
        check.at_least_one("total_iters", self.total_iters)?;
        check.positive("power", self.power)?;
        PolynomialConfig::new(self.base_lr, self.total_iters as f64)
            .with_power(self.power)
            .init()
    }
}

schedule_config!(PolynomialLR => Polynomial, "torch.PolynomialLR", "torch's PolynomialLR");

/// `CosineAnnealingLR`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, non_snake_case)]
pub struct CosineAnnealingLR {
    pub base_lr: f64,
    pub T_max: u64,
    #[serde(default)]
    pub eta_min: f64,
}

impl CosineAnnealingLR {
    fn check(&self) -> Result<(), ScheduleError> {
        let check = Check::of("torch.CosineAnnealingLR");
        check.finite("base_lr", self.base_lr)?;
        check.at_least_one("T_max", self.T_max)?;
        check.finite("eta_min", self.eta_min)
    }

    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Cosine, ScheduleError> {
        self.check()?;
        CosineConfig::torch(self.base_lr, self.T_max as f64, self.eta_min).init()
    }
}

schedule_config!(
    CosineAnnealingLR => Cosine, "torch.CosineAnnealingLR", "torch's CosineAnnealingLR"
);

/// `CosineAnnealingWarmRestarts`. Positions may be fractions of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, non_snake_case)]
pub struct CosineAnnealingWarmRestarts {
    pub base_lr: f64,
    pub T_0: u64,
    #[serde(default = "one")]
    pub T_mult: u64,
    #[serde(default)]
    pub eta_min: f64,
}

const fn one() -> u64 {
    1
}

impl CosineAnnealingWarmRestarts {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<WarmRestarts, ScheduleError> {
        let check = Check::of("torch.CosineAnnealingWarmRestarts");
        check.finite("base_lr", self.base_lr)?;
        check.at_least_one("T_0", self.T_0)?;
        check.at_least_one("T_mult", self.T_mult)?;
        check.finite("eta_min", self.eta_min)?;
        WarmRestartsConfig::torch(
            self.base_lr,
            self.T_0 as f64,
            self.T_mult as f64,
            self.eta_min,
        )
        .init()
    }
}

schedule_config!(
    CosineAnnealingWarmRestarts => WarmRestarts, "torch.CosineAnnealingWarmRestarts",
    "torch's CosineAnnealingWarmRestarts"
);

/// `torch.optim.swa_utils.SWALR`: from the learning rate to `swa_lr` in
/// `anneal_epochs`, and there it stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SWALR {
    pub base_lr: f64,
    pub swa_lr: f64,
    #[serde(default = "ten")]
    pub anneal_epochs: u64,
    #[serde(default = "cos")]
    pub anneal_strategy: String,
}

const fn ten() -> u64 {
    10
}
fn cos() -> String {
    "cos".to_owned()
}

/// torch's `anneal_strategy`.
fn strategy(name: &'static str, word: &str) -> Result<Curve, ScheduleError> {
    match word {
        "cos" => Ok(Curve::Cosine),
        "linear" => Ok(Curve::Linear),
        _ => {
            let allowed = "one of cos, linear";
            Err(ScheduleError::parameter(
                name,
                "anneal_strategy",
                allowed,
                word,
            ))
        }
    }
}

impl SWALR {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Piecewise, ScheduleError> {
        let name = "torch.SWALR";
        let check = Check::of(name);
        check.finite("base_lr", self.base_lr)?;
        check.finite("swa_lr", self.swa_lr)?;
        // Annealing in no time takes effect at the first step after the start.
        let length = self.anneal_epochs.max(1) as f64;
        PiecewiseConfig::new([(0.0, self.base_lr), (length, self.swa_lr)])
            .with_curve(strategy(name, &self.anneal_strategy)?)
            .init()
    }
}

schedule_config!(SWALR => Piecewise, "torch.SWALR", "torch's SWALR");
