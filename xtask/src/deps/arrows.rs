//! Which crate of the toolkit may depend on which.

use super::metadata::Graph;

/// Aligns features between the programs and the tests; no library's user may
/// meet it.
const FEATURES: &str = "workspace-features";

/// Every crate below `crates/`, with all that it may depend on. A technique
/// crate never knows another one; nothing below the trainer knows the trainer.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("firecraft-key", &[]),
    ("firecraft-spec", &[]),
    ("firecraft-plot", &[]),
    (
        "firecraft-schedule",
        &["key", "spec", "plot", "core-tensor"],
    ),
    ("firecraft-plugin", &["key"]),
    (
        "firecraft-plugin-host",
        &["key", "spec", "schedule", "augment", "plugin"],
    ),
    ("firecraft-core-tensor", &["key", "spec"]),
    ("firecraft-init", &["key", "spec", "plot", "core-tensor"]),
    ("firecraft-norm", &["key", "spec", "core-tensor"]),
    ("firecraft-augment", &["key", "spec", "plot", "core-tensor"]),
    ("firecraft-data", &["key", "spec", "core-tensor"]),
    (
        "firecraft-trainer",
        &[
            "key",
            "spec",
            "plot",
            "schedule",
            "core-tensor",
            "init",
            "norm",
            "augment",
            "data",
        ],
    ),
    (
        "firecraft",
        &[
            "key",
            "spec",
            "plot",
            "schedule",
            "core-tensor",
            "init",
            "norm",
            "augment",
            "data",
            "trainer",
            "plugin",
            "plugin-host",
        ],
    ),
    ("firecraft-cli", &["", "plugin-host", FEATURES]),
];

/// The packages that stand outside: they may use everything, nothing uses them.
fn is_leaf(name: &str) -> bool {
    !name.starts_with("firecraft")
}

/// Arrows that the table does not allow, and crates that it does not know.
pub(crate) fn check(graph: &Graph) -> Vec<String> {
    let mut violations = Vec::new();
    for package in graph.workspace() {
        let allowed = ALLOWED.iter().find(|(name, _)| *name == package.name);
        if allowed.is_none() && !is_leaf(&package.name) {
            violations.push(format!(
                "{} is not in the table of xtask/src/deps/arrows.rs; say there what it may use",
                package.name
            ));
            continue;
        }
        for dependency in &package.declared {
            if graph.member(&dependency.name).is_none() {
                continue;
            }
            let fits = match allowed {
                Some((_, allowed)) => allowed.iter().any(|short| full(short) == dependency.name),
                // A leaf may use every crate, and no leaf.
                None => !is_leaf(&dependency.name) || dependency.name == FEATURES,
            };
            if !fits {
                violations.push(format!("{} → {}", package.name, dependency.name));
            }
        }
    }
    violations
}

fn full(short: &str) -> String {
    match short {
        FEATURES => FEATURES.to_owned(),
        "" => "firecraft".to_owned(),
        _ => format!("firecraft-{short}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::metadata::made_up::{graph, member};
    use super::*;

    #[test]
    fn arrows_that_point_down_are_fine() {
        let graph = graph(vec![
            member("firecraft-key"),
            member("firecraft-norm").needs("firecraft-key"),
            member("firecraft-trainer").needs("firecraft-norm"),
            member("digits").needs("firecraft-trainer"),
        ]);
        assert_eq!(check(&graph), [""; 0]);
    }

    #[test]
    fn a_technique_that_knows_another_is_found_in_tests_too() {
        let graph = graph(vec![
            member("firecraft-init"),
            member("firecraft-norm").needs("firecraft-init"),
            member("firecraft-augment").for_tests("firecraft-norm"),
        ]);
        assert_eq!(
            check(&graph),
            [
                "firecraft-augment → firecraft-norm",
                "firecraft-norm → firecraft-init"
            ]
        );
    }

    #[test]
    fn nothing_below_imports_the_trainer() {
        let graph = graph(vec![
            member("firecraft-trainer"),
            member("firecraft-data").optionally("firecraft-trainer"),
        ]);
        assert_eq!(check(&graph), ["firecraft-data → firecraft-trainer"]);
    }

    #[test]
    fn nothing_uses_an_example_or_the_tests() {
        let graph = graph(vec![
            member("conformance"),
            member("digits").needs("conformance"),
            member("firecraft-norm").for_tests("conformance"),
        ]);
        assert_eq!(
            check(&graph),
            ["digits → conformance", "firecraft-norm → conformance"]
        );
    }

    #[test]
    fn programs_align_their_features_and_libraries_do_not() {
        let graph = graph(vec![
            member("workspace-features"),
            member("digits").needs("workspace-features"),
            member("firecraft-cli").needs("workspace-features"),
            member("firecraft").needs("workspace-features"),
        ]);
        assert_eq!(check(&graph), ["firecraft → workspace-features"]);
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_found() {
        let violations = check(&graph(vec![member("firecraft-quantise")]));
        assert_eq!(violations.len(), 1);
        assert!(violations[0].starts_with("firecraft-quantise is not in the table"));
    }
}
