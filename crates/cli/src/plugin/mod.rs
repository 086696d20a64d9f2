//! `firecraft plugin`: looking plugins over before a recipe names them.

mod bench;
mod check;
mod inspect;
mod list;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use firecraft::plugin_host::{ClassInfo, Plugin};

use crate::error::CliError;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List what plugins bring; those in FIRECRAFT_PLUGIN_PATH, if none is named.
    List(list::Arguments),
    /// Show all that a plugin tells about itself.
    Inspect(inspect::Arguments),
    /// Run a plugin's self-test and see whether it keeps its promises, in a
    /// process of its own.
    Check(check::Arguments),
    /// Measure what loading, planning, applying and stepping cost.
    Bench(bench::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), CliError> {
    match &arguments.command {
        Command::List(arguments) => list::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
    }
}

/// Loads a file as it is named on a command line: from the working directory.
fn load(path: &Path) -> Result<Plugin, CliError> {
    Ok(Plugin::load(&absolute(path)?, None)?)
}

fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    std::path::absolute(path).map_err(|source| CliError::ReadPlugin {
        path: path.to_owned(),
        source,
    })
}

fn kind(class: &ClassInfo) -> &'static str {
    if class.is_transform() {
        "transform"
    } else {
        "schedule"
    }
}
