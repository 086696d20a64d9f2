//! The table of failures names tests that are there.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn every_test_that_the_table_names_is_there() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in [
        "src",
        "tests",
        "../cli/tests",
        "../../examples/digits/tests",
    ] {
        for entry in fs::read_dir(here.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let table = fs::read_to_string(here.join("tests/README.md")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let names: BTreeSet<&str> = words
        .filter_map(|word| word.rsplit("::").next())
        .filter(|word| word.matches('_').count() > 2)
        .collect();
    assert!(names.len() > 50, "{names:?}");
    let gone: Vec<_> = names
        .iter()
        .filter(|name| !sources.contains(&format!("fn {name}()")))
        .collect();
    assert!(gone.is_empty(), "no such test: {gone:?}");
}
