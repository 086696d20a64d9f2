//! The template makes a plugin that builds, passes its own test and keeps its
//! promises, as docs/plugins.md says.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../crates/plugin-host/tests/support/mod.rs"]
mod support;

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs,
    process::Command,
};

use firecraft_plugin_host::{
    Plugin,
    probe::{self, Progress},
};

fn new_plugin(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("new-plugin")
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn a_new_plugin_builds_passes_its_test_and_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path().to_str().unwrap();
    let output = new_plugin(&["film-lift", parent]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let made = folder.path().join("film-lift");
    // The versions that are there, so that nothing has to be fetched.
    fs::copy(
        support::workspace().join("Cargo.lock"),
        made.join("Cargo.lock"),
    )
    .unwrap();

    let lock = support::lock();
    let run = |arguments: &[&str]| {
        let mut cargo = support::cargo();
        support::succeed(
            cargo
                .current_dir(&made)
                .args(arguments)
                .args(["--release", "--offline"]),
        )
    };
    let tested = run(&["test", "--lib"]);
    assert!(tested.contains("1 passed"), "{tested}");
    run(&["build"]);
    let library = support::target()
        .join("release")
        .join(format!("{DLL_PREFIX}film_lift{DLL_SUFFIX}"));
    let plugin = Plugin::load(&library, None).unwrap();
    drop(lock);
    assert_eq!(plugin.id(), "org.example.film-lift");
    let mut passed = 0;
    let sound = probe::run(&plugin, &[], |progress| match progress {
        Progress::Passed => passed += 1,
        Progress::Failed(problem) => panic!("{problem}"),
        _ => {}
    });
    assert!(sound && passed >= 7, "{passed}");
}

#[test]
fn nothing_is_overwritten_and_odd_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path().to_str().unwrap();
    assert!(new_plugin(&["one", parent]).status.success());
    let again = new_plugin(&["one", parent]);
    let message = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        !again.status.success() && message.contains("cannot make"),
        "{message}"
    );
    let odd = new_plugin(&["../one", parent]);
    assert!(String::from_utf8_lossy(&odd.stderr).contains("is no name"));
    assert!(!new_plugin(&[]).status.success());
}
