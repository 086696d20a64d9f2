//! The two lists kept beside the golden data.
//!
//! `deviations.toml` names the groups whose reference is itself wrong, each
//! with the reason; their cases count as skipped. `complete.toml` names the
//! files and groups that `cargo test` runs and that must pass.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::golden::File;

/// `tests/golden/deviations.toml`, as built in.
pub const DEVIATIONS: &str = include_str!("../golden/deviations.toml");
/// `tests/golden/complete.toml`, as built in.
pub const COMPLETE: &str = include_str!("../golden/complete.toml");

/// What is wrong with a list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The text is not TOML of the expected form.
    #[error("{list}: {reason}")]
    Format {
        /// The list's file name.
        list: &'static str,
        /// What the parser found.
        reason: String,
    },
    /// An entry names a file that is not there, or a group that the file lacks.
    #[error("{list}: `{file}` has no group `{group}`; it has {known}")]
    UnknownGroup {
        /// The list's file name.
        list: &'static str,
        /// The golden file that the entry names.
        file: String,
        /// The group that the entry names.
        group: String,
        /// The groups that the file has.
        known: String,
    },
    /// An entry names a golden file that does not exist.
    #[error("{list}: there is no golden file `{file}`")]
    UnknownFile {
        /// The list's file name.
        list: &'static str,
        /// The golden file that the entry names.
        file: String,
    },
    /// A deviation without a reason.
    #[error(
        "deviations.toml: `{file}`, group `{group}`: `reason` must say why the reference is wrong"
    )]
    NoReason {
        /// The golden file.
        file: String,
        /// The group.
        group: String,
    },
    /// A group listed twice.
    #[error("deviations.toml: `{file}`, group `{group}` is listed twice")]
    Twice {
        /// The golden file.
        file: String,
        /// The group.
        group: String,
    },
}

/// Groups whose reference is wrong, with the reasons.
#[derive(Debug, Default)]
pub struct Deviations {
    reasons: BTreeMap<(String, String), String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviationsFile {
    #[serde(default)]
    deviation: Vec<Deviation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    file: String,
    group: String,
    reason: String,
}

impl Deviations {
    /// Reads the list: a missing or empty reason, an unknown field and a
    /// repeated group are errors.
    ///
    /// ```
    /// use conformance::lists::Deviations;
    ///
    /// let list = Deviations::parse(
    ///     r#"
    ///     [[deviation]]
    ///     file = "augment/timm.json"
    ///     group = "timm.pil.posterize"
    ///     reason = "raises on 0 bits"
    ///     "#,
    /// )?;
    /// assert_eq!(list.reason("augment/timm.json", "timm.pil.posterize"), Some("raises on 0 bits"));
    /// assert_eq!(list.reason("augment/timm.json", "timm.pil.rotate"), None);
    /// # Ok::<(), conformance::lists::ListError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let file: DeviationsFile = toml::from_str(text).map_err(|error| ListError::Format {
            list: "deviations.toml",
            reason: error.to_string(),
        })?;
        let mut reasons = BTreeMap::new();
        for Deviation {
            file,
            group,
            reason,
        } in file.deviation
        {
            if reason.trim().is_empty() {
                return Err(ListError::NoReason { file, group });
            }
            if reasons
                .insert((file.clone(), group.clone()), reason)
                .is_some()
            {
                return Err(ListError::Twice { file, group });
            }
        }
        Ok(Self { reasons })
    }

    /// Refuses a group that its file lacks. A file that is not among `files` is
    /// let be: the folder under test may hold a part of the data.
    pub fn check(&self, files: &[File]) -> Result<(), ListError> {
        for (id, group) in self.reasons.keys() {
            if let Some(file) = files.iter().find(|file| file.id() == *id) {
                known("deviations.toml", file, group)?;
            }
        }
        Ok(())
    }

    /// Refuses an entry whose file is not among `files` at all.
    pub fn check_files(&self, files: &[File]) -> Result<(), ListError> {
        for (id, _) in self.reasons.keys() {
            if files.iter().all(|file| file.id() != *id) {
                return Err(ListError::UnknownFile {
                    list: "deviations.toml",
                    file: id.clone(),
                });
            }
        }
        self.check(files)
    }

    /// Why the cases of this group are skipped, if they are.
    pub fn reason(&self, file: &str, group: &str) -> Option<&str> {
        self.reasons
            .get(&(file.to_owned(), group.to_owned()))
            .map(String::as_str)
    }
}

/// The files and groups declared complete.
#[derive(Debug)]
pub struct Complete {
    entries: BTreeMap<String, Groups>,
}

#[derive(Debug)]
enum Groups {
    All,
    Some(BTreeSet<String>),
}

impl Complete {
    /// Reads the list: `"family/file.json" = "all"` or a list of groups.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let format = |reason: String| ListError::Format {
            list: "complete.toml",
            reason,
        };
        let table: BTreeMap<String, toml::Value> =
            toml::from_str(text).map_err(|error| format(error.to_string()))?;
        let mut entries = BTreeMap::new();
        for (file, value) in table {
            let groups = match value {
                toml::Value::String(all) if all == "all" => Groups::All,
                toml::Value::Array(groups) => Groups::Some(
                    groups
                        .into_iter()
                        .map(|group| match group {
                            toml::Value::String(group) => Ok(group),
                            other => {
                                Err(format(format!("`{file}`: expected a group, found {other}")))
                            }
                        })
                        .collect::<Result<_, _>>()?,
                ),
                other => {
                    return Err(format(format!(
                        "`{file}`: expected \"all\" or a list of groups, found {other}"
                    )));
                }
            };
            entries.insert(file, groups);
        }
        Ok(Self { entries })
    }

    /// Refuses entries that name a file or a group that is not there.
    pub fn check(&self, files: &[File]) -> Result<(), ListError> {
        for (id, groups) in &self.entries {
            let file = files.iter().find(|file| file.id() == *id).ok_or_else(|| {
                ListError::UnknownFile {
                    list: "complete.toml",
                    file: id.clone(),
                }
            })?;
            if let Groups::Some(groups) = groups {
                for group in groups {
                    known("complete.toml", file, group)?;
                }
            }
        }
        Ok(())
    }

    /// Whether the group of the file is declared complete.
    pub fn contains(&self, file: &str, group: &str) -> bool {
        match self.entries.get(file) {
            None => false,
            Some(Groups::All) => true,
            Some(Groups::Some(groups)) => groups.contains(group),
        }
    }
}

fn known(list: &'static str, file: &File, group: &str) -> Result<(), ListError> {
    let groups: BTreeSet<&str> = file.cases.iter().map(|case| case.group()).collect();
    if groups.contains(group) {
        return Ok(());
    }
    Err(ListError::UnknownGroup {
        list,
        file: file.id(),
        group: group.to_owned(),
        known: groups.into_iter().collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deviation_needs_a_reason() {
        let entry = "[[deviation]]\nfile = \"norm/lrn.json\"\ngroup = \"torch.LRN\"\n";
        let missing = Deviations::parse(entry).unwrap_err().to_string();
        assert!(missing.contains("reason"), "{missing}");
        let empty = Deviations::parse(&format!("{entry}reason = \" \"\n")).unwrap_err();
        assert!(matches!(empty, ListError::NoReason { .. }), "{empty}");
    }

    #[test]
    fn a_deviation_listed_twice_is_an_error() {
        let entry = "[[deviation]]\nfile = \"a\"\ngroup = \"b\"\nreason = \"c\"\n";
        let twice = Deviations::parse(&entry.repeat(2)).unwrap_err();
        assert!(matches!(twice, ListError::Twice { .. }), "{twice}");
    }

    #[test]
    fn complete_takes_all_or_a_list() {
        let list = Complete::parse("\"a/b.json\" = \"all\"\n\"a/c.json\" = [\"x\"]\n").unwrap();
        assert!(list.contains("a/b.json", "anything"));
        assert!(list.contains("a/c.json", "x"));
        assert!(!list.contains("a/c.json", "y"));
        assert!(!list.contains("a/d.json", "x"));
        assert!(Complete::parse("\"a/b.json\" = \"some\"").is_err());
    }
}
