//! Crates that never see burn, and how small some trees must stay.
//!
//! Cargo unifies features over a whole workspace, so its resolved graph cannot
//! tell what a crate built *alone* needs. This follows the manifests instead:
//! from a crate with its default features, through the features each arrow
//! asks for.

use std::collections::{BTreeMap, BTreeSet};

use super::metadata::{Graph, Kind, Package};

const BURN_FREE: [&str; 6] = [
    "firecraft-key",
    "firecraft-spec",
    "firecraft-plot",
    "firecraft-schedule",
    "firecraft-plugin",
    "firecraft-plugin-host",
];

/// All that these may name as dependencies of their code.
const ONLY: [(&str, &[&str]); 2] = [
    ("firecraft-key", &[]),
    (
        "firecraft-plugin",
        &[
            "firecraft-key",
            "ciborium",
            "serde",
            "serde_json",
            "schemars",
        ],
    ),
];

/// Paths to burn from where there must be none, and dependencies where there
/// may be few.
pub(crate) fn check(graph: &Graph) -> Vec<String> {
    let mut violations = Vec::new();
    for root in BURN_FREE {
        match graph.member(root) {
            None => violations.push(format!("{root}: there is no such crate")),
            Some(_) => violations.extend(path_to_burn(graph, root)),
        }
    }
    for (name, only) in ONLY {
        let declared = graph
            .member(name)
            .map_or(&[][..], |package| &package.declared);
        for dependency in declared.iter().filter(|d| d.kind != Kind::Dev) {
            if !only.contains(&dependency.name.as_str()) {
                violations.push(format!("{name} → {}: not one of {only:?}", dependency.name));
            }
        }
    }
    violations
}

fn is_burn(name: &str) -> bool {
    name == "burn" || name.starts_with("burn-") || name.starts_with("cubecl")
}

/// The first path found from the crate, built alone, to burn.
fn path_to_burn(graph: &Graph, root: &str) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![(vec![root.to_owned()], vec!["default".to_owned()])];
    while let Some((path, features)) = open.pop() {
        let last = path.last().map_or(root, String::as_str);
        if is_burn(last) {
            return Some(path.join(" → "));
        }
        if !seen.insert((last.to_owned(), features.clone())) {
            continue;
        }
        let next = match graph.member(last) {
            Some(package) => built_alone(package, &features),
            None => resolved(graph, last),
        };
        for (name, features) in next {
            let mut longer = path.clone();
            longer.push(name);
            open.push((longer, features));
        }
    }
    None
}

/// The dependencies of a package of this workspace under some of its features,
/// with the features that they are asked for.
fn built_alone(package: &Package, features: &[String]) -> Vec<(String, Vec<String>)> {
    let on = closure(package, features);
    let mut dependencies = Vec::new();
    for dependency in package.declared.iter().filter(|d| d.kind != Kind::Dev) {
        if dependency.optional && !on.dependencies.contains(&dependency.alias) {
            continue;
        }
        let mut asked: BTreeSet<String> = dependency.features.iter().cloned().collect();
        asked.extend(
            on.forwarded
                .get(&dependency.alias)
                .into_iter()
                .flatten()
                .cloned(),
        );
        if dependency.default_features {
            asked.insert("default".to_owned());
        }
        dependencies.push((dependency.name.clone(), asked.into_iter().collect()));
    }
    dependencies
}

#[derive(Default)]
struct On {
    dependencies: BTreeSet<String>,
    forwarded: BTreeMap<String, BTreeSet<String>>,
}

/// What a set of features turns on, in the syntax of `[features]`.
fn closure(package: &Package, features: &[String]) -> On {
    let mut on = On::default();
    let mut seen = BTreeSet::new();
    let mut open = features.to_vec();
    while let Some(feature) = open.pop() {
        if !seen.insert(feature.clone()) {
            continue;
        }
        if let Some(dependency) = feature.strip_prefix("dep:") {
            on.dependencies.insert(dependency.to_owned());
        } else if let Some((dependency, feature)) = feature.split_once('/') {
            // `name?/feature` forwards without turning the dependency on.
            let name = dependency.trim_end_matches('?');
            if name == dependency {
                on.dependencies.insert(name.to_owned());
            }
            on.forwarded
                .entry(name.to_owned())
                .or_default()
                .insert(feature.to_owned());
        } else if let Some(enables) = package.features.get(&feature) {
            open.extend(enables.iter().cloned());
        }
    }
    on
}

/// What a package from elsewhere resolved to. Its features are those of the
/// whole workspace, which can only be more.
fn resolved(graph: &Graph, name: &str) -> Vec<(String, Vec<String>)> {
    graph
        .packages
        .values()
        .filter(|package| package.name == name)
        .flat_map(|package| &package.resolved)
        .filter_map(|id| graph.packages.get(id))
        .map(|package| (package.name.clone(), Vec::new()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::metadata::made_up::{Draft, external, graph, member};
    use super::*;

    /// The graph of these and of whichever burn-free crate is not among them.
    fn with(mut drafts: Vec<Draft>) -> Graph {
        for name in BURN_FREE {
            if drafts.iter().all(|draft| draft.name != name) {
                drafts.push(member(name));
            }
        }
        graph(drafts)
    }

    #[test]
    fn a_crate_that_needs_burn_is_found_with_the_path() {
        let graph = with(vec![
            member("firecraft-schedule").needs("firecraft-core-tensor"),
            member("firecraft-core-tensor").needs("burn"),
            external("burn"),
        ]);
        assert_eq!(
            check(&graph),
            ["firecraft-schedule → firecraft-core-tensor → burn"]
        );
    }

    #[test]
    fn burn_behind_a_feature_that_is_off_is_not_seen() {
        let graph = with(vec![
            member("firecraft-schedule")
                .optionally("burn")
                .feature("burn", &["dep:burn"]),
            external("burn"),
        ]);
        assert_eq!(check(&graph), [""; 0]);
    }

    #[test]
    fn burn_behind_a_default_feature_is_found() {
        let graph = with(vec![
            member("firecraft-schedule")
                .optionally("burn")
                .feature("default", &["adapter"])
                .feature("adapter", &["dep:burn"]),
            external("burn"),
        ]);
        assert_eq!(check(&graph), ["firecraft-schedule → burn"]);
    }

    #[test]
    fn the_features_of_an_arrow_decide_what_lies_behind_it() {
        let augment = || {
            member("firecraft-augment")
                .optionally("burn")
                .feature("default", &["flex"])
                .feature("cpu", &[])
                .feature("flex", &["burn/flex"])
        };
        let cpu = member("firecraft-plugin-host").with("firecraft-augment", &["cpu"]);
        assert_eq!(
            check(&with(vec![cpu, augment(), external("burn")])),
            [""; 0]
        );

        let flex = member("firecraft-plugin-host").needs("firecraft-augment");
        assert_eq!(
            check(&with(vec![flex, augment(), external("burn")])),
            ["firecraft-plugin-host → firecraft-augment → burn"]
        );
    }

    #[test]
    fn burn_below_a_package_from_elsewhere_is_found() {
        let graph = with(vec![
            member("firecraft-plot").needs("charts"),
            external("charts").needs("burn-tensor"),
            external("burn-tensor"),
        ]);
        assert_eq!(check(&graph), ["firecraft-plot → charts → burn-tensor"]);
    }

    #[test]
    fn a_weak_feature_does_not_turn_a_dependency_on() {
        let graph = with(vec![
            member("firecraft-spec")
                .optionally("burn")
                .feature("default", &["std"])
                .feature("std", &["burn?/std"]),
            external("burn"),
        ]);
        assert_eq!(check(&graph), [""; 0]);
    }

    #[test]
    fn the_plugin_abi_depends_on_few() {
        let graph = with(vec![
            member("firecraft-plugin")
                .needs("firecraft-key")
                .needs("libloading"),
            external("libloading"),
        ]);
        let violations = check(&graph);
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert!(
            violations[0].starts_with("firecraft-plugin → libloading"),
            "{violations:?}"
        );
    }
}
