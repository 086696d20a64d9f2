//! pytorch-optimizer: `pytorch_optimizer.lr_scheduler`.
//!
//! Its own schedulers begin with `min_lr` and are one step late: the first
//! value of the formula is in force at update 1. None of them is clamped at the
//! end. Its aliases of torch's schedulers are in [`torch`](super::torch).

use super::{Formula, default};
use crate::check::Check;
use crate::config::schedule_config;
use crate::math::cos_pi;
use crate::registry::closed_form;
use crate::{Chebyshev as Nodes, ChebyshevConfig, Curve, Schedule, ScheduleError, Schedulers};
use firecraft_spec::{Registry, SpecError};
use serde::{Deserialize, Serialize};

pub(super) fn register(registry: &mut Registry<Schedulers>) -> Result<(), SpecError> {
    closed_form::<Linear>(registry)?;
    closed_form::<Cosine>(registry)?;
    closed_form::<Poly>(registry)?;
    closed_form::<Rex>(registry)?;
    closed_form::<Chebyshev>(registry)?;
    closed_form::<CosineAnnealingWithWarmup>(registry)?;
    closed_form::<WarmupStableDecay>(registry)
}

/// `min_lr` at update 0, then `formula` of the steps so far.
fn late(name: &'static str, min_lr: f64, formula: impl Fn(f64) -> f64 + Send + 'static) -> Formula {
    Formula::new(
        name,
        move |at| {
            if at < 1.0 { min_lr } else { formula(at - 1.0) }
        },
    )
}

/// Writes a scheduler with a linear warm-up, and `formula` of the steps since.
macro_rules! linear_warmup {
    (
        $(#[$doc:meta])* $config:ident, $name:literal, { $($field:ident: $default:literal)? },
        |$this:ident, $since:ident, $length:ident| $value:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs)]
        pub struct $config {
            pub t_max: u64,
            pub max_lr: f64,
            #[serde(default)]
            pub min_lr: f64,
            #[serde(default)]
            pub init_lr: f64,
            #[serde(default)]
            pub warmup_steps: u64,
            $(#[serde(default = $default)] pub $field: f64,)?
        }

        impl $config {
            /// The schedule.
            ///
            /// # Errors
            /// If an argument is outside its range, or the warm-up is not
            /// shorter than the whole.
            pub fn init(&self) -> Result<Formula, ScheduleError> {
                let check = Check::of($name);
                check.non_negative("max_lr", self.max_lr)?;
                check.non_negative("min_lr", self.min_lr)?;
                check.non_negative("init_lr", self.init_lr)?;
                $(check.positive(stringify!($field), self.$field)?;)?
                let allowed = format!("> `warmup_steps` = {}", self.warmup_steps);
                check.that(self.t_max > self.warmup_steps, "t_max", allowed, self.t_max)?;
                let $this = self.clone();
                let warmup = self.warmup_steps as f64;
                let $length = self.t_max as f64 - warmup;
                Ok(late($name, self.min_lr, move |step| {
                    if step < warmup {
                        $this.init_lr + ($this.max_lr - $this.init_lr) * step / warmup
                    } else if step == warmup {
                        $this.max_lr
                    } else {
                        let $since = step - warmup;
                        $value
                    }
                })
                .warming("warmup_steps", warmup))
            }
        }

        schedule_config!($config => Formula, $name, concat!("pytorch-optimizer's ", $name));
    };
}

linear_warmup!(
    /// `linear`: `LinearScheduler`.
    Linear, "pytorch_optimizer.linear", {},
    |this, since, length| this.max_lr + (this.min_lr - this.max_lr) * since / length
);
linear_warmup!(
    /// `cosine`: `CosineScheduler`.
    Cosine, "pytorch_optimizer.cosine", {},
    |this, since, length| {
        let fall = (cos_pi(since / length) + 1.0) / 2.0;
        this.min_lr + (this.max_lr - this.min_lr) * fall
    }
);
linear_warmup!(
    /// `poly`: `PolyScheduler`, which rises: `since^poly_order`.
    Poly, "pytorch_optimizer.poly", { poly_order: "default::half" },
    |this, since, _length| {
        this.min_lr + (this.max_lr - this.min_lr) * since.powf(this.poly_order)
    }
);

/// `rex`: `REXScheduler`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Rex {
    pub total_steps: u64,
    #[serde(default = "default::one")]
    pub max_lr: f64,
    #[serde(default)]
    pub min_lr: f64,
}

impl Rex {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "pytorch_optimizer.rex";
        let check = Check::of(name);
        check.at_least_one("total_steps", self.total_steps)?;
        check.finite("max_lr", self.max_lr)?;
        check.finite("min_lr", self.min_lr)?;
        let rex = crate::RexConfig::new(self.max_lr, self.total_steps as f64)
            .with_end(self.min_lr)
            .init()?;
        // The constructor takes the first step, whose value it then hides.
        let min_lr = self.min_lr;
        Ok(Formula::new(name, move |at| {
            if at < 1.0 { min_lr } else { rex.value(at) }
        }))
    }
}

schedule_config!(Rex => Formula, "pytorch_optimizer.rex", "pytorch-optimizer's rex");

/// `chebyshev`: nodes of the next power of two, two steps late. The order is
/// that of two nodes fewer, so only half of four nodes are ever used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Chebyshev {
    pub base_lr: f64,
    pub num_epochs: u64,
    #[serde(default)]
    pub is_warmup: bool,
}

impl Chebyshev {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "pytorch_optimizer.chebyshev";
        let check = Check::of(name);
        check.finite("base_lr", self.base_lr)?;
        let in_range = (1..=1 << 19).contains(&self.num_epochs);
        check.that(in_range, "num_epochs", "in 1 ..= 524288", self.num_epochs)?;
        if self.is_warmup {
            let base_lr = self.base_lr;
            return Ok(Formula::new(name, move |_| base_lr));
        }
        // 2^(floor(log2(n - 1)) + 1): 16 nodes for 16 epochs, 32 for 17.
        let nodes = if self.num_epochs > 1 {
            1 << ((self.num_epochs - 1).ilog2() + 1)
        } else {
            1
        };
        let config = ChebyshevConfig::new(self.base_lr, nodes);
        let nodes: Nodes = config.init_in_order_of(nodes.saturating_sub(2))?;
        Ok(Formula::new(name, move |at| {
            nodes.value((at - 2.0).max(0.0))
        }))
    }
}

schedule_config!(
    Chebyshev => Formula, "pytorch_optimizer.chebyshev", "pytorch-optimizer's chebyshev"
);

/// `cosine_annealing_with_warmup`: cycles of whole steps, each with its own
/// warm-up, the part after it `cycle_mult` times as long as before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CosineAnnealingWithWarmup {
    pub first_cycle_steps: u64,
    #[serde(default = "default::one")]
    pub cycle_mult: f64,
    #[serde(default = "max_lr")]
    pub max_lr: f64,
    #[serde(default = "min_lr")]
    pub min_lr: f64,
    #[serde(default)]
    pub warmup_steps: u64,
    #[serde(default = "gamma")]
    pub gamma: f64,
}

const fn max_lr() -> f64 {
    1e-4
}
const fn min_lr() -> f64 {
    1e-6
}
const fn gamma() -> f64 {
    0.9
}

/// Cycles that are counted one by one; a run has no more.
const MAX_CYCLES: u32 = 100_000;

impl CosineAnnealingWithWarmup {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range, or the warm-up is not shorter than
    /// the first cycle.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "pytorch_optimizer.cosine_annealing_with_warmup";
        let check = Check::of(name);
        let allowed = format!("> `warmup_steps` = {}", self.warmup_steps);
        let longer = self.first_cycle_steps > self.warmup_steps;
        check.that(longer, "first_cycle_steps", allowed, self.first_cycle_steps)?;
        check.positive("cycle_mult", self.cycle_mult)?;
        check.finite("max_lr", self.max_lr)?;
        check.finite("min_lr", self.min_lr)?;
        check.positive("gamma", self.gamma)?;
        let config = self.clone();
        let warmup = self.warmup_steps as f64;
        Ok(Formula::new(name, move |at| {
            // The constructor resets the first value, warm-up or not.
            if at < 1.0 {
                return config.min_lr;
            }
            let (mut step, mut length, mut cycle) = (at, config.first_cycle_steps as f64, 0);
            if config.cycle_mult == 1.0 {
                let cycles = (step / length).floor();
                step -= cycles * length;
                cycle = cycles as i32;
            } else {
                while step >= length && cycle < MAX_CYCLES as i32 {
                    step -= length;
                    cycle += 1;
                    length = ((length - warmup) * config.cycle_mult).trunc().max(1.0) + warmup;
                }
            }
            let peak = config.max_lr * config.gamma.powi(cycle);
            if step < warmup {
                (peak - config.min_lr) * step / warmup + config.min_lr
            } else {
                let progress = (step - warmup) / (length - warmup);
                Curve::Cosine.between(peak, config.min_lr, progress)
            }
        }))
    }
}

schedule_config!(
    CosineAnnealingWithWarmup => Formula, "pytorch_optimizer.cosine_annealing_with_warmup",
    "pytorch-optimizer's cosine_annealing_with_warmup"
);

/// `warmup_stable_decay`: only the cosine decays to `min_lr_ratio`; the other
/// cooldowns aim at 0 and jump up to it at their end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct WarmupStableDecay {
    pub base_lr: f64,
    pub num_warmup_steps: u64,
    pub num_stable_steps: u64,
    pub num_decay_steps: u64,
    #[serde(default)]
    pub min_lr_ratio: f64,
    #[serde(default = "default::half")]
    pub num_cycles: f64,
    #[serde(default = "cooldown_type")]
    pub cooldown_type: String,
}

fn cooldown_type() -> String {
    "1-sqrt".to_owned()
}

impl WarmupStableDecay {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "pytorch_optimizer.warmup_stable_decay";
        let check = Check::of(name);
        check.finite("base_lr", self.base_lr)?;
        check.finite("min_lr_ratio", self.min_lr_ratio)?;
        check.positive("num_cycles", self.num_cycles)?;
        let min = self.min_lr_ratio;
        let (curve, floor) = match self.cooldown_type.as_str() {
            "cosine" => (Curve::Waves(self.num_cycles), min),
            "1-sqrt" => (Curve::OneMinusSqrt, 0.0),
            "1-square" => (Curve::OneMinusSquare, 0.0),
            "linear" => (Curve::Linear, 0.0),
            other => {
                let allowed = "one of cosine, 1-sqrt, 1-square, linear";
                return Err(ScheduleError::parameter(
                    name,
                    "cooldown_type",
                    allowed,
                    other,
                ));
            }
        };
        let base_lr = self.base_lr;
        let warmup = self.num_warmup_steps as f64;
        let stable = warmup + self.num_stable_steps as f64;
        let decay = self.num_decay_steps as f64;
        Ok(Formula::new(name, move |at| {
            base_lr
                * if at < warmup {
                    at / warmup
                } else if at < stable {
                    1.0
                } else if at < stable + decay {
                    curve.between(1.0, floor, (at - stable) / decay)
                } else {
                    min
                }
        }))
    }
}

schedule_config!(
    WarmupStableDecay => Formula, "pytorch_optimizer.warmup_stable_decay",
    "pytorch-optimizer's warmup_stable_decay"
);

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn four_chebyshev_nodes_are_used_by_half_as_in_the_peer() {
        let config = Chebyshev {
            base_lr: 0.1,
            num_epochs: 4,
            is_warmup: false,
        };
        let steps = config.init().unwrap();
        let at = [0.0, 2.0, 3.0, 9.0].map(|t| (steps.value(t) * 1e9).round() / 1e9);
        let node = |theta: f64| 0.1 / (0.525 - 0.475 * (theta * PI).cos());
        let expected = [0.125, 0.125, 0.375, 0.375].map(|theta| (node(theta) * 1e9).round() / 1e9);
        assert_eq!(at, expected);
    }
}
