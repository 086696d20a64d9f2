//! torch's schedulers that may cycle momentum too.

use super::strategy;
use crate::check::Check;
use crate::peers::default;
use crate::{CyclicConfig, CyclicMode, OneCycleConfig, Pure, Schedule, ScheduleError, Slot, Slots};
use serde::{Deserialize, Serialize};

/// `OneCycleLR`: `total_steps`, or `epochs` and `steps_per_epoch`. Two slots,
/// `lr` and `momentum` (beta1 of Adam), unless `cycle_momentum` is off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct OneCycleLR {
    pub max_lr: f64,
    #[serde(default)]
    pub total_steps: Option<u64>,
    #[serde(default)]
    pub epochs: Option<u64>,
    #[serde(default)]
    pub steps_per_epoch: Option<u64>,
    #[serde(default = "pct_start")]
    pub pct_start: f64,
    #[serde(default = "cos")]
    pub anneal_strategy: String,
    #[serde(default = "default::yes")]
    pub cycle_momentum: bool,
    #[serde(default = "base_momentum")]
    pub base_momentum: f64,
    #[serde(default = "max_momentum")]
    pub max_momentum: f64,
    #[serde(default = "div_factor")]
    pub div_factor: f64,
    #[serde(default = "final_div_factor")]
    pub final_div_factor: f64,
    #[serde(default)]
    pub three_phase: bool,
}

const fn pct_start() -> f64 {
    0.3
}
fn cos() -> String {
    "cos".to_owned()
}
const fn base_momentum() -> f64 {
    0.85
}
const fn max_momentum() -> f64 {
    0.95
}
const fn div_factor() -> f64 {
    25.0
}
const fn final_div_factor() -> f64 {
    1e4
}

impl OneCycleLR {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range, or there is no total.
    pub fn init(&self) -> Result<Slots, ScheduleError> {
        let name = "torch.OneCycleLR";
        let check = Check::of(name);
        let total = match (self.total_steps, self.epochs, self.steps_per_epoch) {
            (Some(total), _, _) => total,
            (None, Some(epochs), Some(steps)) => epochs.saturating_mul(steps),
            _ => {
                let allowed = "given, or else both `epochs` and `steps_per_epoch`";
                return Err(ScheduleError::parameter(
                    name,
                    "total_steps",
                    allowed,
                    "none",
                ));
            }
        };
        check.that(total > 1, "total_steps", "> 1", total)?;
        check.finite("max_lr", self.max_lr)?;
        check.fraction("pct_start", self.pct_start)?;
        check.positive("div_factor", self.div_factor)?;
        check.positive("final_div_factor", self.final_div_factor)?;
        check.finite("base_momentum", self.base_momentum)?;
        check.finite("max_momentum", self.max_momentum)?;
        let config = OneCycleConfig::new(self.max_lr, total as f64)
            .with_rise(self.pct_start)
            .with_div_factor(self.div_factor)
            .with_final_div_factor(self.final_div_factor)
            .with_curve(strategy(name, &self.anneal_strategy)?)
            .with_three_phase(self.three_phase);
        let momentum = config.momentum(self.base_momentum, self.max_momentum);
        let momentum = momentum.init();
        pair(
            config.init()?,
            self.cycle_momentum.then_some(momentum).transpose()?,
        )
    }
}

/// The learning rate, and momentum if it is cycled.
fn pair(
    lr: impl Schedule + 'static,
    momentum: Option<impl Schedule + 'static>,
) -> Result<Slots, ScheduleError> {
    let slots = Slots::new().with(Slot::default(), Pure::updates(lr));
    Ok(match momentum {
        Some(momentum) => slots.with(Slot::new(Slot::MOMENTUM), Pure::updates(momentum)),
        None => slots,
    })
}

/// `CyclicLR` without a `scale_fn` (for one see
/// [`Cyclic::with_scale`](crate::Cyclic::with_scale)). Two slots as in
/// [`OneCycleLR`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CyclicLR {
    pub base_lr: f64,
    pub max_lr: f64,
    #[serde(default = "step_size")]
    pub step_size_up: f64,
    #[serde(default)]
    pub step_size_down: Option<f64>,
    #[serde(default)]
    pub mode: CyclicMode,
    #[serde(default = "default::one")]
    pub gamma: f64,
    #[serde(default = "default::yes")]
    pub cycle_momentum: bool,
    #[serde(default = "base_cyclic")]
    pub base_momentum: f64,
    #[serde(default = "max_cyclic")]
    pub max_momentum: f64,
}

const fn step_size() -> f64 {
    2000.0
}
const fn base_cyclic() -> f64 {
    0.8
}
const fn max_cyclic() -> f64 {
    0.9
}

impl CyclicLR {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Slots, ScheduleError> {
        let check = Check::of("torch.CyclicLR");
        check.finite("base_lr", self.base_lr)?;
        check.finite("max_lr", self.max_lr)?;
        check.ordered(("base_lr", self.base_lr), ("max_lr", self.max_lr))?;
        check.positive("step_size_up", self.step_size_up)?;
        check.non_negative("step_size_down", self.step_size_down.unwrap_or(0.0))?;
        let momenta = (self.base_momentum, self.max_momentum);
        check.ordered(("base_momentum", momenta.0), ("max_momentum", momenta.1))?;
        let config = CyclicConfig::new(self.base_lr, self.max_lr, self.step_size_up)
            .with_down(self.step_size_down)
            .with_mode(self.mode)
            .with_gamma(self.gamma);
        let momentum = config.momentum(momenta.0, momenta.1).init();
        pair(
            config.init()?,
            self.cycle_momentum.then_some(momentum).transpose()?,
        )
    }
}
