//! Cases of schedules: lr at update t, plateau, early stopping.

use super::Outcome;
use crate::golden::{Case, File};

/// Runs one case of the family `schedules`.
pub fn run_case(_file: &File, case: &Case) -> Outcome {
    check(case).into()
}

// One arm per peer and name; what the arms do not know is unsupported.
fn check(case: &Case) -> Result<(), Outcome> {
    match (case.peer(), case.name()) {
        _ => Err(Outcome::Unsupported),
    }
}
