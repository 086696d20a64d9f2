//! Running the cases of many files.

use crate::{
    families::{self, Outcome},
    golden::{Case, File},
    lists::Deviations,
};

/// What is recorded of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every number agrees.
    Passed,
    /// It does not, or nothing maps it.
    Failed {
        /// The largest error, the panic's message, or `unsupported`.
        reason: String,
        /// Whether nothing maps the case.
        unsupported: bool,
    },
    /// The reference is wrong, for this reason.
    Skipped(String),
}

/// The verdict on one case.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// The case's id.
    pub id: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// The verdicts on the cases of one file.
#[derive(Debug, Clone)]
pub struct FileResult {
    /// `<family>/<file>.json`.
    pub file: String,
    /// In the order of the file.
    pub cases: Vec<CaseResult>,
}

/// Runs the cases that `wanted` picks, in order. A file of which none is picked
/// is left out.
pub fn run(
    files: &[File],
    deviations: &Deviations,
    wanted: impl Fn(&File, &Case) -> bool,
) -> Vec<FileResult> {
    let mut results = Vec::new();
    for file in files {
        let cases: Vec<CaseResult> = file
            .cases
            .iter()
            .filter(|case| wanted(file, case))
            .map(|case| CaseResult {
                id: case.id.clone(),
                verdict: verdict(file, case, deviations),
            })
            .collect();
        if !cases.is_empty() {
            results.push(FileResult {
                file: file.id(),
                cases,
            });
        }
    }
    results
}

fn verdict(file: &File, case: &Case, deviations: &Deviations) -> Verdict {
    if let Some(reason) = deviations.reason(&file.id(), case.group()) {
        return Verdict::Skipped(reason.to_owned());
    }
    match families::run_case(file, case) {
        Outcome::Passed => Verdict::Passed,
        Outcome::Failed(reason) => Verdict::Failed {
            reason,
            unsupported: false,
        },
        Outcome::Unsupported => Verdict::Failed {
            reason: Outcome::Unsupported.to_string(),
            unsupported: true,
        },
    }
}
