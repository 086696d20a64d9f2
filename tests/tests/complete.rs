//! The families, files and groups that are declared complete stay complete.

// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use conformance::{
    golden,
    lists::{self, Complete, Deviations},
    report, run,
};

fn files() -> Vec<golden::File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    golden::load(&root, None).unwrap()
}

#[test]
fn every_complete_group_passes() {
    let files = files();
    let deviations = Deviations::parse(lists::DEVIATIONS).unwrap();
    let complete = Complete::parse(lists::COMPLETE).unwrap();
    complete.check(&files).unwrap();

    let results = run::run(&files, &deviations, |file, case| {
        complete.contains(&file.id(), case.group())
    });

    let mut table = Vec::new();
    report::write_table(&mut table, &results).unwrap();
    let counts = report::Counts::of(&results);
    assert_eq!(counts.failed, 0, "\n{}", String::from_utf8_lossy(&table));
}

#[test]
fn deviations_name_groups_that_exist() {
    Deviations::parse(lists::DEVIATIONS)
        .unwrap()
        .check_files(&files())
        .unwrap();
}

#[test]
fn the_copy_holds_every_case_of_the_manifest() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let text = std::fs::read_to_string(root.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let files = files();
    assert_eq!(manifest.as_object().unwrap().len(), files.len());
    for file in &files {
        let listed = manifest[file.id()]["cases"].as_u64().unwrap();
        assert_eq!(listed, file.cases.len() as u64, "{}", file.id());
    }
}
