//! Patterns over dotted parameter paths.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A pattern over a dotted path: `*` stands for any part of one segment, `**`
/// for any number of whole segments, `?` for one character.
///
/// ```
/// use firecraft_init::Glob;
/// assert!(Glob::new("head.*").matches("head.weight"));
/// assert!(!Glob::new("head.*").matches("head.fc.weight"));
/// assert!(Glob::new("head.**").matches("head.fc.weight"));
/// assert!(Glob::new("**.norm?.gamma").matches("blocks.3.norm2.gamma"));
/// assert!(Glob::new("**.weight").matches("weight"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    /// The pattern written as `pattern`.
    #[must_use]
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole of `path` matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let pattern: Vec<&str> = self.0.split('.').collect();
        let path: Vec<&str> = path.split('.').collect();
        // reach[i]: the patterns so far can match exactly the first i segments.
        let mut reach = vec![false; path.len() + 1];
        reach[0] = true;
        for part in pattern {
            if part == "**" {
                let mut open = false;
                reach.iter_mut().for_each(|at| {
                    open |= *at;
                    *at = open;
                });
            } else {
                for i in (0..path.len()).rev() {
                    reach[i + 1] = reach[i] && segment(part, path[i]);
                }
                reach[0] = false;
            }
        }
        reach[path.len()]
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: Into<String>> From<S> for Glob {
    fn from(pattern: S) -> Self {
        Self::new(pattern)
    }
}

/// Whether `text` matches `pattern` with `*` and `?`, without segments.
pub(super) fn segment(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut reach = vec![false; text.len() + 1];
    reach[0] = true;
    for c in pattern.chars() {
        if c == '*' {
            let mut open = false;
            reach.iter_mut().for_each(|at| {
                open |= *at;
                *at = open;
            });
        } else {
            for i in (0..text.len()).rev() {
                reach[i + 1] = reach[i] && (c == '?' || c == text[i]);
            }
            reach[0] = false;
        }
    }
    reach[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_stay_inside_a_segment_and_double_stars_cross_them() {
        for (pattern, path, expected) in [
            ("**", "a.b.c", true),
            ("a.**.c", "a.c", true),
            ("a.**.c", "a.b.b.c", true),
            ("*.weight", "a.b.weight", false),
            ("layers.1*.weight", "layers.12.weight", true),
            ("layers.?.weight", "layers.12.weight", false),
            ("", "a", false),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(path),
                expected,
                "{pattern} {path}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_path_matches_itself(path in "[a-z0-9_]{1,6}(\\.[a-z0-9_]{1,6}){0,4}") {
            prop_assert!(Glob::new(path.clone()).matches(&path));
            let suffix = format!("**.{}", path.rsplit('.').next().unwrap());
            prop_assert!(Glob::new(suffix).matches(&path));
        }
    }
}
