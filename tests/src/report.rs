//! The table of a run, for people and as JSON.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::run::{FileResult, Verdict};

/// How many cases passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Every number agreed.
    pub passed: usize,
    /// Something differed, or nothing mapped the case.
    pub failed: usize,
    /// The part of `failed` that nothing mapped.
    pub unsupported: usize,
    /// The reference is wrong.
    pub skipped: usize,
}

impl Counts {
    /// The counts of some files.
    pub fn of<'a>(results: impl IntoIterator<Item = &'a FileResult>) -> Self {
        let mut counts = Self::default();
        for case in results.into_iter().flat_map(|file| &file.cases) {
            match &case.verdict {
                Verdict::Passed => counts.passed += 1,
                Verdict::Failed { unsupported, .. } => {
                    counts.failed += 1;
                    counts.unsupported += usize::from(*unsupported);
                }
                Verdict::Skipped(_) => counts.skipped += 1,
            }
        }
        counts
    }

    /// The line that closes every run.
    ///
    /// ```
    /// let counts = conformance::report::Counts { passed: 3, failed: 2, unsupported: 1, skipped: 0 };
    /// assert_eq!(counts.closing_line(), "3 passed, 2 failed, 0 skipped");
    /// ```
    pub fn closing_line(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Writes the failures, the reasons for skips, a row per file and the closing
/// line. Unsupported cases are one line per group.
pub fn write_table(out: &mut impl Write, results: &[FileResult]) -> io::Result<()> {
    for file in results {
        write_failures(out, file)?;
    }
    let width = results
        .iter()
        .map(|file| file.file.len())
        .max()
        .unwrap_or(0)
        .max(4);
    writeln!(
        out,
        "{:<width$}  {:>6}  {:>6}  {:>6}  {:>11}  {:>7}",
        "file", "cases", "passed", "failed", "unsupported", "skipped"
    )?;
    for file in results {
        let counts = Counts::of([file]);
        writeln!(
            out,
            "{:<width$}  {:>6}  {:>6}  {:>6}  {:>11}  {:>7}",
            file.file,
            file.cases.len(),
            counts.passed,
            counts.failed,
            counts.unsupported,
            counts.skipped
        )?;
    }
    writeln!(out, "{}", Counts::of(results).closing_line())
}

fn write_failures(out: &mut impl Write, file: &FileResult) -> io::Result<()> {
    // (group, label, reason) of the line being gathered, and how many cases it has.
    let mut gathered: Option<((&str, &str, &str), usize)> = None;
    for case in &file.cases {
        let group = case
            .id
            .rsplit_once('/')
            .map_or(case.id.as_str(), |(group, _)| group);
        let next = match &case.verdict {
            Verdict::Passed => None,
            Verdict::Failed {
                unsupported: true, ..
            } => Some((group, "unsupported", "")),
            Verdict::Failed { reason, .. } => Some((case.id.as_str(), "FAILED", reason.as_str())),
            Verdict::Skipped(reason) => Some((group, "skipped", reason.as_str())),
        };
        match (&mut gathered, next) {
            (Some((current, n)), Some(next)) if *current == next => *n += 1,
            (_, next) => {
                write_line(out, &file.file, gathered.take())?;
                gathered = next.map(|next| (next, 1));
            }
        }
    }
    write_line(out, &file.file, gathered)
}

fn write_line(
    out: &mut impl Write,
    file: &str,
    line: Option<((&str, &str, &str), usize)>,
) -> io::Result<()> {
    let Some(((what, label, reason), n)) = line else {
        return Ok(());
    };
    write!(out, "{label:<11}  {file}  {what}")?;
    if n > 1 {
        write!(out, "  ({n} cases)")?;
    }
    if !reason.is_empty() {
        write!(out, "  {reason}")?;
    }
    writeln!(out)
}

/// The same as JSON: `{files: [{file, cases: [{id, result, reason?}]}], passed,
/// failed, unsupported, skipped}`.
pub fn to_json(results: &[FileResult]) -> Value {
    let files: Vec<Value> = results
        .iter()
        .map(|file| {
            let cases: Vec<Value> = file
                .cases
                .iter()
                .map(|case| match &case.verdict {
                    Verdict::Passed => json!({"id": case.id, "result": "passed"}),
                    Verdict::Failed {
                        reason,
                        unsupported,
                    } => {
                        let result = if *unsupported {
                            "unsupported"
                        } else {
                            "failed"
                        };
                        json!({"id": case.id, "result": result, "reason": reason})
                    }
                    Verdict::Skipped(reason) => {
                        json!({"id": case.id, "result": "skipped", "reason": reason})
                    }
                })
                .collect();
            json!({"file": file.file, "cases": cases})
        })
        .collect();
    let counts = Counts::of(results);
    json!({
        "files": files,
        "passed": counts.passed,
        "failed": counts.failed,
        "unsupported": counts.unsupported,
        "skipped": counts.skipped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::CaseResult;

    fn results() -> Vec<FileResult> {
        let unsupported = || Verdict::Failed {
            reason: "unsupported".to_owned(),
            unsupported: true,
        };
        let case = |id: &str, verdict| CaseResult {
            id: id.to_owned(),
            verdict,
        };
        vec![FileResult {
            file: "norm/lrn.json".to_owned(),
            cases: vec![
                case("a/0", Verdict::Passed),
                case("b/0", unsupported()),
                case("b/1", unsupported()),
                case(
                    "c/0",
                    Verdict::Failed {
                        reason: "y[3]: error 1e-2".to_owned(),
                        unsupported: false,
                    },
                ),
                case("d/0", Verdict::Skipped("the peer overflows".to_owned())),
            ],
        }]
    }

    #[test]
    fn every_failure_is_named_and_the_last_line_counts() {
        let mut out = Vec::new();
        write_table(&mut out, &results()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("unsupported  norm/lrn.json  b  (2 cases)\n"),
            "{text}"
        );
        assert!(
            text.contains("FAILED       norm/lrn.json  c/0  y[3]: error 1e-2\n"),
            "{text}"
        );
        assert!(
            text.contains("skipped      norm/lrn.json  d  the peer overflows\n"),
            "{text}"
        );
        assert!(
            text.ends_with("\n1 passed, 3 failed, 1 skipped\n"),
            "{text}"
        );
    }

    #[test]
    fn json_carries_every_case() {
        let json = to_json(&results());
        assert_eq!(json["failed"], 3);
        assert_eq!(json["files"][0]["cases"][1]["result"], "unsupported");
        assert_eq!(json["files"][0]["cases"][4]["reason"], "the peer overflows");
    }
}
