//! `firecraft compare`: several runs on one page.

use std::path::PathBuf;

use clap::Args;
use firecraft::trainer::checkpoint::{OsDisk, replace_file};
use firecraft::trainer::report::{ComparedRun, compare};

use crate::error::CliError;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Folders of runs, each with `recipe.toml` and `history.csv`.
    #[arg(required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    /// The page to write; an older one is replaced.
    #[arg(long, short, value_name = "FILE", default_value = "compare.html")]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let runs = (arguments.runs.iter())
        .map(|folder| ComparedRun::read(folder))
        .collect::<Result<Vec<_>, _>>()?;
    let page = compare(&runs)?;
    replace_file(&OsDisk, &arguments.out, page.as_bytes()).map_err(|source| CliError::Write {
        path: arguments.out.clone(),
        source,
    })?;
    println!("{}", arguments.out.display());
    Ok(())
}
