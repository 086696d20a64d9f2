//! The `firecraft` command.
//!
//! What lives here: one file per subcommand, which reads arguments, calls the
//! public API and prints. What must not: any technique, or anything that a
//! program could not do through the `firecraft` crate.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod compare;
mod devices;
mod error;
mod lr_find;
mod plot;
mod plugin;
mod preview;
mod types;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Training techniques for burn, from the command line.
#[derive(Parser)]
#[command(name = "firecraft", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Put several runs on one page: results, recipes, curves.
    Compare(compare::Arguments),
    /// List the devices that this binary can use on this machine.
    Devices,
    /// Suggest a learning rate from the record of a range test.
    LrFind(lr_find::Arguments),
    /// List the `type` names that a recipe may use.
    Types(types::Arguments),
    /// Print the parameters of such a `type` as JSON Schema.
    Schema(types::SchemaArguments),
    /// Draw what a spec describes.
    Plot(plot::Arguments),
    /// List, inspect, check and measure plugins.
    Plugin(plugin::Arguments),
    /// Draw what transforms do to a picture.
    Preview(preview::Arguments),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Devices => devices::run(),
        Command::LrFind(arguments) => lr_find::run(&arguments),
        Command::Types(arguments) => types::run(&arguments),
        Command::Schema(arguments) => types::schema(&arguments),
        Command::Plot(arguments) => plot::run(&arguments),
        Command::Plugin(arguments) => plugin::run(&arguments),
        Command::Preview(arguments) => preview::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
