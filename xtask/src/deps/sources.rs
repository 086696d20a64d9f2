//! Where packages come from, and which may not be there.

use super::metadata::Graph;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Packages that no crate of this workspace may name: each hides state or
/// randomness that must be passed as an argument, or an ABI that is not ours.
const BANNED: [(&str, &str); 6] = [
    ("rand", "draw from a firecraft_key::Key"),
    ("fastrand", "draw from a firecraft_key::Key"),
    ("getrandom", "draw from a firecraft_key::Key"),
    ("lazy_static", "no global state"),
    ("abi_stable", "the plugin ABI is plain repr(C)"),
    ("stabby", "the plugin ABI is plain repr(C)"),
];

/// Packages from elsewhere than crates.io, banned ones, and a second burn.
pub(crate) fn check(graph: &Graph) -> Vec<String> {
    let mut violations = Vec::new();
    for (id, package) in &graph.packages {
        let ours = graph.members.contains(id);
        if !ours && package.source.as_deref() != Some(CRATES_IO) {
            violations.push(format!("{} comes from {:?}", package.name, package.source));
        }
        // A package without code draws nothing.
        let has_code = package.name != "workspace-features";
        for dependency in package.declared.iter().filter(|_| ours && has_code) {
            if let Some((name, instead)) = BANNED.iter().find(|(name, _)| *name == dependency.name)
            {
                violations.push(format!("{} → {name}: {instead}", package.name));
            }
            if dependency.requirement == "*" && graph.member(&dependency.name).is_none() {
                violations.push(format!(
                    "{} → {}: any version",
                    package.name, dependency.name
                ));
            }
        }
    }
    let burns = graph
        .packages
        .values()
        .filter(|package| package.name == "burn");
    let versions: Vec<&str> = burns.map(|package| package.version.as_str()).collect();
    if versions.len() > 1 {
        violations.push(format!("more than one burn: {}", versions.join(", ")));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::metadata::made_up::{external, graph, member};
    use super::*;

    #[test]
    fn a_git_source_and_another_registry_are_found() {
        let graph = graph(vec![
            external("a"),
            external("b").source("git+https://example.org/b"),
            external("c").source("registry+https://example.org/index"),
        ]);
        let violations = check(&graph);
        assert_eq!(violations.len(), 2, "{violations:?}");
        assert!(violations[0].starts_with("b comes from"));
    }

    #[test]
    fn a_banned_package_is_found_where_we_name_it_and_not_below() {
        let graph = graph(vec![
            member("firecraft-augment").needs("rand"),
            external("burn").needs("rand"),
            external("rand"),
        ]);
        assert_eq!(
            check(&graph),
            ["firecraft-augment → rand: draw from a firecraft_key::Key"]
        );
    }

    #[test]
    fn one_burn_is_fine() {
        let one = graph(vec![external("burn").version("0.22.1")]);
        assert_eq!(check(&one), [""; 0]);
    }
}
