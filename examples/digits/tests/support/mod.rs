//! Runs the program as a user would.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The program with the CPU backend and a tiny network, so that a run takes a
/// second or two.
pub(crate) fn digits(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_digits"));
    command
        .args(args)
        .env_remove("FIRECRAFT_DEVICE")
        .env("FIRECRAFT_DEVICE", "flex")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    digits(args).output().unwrap()
}

pub(crate) fn start(args: &[&str]) -> Child {
    digits(args).spawn().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The one run folder in `parent`.
pub(crate) fn only_run(parent: &Path) -> PathBuf {
    let mut folders: Vec<_> = std::fs::read_dir(parent)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders.remove(0)
}

/// What has to be equal in equal runs.
pub(crate) fn result(run: &Path) -> (Vec<u8>, Vec<u8>) {
    let read = |name: &str| std::fs::read(run.join(name)).unwrap();
    (read("model.safetensors"), read("history.csv"))
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
