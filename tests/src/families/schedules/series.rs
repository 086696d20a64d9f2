//! Schedules without a metric: their values over time.

use super::{base_lrs, build, by_group, formula, of_group, params};
use crate::compare::{Tolerance, close};
use crate::families::{Outcome, failed};
use crate::golden::{Case, Field};
use firecraft::schedule::{
    BoxScheduler, Lambda, Multiplicative, Pure, Scheduler, SchedulerExt, Slot, StepContext,
};
use firecraft::spec::{Spec, Value};

/// Those that don't take the optimiser's learning rate.
const WITHOUT_BASE: [&str; 7] = [
    "torch.OneCycleLR",
    "torch.CyclicLR",
    "pytorch_optimizer.linear",
    "pytorch_optimizer.cosine",
    "pytorch_optimizer.poly",
    "pytorch_optimizer.rex",
    "pytorch_optimizer.cosine_annealing_with_warmup",
];

/// pytorch-optimizer's names for torch's schedulers.
const ALIASES: [(&str, &str); 7] = [
    ("pytorch_optimizer.constant", "torch.ConstantLR"),
    ("pytorch_optimizer.step", "torch.StepLR"),
    ("pytorch_optimizer.multi_step", "torch.MultiStepLR"),
    ("pytorch_optimizer.cyclic", "torch.CyclicLR"),
    ("pytorch_optimizer.one_cycle", "torch.OneCycleLR"),
    (
        "pytorch_optimizer.cosine_annealing",
        "torch.CosineAnnealingLR",
    ),
    (
        "pytorch_optimizer.cosine_annealing_with_warm_restart",
        "torch.CosineAnnealingWarmRestarts",
    ),
];

/// What a peer's arithmetic allows. One in `f32` adds a rounding unit of the
/// greatest value: where it subtracts nearly equal numbers, as at the foot of a
/// cosine, that is all it has left.
pub(super) fn tolerance(case: &Case, want: &[f64]) -> Tolerance {
    match case.peer() {
        "keras" | "optax" => f32_tolerance(want),
        _ => Tolerance::F64,
    }
}

fn f32_tolerance(want: &[f64]) -> Tolerance {
    let finite = want.iter().filter(|value| value.is_finite());
    let peak = finite.fold(0.0_f64, |peak, value| peak.max(value.abs()));
    Tolerance {
        abs: peak * f64::from(f32::EPSILON),
        rel: 1e-6,
    }
}

/// A scheduler that is in the registry, per parameter group.
pub(super) fn closed_form(case: &Case) -> Result<(), Outcome> {
    let bases = base_lrs(case)?;
    let groups = bases.len().max(1);
    let lr = by_group(&case.get("lr"), groups)?;
    let name = format!("{}.{}", case.peer(), case.name());
    let alias = ALIASES.iter().find(|(from, _)| *from == name);
    let name = alias.map_or(name.as_str(), |(_, to)| to);
    let args = params(&case.args())?;
    for (group, want) in lr.iter().enumerate() {
        let mut spec = Spec::new(name);
        spec.params = of_group(&args, group);
        if let Some(&base) = bases.get(group).filter(|_| !WITHOUT_BASE.contains(&name)) {
            spec.params.insert("base_lr", base);
        }
        for steps in ["num_warmup_steps", "num_training_steps"] {
            let field = case.get(steps);
            if !field.is_null() {
                let value = i64::try_from(field.u64()?).map_err(failed)?;
                spec.params.insert(steps, value);
            }
        }
        let per_epoch = case.get("iters_per_epoch").optional(Field::u64)?;
        if per_epoch.is_some() {
            spec.params.insert("unit", "fractional_epochs");
        }
        let (got, momentum) = run(build(&spec)?, want.len(), per_epoch);
        close("lr", &got, want, tolerance(case, want))?;
        if case.has("momentum") {
            let by_group = by_group(&case.get("momentum"), groups)?;
            // One number per step is that of every group.
            let of_group = by_group.get(group).filter(|values| !values.is_empty());
            let want = of_group.unwrap_or(&by_group[0]);
            // A momentum that is not cycled stays what it was.
            let first = case.get("base_momentum0").optional(Field::f64)?;
            let constant = vec![first.unwrap_or(f64::NAN); want.len()];
            let got = momentum.unwrap_or(constant);
            close("momentum", &got, want, tolerance(case, want))?;
        }
    }
    Ok(())
}

/// The first values of a scheduler, and the momentum if it sets one.
fn run(
    mut scheduler: BoxScheduler,
    steps: usize,
    updates_per_epoch: Option<u64>,
) -> (Vec<f64>, Option<Vec<f64>>) {
    let slots = scheduler.slots();
    let momentum = slots
        .iter()
        .position(|slot| slot.parameter == Slot::MOMENTUM);
    let mut out = vec![f64::NAN; scheduler.width()];
    let mut lrs = Vec::with_capacity(steps);
    let mut momenta = Vec::with_capacity(steps);
    for update in 0..steps as u64 {
        let context = StepContext {
            updates_per_epoch,
            // One update per epoch, so that a schedule in either unit moves on.
            ..StepContext::at(update).with_epoch(update)
        };
        scheduler.step(&context, &mut out);
        lrs.push(out[0]);
        momenta.extend(momentum.map(|slot| out[slot]));
    }
    (lrs, momentum.map(|_| momenta))
}

/// torch's `SequentialLR` and `ChainedScheduler`, whose members are in `spec`.
pub(super) fn composed(case: &Case) -> Result<(), Outcome> {
    let bases = base_lrs(case)?;
    let lr = by_group(&case.get("lr"), bases.len())?;
    let spec = case.get("spec");
    for (want, base) in lr.iter().zip(&bases) {
        let Value::Table(mut table) = member(&spec)? else {
            return Err(Outcome::Unsupported);
        };
        table.remove("type");
        table.insert("base_lr", *base);
        let mut spec = Spec::new(format!("torch.{}", spec.get("name").str()?));
        spec.params = table;
        let (got, _) = run(build(&spec)?, want.len(), None);
        close("lr", &got, want, Tolerance::F64)?;
    }
    Ok(())
}

/// `{name, args, schedulers, milestones}` as a spec without a learning rate.
fn member(field: &Field<'_>) -> Result<Value, Outcome> {
    let mut spec = Spec::new(field.get("name").str()?);
    spec.params = params(&field.get("args"))?;
    let schedulers = field.get("schedulers");
    if !schedulers.is_null() {
        let members = schedulers
            .items()?
            .iter()
            .map(member)
            .collect::<Result<Vec<_>, _>>()?;
        spec.params.insert("schedulers", members);
    }
    let milestones = field.get("milestones");
    if !milestones.is_null() {
        let milestones: Vec<i64> = milestones.u64s()?.iter().map(|&m| m as i64).collect();
        spec.params.insert("milestones", milestones);
    }
    Ok(spec.into())
}

/// Schedulers that are given as code: the formula in `lambda_`.
pub(super) fn lambda(case: &Case) -> Result<(), Outcome> {
    let bases = base_lrs(case)?;
    let lr = by_group(&case.get("lr"), bases.len())?;
    let text = case.get("lambda_");
    let formula = formula::parse(text.str()?).map_err(|_| Outcome::Unsupported)?;
    for (want, &base) in lr.iter().zip(&bases) {
        let formula = formula.clone();
        let scheduler = if case.name() == "LambdaLR" {
            Pure::updates(Lambda::new(move |t| base * formula.at(t))).boxed()
        } else {
            let factor = move |t: u64| formula.at(t as f64);
            Multiplicative::new(base, factor).map_err(failed)?.boxed()
        };
        let (got, _) = run(scheduler, want.len(), None);
        close("lr", &got, want, Tolerance::F64)?;
    }
    Ok(())
}

/// fastai's annealers, at given fractions of the run.
pub(super) fn fastai(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let (pos, want) = (case.get("pos").f64s()?, case.get("value").f64s()?);
    let spec = if case.name() == "combine_scheds" {
        let [pcts, scheds] = &args.items()?[..] else {
            return Err(Outcome::Unsupported);
        };
        let scheds = scheds.items()?;
        let scheds = scheds.iter().map(|sched| call(sched.str()?));
        let scheds = scheds.collect::<Result<Vec<_>, _>>()?;
        Spec::new("fastai.combine_scheds")
            .with("pcts", pcts.f64s()?)
            .with("scheds", scheds)
    } else {
        annealer(case.name(), &args.f64s()?)?
    };
    // Where fastai adds fractions up, it does so in `f32`.
    let tolerance = if case.name().starts_with("combine") {
        f32_tolerance(&want)
    } else {
        Tolerance::F64
    };
    // Positions are multiples of a hundredth or the like: find a length of the
    // run that makes them whole updates.
    let whole = |total: &u64| {
        let total = *total as f64;
        pos.iter()
            .all(|p| ((p * total).round() - p * total).abs() < 1e-6)
    };
    let total = (1..=10_000_u64)
        .find(whole)
        .ok_or_else(|| failed("positions are no fractions of a run"))?;
    let mut scheduler = build(&spec)?;
    let got: Vec<f64> = pos
        .iter()
        .map(|p| {
            let mut out = [f64::NAN];
            let context = StepContext {
                total_updates: Some(total),
                ..StepContext::at((p * total as f64).round() as u64)
            };
            scheduler.step(&context, &mut out);
            out[0]
        })
        .collect();
    close("value", &got, &want, tolerance)
}

fn annealer(name: &str, args: &[f64]) -> Result<Spec, Outcome> {
    let names: &[&str] = match name {
        "SchedPoly" => &["start", "end", "power"],
        "combined_cos" => &["pct", "start", "middle", "end"],
        _ => &["start", "end"],
    };
    if names.len() != args.len() {
        return Err(Outcome::Unsupported);
    }
    let spec = Spec::new(format!("fastai.{name}")).with("unit", "fraction");
    let params = names.iter().zip(args);
    Ok(params.fold(spec, |spec, (name, &value)| spec.with(*name, value)))
}

/// `SchedLin(0,1)` as a spec.
fn call(text: &str) -> Result<Spec, Outcome> {
    let inside = text.strip_suffix(')').and_then(|text| text.split_once('('));
    let (name, args) = inside.ok_or(Outcome::Unsupported)?;
    let args = args.split(',').map(|arg| arg.trim().parse());
    let args = args.collect::<Result<Vec<f64>, _>>().map_err(failed)?;
    annealer(name.trim(), &args)
}
