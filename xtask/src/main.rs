//! Developer tasks: `cargo xtask ci | deps | conformance | header | plugins |
//! new-plugin | miri | valgrind | platforms | nightly`.
//!
//! What lives here: what a contributor runs by hand and CI runs by itself. What
//! must not: anything a user of the library needs; the `firecraft` command is
//! in `crates/cli`.

mod checkers;
mod deps;
mod header;
mod plugins;

use std::{
    env,
    error::Error,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

const USAGE: &str = "\
usage: cargo xtask TASK

  ci            everything that CI runs (.ci/run)
  deps          the invariants between crates, licences and sources
  conformance   the golden cases (arguments are passed on)
  header        the C header of the plugin ABI (--check: is it up to date?)
  plugins       the example plugins, in Rust and in C
  new-plugin    a new plugin from the template: NAME [FOLDER]
  miri          the plugin boundary under Miri, where it is installed
  valgrind      the plugins and their faults under valgrind, where it is installed
                (CALLS of each class to look for leaks, 200 if not given)
  platforms     the plugin boundary compiled for macOS and Windows, where their
                standard libraries are installed
  nightly       what takes long: a million random schedules, the storm of crashes
                of the trainer
";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run(env::args().skip(1).collect()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // A closed stderr leaves nothing to tell.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Vec<String>) -> Result<bool> {
    let (task, rest) = arguments.split_first().ok_or(USAGE)?;
    match task.as_str() {
        "ci" => succeeds(Command::new(root().join(".ci/run")).args(rest)),
        "deps" => deps::run(&root(), &mut io::stdout().lock()),
        "conformance" => {
            let mut command = cargo(&["run", "--release", "-p", "conformance", "--"]);
            if rest.is_empty() {
                command.arg("tests/golden");
            }
            succeeds(command.args(rest))
        }
        "header" => header::run(&root(), rest),
        "plugins" => plugins::build(&root(), rest),
        "new-plugin" => plugins::create(&root(), rest),
        "miri" => checkers::miri(rest),
        "valgrind" => checkers::valgrind(&root(), rest),
        "platforms" => checkers::platforms(rest),
        "nightly" => {
            let test = |package: &str, name: &str| {
                cargo(&["test", "--release", "-p", package, "--test", name])
            };
            let mut fuzz = test("firecraft-schedule", "fuzz");
            let mut storm = test("firecraft-trainer", "crash");
            Ok(succeeds(fuzz.env("SCHEDULE_FUZZ_CASES", "1000000"))?
                && succeeds(storm.env("FIRECRAFT_STORM_CRASHES", "200"))?)
        }
        _ => Err(format!("there is no task `{task}`\n{USAGE}").into()),
    }
}

fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.current_dir(root()).status();
    let status = status.map_err(|e| format!("cannot run {command:?}: {e}"))?;
    Ok(status.success())
}

/// The cargo that runs this task, at the root of the workspace.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
