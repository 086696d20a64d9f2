//! `conformance DIR [--family F] [--only PREFIX] [--json]`: runs golden cases.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use conformance::{families, golden, lists, lists::Deviations, report, run};

/// Runs golden reference cases through the public API of firecraft.
#[derive(Parser)]
#[command(name = "conformance")]
struct Arguments {
    /// A folder with the layout of tests/golden: <family>/<file>.json
    dir: PathBuf,
    /// Run one family only
    #[arg(long, value_parser = families::NAMES)]
    family: Option<String>,
    /// Run only the cases whose id starts with this, e.g. `keras.CosineDecay/`
    #[arg(long, value_name = "PREFIX")]
    only: Option<String>,
    /// Print the result of every case as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    // A panic inside a case is reported in the table; its backtrace would only
    // tear the table apart.
    std::panic::set_hook(Box::new(|_| {}));
    match conform(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // A closed stderr leaves nothing to tell.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

fn conform(arguments: &Arguments) -> Result<bool, Box<dyn std::error::Error>> {
    let files = golden::load(&arguments.dir, arguments.family.as_deref())?;
    let deviations = Deviations::parse(lists::DEVIATIONS)?;
    deviations.check(&files)?;
    let only = arguments.only.as_deref().unwrap_or("");
    let results = run::run(&files, &deviations, |_, case| case.id.starts_with(only));
    if results.is_empty() {
        return Err(format!("no case has an id that starts with `{only}`").into());
    }
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &report::to_json(&results))?;
        writeln!(out)?;
    } else {
        report::write_table(&mut out, &results)?;
    }
    Ok(report::Counts::of(&results).failed == 0)
}
