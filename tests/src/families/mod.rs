//! From a peer's name and arguments to our API, one file per family.

pub mod augment;
pub mod init;
pub mod norm;
pub mod recipes;
pub mod schedules;
pub mod trainer;

use std::{fmt, panic};

use crate::golden::{Case, File, GoldenError};

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every number agrees.
    Passed,
    /// Something differs, with the largest error; or the case panicked.
    Failed(String),
    /// Nothing maps this peer, name and arguments: a failure too.
    Unsupported,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Passed => f.write_str("passed"),
            Outcome::Failed(reason) => f.write_str(reason),
            Outcome::Unsupported => f.write_str("unsupported"),
        }
    }
}

impl From<GoldenError> for Outcome {
    fn from(error: GoldenError) -> Self {
        Outcome::Failed(error.to_string())
    }
}

impl From<Result<(), Outcome>> for Outcome {
    fn from(result: Result<(), Outcome>) -> Self {
        result.err().unwrap_or(Outcome::Passed)
    }
}

/// A failure with the text of any error, for `map_err`.
pub fn failed(error: impl fmt::Display) -> Outcome {
    Outcome::Failed(error.to_string())
}

/// The families, by the name of their folder.
pub const NAMES: [&str; 6] = ["schedules", "norm", "init", "augment", "recipes", "trainer"];

/// Runs one case. A panic inside it is caught and is a failure; a family that
/// is not in [`NAMES`] is unsupported.
pub fn run_case(file: &File, case: &Case) -> Outcome {
    let run = match file.family.as_str() {
        "schedules" => schedules::run_case,
        "norm" => norm::run_case,
        "init" => init::run_case,
        "augment" => augment::run_case,
        "recipes" => recipes::run_case,
        "trainer" => trainer::run_case,
        _ => return Outcome::Unsupported,
    };
    caught(|| run(file, case))
}

fn caught(run: impl FnOnce() -> Outcome) -> Outcome {
    // What a case leaves half-done is its own: nothing is shared between cases.
    panic::catch_unwind(panic::AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a payload that is not text".to_owned());
        Outcome::Failed(format!("panicked: {text}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_case_is_a_failure_with_its_message() {
        let outcome = caught(|| panic!("at {}", 7));
        assert_eq!(outcome, Outcome::Failed("panicked: at 7".to_owned()));
    }
}
