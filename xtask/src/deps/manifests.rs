//! Versions, lints and package fields are stated once, in the root manifest.

use std::{fs, path::Path};

use toml::{Table, Value};

use super::metadata::Graph;
use crate::Result;

/// Members that state their own.
pub(crate) fn check(graph: &Graph, root: &Path) -> Result<Vec<String>> {
    let mut violations = Vec::new();
    let manifest: Table = fs::read_to_string(root.join("Cargo.toml"))?.parse()?;
    violations.extend(check_root(&manifest));
    for package in graph.workspace() {
        let manifest: Table = fs::read_to_string(&package.manifest)?.parse()?;
        violations.extend(check_member(&package.name, &manifest));
    }
    Ok(violations)
}

fn check_root(manifest: &Table) -> Vec<String> {
    let mut violations = Vec::new();
    let workspace = manifest.get("workspace");
    let lint = |group: &str, name: &str| {
        workspace.and_then(|w| w.get("lints")?.get(group)?.get(name)?.as_str())
    };
    if lint("rust", "unsafe_code") != Some("deny") {
        violations.push("the workspace does not deny `unsafe_code`".to_owned());
    }
    let burn = workspace.and_then(|w| w.get("dependencies")?.get("burn")?.get("version")?.as_str());
    if !burn.is_some_and(|version| version.starts_with('=')) {
        violations.push(format!("burn is not pinned to one version: {burn:?}"));
    }
    violations
}

fn check_member(name: &str, manifest: &Table) -> Vec<String> {
    let mut violations = Vec::new();
    if !inherits(manifest.get("lints")) {
        violations.push(format!("{name}: `[lints] workspace = true` is missing"));
    }
    let package = manifest.get("package");
    for field in ["version", "edition", "rust-version", "license"] {
        if !inherits(package.and_then(|package| package.get(field))) {
            violations.push(format!("{name}: `{field}.workspace = true` is missing"));
        }
    }
    for (kind, dependencies) in dependency_tables(manifest) {
        for (dependency, value) in dependencies {
            if !inherits(Some(value)) {
                violations.push(format!(
                    "{name}: {kind}.{dependency} has a version of its own"
                ));
            }
        }
    }
    violations
}

fn inherits(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")?.as_bool()) == Some(true)
}

fn dependency_tables(manifest: &Table) -> Vec<(&str, &Table)> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(Value::as_table);
    let per_target = targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    std::iter::once(manifest)
        .chain(per_target)
        .flat_map(|table| KINDS.map(|kind| (kind, table.get(kind).and_then(Value::as_table))))
        .filter_map(|(kind, table)| Some((kind, table?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
        [package]
        version.workspace = true
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        [lints]
        workspace = true
        [dependencies]
        serde.workspace = true
        burn = { workspace = true, optional = true }
    ";

    fn member(text: &str) -> Vec<String> {
        check_member("it", &text.parse().unwrap())
    }

    #[test]
    fn a_member_that_inherits_everything_is_fine() {
        assert_eq!(member(GOOD), [""; 0]);
    }

    #[test]
    fn a_version_of_its_own_is_found_in_every_table() {
        let text = format!(
            "{GOOD}
            rayon = \"1\"
            [dev-dependencies]
            proptest = {{ version = \"1\" }}
            [target.'cfg(unix)'.dependencies]
            libc = \"0.2\"
            "
        );
        assert_eq!(
            member(&text),
            [
                "it: dependencies.rayon has a version of its own",
                "it: dev-dependencies.proptest has a version of its own",
                "it: dependencies.libc has a version of its own",
            ]
        );
    }

    #[test]
    fn a_member_without_the_lints_is_found() {
        let text = GOOD.replace("[lints]", "[metadata]");
        assert_eq!(member(&text), ["it: `[lints] workspace = true` is missing"]);
    }

    #[test]
    fn the_root_must_deny_unsafe_code_and_pin_burn() {
        let root = "[workspace.lints.rust]\nunsafe_code = \"deny\"\n\
                    [workspace.dependencies]\nburn = { version = \"=0.22.1\" }\n";
        let check = |text: &str| check_root(&text.parse().unwrap());
        assert_eq!(check(root), [""; 0]);
        assert_eq!(check(&root.replace("deny", "warn")).len(), 1);
        assert_eq!(check(&root.replace("=0.22", "0.22")).len(), 1);
    }
}
