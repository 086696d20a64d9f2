//! `firecraft types`: the names in the open registries, and `firecraft schema`:
//! the parameters of one of them.

use clap::{Args, ValueEnum};
use firecraft::spec::{Kind, Registries, SpecError, Value, nearest};

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

#[derive(Args)]
pub(crate) struct SchemaArguments {
    /// The `type` of a spec.
    name: String,
    /// Only this kind, where several have the name.
    #[arg(long, value_enum)]
    kind: Option<KindName>,
}

/// Prints the JSON Schema of every kind that has the name.
pub(crate) fn schema(arguments: &SchemaArguments) -> Result<(), CliError> {
    let registries = firecraft::registries()?;
    let mut known = Vec::new();
    let mut found = Vec::new();
    let mut look = |kind, schema: Schemas| {
        if arguments.kind.is_none_or(|only| only == kind) {
            known.extend(schema.names);
            found.extend(schema.schema);
        }
    };
    let name = &arguments.name;
    look(
        KindName::Initialiser,
        schemas::<firecraft::init::Initializers>(&registries, name)?,
    );
    look(
        KindName::Schedule,
        schemas::<firecraft::schedule::Schedulers>(&registries, name)?,
    );
    look(
        KindName::Transform,
        schemas::<firecraft::augment::Transforms>(&registries, name)?,
    );
    look(
        KindName::Norm,
        schemas::<firecraft::norm::Norms>(&registries, name)?,
    );
    for schema in &found {
        let text = serde_json::to_string_pretty(schema);
        let text = text.map_err(|source| CliError::WriteSchema {
            name: name.clone(),
            source,
        })?;
        println!("{text}");
    }
    if !found.is_empty() {
        return Ok(());
    }
    if known.iter().any(|known| known == name) {
        return Err(CliError::NoSchema(name.clone()));
    }
    Err(CliError::Spec(SpecError::UnknownType {
        kind: "type",
        name: name.clone(),
        near: nearest(name, known.iter().map(String::as_str)),
        known,
    }))
}

/// What a registry says about a name.
struct Schemas {
    names: Vec<String>,
    schema: Option<Value>,
}

fn schemas<K: Kind>(registries: &Registries, name: &str) -> Result<Schemas, CliError> {
    let registry = registries.get::<K>()?;
    Ok(Schemas {
        names: registry.names().map(str::to_owned).collect(),
        schema: registry.schema(name),
    })
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
