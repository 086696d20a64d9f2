//! `cargo xtask header`: the C header of the plugin ABI.
//!
//! Made from the sources of `crates/plugin/src/abi`, which keep to few forms
//! (tables, numbers with names, function types), and from the C form of the
//! generator in `crates/plugin/include/key.h`. `--check` compares with the file
//! that is there, which is what CI does. What the sources assert of their
//! layout is asserted in C too.
//!
//! cbindgen would do it, but it turns on features of `syn` below burn, which
//! would then be built twice for tests and programs.

mod c;
mod rust;

use std::{fs, path::Path};

use crate::Result;

const SOURCES: &str = "crates/plugin/src/abi";
const KEY: &str = "crates/plugin/include/key.h";
const HEADER: &str = "crates/plugin/include/firecraft_plugin.h";
/// In the order in which C wants to see them.
const FILES: [&str; 10] = [
    "head",
    "text",
    "status",
    "view",
    "sample",
    "transform",
    "scheduler",
    "self_test",
    "class",
    "entry",
];

/// Writes the header, or says whether it is up to date.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<bool> {
    let check = match arguments {
        [] => false,
        [only] if only == "--check" => true,
        _ => return Err("usage: cargo xtask header [--check]".into()),
    };
    let header = generate(root)?;
    let path = root.join(HEADER);
    if !check {
        fs::write(&path, header)?;
        return Ok(true);
    }
    let current = fs::read_to_string(&path).unwrap_or_default() == header;
    if !current {
        return Err(format!("{HEADER} is not what `cargo xtask header` makes; run it").into());
    }
    Ok(true)
}

pub(crate) fn generate(root: &Path) -> Result<String> {
    let mut items = Vec::new();
    for file in FILES {
        let path = root.join(SOURCES).join(file).with_extension("rs");
        let source = fs::read_to_string(&path)?;
        let parsed = rust::items(&source);
        items.extend(parsed.map_err(|e| format!("{}: {e}", path.display()))?);
    }
    let key = fs::read_to_string(root.join(KEY))?;
    c::header(&items, &key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_in_the_tree_is_the_one_that_the_sources_make() {
        let root = crate::root();
        let made = generate(&root).unwrap();
        let there = fs::read_to_string(root.join(HEADER)).unwrap();
        assert!(made == there, "run `cargo xtask header`");
    }

    #[test]
    fn every_file_of_the_abi_is_in_the_header() {
        let folder = crate::root().join(SOURCES);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(name == "mod" || FILES.contains(&name), "{name}");
        }
    }
}
