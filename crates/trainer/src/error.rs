//! What can go wrong in training, each with the remedy in the message.

use std::io;
use std::path::{Path, PathBuf};

/// Failure of an operation of this crate.
///
/// Messages are one line: the operation, what was expected, what was found and
/// what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainerError {
    /// The operating system refused a file operation.
    #[error("cannot {operation} `{}`: {source}; {remedy}", path.display())]
    Io {
        /// What was attempted, as a verb: "write", "create the run folder".
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A stored file doesn't hold what its manifest or its format promises.
    #[error("`{}` is damaged: {problem}; {remedy}", path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A recipe that somebody wrote doesn't say what a recipe can say.
    #[error("`{}`{}: {problem}; correct it there", path.display(), at(*line))]
    Recipe {
        /// The file.
        path: PathBuf,
        /// The line, from 1, if it is known.
        line: Option<usize>,
        /// The field, what it says and what is allowed.
        problem: String,
    },
    /// A checkpoint was made by another model.
    #[error(
        "the checkpoint belongs to another model: {problem}; resume with the model it was made with, or start a new run"
    )]
    OtherModel {
        /// The first difference.
        problem: String,
    },
    /// A run was made from another recipe.
    #[error(
        "the run was made with another recipe: `{field}` is {found} there, {asked} now; drop the difference or start a new run"
    )]
    OtherRecipe {
        /// Path of the first field that differs.
        field: String,
        /// Its value in the run.
        found: String,
        /// Its value now.
        asked: String,
    },
    /// A setting is outside its range.
    #[error("`{field}` is {value}, allowed is {allowed}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A loss or a gradient stopped being a finite number.
    #[error(
        "the {quantity} is {value} at update {update}; lower the learning rate, clip the gradient or check the data"
    )]
    NotFinite {
        /// Which quantity.
        quantity: &'static str,
        /// Its value.
        value: f64,
        /// The 0-based update at which it was seen.
        update: u64,
    },
    /// The data source gave something the loop can't use.
    #[error("the {split} data cannot be used: {problem}")]
    Data {
        /// Which split: "training", "validation".
        split: &'static str,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A callback failed or can't take back its state.
    #[error("callback `{key}`: {problem}")]
    Callback {
        /// Key of the callback.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// An earlier error of the same fit took the model with it.
    #[error("the model was lost in an earlier error of this fit; start the fit again")]
    ModelLost,
    /// A metric that something monitors is not measured.
    #[error("no metric is called `{name}`; there are {known}")]
    UnknownMetric {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A report can't be drawn.
    #[error("cannot draw the report: {problem}")]
    Report {
        /// What is wrong.
        problem: String,
    },
    /// The loader can't read its data.
    #[error(transparent)]
    Loader(#[from] firecraft_data::DataError),
    /// A normalisation can't be folded or replaced.
    #[error(transparent)]
    Norm(#[from] firecraft_norm::NormError),
    /// The scheduler can't take back its state.
    #[error(transparent)]
    Schedule(#[from] firecraft_schedule::ScheduleError),
    /// A specification or a stored state can't be read.
    #[error(transparent)]
    Spec(#[from] firecraft_spec::SpecError),
}

fn at(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line}"))
}

impl TrainerError {
    /// An [`Io`](Self::Io) error with its context, for `map_err`.
    pub fn io(
        operation: &'static str,
        path: &Path,
        remedy: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            operation,
            path,
            source,
            remedy,
        }
    }

    /// A [`Damaged`](Self::Damaged) error.
    pub(crate) fn damaged(path: &Path, problem: impl Into<String>, remedy: &'static str) -> Self {
        Self::Damaged {
            path: path.to_path_buf(),
            problem: problem.into(),
            remedy,
        }
    }
}
