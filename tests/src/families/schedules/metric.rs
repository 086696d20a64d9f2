//! Schedules and stopping rules that follow a metric, and the lr finder.

use super::series::tolerance;
use super::{base_lrs, build, by_group, of_group, params};
use crate::compare::{Tolerance, close, equal};
use crate::families::{Outcome, failed};
use crate::golden::{Case, Field};
use firecraft::schedule::{
    EarlyStoppingConfig, Scheduler, StepContext, Suggestion, peers, step_value,
};
use firecraft::spec::{Spec, Value};

/// Plateau rules: one evaluation per step.
pub(super) fn plateau(case: &Case) -> Result<(), Outcome> {
    let bases = base_lrs(case)?;
    let groups = bases.len().max(1);
    let metrics = case.get("metrics").f64s()?;
    let field = ["lr_after", "scale_after", "lr"];
    let field = field.into_iter().find(|field| case.has(field));
    let field = field.ok_or(Outcome::Unsupported)?;
    let values = by_group(&case.get(field), groups)?;
    let name = match case.name() {
        "GreedyLR" => "greedy",
        name => name,
    };
    let args = params(&case.args())?;
    for (group, want) in values.iter().enumerate() {
        let mut spec = Spec::new(format!("{}.{name}", case.peer()));
        spec.params = of_group(&args, group);
        if let Some(&base) = bases.get(group) {
            spec.params.insert("base_lr", base);
        }
        let mut scheduler = build(&spec)?;
        let mut got = Vec::with_capacity(want.len());
        if want.len() == metrics.len() + 1 {
            // The value in force before the first evaluation.
            got.push(step_value(&mut scheduler, &StepContext::at(0)));
        }
        let (mut bad, mut best) = (Vec::new(), Vec::new());
        for (update, &metric) in (1..).zip(&metrics) {
            let context = StepContext::at(update)
                .with_epoch(update)
                .with_metric(metric);
            got.push(step_value(&mut scheduler, &context));
            let state = scheduler.state();
            bad.push(state_value(&state.values, "bad"));
            best.push(state_value(&state.values, "best"));
        }
        close(field, &got, want, tolerance(case, want))?;
        for counter in ["bad", "wait"] {
            if case.has(counter) {
                close(counter, &bad, &case.get(counter).f64s()?, Tolerance::EXACT)?;
            }
        }
        if case.has("best") {
            close("best", &best, &case.get("best").f64s()?, Tolerance::F64)?;
        }
    }
    Ok(())
}

fn state_value(values: &Value, name: &str) -> f64 {
    let value = values.as_table().and_then(|table| table.get(name));
    value.and_then(Value::as_number).unwrap_or(f64::NAN)
}

/// Keras' `EarlyStopping`, one evaluation per epoch.
pub(super) fn early_stopping(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let known = [
        "monitor",
        "mode",
        "min_delta",
        "patience",
        "baseline",
        "start_from_epoch",
        // About the model, not about when to stop.
        "restore_best_weights",
        "verbose",
    ];
    if args.keys().iter().any(|name| !known.contains(name)) {
        return Err(Outcome::Unsupported);
    }
    let monitor = args.get("monitor").or("val_loss", Field::str)?;
    let mode = args.get("mode").or("auto", Field::str)?;
    let mode = peers::keras::mode("keras.EarlyStopping", mode, monitor).map_err(failed)?;
    let mut early = EarlyStoppingConfig::new(args.get("patience").or(0, Field::u64)?)
        .with_mode(mode)
        .with_min_delta(args.get("min_delta").or(0.0, Field::f64)?.abs())
        .with_baseline(args.get("baseline").optional(Field::f64)?)
        .with_start_from(args.get("start_from_epoch").or(0, Field::u64)?)
        .init()
        .map_err(failed)?;
    let metrics = case.get("metrics").f64s()?;
    let mut stopped = None;
    for (epoch, &metric) in (0..).zip(&metrics) {
        if early.observe(epoch, metric).stop.is_some() {
            stopped = Some(epoch);
            break;
        }
    }
    let want = case.get("stop_after_epoch").optional(Field::f64)?;
    // Keras has 0 or -1 where the run was not stopped.
    let want = want.filter(|epoch| *epoch > 0.0).map(|epoch| epoch as u64);
    equal("stop_after_epoch", stopped, want)?;
    let best_at = early.best_evaluation().unwrap_or(0);
    equal("best_epoch", best_at, case.get("best_epoch").u64()?)?;
    close(
        "best",
        &[early.best()],
        &[case.get("best").f64()?],
        Tolerance::F64,
    )?;
    equal("wait", early.wait(), case.get("wait").u64()?)
}

/// fastai's suggestions from the curve of an lr finder.
pub(super) fn lr_find(case: &Case) -> Result<(), Outcome> {
    let (lrs, losses) = (case.get("lrs").f64s()?, case.get("losses").f64s()?);
    // fastai computes with `f32` tensors; the curve is read as such.
    let curve = lrs.iter().zip(&losses);
    let curve: Vec<(f64, f64)> = curve
        .map(|(&lr, &loss)| (f64::from(lr as f32), f64::from(loss as f32)))
        .collect();
    let suggest = case.get("suggest");
    for how in Suggestion::ALL {
        let want = suggest.get(how.name());
        if want.is_null() {
            continue;
        }
        let got = how.suggest(&curve).map_or(f64::NAN, |found| found.lr);
        close(how.name(), &[got], &[want.f64()?], Tolerance::F32)?;
    }
    Ok(())
}
