//! Where `unsafe` may be allowed. The workspace denies it; this finds whoever
//! lifts that.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::Result;

/// The rooms for unsafe code, below the root of the workspace.
const ROOMS: [&str; 5] = [
    "crates/plugin/",
    "crates/plugin-host/",
    "crates/core-tensor/src/kernels/",
    "crates/core-tensor/src/kernels.rs",
    "plugins/",
];

/// Files outside the rooms that name the lint, which is how it is lifted.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for folder in ["crates", "examples", "tests", "xtask", "plugins"] {
        let folder = root.join(folder);
        if folder.exists() {
            walk(&folder, &mut |path| {
                let relative = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .into_owned();
                let relative = relative.replace('\\', "/");
                if lifts(&fs::read_to_string(&path)?) && !in_a_room(&relative) {
                    violations.push(format!("{relative} allows unsafe code"));
                }
                Ok(())
            })?;
        }
    }
    Ok(violations)
}

fn in_a_room(path: &str) -> bool {
    ROOMS.iter().any(|room| path.starts_with(room))
}

const LINT: &str = "unsafe_code";

/// Whether an attribute names the lint to make it weaker.
fn lifts(source: &str) -> bool {
    source.split("#").skip(1).any(|rest| {
        let attribute = rest.trim_start_matches('!').trim_start();
        let Some(attribute) = attribute.strip_prefix('[') else {
            return false;
        };
        let attribute = attribute.split(']').next().unwrap_or_default();
        ["allow", "expect", "warn"]
            .iter()
            .any(|level| attribute.contains(level))
            && attribute.contains(LINT)
    })
}

fn walk(folder: &Path, visit: &mut impl FnMut(PathBuf) -> Result<()>) -> Result<()> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            // Build outputs hold generated sources.
            if path.file_name().is_some_and(|name| name != "target") {
                walk(&path, visit)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            visit(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Written with a placeholder: this file is scanned too.
    fn lifted(source: &str) -> bool {
        lifts(&source.replace("LINT", LINT))
    }

    #[test]
    fn attributes_that_lift_the_lint_are_found_in_every_form() {
        assert!(lifted("#![allow(LINT)]"));
        assert!(lifted(
            "mod a {\n    #[allow(dead_code, LINT)]\n    fn f() {}\n}"
        ));
        assert!(lifted(
            "#[expect(\n    LINT,\n    reason = \"x\"\n)]\nfn f() {}"
        ));
        assert!(lifted("#![cfg_attr(unix, allow(LINT))]"));
    }

    #[test]
    fn text_and_stricter_levels_are_not() {
        assert!(!lifted("// LINT is denied here"));
        assert!(!lifted("#![forbid(LINT)]"));
        assert!(!lifted("#[allow(dead_code)]\nfn LINT() {}"));
    }

    #[test]
    fn only_the_rooms_are_rooms() {
        assert!(in_a_room("crates/plugin/src/head.rs"));
        assert!(in_a_room("crates/core-tensor/src/kernels/norm.rs"));
        assert!(!in_a_room("crates/core-tensor/src/device.rs"));
        assert!(!in_a_room("crates/norm/src/lib.rs"));
    }
}
