//! `firecraft plugin` as a user runs it.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../plugin-host/tests/support/mod.rs"]
mod support;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

fn firecraft(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_firecraft"))
        .args(arguments)
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_examples_in_rust_and_in_c_keep_their_promises() {
    for plugin in [
        support::rust("vignette"),
        support::rust("bold-driver"),
        support::rust("faults"),
        support::c("scanlines"),
        support::c("staircase"),
    ] {
        let output = firecraft(&["plugin", "check", text(&plugin)]);
        assert!(output.status.success(), "{}", out(&output));
        assert!(
            out(&output).contains("keeps its promises"),
            "{}",
            out(&output)
        );
    }
}

/// Checks the faulty plugin with one fault; gives what `check` found.
fn found(class: &str, fault: &str) -> String {
    let spec = format!("{{\"type\": \"{class}\", \"fault\": \"{fault}\"}}");
    let plugin = support::rust("faults");
    let start = Instant::now();
    let output = firecraft(&[
        "plugin",
        "check",
        text(&plugin),
        "--seconds",
        "5",
        "--spec",
        &spec,
    ]);
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(!output.status.success(), "{fault}: {}", out(&output));
    let printed = out(&output);
    let lines: Vec<&str> = printed
        .lines()
        .filter(|line| line.starts_with("FAIL"))
        .collect();
    lines.join("\n")
}

#[test]
fn a_read_or_write_past_the_end_ends_the_watched_process_and_is_named() {
    for fault in [
        "writes past the end",
        "reads past the end",
        "writes far past the end",
    ] {
        let found = found("raw_transform", fault);
        assert!(
            found.contains("memory is written as laid out"),
            "{fault}: {found}"
        );
        assert!(
            found.contains("touched memory that is not its own"),
            "{fault}: {found}"
        );
    }
    let before = found("raw_transform", "writes before the start");
    assert!(before.contains("before the start of an array"), "{before}");
    for (fault, word) in [
        ("writes past the end", "touched memory that is not its own"),
        ("writes before the start", "before the start of an array"),
    ] {
        let step = found("raw_scheduler", fault);
        assert!(
            step.contains("memory is written as laid out") && step.contains(word),
            "{fault}: {step}"
        );
    }
    let source = found("raw_transform", "writes to the source");
    assert!(source.contains("changed its source"), "{source}");
}

#[test]
fn a_hang_is_ended_by_the_time_limit() {
    for (class, fault) in [
        ("careless", "hang in create"),
        ("careless", "hang in plan"),
        ("careless", "hang in apply"),
        ("careless_scheduler", "hang in step"),
    ] {
        let found = found(class, fault);
        assert!(
            found.contains("still running after 5 s; it may hang"),
            "{found}"
        );
    }
}

#[test]
fn broken_promises_are_named() {
    for (class, fault, promise) in [
        ("careless", "another plan each time", "threads agree"),
        (
            "careless",
            "writes nothing",
            "leaves part of its destination unwritten",
        ),
        ("careless", "panic in plan", "no plan today"),
        ("careless_scheduler", "nan", "NaN"),
        ("careless_scheduler", "forgets", "after a restart at update"),
        ("careless_scheduler", "panic in save", "no save today"),
        (
            "raw_transform",
            "too many boxes",
            "more rows than there were",
        ),
        (
            "raw_transform",
            "changes the shape",
            "changed the image's view",
        ),
    ] {
        let found = found(class, fault);
        assert!(found.contains(promise), "{fault}: {found}");
    }
}

#[test]
fn a_plugin_that_eats_memory_or_aborts_ends_only_the_watched_process() {
    let folder = tempfile::tempdir().unwrap();
    for (name, body, word) in [
        (
            "eats",
            "for (;;) { char *p = malloc(1 << 20); if (!p) abort(); p[0] = 1; }",
            "abort",
        ),
        ("aborts", "abort();", "abort"),
        ("exits", "exit(0);", "ended the process"),
        ("spins", "for (volatile int i = 0;; i++) {}", "may hang"),
    ] {
        let source = folder.path().join(format!("{name}.c"));
        let code = format!(
            "#include <stdlib.h>\n__attribute__((constructor)) static void run(void) {{ {body} }}\n"
        );
        fs::write(&source, code).unwrap();
        let library = source.with_extension("so");
        support::compile(&source, &library, &[]);
        let temporary = folder.path().join(format!("{name}-temporary"));
        fs::create_dir(&temporary).unwrap();
        let arguments = [
            "plugin",
            "check",
            text(&library),
            "--seconds",
            "4",
            "--memory",
            "512",
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_firecraft"));
        command.args(arguments).env("TMPDIR", &temporary);
        let output = command.output().unwrap();
        assert!(!output.status.success());
        assert!(out(&output).contains(word), "{name}: {}", out(&output));
        // The private copy is gone, though nobody inside could remove it.
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "{name}");
        assert!(
            out(&output).contains("the file and its tables"),
            "{}",
            out(&output)
        );
    }
}

#[test]
fn a_file_that_is_no_plugin_is_one_finding() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.so");
    fs::write(&path, "hello").unwrap();
    let output = firecraft(&["plugin", "check", text(&path)]);
    assert!(!output.status.success());
    assert!(
        out(&output).contains("not a library that can be loaded"),
        "{}",
        out(&output)
    );
}

#[test]
fn plugins_are_listed_inspected_and_measured() {
    let plugin = support::rust("vignette");
    let listed = firecraft(&["plugin", "list", text(&plugin)]);
    assert!(
        out(&listed).contains("transform vignette"),
        "{}",
        out(&listed)
    );
    let inspected = firecraft(&["plugin", "inspect", text(&plugin)]);
    for word in [
        "org.firecraft.vignette",
        "sha256   ",
        "works in place",
        "strength",
        "key points",
    ] {
        assert!(out(&inspected).contains(word), "{}", out(&inspected));
    }
    let measured = firecraft(&["plugin", "bench", text(&plugin), "--side", "32"]);
    for word in ["load ", "plan ", "apply ", "32x32x3"] {
        assert!(out(&measured).contains(word), "{}", out(&measured));
    }
    let scheduler = firecraft(&["plugin", "bench", text(&support::c("staircase"))]);
    assert!(out(&scheduler).contains(" ns"), "{}", out(&scheduler));
}

#[test]
fn the_environment_names_folders_only_for_list() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(
        support::c("scanlines"),
        folder.path().join("libscanlines.so"),
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_firecraft"))
        .args(["plugin", "list"])
        .env("FIRECRAFT_PLUGIN_PATH", folder.path())
        .output()
        .unwrap();
    assert!(out(&output).contains("scanlines"), "{}", out(&output));
}
