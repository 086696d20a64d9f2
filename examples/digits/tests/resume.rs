//! Killed at any moment and resumed, a run ends with the bits of the run that
//! was left alone.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use support::{only_run, result, run, start, stderr, stdout, text};

const EPOCHS: &str = "6";

/// Arguments of every run here: a checkpoint after each update, so that a good
/// part of the time is spent in writing them.
fn fresh(out: &Path) -> Vec<&str> {
    vec![
        "--epochs",
        EPOCHS,
        "--seed",
        "3",
        "--batch-size",
        "128",
        "--threads",
        "1",
        "--checkpoint-every",
        "1",
        "--out",
        text(out),
    ]
}

fn resumed(run: &Path) -> Vec<&str> {
    vec![
        "--resume",
        text(run),
        "--threads",
        "1",
        "--checkpoint-every",
        "1",
    ]
}

fn straight() -> (tempfile::TempDir, PathBuf) {
    let out = tempfile::tempdir().unwrap();
    let output = run(&fresh(out.path()));
    assert!(output.status.success(), "{}", stderr(&output));
    let folder = only_run(out.path());
    (out, folder)
}

/// Waits until `ready` says so; fails rather than waiting for ever.
fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "{what} never came"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Names of the checkpoints and of those being written.
fn checkpoints(parent: &Path) -> Vec<String> {
    let Some(Ok(run)) = std::fs::read_dir(parent)
        .ok()
        .and_then(|mut entries| entries.next())
    else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(run.path().join("checkpoints")) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

fn updates(name: &str) -> u64 {
    let digits = name.strip_prefix("update-").and_then(|rest| rest.get(..9));
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[test]
fn equal_seeds_give_equal_histories_and_weights() {
    let (_a, first) = straight();
    let (_b, second) = straight();
    assert_eq!(result(&first), result(&second));
}

#[test]
fn a_killed_and_resumed_run_equals_the_one_that_was_left_alone() {
    let (_out, expected) = straight();
    for target in [1, 5, 9, 17, 31, 44, 58] {
        let out = tempfile::tempdir().unwrap();
        let mut child = start(&fresh(out.path()));
        wait_until("the checkpoint", || {
            checkpoints(out.path())
                .iter()
                .any(|name| updates(name) >= target)
        });
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let folder = only_run(out.path());
        let output = run(&resumed(&folder));
        assert!(
            output.status.success(),
            "killed at {target}: {}",
            stderr(&output)
        );
        assert_eq!(result(&folder), result(&expected), "killed at {target}");
    }
}

#[test]
fn a_run_killed_while_a_checkpoint_is_written_loses_nothing() {
    let (_out, expected) = straight();
    let out = tempfile::tempdir().unwrap();
    let mut child = start(&fresh(out.path()));
    let mut inside = 0;
    for _ in 0..12 {
        // The folder with this name exists only while a checkpoint is written.
        wait_until("a checkpoint being written", || {
            let finished = child.try_wait().unwrap().is_some();
            finished
                || checkpoints(out.path())
                    .iter()
                    .any(|name| name.starts_with(".writing-"))
        });
        let alive = child.try_wait().unwrap().is_none();
        let _ = child.kill();
        child.wait().unwrap();
        let left = checkpoints(out.path())
            .iter()
            .any(|name| name.starts_with(".writing-"));
        inside += usize::from(alive && left);
        child = start(&resumed(&only_run(out.path())));
        if !alive {
            break;
        }
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        inside > 0,
        "no kill hit a checkpoint that was being written"
    );
    let folder = only_run(out.path());
    assert_eq!(result(&folder), result(&expected));
    let left = checkpoints(out.path());
    assert!(!left.iter().any(|name| name.starts_with('.')), "{left:?}");
}

#[test]
fn ctrl_c_leaves_a_checkpoint_and_a_readable_report() {
    let (_out, expected) = straight();
    let out = tempfile::tempdir().unwrap();
    let child = start(&fresh(out.path()));
    wait_until("the checkpoint", || {
        checkpoints(out.path())
            .iter()
            .any(|name| updates(name) >= 12)
    });
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let folder = only_run(out.path());
    assert!(stdout(&output).contains("--resume"), "{}", stdout(&output));
    let report = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(report.starts_with("<!doctype html>") && report.ends_with("</html>\n"));
    assert!(report.contains("interrupted"));

    let output = run(&resumed(&folder));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(result(&folder), result(&expected));
}
