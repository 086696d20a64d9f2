//! Cases of schedules: lr at update t, plateau, early stopping, lr finder.
//!
//! Every peer's scheduler is in the registry under its own name with its own
//! arguments, so a case is mostly a spec: `{ type = "<peer>.<name>", <args> }`.

mod formula;
mod metric;
mod series;

use super::Outcome;
use crate::golden::{Case, Field, File};
use firecraft::schedule::{BoxScheduler, Schedulers, register};
use firecraft::spec::{Registries, Spec, Table, Value};

/// Runs one case of the family `schedules`.
pub fn run_case(_file: &File, case: &Case) -> Outcome {
    check(case).into()
}

fn check(case: &Case) -> Result<(), Outcome> {
    match (case.peer(), case.name()) {
        ("keras", "EarlyStopping") => metric::early_stopping(case),
        ("fastai", "lr_find_suggestions") => metric::lr_find(case),
        ("fastai", _) if case.has("pos") => series::fastai(case),
        ("torch", "SequentialLR" | "ChainedScheduler") => series::composed(case),
        ("torch", "LambdaLR" | "MultiplicativeLR") => series::lambda(case),
        _ if case.has("metrics") => metric::plateau(case),
        _ if case.has("lr") => series::closed_form(case),
        _ => Err(Outcome::Unsupported),
    }
}

/// Builds the scheduler that `spec` describes. An unknown name is unsupported;
/// wrong arguments are a failure.
pub(super) fn build(spec: &Spec) -> Result<BoxScheduler, Outcome> {
    let mut registries = Registries::new();
    register(&mut registries).map_err(super::failed)?;
    let registry = registries.get::<Schedulers>().map_err(super::failed)?;
    if !registry.contains(&spec.type_name) {
        return Err(Outcome::Unsupported);
    }
    registry.build(spec).map_err(super::failed)
}

/// The arguments of a case as parameters, without those that only name it.
fn params(args: &Field<'_>) -> Result<Table, Outcome> {
    let mut table = match serde_json::from_value(args.json().clone()).map_err(super::failed)? {
        Value::Table(table) => table,
        Value::Null => Table::new(),
        other => return Err(super::failed(format!("args: got {}", other.describe()))),
    };
    table.remove("name");
    // Absent and null are the same to all peers.
    Ok(table
        .into_iter()
        .filter(|(_, value)| *value != Value::Null)
        .collect())
}

/// Arguments that may be lists with one value per parameter group.
const PER_GROUP: [&str; 6] = [
    "base_lr",
    "max_lr",
    "min_lr",
    "swa_lr",
    "base_momentum",
    "max_momentum",
];

/// The same parameters with the entry of each list that belongs to `group`.
fn of_group(params: &Table, group: usize) -> Table {
    let pick = |name: &str, value: &Value| {
        let entries = value.as_list().filter(|_| PER_GROUP.contains(&name));
        let entry = entries.and_then(|entries| entries.get(group));
        entry.unwrap_or(value).clone()
    };
    params
        .iter()
        .map(|(name, value)| (name, pick(name, value)))
        .collect()
}

/// The learning rates of the parameter groups; one if there are no groups.
fn base_lrs(case: &Case) -> Result<Vec<f64>, Outcome> {
    let base = case.get("base_lr");
    if base.is_null() {
        Ok(Vec::new())
    } else if base.json().is_array() {
        Ok(base.f64s()?)
    } else {
        Ok(vec![base.f64()?])
    }
}

/// The expected values of each group over time, from `[v, …]` or `[[v, w], …]`.
fn by_group(field: &Field<'_>, groups: usize) -> Result<Vec<Vec<f64>>, Outcome> {
    let mut columns = vec![Vec::new(); groups.max(1)];
    for item in field.items()? {
        if item.json().is_array() {
            for (column, value) in columns.iter_mut().zip(item.f64s()?) {
                column.push(value);
            }
        } else {
            columns[0].push(item.f64()?);
        }
    }
    Ok(columns)
}
