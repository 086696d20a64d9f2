//! `cargo run -p digits` and `cargo test --workspace` share one build of burn.
//!
//! They do only if every package that burn depends on has the same features
//! under both. Test-only dependencies of one member can spoil that for all;
//! the package `workspace-features` makes up for it.

use std::collections::{BTreeMap, BTreeSet};

use super::metadata::{Graph, Kind};
use crate::{Result, cargo};

const ALIGNED_BY: &str = "workspace-features";

/// Features that a program lacks and the tests bring.
pub(crate) fn check(graph: &Graph) -> Result<Vec<String>> {
    let tests = tree(&["--workspace", "-e", "normal,build,dev"])?;
    let below_burn = tree(&["-p", "burn", "-e", "normal,build"])?;
    let mut violations = Vec::new();
    for package in graph.workspace() {
        let aligned =
            |d: &super::metadata::Declared| d.kind == Kind::Normal && d.name == ALIGNED_BY;
        if package.declared.iter().any(aligned) {
            let mut program = tree(&["-p", &package.name, "-e", "normal,build"])?;
            program.retain(|package, _| below_burn.contains_key(package));
            violations.extend(differences(&package.name, &program, &tests));
        }
    }
    Ok(violations)
}

/// The features of each package of `cargo tree`; a package that is built for
/// the host and for the target may have two sets.
type Features = BTreeMap<String, BTreeSet<String>>;

fn tree(selection: &[&str]) -> Result<Features> {
    let output = cargo(&[
        "tree",
        "--locked",
        "--no-dedupe",
        "--prefix",
        "none",
        "-f",
        "{p}|{f}",
    ])
    .args(selection)
    .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

fn parse(tree: &str) -> Features {
    let mut features = Features::new();
    for line in tree.lines() {
        // Packages of this workspace are followed by their folder; what is
        // compiled again of those is small.
        if let Some((package, on)) = line.split_once('|').filter(|(p, _)| !p.contains("(/")) {
            features
                .entry(package.to_owned())
                .or_default()
                .insert(on.to_owned());
        }
    }
    features
}

fn differences(name: &str, program: &Features, tests: &Features) -> Vec<String> {
    let mut differences = Vec::new();
    for (package, on) in program {
        let none = BTreeSet::new();
        let in_tests = tests.get(package).unwrap_or(&none);
        if !on.is_subset(in_tests) {
            differences.push(format!(
                "{name}: {package} has features {on:?}, in tests {in_tests:?}; \
                 ask for them in xtask/features/Cargo.toml"
            ));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_only_tests_turn_on_is_found() {
        let run = parse("digits v0.1.0 (/made-up)|flex\nregex v1.0.0|perf\nlibc v0.2.0|std\n");
        let test = parse("digits v0.1.0 (/made-up)|\nregex v1.0.0|perf,std\nlibc v0.2.0|std\n");
        let found = differences("digits", &run, &test);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("digits: regex v1.0.0 has features {\"perf\"}"),
            "{found:?}"
        );
    }

    #[test]
    fn a_package_for_the_host_may_have_a_set_of_its_own() {
        let run = parse("syn v2.0.0|full\n");
        let test = parse("syn v2.0.0|full\nsyn v2.0.0|full,visit\n");
        assert_eq!(differences("digits", &run, &test), [""; 0]);
    }
}
