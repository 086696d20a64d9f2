//! `firecraft types`: the names in the open registries.

use clap::{Args, ValueEnum};
use firecraft::spec::{Kind, Registries};

use crate::error::CliError;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Only this kind.
    #[arg(value_enum)]
    kind: Option<KindName>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindName {
    Initialiser,
    Schedule,
    Transform,
    Norm,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let registries = firecraft::registries()?;
    let wanted = |kind| arguments.kind.is_none_or(|only| only == kind);
    if wanted(KindName::Initialiser) {
        list::<firecraft::init::Initializers>(&registries)?;
    }
    if wanted(KindName::Schedule) {
        list::<firecraft::schedule::Schedulers>(&registries)?;
    }
    if wanted(KindName::Transform) {
        list::<firecraft::augment::Transforms>(&registries)?;
    }
    if wanted(KindName::Norm) {
        list::<firecraft::norm::Norms>(&registries)?;
    }
    Ok(())
}

fn list<K: Kind>(registries: &Registries) -> Result<(), CliError> {
    let registry = registries.get::<K>()?;
    let width = registry.names().map(str::len).max().unwrap_or(0);
    println!("{} ({})", K::NAME, registry.len());
    for name in registry.names() {
        let summary = registry.summary(name).unwrap_or_default();
        println!("  {name:width$}  {summary}");
    }
    Ok(())
}
