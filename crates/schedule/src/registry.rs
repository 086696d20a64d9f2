//! Schedulers by name: the constructors that recipes reach.

use crate::math::reached;
use crate::{
    BoxScheduler, Combine, Combined, GreedyConfig, JitterConfig, Map, Mapped, PerGroup, Pure,
    ReduceOnPlateauConfig, RepeatConfig, Schedule, ScheduleConfig, ScheduleError, Scheduler,
    Sequence, Slot, Slots, Unit, WarmupConfig,
};
use crate::{peers, schedules as s};
use firecraft_key::Key;
use firecraft_spec::{Kind, Registries, Registry, Spec, SpecError, Table, from_value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The kind of object that the specs of this crate describe.
///
/// ```
/// use firecraft_schedule::{Schedulers, StepContext, register, step_value};
/// use firecraft_spec::{Registries, Spec};
/// let mut registries = Registries::new();
/// register(&mut registries)?;
/// let spec: Spec = toml::from_str(
///     r#"
///     type = "warmup"
///     length = 5
///     inner = { type = "cosine", start = 0.1, length = 100 }
///     "#,
/// )?;
/// let mut schedule = registries.build::<Schedulers>(&spec)?;
/// assert_eq!(step_value(&mut schedule, &StepContext::at(5)), 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Schedulers;

impl Kind for Schedulers {
    type Object = dyn Scheduler;
    const NAME: &'static str = "schedule";
}

/// Adds every schedule of this crate: closed forms, metric-driven rules,
/// combinators, and the peers' under names such as `torch.OneCycleLR`.
///
/// Closed forms take a parameter `unit` besides their own: `updates` (default),
/// `epochs`, `fractional_epochs` or `fraction`.
///
/// # Errors
/// If a name is taken already.
pub fn register(registries: &mut Registries) -> Result<(), SpecError> {
    let registry = registries.get_mut::<Schedulers>();
    closed_form::<s::ConstantConfig>(registry)?;
    closed_form::<s::ConstantFactorConfig>(registry)?;
    closed_form::<s::LinearConfig>(registry)?;
    closed_form::<s::PolynomialConfig>(registry)?;
    closed_form::<s::ExponentialConfig>(registry)?;
    closed_form::<s::StepConfig>(registry)?;
    closed_form::<s::MultiStepConfig>(registry)?;
    closed_form::<s::PiecewiseConstantConfig>(registry)?;
    closed_form::<s::PiecewiseConfig>(registry)?;
    closed_form::<s::InverseTimeDecayConfig>(registry)?;
    closed_form::<s::InverseSqrtConfig>(registry)?;
    closed_form::<s::NoamConfig>(registry)?;
    closed_form::<s::CosineConfig>(registry)?;
    closed_form::<s::WarmRestartsConfig>(registry)?;
    closed_form::<s::TanhConfig>(registry)?;
    closed_form::<s::OneCycleConfig>(registry)?;
    closed_form::<s::OneCycleMomentumConfig>(registry)?;
    closed_form::<s::FlatCosineConfig>(registry)?;
    closed_form::<s::CyclicConfig>(registry)?;
    closed_form::<s::WarmupStableDecayConfig>(registry)?;
    closed_form::<s::ChebyshevConfig>(registry)?;
    closed_form::<s::RexConfig>(registry)?;
    metric_driven(registry)?;
    combinators(registry)?;
    maps(registry)?;
    peers::register(registry)
}

/// Registers a configuration of a closed form under its name.
pub(crate) fn closed_form<C: ScheduleConfig + 'static>(
    registry: &mut Registry<Schedulers>,
) -> Result<(), SpecError> {
    register_as(registry, C::TYPE, C::SUMMARY, |spec, _| {
        with_unit(spec, |rest, unit| pure(rest.parse::<C>()?.build(), unit))
    })?;
    registry.describe::<C>(C::TYPE)?;
    registry.describe::<WithUnit>(C::TYPE)
}

// Of the dozens of configurations, only what reads and builds one is compiled
// for each of them; the functions around it are compiled once.

type Build = fn(&Spec, &Registry<Schedulers>) -> Result<BoxScheduler, SpecError>;

fn register_as(
    registry: &mut Registry<Schedulers>,
    name: &'static str,
    summary: &'static str,
    build: Build,
) -> Result<(), SpecError> {
    registry.register(name, summary, build)
}

fn with_unit(
    spec: &Spec,
    build: fn(&Spec, Unit) -> Result<BoxScheduler, SpecError>,
) -> Result<BoxScheduler, SpecError> {
    let (unit, rest) = split::<Unit>(spec, "unit")?;
    build(&rest, unit.unwrap_or_default())
}

fn pure<S: Schedule + 'static>(
    schedule: Result<S, ScheduleError>,
    unit: Unit,
) -> Result<BoxScheduler, SpecError> {
    Ok(Box::new(Pure::new(schedule?, unit)))
}

/// Registers a configuration that needs no other spec.
pub(crate) fn simple<C: DeserializeOwned + Serialize + 'static, S: Scheduler + 'static>(
    registry: &mut Registry<Schedulers>,
    name: &'static str,
    summary: &'static str,
    init: impl Fn(&C) -> Result<S, ScheduleError> + Send + Sync + 'static,
) -> Result<(), SpecError> {
    registry.register(name, summary, move |spec, _| {
        Ok(Box::new(init(&spec.parse::<C>()?)?))
    })?;
    registry.describe::<C>(name)
}

/// A spec without one of its parameters, and that parameter.
pub(crate) fn split<T: DeserializeOwned>(
    spec: &Spec,
    field: &str,
) -> Result<(Option<T>, Spec), SpecError> {
    let mut rest = spec.clone();
    let value = match rest.params.remove(field) {
        None => None,
        Some(value) => {
            let parsed = from_value(&value);
            Some(parsed.map_err(|error| error.under(field).of_type(&spec.type_name))?)
        }
    };
    Ok((value, rest))
}

pub(crate) fn required<T>(value: Option<T>, field: &str) -> Result<T, SpecError> {
    value.ok_or_else(|| SpecError::field(field, "missing; this parameter is required"))
}

/// A spec without `inner`, and the scheduler that `inner` describes.
fn split_inner(
    spec: &Spec,
    registry: &Registry<Schedulers>,
) -> Result<(BoxScheduler, Spec), SpecError> {
    let (inner, rest) = split::<Spec>(spec, "inner")?;
    let inner = required(inner, "inner").map_err(|error| error.of_type(&spec.type_name))?;
    let inner = registry
        .build(&inner)
        .map_err(|error| error.under("inner"))?;
    Ok((inner, rest))
}

pub(crate) fn build_all(
    specs: &[Spec],
    field: &str,
    registry: &Registry<Schedulers>,
) -> Result<Vec<BoxScheduler>, SpecError> {
    let build = |(nth, spec)| {
        registry
            .build(spec)
            .map_err(|error: SpecError| error.at(nth).under(field))
    };
    specs.iter().enumerate().map(build).collect()
}

fn metric_driven(registry: &mut Registry<Schedulers>) -> Result<(), SpecError> {
    simple(
        registry,
        "reduce_on_plateau",
        "multiplied by a factor when a metric stops improving",
        ReduceOnPlateauConfig::init,
    )?;
    simple(
        registry,
        "greedy",
        "raised while a metric improves, lowered when it does not",
        GreedyConfig::init,
    )
}

fn combinators(registry: &mut Registry<Schedulers>) -> Result<(), SpecError> {
    registry.register("warmup", "a ramp in front of `inner`", |spec, registry| {
        let (inner, rest) = split_inner(spec, registry)?;
        Ok(Box::new(rest.parse::<WarmupConfig>()?.init(inner)?))
    })?;
    registry.register(
        "delay",
        "the first value of `inner` held",
        |spec, registry| {
            let (inner, rest) = split_inner(spec, registry)?;
            let Delay { length, unit } = rest.parse()?;
            let hold = WarmupConfig::new(length).with_unit(unit);
            Ok(Box::new(hold.with_start_factor(1.0).init(inner)?))
        },
    )?;
    registry.register("repeat", "`inner` again and again", |spec, registry| {
        let (inner, rest) = split_inner(spec, registry)?;
        Ok(Box::new(rest.parse::<RepeatConfig>()?.init(inner)?))
    })?;
    registry.register(
        "jitter",
        "noise on `inner`, from a seed",
        |spec, registry| {
            let (inner, rest) = split_inner(spec, registry)?;
            let (seed, rest) = split::<u64>(&rest, "seed")?;
            let seed = required(seed, "seed").map_err(|error| error.of_type("jitter"))?;
            let key = Key::from_seed(seed).named("jitter");
            Ok(Box::new(rest.parse::<JitterConfig>()?.init(inner, key)?))
        },
    )?;
    registry.register(
        "per_group",
        "`inner` times a factor per group",
        |spec, registry| {
            let (inner, rest) = split_inner(spec, registry)?;
            let groups = rest.parse::<Groups>()?.groups.into_iter();
            let groups = groups.map(|(name, factor)| match factor.as_number() {
                Some(factor) => Ok((name, factor)),
                None => Err(SpecError::field(
                    format!("groups.{name}"),
                    format_args!("must be a number, got {}", factor.describe()),
                )),
            });
            let groups = groups.collect::<Result<Vec<_>, _>>()?;
            Ok(Box::new(PerGroup::new(inner, groups)?))
        },
    )?;
    registry.register("slots", "schedules side by side", |spec, registry| {
        let mut slots = Slots::new();
        for (nth, part) in spec.parse::<SlotParts>()?.parts.into_iter().enumerate() {
            let inner = registry.build(&part.schedule);
            let inner = inner.map_err(|error| error.under("schedule").at(nth).under("parts"))?;
            slots = match (part.parameter, part.group) {
                (Some(parameter), group) => slots.with(Slot { group, parameter }, inner),
                (None, Some(group)) => slots.group(&group, inner),
                (None, None) => slots.with(Slot::default(), inner),
            };
        }
        Ok(Box::new(slots))
    })?;
    registry.register("sequence", "one schedule after the other", sequence)?;
    for name in ["warmup", "delay", "repeat", "jitter", "per_group"] {
        registry.describe::<WithInner>(name)?;
    }
    registry.describe::<WarmupConfig>("warmup")?;
    registry.describe::<Delay>("delay")?;
    registry.describe::<RepeatConfig>("repeat")?;
    registry.describe::<WithSeed>("jitter")?;
    registry.describe::<JitterConfig>("jitter")?;
    registry.describe::<Groups>("per_group")?;
    registry.describe::<SlotParts>("slots")?;
    registry.describe::<SequenceParts>("sequence")?;
    for how in [Combine::Product, Combine::Sum, Combine::Min, Combine::Max] {
        let summary = format!("the {} of several schedules", how.name());
        registry.register(how.name(), summary, move |spec, registry| {
            let parts = spec.parse::<Parts>()?.parts;
            Ok(Box::new(Combined::new(
                how,
                build_all(&parts, "parts", registry)?,
            )?))
        })?;
        registry.describe::<Parts>(how.name())?;
    }
    Ok(())
}

fn sequence(spec: &Spec, registry: &Registry<Schedulers>) -> Result<Box<dyn Scheduler>, SpecError> {
    let SequenceParts { parts, unit } = spec.parse()?;
    let mut sequence = Sequence::new(unit);
    let mut end = 0.0;
    let count = parts.len();
    for (nth, part) in parts.into_iter().enumerate() {
        let at = |error: SpecError| error.at(nth).under("parts");
        // A start is redundant; one that is given must fit the lengths.
        let meets = |start: &f64| reached(*start, end) && reached(end, *start);
        if let Some(start) = part.start.filter(|start| !meets(start)) {
            let what = if start > end { "a gap" } else { "an overlap" };
            let message = format!(
                "must be {end}, where the part before ends, got {start}: {what} of {}",
                (start - end).abs()
            );
            return Err(at(SpecError::field("start", message)));
        }
        let build = registry.build(&part.schedule);
        let inner = build.map_err(|error| at(error.under("schedule")))?;
        sequence = match part.length {
            Some(length) => sequence.then(inner, length)?,
            None if nth + 1 == count => sequence.last(inner)?,
            None => {
                let message = "missing; only the last part may run on";
                return Err(at(SpecError::field("length", message)));
            }
        };
        end += part.length.unwrap_or(0.0);
    }
    Ok(Box::new(sequence.finish()?))
}

fn maps(registry: &mut Registry<Schedulers>) -> Result<(), SpecError> {
    map::<Scale>(registry, "scale", "`inner` times a factor", |m| {
        Map::Scale { factor: m.factor }
    })?;
    map::<Clamp>(registry, "clamp", "`inner` within bounds", |m| Map::Clamp {
        min: m.min.unwrap_or(f64::NEG_INFINITY),
        max: m.max.unwrap_or(f64::INFINITY),
    })?;
    map::<Invert>(registry, "invert", "`low + high - inner`", |m| {
        Map::Invert {
            low: m.low,
            high: m.high,
        }
    })?;
    map::<Proportional>(
        registry,
        "proportional",
        "a line through two points of `inner`",
        |m| Map::Proportional {
            min: m.min,
            max: m.max,
            to_min: m.to_min,
            to_max: m.to_max,
        },
    )?;
    map::<Round>(
        registry,
        "round",
        "`inner` to a multiple, for batch sizes",
        |m| Map::Round {
            multiple: m.multiple,
        },
    )
}

fn map<C: DeserializeOwned + Serialize + 'static>(
    registry: &mut Registry<Schedulers>,
    name: &'static str,
    summary: &'static str,
    make: fn(C) -> Map,
) -> Result<(), SpecError> {
    registry.register(name, summary, move |spec, registry| {
        let (inner, rest) = split_inner(spec, registry)?;
        Ok(Box::new(Mapped::new(inner, make(rest.parse::<C>()?))?))
    })?;
    registry.describe::<WithInner>(name)?;
    registry.describe::<C>(name)
}

/// What closed forms take besides their configuration.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WithUnit {
    #[serde(default)]
    unit: Unit,
}

/// What schedules of a schedule take besides their configuration.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WithInner {
    inner: Spec,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WithSeed {
    seed: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delay {
    length: f64,
    #[serde(default)]
    unit: Unit,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Groups {
    groups: Table,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    parts: Vec<Spec>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotParts {
    parts: Vec<SlotPart>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotPart {
    schedule: Spec,
    parameter: Option<String>,
    group: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SequenceParts {
    parts: Vec<SequencePart>,
    #[serde(default)]
    unit: Unit,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SequencePart {
    schedule: Spec,
    length: Option<f64>,
    start: Option<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scale {
    factor: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clamp {
    min: Option<f64>,
    max: Option<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invert {
    low: f64,
    high: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proportional {
    min: f64,
    max: f64,
    to_min: f64,
    to_max: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Round {
    multiple: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Horizon, StepContext};

    fn registries() -> Registries {
        let mut registries = Registries::new();
        register(&mut registries).unwrap();
        registries
    }

    fn build(toml: &str) -> Result<BoxScheduler, SpecError> {
        let spec: Spec = toml::from_str(toml).unwrap();
        registries().build::<Schedulers>(&spec)
    }

    fn error(toml: &str) -> String {
        build(toml).err().unwrap().to_string()
    }

    #[test]
    fn every_name_has_a_summary() {
        let registries = registries();
        let registry = registries.get::<Schedulers>().unwrap();
        assert!(registry.len() > 60, "{}", registry.len());
        for name in registry.names() {
            assert!(!registry.summary(name).unwrap().is_empty(), "{name}");
        }
    }

    #[test]
    fn a_deep_recipe_builds_and_steps() {
        let mut schedule = build(
            r#"
            type = "slots"
            [[parts]]
            parameter = "lr"
            [parts.schedule]
            type = "product"
            parts = [
                { type = "warmup", length = 2, unit = "epochs",
                  inner = { type = "cosine", start = 0.1, length = 8, unit = "epochs" } },
                { type = "reduce_on_plateau", value = 1.0, patience = 2 },
            ]
            [[parts]]
            parameter = "batch_size"
            schedule = { type = "round", multiple = 16, inner = { type = "linear", start = 32, end = 128, length = 1, unit = "fraction" } }
            "#,
        )
        .unwrap();
        let run = Horizon::epochs(10, 5);
        schedule.check(&run).unwrap();
        let mut out = [0.0; 2];
        schedule.step(&run.at(25), &mut out);
        assert!(
            (out[0] - 0.1 * 0.5 * (1.0 + (3.0 / 8.0 * std::f64::consts::PI).cos())).abs() < 1e-12
        );
        assert_eq!(out[1], 80.0);
        let names: Vec<String> = schedule.slots().iter().map(Slot::to_string).collect();
        assert_eq!(names, ["lr", "batch_size"]);
    }

    #[test]
    fn errors_name_the_field_the_value_and_the_range() {
        assert_eq!(
            error("type = 'cosine'\nstart = 1\nlength = -1"),
            "cosine: `length`: must be > 0 and finite, got -1"
        );
        assert_eq!(
            error("type = 'cosine'\nstart = nan\nlength = 1"),
            "cosine: `start`: must be finite, got NaN"
        );
        assert_eq!(
            error("type = 'step'\nstart = 1\nevery = 3\nfactr = 2"),
            "step: `factr`: unknown field: did you mean `factor`?; \
             expected one of: start, every, factor"
        );
        assert_eq!(
            error("type = 'linear'\nstart = 1\nend = 0\nlength = 3\nunit = 'weeks'"),
            "linear: `unit`: unknown variant `weeks`, expected one of `updates`, `epochs`, \
             `fractional_epochs`, `fraction`"
        );
        assert_eq!(
            error("type = 'reduce_on_plateau'\nvalue = 1\nfactor = 1"),
            "reduce_on_plateau: `factor`: must be in (0, 1), got 1"
        );
        assert_eq!(
            error("type = 'clamp'\nmin = 2\nmax = 1\ninner = { type = 'constant', value = 1 }"),
            "clamp: `min`: must be <= `max` = 1, got 2"
        );
        assert_eq!(
            error("type = 'warmup'\nlength = 3\ninner = { type = 'constant' }"),
            "constant: `inner.value`: missing; this parameter is required"
        );
        assert_eq!(
            error("type = 'warmup'\nlength = 3"),
            "warmup: `inner`: missing; this parameter is required"
        );
        assert!(
            error("type = 'cosin'").starts_with("unknown schedule `cosin`: did you mean `cosine`")
        );
    }

    #[test]
    fn gaps_and_overlaps_of_a_sequence_are_refused() {
        let sequence = |start: f64| {
            format!(
                "type = 'sequence'\nparts = [\
                 {{ length = 5, schedule = {{ type = 'constant', value = 1 }} }},\
                 {{ start = {start:?}, schedule = {{ type = 'constant', value = 2 }} }}]"
            )
        };
        assert!(build(&sequence(5.0)).is_ok());
        assert_eq!(
            error(&sequence(7.0)),
            "sequence: `parts[1].start`: must be 5, where the part before ends, got 7: a gap of 2"
        );
        assert!(error(&sequence(4.0)).ends_with("an overlap of 1"));
        let endless = "type = 'sequence'\nparts = [\
             { schedule = { type = 'constant', value = 1 } },\
             { schedule = { type = 'constant', value = 2 } }]";
        assert_eq!(
            error(endless),
            "sequence: `parts[0].length`: missing; only the last part may run on"
        );
    }

    #[test]
    fn seeds_and_groups_are_part_of_the_spec() {
        let jitter = "type = 'jitter'\nlimit = 0.1\ninner = { type = 'constant', value = 1 }";
        assert!(error(jitter).contains("`seed`: missing"));
        let mut noisy = build(&format!("{jitter}\nseed = 3")).unwrap();
        let mut again = build(&format!("{jitter}\nseed = 3")).unwrap();
        let at = StepContext::at(9);
        assert_eq!(
            crate::step_value(&mut noisy, &at),
            crate::step_value(&mut again, &at)
        );
        let groups = "type = 'per_group'\ngroups = { a = 0.5, b = 'x' }\ninner = { type = 'constant', value = 1 }";
        assert_eq!(
            error(groups),
            "per_group: `groups.b`: must be a number, got string \"x\""
        );
        let groups = groups.replace("'x'", "2");
        let mut out = [0.0; 2];
        build(&groups).unwrap().step(&at, &mut out);
        assert_eq!(out, [0.5, 2.0]);
    }
}
