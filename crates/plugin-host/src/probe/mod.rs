//! Looking a plugin over: does it keep its promises?
//!
//! What lives here: the checks behind `firecraft plugin check`. Each runs the
//! plugin's own code in ways that may crash or hang a plugin that is wrong, so
//! that command runs them in a process of its own, under [`limit`]. [`run`] says
//! of each check when it begins, so that whoever watches knows which one a
//! process died in.

mod guarded;
mod limits;
mod scheduler;
mod transform;

pub use limits::limit;

use firecraft_plugin::abi::ClassKind;
use firecraft_spec::{Spec, Table};

use crate::{ClassInfo, Plugin};

/// What happens in the course of a [`run`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// This check begins.
    Begin(String),
    /// The check that began last found nothing.
    Passed,
    /// The check that began last can't be made of this plugin, and why.
    Skipped(String),
    /// What the check that began last found.
    Failed(String),
}

/// How a check ends that found nothing.
pub(crate) enum Done {
    Passed,
    Skipped(String),
}

pub(crate) type Outcome = Result<Done, String>;

/// Runs every check on every class, with these specs; without any, with each of
/// the example parameters of its schema (`examples`), or with none. `true` if
/// nothing was found.
///
/// A transform must plan the same for the same key, on every thread and in
/// every instance, apply the same plan the same way, write all of its
/// destination and nothing else, leave its source alone, and refuse parameters
/// that are none. A scheduler must give finite values, the same in every
/// instance, and go on alike after its state was saved and restored.
pub fn run(plugin: &Plugin, specs: &[Spec], mut report: impl FnMut(Progress)) -> bool {
    let mut sound = true;
    let mut check = |name: &str, body: &mut dyn FnMut() -> Outcome| {
        report(Progress::Begin(name.to_owned()));
        report(match body() {
            Ok(Done::Passed) => Progress::Passed,
            Ok(Done::Skipped(reason)) => Progress::Skipped(reason),
            Err(problem) => {
                sound = false;
                Progress::Failed(problem)
            }
        });
    };
    check("self-test", &mut || match plugin.self_test() {
        Ok(true) => Ok(Done::Passed),
        Ok(false) => Ok(Done::Skipped("the plugin brings none".to_owned())),
        Err(error) => Err(error.to_string()),
    });
    for class in plugin.classes() {
        let name = class.name();
        check(&format!("{name}: bad parameters are refused"), &mut || {
            bad_parameters(plugin, class)
        });
        let given: Vec<Spec> = specs
            .iter()
            .filter(|spec| spec.type_name == name)
            .cloned()
            .collect();
        let chosen = if specs.is_empty() {
            examples(class)
        } else {
            given
        };
        for spec in chosen {
            let checks = match class.kind() {
                ClassKind::TRANSFORM => &transform::CHECKS[..],
                _ => &scheduler::CHECKS[..],
            };
            for (what, body) in checks {
                check(&format!("{spec}: {what}"), &mut || body(plugin, &spec));
            }
        }
    }
    sound
}

/// One check of a class: what it shows, and how.
pub(crate) type Check = (&'static str, fn(&Plugin, &Spec) -> Outcome);

/// The specs of the examples that a class gives of its parameters; one without
/// parameters, if it gives none.
#[must_use]
pub fn examples(class: &ClassInfo) -> Vec<Spec> {
    let given = class.schema().get("examples").and_then(|e| e.as_array());
    let tables: Vec<Table> = given
        .into_iter()
        .flatten()
        .filter_map(|example| serde_json::from_value(example.clone()).ok())
        .collect();
    let spec = |params| Spec {
        type_name: class.name().to_owned(),
        params,
    };
    if tables.is_empty() {
        return vec![spec(Table::new())];
    }
    tables.into_iter().map(spec).collect()
}

fn make(plugin: &Plugin, class: &ClassInfo, params: &str) -> Result<(), String> {
    plugin
        .try_create(class.name(), params)
        .map_err(|error| error.to_string())
}

fn bad_parameters(plugin: &Plugin, class: &ClassInfo) -> Outcome {
    for params in ["", "{", "nonsense", "[]", "3", "\"text\""] {
        if make(plugin, class, params).is_ok() {
            return Err(format!("`create` takes `{params}` for parameters"));
        }
    }
    let closed = class.schema().get("additionalProperties") == Some(&false.into());
    if closed {
        for spec in examples(class) {
            let spec = spec.with("no_parameter_has_this_name", 1);
            let params = serde_json::to_string(&spec.params).map_err(|e| e.to_string())?;
            if make(plugin, class, &params).is_ok() {
                return Err("`create` takes parameters that its schema rules out".to_owned());
            }
        }
    }
    Ok(Done::Passed)
}
