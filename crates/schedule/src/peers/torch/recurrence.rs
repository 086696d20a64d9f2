//! torch's recurrences, for schedulers that act on one learning rate together.

use super::{
    ConstantLR, CosineAnnealingLR, CosineAnnealingWarmRestarts, ExponentialLR, LinearLR,
    MultiStepLR, PolynomialLR, StepLR,
};
use crate::check::Check;
use crate::math::cos_pi;
use crate::{Schedule, ScheduleError, Scheduler, State, StepContext};
use serde::{Deserialize, Serialize};

/// A scheduler of torch as a member of a chain or a sequence: how it makes the
/// next learning rate from the present one.
///
/// Written as a spec: `{ type = "StepLR", step_size = 10 }`, without a
/// `base_lr`, which the whole has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
#[allow(missing_docs, non_snake_case)]
#[non_exhaustive]
pub enum Recurrence {
    #[serde(rename = "StepLR")]
    Step {
        step_size: u64,
        #[serde(default = "tenth")]
        gamma: f64,
    },
    #[serde(rename = "MultiStepLR")]
    MultiStep {
        milestones: Vec<u64>,
        #[serde(default = "tenth")]
        gamma: f64,
    },
    #[serde(rename = "ConstantLR")]
    Constant {
        #[serde(default = "third")]
        factor: f64,
        #[serde(default = "five")]
        total_iters: u64,
    },
    #[serde(rename = "LinearLR")]
    Linear {
        #[serde(default = "third")]
        start_factor: f64,
        #[serde(default = "one")]
        end_factor: f64,
        #[serde(default = "five")]
        total_iters: u64,
    },
    #[serde(rename = "ExponentialLR")]
    Exponential { gamma: f64 },
    #[serde(rename = "PolynomialLR")]
    Polynomial {
        #[serde(default = "five")]
        total_iters: u64,
        #[serde(default = "one")]
        power: f64,
    },
    #[serde(rename = "CosineAnnealingLR")]
    CosineAnnealing {
        T_max: u64,
        #[serde(default)]
        eta_min: f64,
    },
    #[serde(rename = "CosineAnnealingWarmRestarts")]
    WarmRestarts {
        T_0: u64,
        #[serde(default = "one_count")]
        T_mult: u64,
        #[serde(default)]
        eta_min: f64,
    },
    #[serde(rename = "SequentialLR")]
    Sequential {
        schedulers: Vec<Recurrence>,
        milestones: Vec<u64>,
    },
    #[serde(rename = "ChainedScheduler")]
    Chained { schedulers: Vec<Recurrence> },
}

const fn tenth() -> f64 {
    0.1
}
const fn third() -> f64 {
    1.0 / 3.0
}
const fn five() -> u64 {
    5
}
const fn one() -> f64 {
    1.0
}
const fn one_count() -> u64 {
    1
}

impl Recurrence {
    /// The same checks as for the scheduler alone.
    fn check(&self, base_lr: f64) -> Result<(), ScheduleError> {
        match *self {
            Self::Step { step_size, gamma } => StepLR {
                base_lr,
                step_size,
                gamma,
            }
            .init()
            .map(drop),
            Self::MultiStep {
                ref milestones,
                gamma,
            } => MultiStepLR {
                base_lr,
                milestones: milestones.clone(),
                gamma,
            }
            .init()
            .map(drop),
            Self::Constant {
                factor,
                total_iters,
            } => {
                // A chain divides by the factor again.
                Check::of("torch.ConstantLR").positive("factor", factor)?;
                ConstantLR {
                    base_lr,
                    factor,
                    total_iters,
                }
                .init()
                .map(drop)
            }
            Self::Linear {
                start_factor,
                end_factor,
                total_iters,
            } => LinearLR {
                base_lr,
                start_factor,
                end_factor,
                total_iters,
            }
            .check(),
            Self::Exponential { gamma } => ExponentialLR { base_lr, gamma }.init().map(drop),
            Self::Polynomial { total_iters, power } => PolynomialLR {
                base_lr,
                total_iters,
                power,
            }
            .init()
            .map(drop),
            Self::CosineAnnealing { T_max, eta_min } => CosineAnnealingLR {
                base_lr,
                T_max,
                eta_min,
            }
            .check(),
            Self::WarmRestarts { .. } => self.restarts(base_lr).map(drop),
            Self::Sequential {
                ref schedulers,
                ref milestones,
            } => check_sequence(schedulers, milestones, base_lr),
            Self::Chained { ref schedulers } => check_chain(schedulers, base_lr),
        }
    }

    fn restarts(&self, base_lr: f64) -> Result<crate::WarmRestarts, ScheduleError> {
        let (t_0, t_mult, eta_min) = match *self {
            Self::WarmRestarts {
                T_0,
                T_mult,
                eta_min,
            } => (T_0, T_mult, eta_min),
            _ => (1, 1, 0.0),
        };
        CosineAnnealingWarmRestarts {
            base_lr,
            T_0: t_0,
            T_mult: t_mult,
            eta_min,
        }
        .init()
    }

    /// The learning rate at step `t` of this scheduler, from the one before.
    fn next(&self, t: u64, lr: f64, base_lr: f64) -> f64 {
        let at = t as f64;
        match *self {
            Self::Step { step_size, gamma } => {
                if t > 0 && t.is_multiple_of(step_size) {
                    lr * gamma
                } else {
                    lr
                }
            }
            Self::MultiStep {
                ref milestones,
                gamma,
            } => {
                let times = milestones.iter().filter(|&&m| m == t).count();
                lr * gamma.powi(times as i32)
            }
            Self::Constant {
                factor,
                total_iters,
            } => match t {
                0 => lr * factor,
                t if t == total_iters => lr / factor,
                _ => lr,
            },
            Self::Linear {
                start_factor,
                end_factor,
                total_iters,
            } => {
                let total = total_iters as f64;
                if t == 0 {
                    lr * start_factor
                } else if t > total_iters {
                    lr
                } else {
                    let change = end_factor - start_factor;
                    lr * (1.0 + change / (total * start_factor + (at - 1.0) * change))
                }
            }
            Self::Exponential { gamma } if t > 0 => lr * gamma,
            Self::Polynomial { total_iters, power } if t > 0 && t <= total_iters => {
                let total = total_iters as f64;
                lr * ((1.0 - at / total) / (1.0 - (at - 1.0) / total)).powf(power)
            }
            Self::Exponential { .. } | Self::Polynomial { .. } => lr,
            Self::CosineAnnealing { T_max, eta_min } => {
                let max = T_max as f64;
                if t == 0 {
                    lr
                } else if (t - 1) % T_max.saturating_mul(2) == T_max {
                    lr + (base_lr - eta_min) * (1.0 - cos_pi(1.0 / max)) / 2.0
                } else {
                    let ratio = (1.0 + cos_pi(at / max)) / (1.0 + cos_pi((at - 1.0) / max));
                    ratio * (lr - eta_min) + eta_min
                }
            }
            Self::WarmRestarts { .. } => self
                .restarts(base_lr)
                .map_or(lr, |restarts| restarts.value(at)),
            Self::Sequential {
                ref schedulers,
                ref milestones,
            } => {
                let active = milestones.partition_point(|&milestone| milestone <= t);
                let active = active.min(schedulers.len() - 1);
                match active.checked_sub(1).map(|before| milestones[before]) {
                    // At a milestone the next one is started from the base.
                    Some(milestone) if milestone == t => schedulers[active].start(base_lr),
                    Some(milestone) => schedulers[active].next(t - milestone, lr, base_lr),
                    // Its construction undoes what the chain did before it.
                    None if t == 0 => schedulers[active].start(base_lr),
                    None => schedulers[active].next(t, lr, base_lr),
                }
            }
            Self::Chained { ref schedulers } => schedulers
                .iter()
                .fold(lr, |lr, scheduler| scheduler.next(t, lr, base_lr)),
        }
    }

    /// The learning rate after torch's `step(0)`: the closed form.
    fn start(&self, base_lr: f64) -> f64 {
        self.next(0, base_lr, base_lr)
    }
}

fn check_sequence(
    schedulers: &[Recurrence],
    milestones: &[u64],
    base_lr: f64,
) -> Result<(), ScheduleError> {
    let check = Check::of("torch.SequentialLR");
    check.that(!schedulers.is_empty(), "schedulers", "one or more", "none")?;
    let needed = schedulers.len() - 1;
    let allowed = format!("{needed} values, one fewer than schedulers");
    check.that(
        milestones.len() == needed,
        "milestones",
        allowed,
        milestones.len(),
    )?;
    for (nth, pair) in milestones.windows(2).enumerate() {
        let field = format!("milestones[{}]", nth + 1);
        check.that(pair[1] > pair[0], field, format!("> {}", pair[0]), pair[1])?;
    }
    schedulers
        .iter()
        .try_for_each(|scheduler| scheduler.check(base_lr))
}

fn check_chain(schedulers: &[Recurrence], base_lr: f64) -> Result<(), ScheduleError> {
    let check = Check::of("torch.ChainedScheduler");
    check.that(!schedulers.is_empty(), "schedulers", "one or more", "none")?;
    schedulers
        .iter()
        .try_for_each(|scheduler| scheduler.check(base_lr))
}

/// `SequentialLR`: at each milestone the next scheduler starts from the base
/// learning rate.
///
/// ```
/// use firecraft_schedule::{Schedulers, StepContext, register, step_value};
/// use firecraft_spec::{Registries, Spec};
/// let mut registries = Registries::new();
/// register(&mut registries)?;
/// let spec: Spec = toml::from_str(
///     r#"
///     type = "torch.SequentialLR"
///     base_lr = 0.1
///     milestones = [2]
///     schedulers = [
///         { type = "LinearLR", start_factor = 0.5, total_iters = 2 },
///         { type = "ExponentialLR", gamma = 0.5 },
///     ]
///     "#,
/// )?;
/// let mut schedule = registries.build::<Schedulers>(&spec)?;
/// let mut at = |t| (step_value(&mut schedule, &StepContext::at(t)) * 1e9).round() / 1e9;
/// assert_eq!([at(0), at(1), at(2), at(3)], [0.05, 0.075, 0.1, 0.05]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SequentialLR {
    pub base_lr: f64,
    pub schedulers: Vec<Recurrence>,
    pub milestones: Vec<u64>,
}

impl SequentialLR {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Recurrent, ScheduleError> {
        Check::of("torch.SequentialLR").finite("base_lr", self.base_lr)?;
        check_sequence(&self.schedulers, &self.milestones, self.base_lr)?;
        Ok(Recurrent::new(
            self.base_lr,
            Recurrence::Sequential {
                schedulers: self.schedulers.clone(),
                milestones: self.milestones.clone(),
            },
        ))
    }
}

/// `ChainedScheduler`: all act on the same learning rate, one after the other.
///
/// For pure factors this is their product; a floor (`eta_min`) in the chain is
/// lowered by the factors that come after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ChainedScheduler {
    pub base_lr: f64,
    pub schedulers: Vec<Recurrence>,
}

impl ChainedScheduler {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Recurrent, ScheduleError> {
        Check::of("torch.ChainedScheduler").finite("base_lr", self.base_lr)?;
        check_chain(&self.schedulers, self.base_lr)?;
        Ok(Recurrent::new(
            self.base_lr,
            Recurrence::Chained {
                schedulers: self.schedulers.clone(),
            },
        ))
    }
}

/// A learning rate that is computed from the one before. Skipped updates are
/// made up for.
#[derive(Clone, Debug)]
pub struct Recurrent {
    base_lr: f64,
    recurrence: Recurrence,
    lr: f64,
    /// The update whose learning rate `lr` is.
    update: u64,
}

impl Recurrent {
    fn new(base_lr: f64, recurrence: Recurrence) -> Self {
        Self {
            lr: recurrence.start(base_lr),
            base_lr,
            recurrence,
            update: 0,
        }
    }
}

impl Scheduler for Recurrent {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        if context.update < self.update {
            self.lr = self.recurrence.start(self.base_lr);
            self.update = 0;
        }
        while self.update < context.update {
            self.update += 1;
            self.lr = self.recurrence.next(self.update, self.lr, self.base_lr);
        }
        out.fill(self.lr);
    }

    fn state(&self) -> State {
        State::new("torch.recurrence", 1)
            .with("lr", self.lr)
            .with_count("update", self.update)
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("torch.recurrence", 1)?;
        self.lr = values.get("lr")?;
        self.update = values.get("update")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step_value;

    fn alone(recurrence: Recurrence, steps: u64) -> Vec<f64> {
        let mut chain = ChainedScheduler {
            base_lr: 0.1,
            schedulers: vec![recurrence],
        }
        .init()
        .unwrap();
        (0..steps)
            .map(|t| step_value(&mut chain, &StepContext::at(t)))
            .collect()
    }

    #[test]
    fn recurrences_agree_with_the_closed_forms() {
        let base_lr = 0.1;
        let cosine = CosineAnnealingLR {
            base_lr,
            T_max: 7,
            eta_min: 0.02,
        };
        let recurrence = Recurrence::CosineAnnealing {
            T_max: 7,
            eta_min: 0.02,
        };
        let closed = cosine.init().unwrap();
        for (t, lr) in alone(recurrence, 60).into_iter().enumerate() {
            assert!((lr - closed.value(t as f64)).abs() < 1e-12, "{t}");
        }
        let linear = Recurrence::Linear {
            start_factor: 0.2,
            end_factor: 0.9,
            total_iters: 11,
        };
        let closed = LinearLR {
            base_lr,
            start_factor: 0.2,
            end_factor: 0.9,
            total_iters: 11,
        };
        let closed = closed.init().unwrap();
        for (t, lr) in alone(linear, 30).into_iter().enumerate() {
            assert!((lr - closed.value(t as f64)).abs() < 1e-12, "{t}");
        }
    }

    #[test]
    fn a_sequence_in_a_chain_starts_from_the_base_as_in_torch() {
        let constant = |factor| Recurrence::Constant {
            factor,
            total_iters: 20,
        };
        let sequence = Recurrence::Sequential {
            schedulers: vec![constant(0.5), Recurrence::Exponential { gamma: 0.9 }],
            milestones: vec![10],
        };
        let first = |schedulers| {
            let chain = ChainedScheduler {
                base_lr: 1.0,
                schedulers,
            };
            step_value(&mut chain.init().unwrap(), &StepContext::at(0))
        };
        assert_eq!(first(vec![constant(0.1), sequence.clone()]), 0.5);
        assert_eq!(first(vec![sequence, constant(0.1)]), 0.05);
    }

    #[test]
    fn a_restored_chain_goes_on_as_if_nothing_had_happened() {
        let config = ChainedScheduler {
            base_lr: 0.1,
            schedulers: vec![
                Recurrence::CosineAnnealing {
                    T_max: 10,
                    eta_min: 0.01,
                },
                Recurrence::Exponential { gamma: 0.97 },
            ],
        };
        let mut whole = config.init().unwrap();
        let values: Vec<f64> = (0..40)
            .map(|t| step_value(&mut whole, &StepContext::at(t)))
            .collect();
        for split in 1..40 {
            let mut first = config.init().unwrap();
            step_value(&mut first, &StepContext::at(split - 1));
            let mut second = config.init().unwrap();
            second.restore(&first.state()).unwrap();
            let value = step_value(&mut second, &StepContext::at(split));
            assert_eq!(value.to_bits(), values[split as usize].to_bits());
        }
    }

    #[test]
    fn unknown_members_and_arguments_are_refused() {
        let parse = toml::from_str::<Recurrence>;
        assert!(parse("type = 'StepLR'\nstep_size = 3").is_ok());
        assert!(parse("type = 'StepsLR'\nstep_size = 3").is_err());
        assert!(parse("type = 'StepLR'\nstep_size = 3\nstep = 3").is_err());
    }
}
