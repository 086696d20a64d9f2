//! Builds the example plugins, once for all tests that want one.
//!
//! `cargo test` does not build shared libraries of other packages reliably. This
//! runs one nested cargo in a target folder of its own, and a C compiler, under
//! a lock that all test programs share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above
        .find(|folder| folder.join("Cargo.lock").exists())
        .unwrap()
}

/// Where nested builds go.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins")
}

/// Runs a command and fails with what it said.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A nested cargo, whose builds land in [`target`].
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", target());
    // What the outer cargo tells the test is not meant for the inner one.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_BIN_EXE") {
            command.env_remove(name);
        }
    }
    command
}

/// The C compiler.
pub(crate) fn cc() -> Command {
    let mut command = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    command
        .arg("-I")
        .arg(workspace().join("crates/plugin/include"));
    command
}

/// Held while something is built.
pub(crate) fn lock() -> File {
    fs::create_dir_all(target()).unwrap();
    let file = File::create(target().join(".lock")).unwrap();
    file.lock().unwrap();
    file
}

/// A plugin of `plugins/` in Rust, by its package's name.
pub(crate) fn rust(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let _lock = lock();
        succeed(cargo().args([
            "build",
            "--release",
            "--locked",
            "-p",
            "vignette",
            "-p",
            "bold-driver",
            "-p",
            "faults",
        ]));
    });
    let file = format!("{DLL_PREFIX}{}{DLL_SUFFIX}", name.replace('-', "_"));
    target().join("release").join(file)
}

/// A plugin of `plugins/c`, by its file's name without `.c`.
pub(crate) fn c(name: &str) -> PathBuf {
    let _lock = lock();
    let source = workspace().join("plugins/c").join(name).with_extension("c");
    let out = target().join(format!("{DLL_PREFIX}{name}{DLL_SUFFIX}"));
    compile(&source, &out, &[]);
    out
}

/// Compiles a shared library from C, with every warning an error.
pub(crate) fn compile(source: &Path, out: &Path, arguments: &[&str]) {
    // Another test may have loaded the old one: it must keep its content.
    let fresh = out.with_extension("new");
    succeed(
        cc().args([
            "-std=c99",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
        ])
        .args(["-shared", "-fPIC"])
        .args(arguments)
        .args([OsStr::new("-o"), fresh.as_os_str(), source.as_os_str()])
        .arg("-lm"),
    );
    fs::rename(fresh, out).unwrap();
}
