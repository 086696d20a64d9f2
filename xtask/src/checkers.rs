//! `cargo xtask miri`, `valgrind` and `platforms`: the plugin boundary under
//! programs that see what a processor doesn't, and for systems that aren't here.

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
};

use crate::{Result, cargo, plugins, succeeds};

/// Runs a plugin that is linked statically under Miri, host and plugin alike:
/// undefined behaviour on either side, data races, and memory that is left
/// behind. Says so and succeeds where there is no Miri.
pub(crate) fn miri(arguments: &[String]) -> Result<bool> {
    if !arguments.is_empty() {
        return Err("usage: cargo xtask miri".into());
    }
    if !exists(Command::new("rustup").args(["run", "nightly", "cargo", "miri", "--version"])) {
        return skipped(
            "Miri",
            "rustup toolchain install nightly --component miri --component rust-src",
        );
    }
    let names_stay = "-Zmiri-ignore-leaks";
    let runs: [(&str, &[&str]); 4] = [
        ("", &["firecraft-plugin", "--lib"]),
        ("", &["firecraft-plugin-host", "--test", "linked"]),
        // The names of types stay for ever, which these tests have many of.
        (
            names_stay,
            &[
                "firecraft-plugin-host",
                "--test",
                "scheduler",
                "--test",
                "tables",
            ],
        ),
        // What needs files and closed pages is left out.
        (
            names_stay,
            &[
                "firecraft-plugin-host",
                "--lib",
                "--",
                "output::",
                "plugin::",
                "scheduler::",
                "sink::",
            ],
        ),
    ];
    for (flags, rest) in runs {
        let mut command = Command::new("rustup");
        command.args(["run", "nightly", "cargo", "miri", "test", "--locked", "-p"]);
        command.args(rest).env("MIRIFLAGS", flags);
        // What the stable cargo that runs this tells its children.
        for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
        if !succeeds(&mut command)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs the plugins of `plugins/`, in Rust and in C, and the tests of faults
/// under valgrind: reads and writes beside the mark, values that were never
/// written, memory that is left behind after so many calls of each class, 200 if
/// none are given. Says so and succeeds where there is no valgrind.
pub(crate) fn valgrind(root: &Path, arguments: &[String]) -> Result<bool> {
    let calls = match arguments {
        [] => Some(200),
        [calls] => calls.parse::<u64>().ok().filter(|&calls| calls > 0),
        _ => None,
    };
    let calls =
        calls.ok_or("usage: cargo xtask valgrind [CALLS], of which there is at least one")?;
    if !exists(Command::new("valgrind").arg("--version")) {
        return skipped("valgrind", "apt-get install valgrind");
    }
    // A panic's payload is given up on purpose: dropping it could panic again.
    let under = |leaks: &str| {
        let runner = format!(
            "target.'cfg(all())'.runner = ['valgrind', '--quiet', '--error-exitcode=1', \
             '--num-callers=30', {leaks}]"
        );
        [OsString::from("--config"), OsString::from(runner)]
    };
    let mut tests = cargo(&[
        "test",
        "--release",
        "--locked",
        "-p",
        "firecraft-plugin-host",
    ]);
    tests.args(under("'--leak-check=no'"));
    for test in ["faults", "scheduler", "linked", "tables", "compatibility"] {
        tests.args(["--test", test]);
    }
    // Names of frames cost more than all else there.
    tests.env("RUST_BACKTRACE", "0");
    if !succeeds(&mut tests)? {
        return Ok(false);
    }
    let libraries = plugins::build_all(root)?;
    let mut soak = cargo(&[
        "run",
        "--release",
        "--locked",
        "-p",
        "firecraft-plugin-host",
    ]);
    soak.args(["--example", "soak"]);
    soak.args(under(
        "'--leak-check=full', '--show-leak-kinds=definite,indirect', \
         '--errors-for-leak-kinds=definite,indirect'",
    ));
    soak.args(["--", &calls.to_string()]).args(libraries);
    succeeds(&mut soak)
}

/// Those whose plugin code differs from Linux'.
const PLATFORMS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-pc-windows-gnu"];

/// Compiles the plugin boundary, the SDK and the `firecraft plugin` probes for
/// macOS and Windows, as far as it can be done without their linkers. Says so and
/// goes on where the standard library of such a target is not installed.
pub(crate) fn platforms(arguments: &[String]) -> Result<bool> {
    if !arguments.is_empty() {
        return Err("usage: cargo xtask platforms".into());
    }
    for target in PLATFORMS {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut print = Command::new(rustc);
        print.args(["--print", "target-libdir", "--target", target]);
        let printed = print
            .output()
            .map_err(|e| format!("cannot run {print:?}: {e}"))?;
        // rustc names the folder whether it is there or not.
        if !Path::new(String::from_utf8_lossy(&printed.stdout).trim()).is_dir() {
            skipped(target, &format!("rustup target add {target}"))?;
            continue;
        }
        let mut check = cargo(&["check", "--locked", "--target", target]);
        check.args(["-p", "firecraft-plugin", "-p", "firecraft-plugin-host"]);
        check.args(["--lib", "--examples"]);
        if !succeeds(&mut check)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a command is there and works.
fn exists(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn skipped(name: &str, install: &str) -> Result<bool> {
    writeln!(
        io::stderr(),
        "SKIPPED: {name} is not installed, nothing was checked; `{install}`"
    )?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_no_number_of_calls_are_refused() {
        for wrong in [&["0"][..], &["-1"], &["many"], &["1", "2"]] {
            let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            let error = valgrind(Path::new("."), &wrong).unwrap_err();
            assert!(
                error.to_string().starts_with("usage:"),
                "{wrong:?}: {error}"
            );
        }
    }
}
