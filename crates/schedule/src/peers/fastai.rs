//! fastai: `fastai.callback.schedule` and `ReduceLROnPlateau`.
//!
//! Positions are fractions of the run: build these over
//! [`Unit::Fraction`] (`unit = "fraction"`).

use super::{Formula, default};
use crate::check::Check;
use crate::config::schedule_config;
use crate::math::cos_pi;
use crate::registry::{build_all, closed_form, simple};
use crate::{
    Curve, Mode, Pure, ReduceOnPlateau, ReduceOnPlateauConfig, ScheduleError, Schedulers, Sequence,
    Slot, Slots, Unit,
};
use firecraft_spec::{Registry, Spec, SpecError};
use serde::{Deserialize, Serialize};

pub(super) fn register(registry: &mut Registry<Schedulers>) -> Result<(), SpecError> {
    closed_form::<SchedLin>(registry)?;
    closed_form::<SchedCos>(registry)?;
    closed_form::<SchedNo>(registry)?;
    closed_form::<SchedExp>(registry)?;
    closed_form::<SchedPoly>(registry)?;
    closed_form::<CombinedCos>(registry)?;
    registry.register(
        "fastai.combine_scheds",
        "fastai's combine_scheds",
        |spec, registry| {
            let CombineScheds { pcts, scheds } = spec.parse()?;
            let parts = build_all(&scheds, "scheds", registry)?;
            Ok(Box::new(combine_scheds(&pcts, parts)?))
        },
    )?;
    registry.describe::<CombineScheds>("fastai.combine_scheds")?;
    simple(
        registry,
        "fastai.fit_one_cycle",
        "fastai's fit_one_cycle: lr and momentum over the run",
        FitOneCycle::init,
    )?;
    simple(
        registry,
        "fastai.fit_flat_cos",
        "fastai's fit_flat_cos over the run",
        FitFlatCos::init,
    )?;
    simple(
        registry,
        "fastai.fit_sgdr",
        "fastai's fit_sgdr over the run",
        FitSgdr::init,
    )?;
    simple(
        registry,
        "fastai.ReduceLROnPlateau",
        "fastai's ReduceLROnPlateau",
        ReduceLROnPlateau::init,
    )
}

/// Writes an annealer from `start` to `end`.
macro_rules! annealer {
    ($(#[$doc:meta])* $config:ident, $name:literal, |$start:ident, $end:ident, $pos:ident| $value:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs)]
        pub struct $config {
            pub start: f64,
            pub end: f64,
        }

        impl $config {
            /// The schedule.
            ///
            /// # Errors
            /// If an argument is not finite.
            pub fn init(&self) -> Result<Formula, ScheduleError> {
                let check = Check::of($name);
                check.finite("start", self.start)?;
                check.finite("end", self.end)?;
                let ($start, $end) = (self.start, self.end);
                Ok(Formula::new($name, move |$pos| $value))
            }
        }

        schedule_config!($config => Formula, $name, concat!("an annealer of ", $name));
    };
}

annealer!(
    /// `SchedLin`: linear.
    SchedLin, "fastai.SchedLin", |start, end, pos| start + pos * (end - start)
);
annealer!(
    /// `SchedCos`: half a cosine.
    SchedCos, "fastai.SchedCos", |start, end, pos| {
        start + (1.0 + cos_pi(1.0 - pos)) * (end - start) / 2.0
    }
);
annealer!(
    /// `SchedNo`: constant at `start`.
    SchedNo, "fastai.SchedNo", |start, _end, _pos| start
);
annealer!(
    /// `SchedExp`: exponential.
    SchedExp, "fastai.SchedExp", |start, end, pos| start * (end / start).powf(pos)
);

/// `SchedPoly`: polynomial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SchedPoly {
    pub start: f64,
    pub end: f64,
    pub power: f64,
}

impl SchedPoly {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "fastai.SchedPoly";
        let check = Check::of(name);
        check.finite("start", self.start)?;
        check.finite("end", self.end)?;
        check.positive("power", self.power)?;
        let Self { start, end, power } = *self;
        let value = move |pos: f64| start + (end - start) * pos.powf(power);
        Ok(Formula::new(name, value))
    }
}

schedule_config!(SchedPoly => Formula, "fastai.SchedPoly", "an annealer of fastai.SchedPoly");

/// `combined_cos`: a cosine from `start` to `middle` in the fraction `pct`, and
/// one from there to `end`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CombinedCos {
    pub pct: f64,
    pub start: f64,
    pub middle: f64,
    pub end: f64,
}

impl CombinedCos {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "fastai.combined_cos";
        let check = Check::of(name);
        check.open_fraction("pct", self.pct)?;
        check.finite("start", self.start)?;
        check.finite("middle", self.middle)?;
        check.finite("end", self.end)?;
        let Self {
            pct,
            start,
            middle,
            end,
        } = *self;
        Ok(Formula::new(name, move |pos| {
            if pos < pct {
                Curve::Cosine.between(start, middle, pos / pct)
            } else {
                Curve::Cosine.between(middle, end, (pos - pct) / (1.0 - pct))
            }
        }))
    }
}

schedule_config!(CombinedCos => Formula, "fastai.combined_cos", "fastai's combined_cos");

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CombineScheds {
    pcts: Vec<f64>,
    scheds: Vec<Spec>,
}

/// `combine_scheds`: each of `scheds` over its own fraction of the run.
///
/// # Errors
/// Unless there are as many fractions as schedules, all positive, and they sum
/// to 1.
pub fn combine_scheds(
    pcts: &[f64],
    scheds: Vec<crate::BoxScheduler>,
) -> Result<Sequence, ScheduleError> {
    let check = Check::of("fastai.combine_scheds");
    let as_many = format!("{} values, one per schedule", scheds.len());
    check.that(pcts.len() == scheds.len(), "pcts", as_many, pcts.len())?;
    let sum: f64 = pcts.iter().sum();
    check.that((sum - 1.0).abs() < 1e-9, "pcts", "a sum of 1", sum)?;
    let mut sequence = Sequence::new(Unit::Fraction);
    for (&pct, sched) in pcts.iter().zip(scheds) {
        sequence = sequence.then(sched, pct)?;
    }
    sequence.finish()
}

/// `Learner.fit_one_cycle`: two slots, `lr` and `momentum`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct FitOneCycle {
    pub lr_max: f64,
    #[serde(default = "div")]
    pub div: f64,
    #[serde(default = "div_final")]
    pub div_final: f64,
    #[serde(default = "quarter")]
    pub pct_start: f64,
    #[serde(default = "moms")]
    pub moms: [f64; 3],
}

const fn div() -> f64 {
    25.0
}
const fn div_final() -> f64 {
    1e5
}
const fn quarter() -> f64 {
    0.25
}
const fn moms() -> [f64; 3] {
    [0.95, 0.85, 0.95]
}

impl FitOneCycle {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Slots, ScheduleError> {
        let check = Check::of("fastai.fit_one_cycle");
        check.finite("lr_max", self.lr_max)?;
        check.open_fraction("pct_start", self.pct_start)?;
        for (nth, &momentum) in self.moms.iter().enumerate() {
            check.finite(&format!("moms[{nth}]"), momentum)?;
        }
        check.positive("div", self.div)?;
        check.positive("div_final", self.div_final)?;
        let cosine = |start, middle, end| {
            let pct = self.pct_start;
            let config = CombinedCos {
                pct,
                start,
                middle,
                end,
            };
            config
                .init()
                .map(|formula| Pure::new(formula, Unit::Fraction))
        };
        let lr = self.lr_max;
        let [start, middle, end] = self.moms;
        Ok(Slots::new()
            .with(
                Slot::default(),
                cosine(lr / self.div, lr, lr / self.div_final)?,
            )
            .with(Slot::new(Slot::MOMENTUM), cosine(start, middle, end)?))
    }
}

/// `Learner.fit_flat_cos`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct FitFlatCos {
    pub lr: f64,
    #[serde(default = "div_final")]
    pub div_final: f64,
    #[serde(default = "three_quarters")]
    pub pct_start: f64,
}

const fn three_quarters() -> f64 {
    0.75
}

impl FitFlatCos {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Pure<crate::FlatCosine>, ScheduleError> {
        let name = "fastai.fit_flat_cos";
        let check = Check::of(name);
        check.finite("lr", self.lr)?;
        check.positive("div_final", self.div_final)?;
        let in_range = (0.0..1.0).contains(&self.pct_start);
        check.that(in_range, "pct_start", "in [0, 1)", self.pct_start)?;
        let config = crate::FlatCosineConfig::fastai(self.lr, 1.0, self.pct_start, self.div_final);
        Ok(Pure::new(config.init()?, Unit::Fraction))
    }
}

/// `Learner.fit_sgdr`: `n_cycles` of cosines from `lr_max` to 0, each
/// `cycle_mult` times as long as the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct FitSgdr {
    pub lr_max: f64,
    pub n_cycles: u64,
    #[serde(default = "default::two")]
    pub cycle_mult: f64,
}

impl FitSgdr {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Pure<crate::WarmRestarts>, ScheduleError> {
        let check = Check::of("fastai.fit_sgdr");
        check.finite("lr_max", self.lr_max)?;
        let in_range = (1..=64).contains(&self.n_cycles);
        check.that(in_range, "n_cycles", "in 1 ..= 64", self.n_cycles)?;
        check.positive("cycle_mult", self.cycle_mult)?;
        let cycles: f64 = (0..self.n_cycles)
            .map(|i| self.cycle_mult.powi(i as i32))
            .sum();
        let config = crate::WarmRestartsConfig::new(self.lr_max, 1.0 / cycles)
            .with_length_factor(self.cycle_mult)
            .with_cycles(self.n_cycles);
        Ok(Pure::new(config.init()?, Unit::Fraction))
    }
}

/// `fastai.callback.tracker.ReduceLROnPlateau`: `factor` divides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ReduceLROnPlateau {
    pub base_lr: f64,
    #[serde(default = "valid_loss")]
    pub monitor: String,
    #[serde(default)]
    pub min_delta: f64,
    #[serde(default = "one")]
    pub patience: u64,
    #[serde(default = "ten")]
    pub factor: f64,
    #[serde(default)]
    pub min_lr: f64,
}

fn valid_loss() -> String {
    "valid_loss".to_owned()
}
const fn one() -> u64 {
    1
}
const fn ten() -> f64 {
    10.0
}

impl ReduceLROnPlateau {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<ReduceOnPlateau, ScheduleError> {
        let check = Check::of("fastai.ReduceLROnPlateau");
        check.finite("base_lr", self.base_lr)?;
        check.non_negative("min_lr", self.min_lr)?;
        check.that(self.factor > 1.0, "factor", "> 1, it divides", self.factor)?;
        check.finite("factor", self.factor)?;
        // fastai knows losses and errors by name; all else it maximises.
        let falling = self.monitor.contains("loss") || self.monitor.contains("error");
        ReduceOnPlateauConfig::fastai(self.base_lr)
            .with_mode(if falling { Mode::Min } else { Mode::Max })
            .with_min_delta(self.min_delta)
            .with_patience(self.patience)
            .with_factor(1.0 / self.factor)
            .with_min(self.min_lr)
            .init()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoxScheduler, Horizon, step_value};

    #[test]
    fn fractions_must_sum_to_one() {
        let constant = || -> BoxScheduler {
            let constant = crate::ConstantConfig::new(1.0).init().unwrap();
            Box::new(Pure::updates(constant))
        };
        assert!(combine_scheds(&[0.5, 0.5], vec![constant(), constant()]).is_ok());
        assert!(combine_scheds(&[0.5, 0.6], vec![constant(), constant()]).is_err());
        assert!(combine_scheds(&[1.0], vec![constant(), constant()]).is_err());
    }

    #[test]
    fn sgdr_fills_the_run() {
        let config = FitSgdr {
            lr_max: 1.0,
            n_cycles: 3,
            cycle_mult: 2.0,
        };
        let mut sgdr = config.init().unwrap();
        let run = Horizon::updates(70);
        let at = [0, 10, 30, 70].map(|t| step_value(&mut sgdr, &run.at(t)));
        assert!(at[..3].iter().all(|v| (v - 1.0).abs() < 1e-9), "{at:?}");
        assert!(at[3] < 1e-9);
    }
}
