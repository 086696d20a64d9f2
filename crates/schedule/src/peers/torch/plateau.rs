//! torch's `ReduceLROnPlateau`.

use crate::check::Check;
use crate::peers::default;
use crate::{Mode, ReduceOnPlateau, ReduceOnPlateauConfig, ScheduleError};
use serde::{Deserialize, Serialize};

/// `ReduceLROnPlateau`, for one parameter group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ReduceLROnPlateau {
    pub base_lr: f64,
    #[serde(default)]
    pub mode: Mode,
    #[serde(default = "default::tenth")]
    pub factor: f64,
    #[serde(default = "ten")]
    pub patience: u64,
    #[serde(default = "default_threshold")]
    pub threshold: f64,
    #[serde(default = "rel")]
    pub threshold_mode: String,
    #[serde(default)]
    pub cooldown: u64,
    #[serde(default)]
    pub min_lr: f64,
    #[serde(default = "eps")]
    pub eps: f64,
}

const fn ten() -> u64 {
    10
}
const fn default_threshold() -> f64 {
    1e-4
}
fn rel() -> String {
    "rel".to_owned()
}
const fn eps() -> f64 {
    1e-8
}

/// torch's threshold as (relative, absolute).
pub(in crate::peers) fn threshold(
    name: &'static str,
    threshold: f64,
    mode: &str,
) -> Result<(f64, f64), ScheduleError> {
    Check::of(name).non_negative("threshold", threshold)?;
    match mode {
        "rel" => {
            Check::of(name).fraction("threshold", threshold)?;
            Ok((threshold, 0.0))
        }
        "abs" => Ok((0.0, threshold)),
        _ => {
            let allowed = "one of rel, abs";
            Err(ScheduleError::parameter(
                name,
                "threshold_mode",
                allowed,
                mode,
            ))
        }
    }
}

impl ReduceLROnPlateau {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<ReduceOnPlateau, ScheduleError> {
        let name = "torch.ReduceLROnPlateau";
        let check = Check::of(name);
        check.finite("base_lr", self.base_lr)?;
        check.non_negative("min_lr", self.min_lr)?;
        let (relative, absolute) = threshold(name, self.threshold, &self.threshold_mode)?;
        ReduceOnPlateauConfig::torch(self.base_lr)
            .with_mode(self.mode)
            .with_factor(self.factor)
            .with_patience(self.patience)
            .with_min_delta(absolute)
            .with_relative_delta(relative)
            .with_cooldown(self.cooldown)
            .with_min(self.min_lr)
            .with_eps(self.eps)
            .init()
    }
}
