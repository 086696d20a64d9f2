//! What a subcommand can fail with.

use std::path::PathBuf;

/// Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Spec(#[from] firecraft::spec::SpecError),
    #[error("`{0}` has no schema; the documentation of its type has the parameters")]
    NoSchema(String),
    #[error("cannot write the schema of `{name}`: {source}")]
    WriteSchema {
        name: String,
        source: serde_json::Error,
    },
    #[error(transparent)]
    Schedule(#[from] firecraft::schedule::ScheduleError),
    #[error(transparent)]
    Trainer(#[from] firecraft::trainer::TrainerError),
    #[error(transparent)]
    Augment(#[from] firecraft::augment::AugmentError),
    #[error(transparent)]
    Plugin(#[from] firecraft::plugin_host::PluginError),
    #[error("cannot read {}: {source}; give the path of a plugin", path.display())]
    ReadPlugin {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} breaks {findings} of its promises; see above", path.display())]
    Promises { path: PathBuf, findings: u32 },
    #[error("cannot start the process that is watched: {0}; check the limits of this shell")]
    Spawn(std::io::Error),
    #[error("cannot set the limits: {0}; give smaller ones with --seconds and --memory")]
    Limit(std::io::Error),
    #[error(transparent)]
    Plot(#[from] firecraft::plot::PlotError),
    #[error(transparent)]
    Data(#[from] firecraft::data::DataError),
    #[error("cannot read {}: {source}; give the path of a JPEG or PNG file", path.display())]
    ReadImage {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot read {}: {source}; give the path of a CSV file", path.display())]
    ReadCurve {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot read {}: {source}; give the path of a TOML file with a `type`", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is not a spec: {}", path.display(), message.trim().replace('\n', " "))]
    Parse { path: PathBuf, message: String },
    #[error("cannot write {}: {source}; choose another place", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}
