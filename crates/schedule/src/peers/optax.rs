//! optax: `optax.schedules` and `optax.contrib.reduce_on_plateau`.
//!
//! JAX computes in `f32`; here it is `f64` and agrees to about 1e-6. A decay
//! rate is rounded to `f32` first: its error would grow with every step.

use super::{Formula, default};
use crate::check::Check;
use crate::config::schedule_config;
use crate::registry::{closed_form, simple};
use crate::{
    Cosine, CosineConfig, Curve, Knot, ReduceOnPlateau as Plateau, ReduceOnPlateauConfig, Schedule,
    ScheduleError, Schedulers,
};
use firecraft_spec::{Registry, SpecError};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

pub(super) fn register(registry: &mut Registry<Schedulers>) -> Result<(), SpecError> {
    closed_form::<ConstantSchedule>(registry)?;
    closed_form::<LinearSchedule>(registry)?;
    closed_form::<PolynomialSchedule>(registry)?;
    closed_form::<ExponentialDecay>(registry)?;
    closed_form::<CosineDecaySchedule>(registry)?;
    closed_form::<PiecewiseConstantSchedule>(registry)?;
    closed_form::<PiecewiseInterpolateSchedule>(registry)?;
    closed_form::<LinearOnecycleSchedule>(registry)?;
    closed_form::<CosineOnecycleSchedule>(registry)?;
    closed_form::<WarmupConstantSchedule>(registry)?;
    closed_form::<WarmupCosineDecaySchedule>(registry)?;
    closed_form::<WarmupExponentialDecaySchedule>(registry)?;
    closed_form::<SgdrSchedule>(registry)?;
    simple(
        registry,
        "optax.reduce_on_plateau",
        "optax's reduce_on_plateau, a scale that begins at 1",
        ReduceOnPlateau::init,
    )
}

/// `schedules`, changing at `boundaries`, each with its own count.
fn join(schedules: Vec<Formula>, boundaries: Vec<f64>) -> impl Fn(f64) -> f64 + Send {
    move |at| {
        let active = boundaries.partition_point(|&boundary| boundary <= at);
        let active = active.min(schedules.len().saturating_sub(1));
        let start = match active.checked_sub(1) {
            Some(before) => boundaries[before],
            None => 0.0,
        };
        schedules
            .get(active)
            .map_or(0.0, |schedule| schedule.value(at - start))
    }
}

/// `constant_schedule`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ConstantSchedule {
    pub value: f64,
}

impl ConstantSchedule {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "optax.constant_schedule";
        Check::of(name).finite("value", self.value)?;
        let value = self.value;
        Ok(Formula::new(name, move |_| value))
    }
}

schedule_config!(
    ConstantSchedule => Formula, "optax.constant_schedule", "optax's constant_schedule"
);

/// `polynomial_schedule`: constant if there are no `transition_steps`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct PolynomialSchedule {
    pub init_value: f64,
    pub end_value: f64,
    pub power: f64,
    pub transition_steps: i64,
    #[serde(default)]
    pub transition_begin: i64,
}

impl PolynomialSchedule {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "optax.polynomial_schedule";
        let check = Check::of(name);
        check.finite("init_value", self.init_value)?;
        check.finite("end_value", self.end_value)?;
        check.non_negative("power", self.power)?;
        let Self {
            init_value: init,
            end_value: end,
            power,
            ..
        } = *self;
        let steps = self.transition_steps as f64;
        let begin = self.transition_begin.max(0) as f64;
        Ok(Formula::new(name, move |at| {
            if steps <= 0.0 {
                return init;
            }
            let left = 1.0 - (at - begin).clamp(0.0, steps) / steps;
            (init - end) * left.powf(power) + end
        }))
    }
}

schedule_config!(
    PolynomialSchedule => Formula, "optax.polynomial_schedule", "optax's polynomial_schedule"
);

/// `linear_schedule`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct LinearSchedule {
    pub init_value: f64,
    pub end_value: f64,
    pub transition_steps: i64,
    #[serde(default)]
    pub transition_begin: i64,
}

impl LinearSchedule {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        PolynomialSchedule {
            init_value: self.init_value,
            end_value: self.end_value,
            power: 1.0,
            transition_steps: self.transition_steps,
            transition_begin: self.transition_begin,
        }
        .init()
    }
}

schedule_config!(LinearSchedule => Formula, "optax.linear_schedule", "optax's linear_schedule");

/// `exponential_decay`: constant if there are no `transition_steps` or no
/// `decay_rate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ExponentialDecay {
    pub init_value: f64,
    pub transition_steps: i64,
    pub decay_rate: f64,
    #[serde(default)]
    pub transition_begin: i64,
    #[serde(default)]
    pub staircase: bool,
    #[serde(default)]
    pub end_value: Option<f64>,
}

impl ExponentialDecay {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "optax.exponential_decay";
        let check = Check::of(name);
        check.finite("init_value", self.init_value)?;
        check.non_negative("decay_rate", self.decay_rate)?;
        check.finite("end_value", self.end_value.unwrap_or(0.0))?;
        let config = Self {
            decay_rate: default::rounded(self.decay_rate),
            ..self.clone()
        };
        let steps = self.transition_steps as f64;
        let begin = self.transition_begin.max(0) as f64;
        Ok(Formula::new(name, move |at| {
            if steps <= 0.0 || config.decay_rate == 0.0 {
                return config.init_value;
            }
            let mut p = (at - begin).max(0.0) / steps;
            if config.staircase {
                p = p.floor();
            }
            let value = config.init_value * config.decay_rate.powf(p);
            match config.end_value {
                Some(end) if config.decay_rate < 1.0 => value.max(end),
                Some(end) => value.min(end),
                None => value,
            }
        }))
    }
}

schedule_config!(
    ExponentialDecay => Formula, "optax.exponential_decay", "optax's exponential_decay"
);

/// `cosine_decay_schedule`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CosineDecaySchedule {
    pub init_value: f64,
    pub decay_steps: f64,
    #[serde(default)]
    pub alpha: f64,
    #[serde(default = "default::one")]
    pub exponent: f64,
}

impl CosineDecaySchedule {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Cosine, ScheduleError> {
        let check = Check::of("optax.cosine_decay_schedule");
        check.finite("init_value", self.init_value)?;
        check.positive("decay_steps", self.decay_steps)?;
        check.finite("alpha", self.alpha)?;
        check.positive("exponent", self.exponent)?;
        CosineConfig::keras(self.init_value, self.decay_steps, self.alpha)
            .with_exponent(self.exponent)
            .init()
    }
}

schedule_config!(
    CosineDecaySchedule => Cosine, "optax.cosine_decay_schedule", "optax's cosine_decay_schedule"
);

/// Boundaries and scales, written as a table from the boundary to the scale.
fn boundaries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Knot>, D::Error> {
    let table: Option<BTreeMap<String, f64>> = Option::deserialize(deserializer)?;
    let mut knots = Vec::new();
    for (at, value) in table.unwrap_or_default() {
        let at: f64 = at.parse().map_err(|_| {
            serde::de::Error::custom(format_args!("the boundary `{at}` is no number"))
        })?;
        knots.push(Knot { at, value });
    }
    knots.sort_by(|a, b| a.at.total_cmp(&b.at));
    Ok(knots)
}

fn check_scales(check: Check, scales: &[Knot]) -> Result<(), ScheduleError> {
    for Knot { at, value } in scales {
        check.finite("boundaries_and_scales", *at)?;
        check.non_negative(&format!("boundaries_and_scales.{at}"), *value)?;
    }
    Ok(())
}

/// `piecewise_constant_schedule`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct PiecewiseConstantSchedule {
    pub init_value: f64,
    #[serde(default, deserialize_with = "boundaries")]
    pub boundaries_and_scales: Vec<Knot>,
}

impl PiecewiseConstantSchedule {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "optax.piecewise_constant_schedule";
        let check = Check::of(name);
        check.finite("init_value", self.init_value)?;
        check_scales(check, &self.boundaries_and_scales)?;
        let config = self.clone();
        Ok(Formula::new(name, move |at| {
            let passed = config.boundaries_and_scales.iter();
            let passed = passed.take_while(|knot| knot.at <= at);
            passed.fold(config.init_value, |value, knot| knot.value * value)
        }))
    }
}

schedule_config!(
    PiecewiseConstantSchedule => Formula, "optax.piecewise_constant_schedule",
    "optax's piecewise_constant_schedule"
);

/// `piecewise_interpolate_schedule`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct PiecewiseInterpolateSchedule {
    pub interpolate_type: String,
    pub init_value: f64,
    #[serde(default, deserialize_with = "boundaries")]
    pub boundaries_and_scales: Vec<Knot>,
}

impl PiecewiseInterpolateSchedule {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "optax.piecewise_interpolate_schedule";
        let check = Check::of(name);
        check.finite("init_value", self.init_value)?;
        check_scales(check, &self.boundaries_and_scales)?;
        let curve = match self.interpolate_type.as_str() {
            "linear" => Curve::Linear,
            "cosine" => Curve::Cosine,
            other => {
                let allowed = "one of linear, cosine";
                return Err(ScheduleError::parameter(
                    name,
                    "interpolate_type",
                    allowed,
                    other,
                ));
            }
        };
        Ok(scaled_knots(
            name,
            curve,
            self.init_value,
            self.boundaries_and_scales.clone(),
        ))
    }
}

schedule_config!(
    PiecewiseInterpolateSchedule => Formula, "optax.piecewise_interpolate_schedule",
    "optax's piecewise_interpolate_schedule"
);

/// A curve through knots whose values are factors of the value before.
fn scaled_knots(name: &'static str, curve: Curve, init: f64, scales: Vec<Knot>) -> Formula {
    let mut knots = vec![Knot {
        at: 0.0,
        value: init,
    }];
    let mut value = init;
    for scale in scales {
        value *= scale.value;
        knots.push(Knot {
            at: scale.at,
            value,
        });
    }
    Formula::new(name, move |at| {
        // The last knot that is passed; of several in one place, the last.
        let next = knots.partition_point(|knot| knot.at <= at);
        match (
            next.checked_sub(1).and_then(|i| knots.get(i)),
            knots.get(next),
        ) {
            (Some(a), Some(b)) => curve.between(a.value, b.value, (at - a.at) / (b.at - a.at)),
            (Some(knot), None) | (None, Some(knot)) => knot.value,
            (None, None) => init,
        }
    })
}

/// `linear_onecycle_schedule`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct LinearOnecycleSchedule {
    pub transition_steps: u64,
    pub peak_value: f64,
    #[serde(default = "pct_start")]
    pub pct_start: f64,
    #[serde(default = "pct_final")]
    pub pct_final: f64,
    #[serde(default = "div_factor")]
    pub div_factor: f64,
    #[serde(default = "final_div_factor")]
    pub final_div_factor: f64,
}

const fn pct_start() -> f64 {
    0.3
}
const fn pct_final() -> f64 {
    0.85
}
const fn div_factor() -> f64 {
    25.0
}
const fn final_div_factor() -> f64 {
    1e4
}

impl LinearOnecycleSchedule {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "optax.linear_onecycle_schedule";
        let check = Check::of(name);
        check.at_least_one("transition_steps", self.transition_steps)?;
        check.finite("peak_value", self.peak_value)?;
        check.fraction("pct_start", self.pct_start)?;
        check.fraction("pct_final", self.pct_final)?;
        check.ordered(("pct_start", self.pct_start), ("pct_final", self.pct_final))?;
        check.positive("div_factor", self.div_factor)?;
        check.positive("final_div_factor", self.final_div_factor)?;
        let steps = self.transition_steps as f64;
        let knot = |at: f64, value| Knot { at, value };
        let scales = vec![
            knot((self.pct_start * steps).trunc(), self.div_factor),
            knot((self.pct_final * steps).trunc(), 1.0 / self.div_factor),
            knot(steps, 1.0 / self.final_div_factor),
        ];
        let init = self.peak_value / self.div_factor;
        Ok(scaled_knots(name, Curve::Linear, init, scales))
    }
}

schedule_config!(
    LinearOnecycleSchedule => Formula, "optax.linear_onecycle_schedule",
    "optax's linear_onecycle_schedule"
);

/// `cosine_onecycle_schedule`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CosineOnecycleSchedule {
    pub transition_steps: u64,
    pub peak_value: f64,
    #[serde(default = "pct_start")]
    pub pct_start: f64,
    #[serde(default = "div_factor")]
    pub div_factor: f64,
    #[serde(default = "final_div_factor")]
    pub final_div_factor: f64,
}

impl CosineOnecycleSchedule {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "optax.cosine_onecycle_schedule";
        let check = Check::of(name);
        check.at_least_one("transition_steps", self.transition_steps)?;
        check.finite("peak_value", self.peak_value)?;
        check.fraction("pct_start", self.pct_start)?;
        check.positive("div_factor", self.div_factor)?;
        check.positive("final_div_factor", self.final_div_factor)?;
        let steps = self.transition_steps as f64;
        let fall = 1.0 / (self.div_factor * self.final_div_factor);
        let knot = |at: f64, value| Knot { at, value };
        let scales = vec![
            knot((self.pct_start * steps).trunc(), self.div_factor),
            knot(steps, fall),
        ];
        let init = self.peak_value / self.div_factor;
        Ok(scaled_knots(name, Curve::Cosine, init, scales))
    }
}

schedule_config!(
    CosineOnecycleSchedule => Formula, "optax.cosine_onecycle_schedule",
    "optax's cosine_onecycle_schedule"
);

/// `warmup_constant_schedule`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct WarmupConstantSchedule {
    pub init_value: f64,
    pub peak_value: f64,
    pub warmup_steps: i64,
}

impl WarmupConstantSchedule {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        Check::of("optax.warmup_constant_schedule").finite("peak_value", self.peak_value)?;
        ramp(self.init_value, self.peak_value, self.warmup_steps)
    }
}

schedule_config!(
    WarmupConstantSchedule => Formula, "optax.warmup_constant_schedule",
    "optax's warmup_constant_schedule"
);

fn ramp(init_value: f64, end_value: f64, transition_steps: i64) -> Result<Formula, ScheduleError> {
    LinearSchedule {
        init_value,
        end_value,
        transition_steps,
        transition_begin: 0,
    }
    .init()
}

/// `warmup_cosine_decay_schedule`: `decay_steps` include the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct WarmupCosineDecaySchedule {
    pub init_value: f64,
    pub peak_value: f64,
    pub warmup_steps: u64,
    pub decay_steps: u64,
    #[serde(default)]
    pub end_value: f64,
    #[serde(default = "default::one")]
    pub exponent: f64,
}

impl WarmupCosineDecaySchedule {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range, or the warm-up is not shorter than
    /// the whole.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "optax.warmup_cosine_decay_schedule";
        let check = Check::of(name);
        check.finite("peak_value", self.peak_value)?;
        check.finite("end_value", self.end_value)?;
        let allowed = format!("> `warmup_steps` = {}", self.warmup_steps);
        let longer = self.decay_steps > self.warmup_steps;
        check.that(longer, "decay_steps", allowed, self.decay_steps)?;
        let warmup = self.warmup_steps;
        let alpha = if self.peak_value == 0.0 {
            0.0
        } else {
            self.end_value / self.peak_value
        };
        let cosine = CosineDecaySchedule {
            init_value: self.peak_value,
            decay_steps: (self.decay_steps - warmup) as f64,
            alpha,
            exponent: self.exponent,
        };
        let cosine = cosine.init()?;
        let steps = i64::try_from(warmup).unwrap_or(i64::MAX);
        let parts = vec![
            ramp(self.init_value, self.peak_value, steps)?,
            Formula::new(name, move |at| cosine.value(at)),
        ];
        let length = warmup as f64;
        Ok(Formula::new(name, join(parts, vec![length])).warming("warmup_steps", length))
    }
}

schedule_config!(
    WarmupCosineDecaySchedule => Formula, "optax.warmup_cosine_decay_schedule",
    "optax's warmup_cosine_decay_schedule"
);

/// `warmup_exponential_decay_schedule`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct WarmupExponentialDecaySchedule {
    pub init_value: f64,
    pub peak_value: f64,
    pub warmup_steps: i64,
    pub transition_steps: i64,
    pub decay_rate: f64,
    #[serde(default)]
    pub transition_begin: i64,
    #[serde(default)]
    pub staircase: bool,
    #[serde(default)]
    pub end_value: Option<f64>,
}

impl WarmupExponentialDecaySchedule {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "optax.warmup_exponential_decay_schedule";
        Check::of(name).finite("peak_value", self.peak_value)?;
        let decay = ExponentialDecay {
            init_value: self.peak_value,
            transition_steps: self.transition_steps,
            decay_rate: self.decay_rate,
            transition_begin: self.transition_begin,
            staircase: self.staircase,
            end_value: self.end_value,
        };
        let warmup = ramp(self.init_value, self.peak_value, self.warmup_steps)?;
        let boundary = self.warmup_steps as f64;
        let parts = vec![warmup, decay.init()?];
        Ok(Formula::new(name, join(parts, vec![boundary])).warming("warmup_steps", boundary))
    }
}

schedule_config!(
    WarmupExponentialDecaySchedule => Formula, "optax.warmup_exponential_decay_schedule",
    "optax's warmup_exponential_decay_schedule"
);

/// `sgdr_schedule`: one warmed-up cosine after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SgdrSchedule {
    pub cosine_kwargs: Vec<WarmupCosineDecaySchedule>,
}

impl SgdrSchedule {
    /// The schedule.
    ///
    /// # Errors
    /// If an argument is outside its range, or there is no cosine.
    pub fn init(&self) -> Result<Formula, ScheduleError> {
        let name = "optax.sgdr_schedule";
        let none = self.cosine_kwargs.is_empty();
        Check::of(name).that(!none, "cosine_kwargs", "one or more", "none")?;
        let cosines = self.cosine_kwargs.iter();
        let parts = cosines.map(WarmupCosineDecaySchedule::init);
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let mut end = 0.0;
        let ends = self.cosine_kwargs.iter().map(|cosine| {
            end += cosine.decay_steps as f64;
            end
        });
        let mut ends: Vec<f64> = ends.collect();
        ends.pop();
        Ok(Formula::new(name, join(parts, ends)))
    }
}

schedule_config!(SgdrSchedule => Formula, "optax.sgdr_schedule", "optax's sgdr_schedule");

/// `optax.contrib.reduce_on_plateau`: a scale of the updates, 1 at first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ReduceOnPlateau {
    #[serde(default = "default::tenth")]
    pub factor: f64,
    #[serde(default = "ten")]
    pub patience: u64,
    #[serde(default = "rtol")]
    pub rtol: f64,
    #[serde(default)]
    pub atol: f64,
    #[serde(default)]
    pub cooldown: u64,
    #[serde(default = "one_metric")]
    pub accumulation_size: u64,
    #[serde(default)]
    pub min_scale: f64,
}

const fn ten() -> u64 {
    10
}
const fn rtol() -> f64 {
    1e-4
}
const fn one_metric() -> u64 {
    1
}

impl ReduceOnPlateau {
    /// The scheduler.
    ///
    /// # Errors
    /// If an argument is outside its range.
    pub fn init(&self) -> Result<Plateau, ScheduleError> {
        let check = Check::of("optax.reduce_on_plateau");
        check.open_fraction("factor", self.factor)?;
        check.fraction("rtol", self.rtol)?;
        check.non_negative("atol", self.atol)?;
        let allowed = "> 0 if `rtol` is 0";
        check.that(
            self.rtol > 0.0 || self.atol > 0.0,
            "atol",
            allowed,
            self.atol,
        )?;
        check.non_negative("min_scale", self.min_scale)?;
        ReduceOnPlateauConfig::optax()
            .with_factor(self.factor)
            .with_patience(self.patience)
            .with_relative_delta(self.rtol)
            .with_min_delta(self.atol)
            .with_cooldown(self.cooldown)
            .with_accumulate(self.accumulation_size)
            .with_min(self.min_scale)
            .init()
    }
}
