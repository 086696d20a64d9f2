//! From text to a recipe, and the line of what is wrong in it.

use std::path::Path;

use firecraft_spec::{SpecError, Value};
use toml::de::{DeTable, DeValue};

use super::{RECIPE_VERSION, Recipe};
use crate::error::TrainerError;

/// What is wrong in a text.
#[derive(Debug)]
pub(super) struct Mistake {
    line: Option<usize>,
    problem: String,
}

impl Mistake {
    /// In a file that somebody wrote.
    pub(super) fn of_author(self, path: &Path) -> TrainerError {
        TrainerError::Recipe {
            path: path.to_path_buf(),
            line: self.line,
            problem: self.problem,
        }
    }

    /// In a file that this crate wrote.
    pub(super) fn of_run(self, path: &Path) -> TrainerError {
        let problem = match self.line {
            Some(line) => format!("line {line}: {}", self.problem),
            None => self.problem,
        };
        TrainerError::damaged(path, problem, "restore the file or start a new run")
    }
}

/// Reads and checks a recipe.
pub(super) fn read(text: &str) -> Result<Recipe, Mistake> {
    let value: Value = toml::from_str(text).map_err(|error| Mistake {
        line: error.span().map(|span| line_at(text, span.start)),
        problem: error.message().to_owned(),
    })?;
    // Through a value, whose errors know the path of the field.
    let recipe: Recipe = firecraft_spec::from_value(&value).map_err(|error| Mistake {
        line: line_of_spec_error(text, &error),
        problem: error.to_string(),
    })?;
    if recipe.version != RECIPE_VERSION {
        return Err(Mistake {
            line: line_of(text, "version"),
            problem: format!(
                "`version` is {}, this program reads {RECIPE_VERSION}",
                recipe.version
            ),
        });
    }
    recipe.check().map_err(|error| Mistake {
        line: match &error {
            TrainerError::Setting { field, .. } => {
                line_of(text, field).or_else(|| line_of_key(text, field))
            }
            TrainerError::Spec(error) => line_of_spec_error(text, error),
            _ => None,
        },
        problem: error.to_string(),
    })?;
    Ok(recipe)
}

fn line_at(text: &str, place: usize) -> usize {
    text.as_bytes()[..place.min(text.len())]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count()
        + 1
}

fn line_of_spec_error(text: &str, error: &SpecError) -> Option<usize> {
    let SpecError::Field { path, message, .. } = error else {
        return None;
    };
    // Where the path ends before the field, the message begins with its name.
    let unknown = message.strip_prefix("unknown field `");
    let inner = unknown.or_else(|| message.strip_prefix('`'));
    let inner = inner.and_then(|rest| rest.split('`').next());
    let path = path.to_string();
    let full = match inner {
        Some(inner) if path.is_empty() => inner.to_owned(),
        Some(inner) => format!("{path}.{inner}"),
        None => path,
    };
    line_of(text, &full)
}

/// The line of a field, such as `augment[0].degrees`, as far as the text has it.
fn line_of(text: &str, path: &str) -> Option<usize> {
    enum Node<'a, 'i> {
        Table(&'a DeTable<'i>),
        List(&'a [toml::Spanned<DeValue<'i>>]),
        Leaf,
    }
    fn node<'a, 'i>(value: &'a DeValue<'i>) -> Node<'a, 'i> {
        match value {
            DeValue::Table(table) => Node::Table(table),
            DeValue::Array(values) => Node::List(values),
            _ => Node::Leaf,
        }
    }
    let root = DeTable::parse(text).ok()?;
    let mut here = Node::Table(root.get_ref());
    let mut place = None;
    let names = path
        .split(['.', '['])
        .map(|name| name.trim_end_matches(']'));
    for name in names {
        let found = match here {
            Node::Table(table) => table
                .iter()
                .find(|(key, _)| key.get_ref().as_ref() == name)
                .map(|(key, value)| (key.span().start, value)),
            Node::List(values) => name
                .parse()
                .ok()
                .and_then(|index: usize| values.get(index))
                .map(|value| (value.span().start, value)),
            Node::Leaf => None,
        };
        let Some((start, value)) = found else { break };
        place = Some(start);
        here = node(value.get_ref());
    }
    place.map(|place| line_at(text, place))
}

/// The line of the only key of a name, in whatever table it is.
fn line_of_key(text: &str, field: &str) -> Option<usize> {
    fn collect(value: &DeValue<'_>, name: &str, places: &mut Vec<usize>) {
        match value {
            DeValue::Table(table) => {
                for (key, value) in table {
                    if key.get_ref().as_ref() == name {
                        places.push(key.span().start);
                    }
                    collect(value.get_ref(), name, places);
                }
            }
            DeValue::Array(values) => {
                for value in values {
                    collect(value.get_ref(), name, places);
                }
            }
            _ => {}
        }
    }
    let name = field.rsplit('.').next()?;
    let root = DeTable::parse(text).ok()?.into_inner();
    let mut places = Vec::new();
    collect(&DeValue::Table(root), name, &mut places);
    match places[..] {
        [place] => Some(line_at(text, place)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"version = 1
seed = 3
epochs = 2
batch_size = 32
callbacks = [
    "csv_logger",
    { type = "early_stopping", patience = 5 },
]
model = "net"
data = "digits"
init = "he_normal"
norm = "none"
schedule = { type = "constant", value = 0.1 }

[loss]
type = "binary_cross_entropy"
label_smoothing = 0.1

[clip]
type = "global_norm"
max = 1.0

[optimizer]
type = "adamw"
"#;

    #[test]
    fn a_mistake_of_the_author_is_answered_with_line_field_and_what_is_allowed() {
        assert!(Recipe::parse(TEXT).is_ok());
        for (from, to, line, parts) in [
            // A mistyped field, at the top and in a table.
            ("epochs", "epcohs", 3, ["`epcohs`", "did you mean `epochs`"]),
            ("max =", "mox =", 21, ["`clip.mox`", "did you mean `max`"]),
            (
                "label_smoothing",
                "smoothing",
                17,
                ["`loss.smoothing`", "label_smoothing"],
            ),
            // Another type of value.
            (
                "batch_size = 32",
                "batch_size = \"many\"",
                4,
                ["`batch_size`", "expected u64"],
            ),
            ("seed = 3", "seed = -3", 2, ["`seed`", "expected u64"]),
            // Another name.
            ("\"adamw\"", "\"adamx\"", 24, ["adamx", "`adamw`"]),
            // Out of range.
            (
                "epochs = 2",
                "epochs = 0",
                3,
                ["`epochs` is 0", "at least 1"],
            ),
            (
                "smoothing = 0.1",
                "smoothing = 2.0",
                17,
                ["`label_smoothing` is 2", "[0, 1)"],
            ),
            (
                "max = 1.0",
                "max = -1.0",
                21,
                ["`clip.max` is -1", "allowed"],
            ),
            (
                "version = 1",
                "version = 9",
                1,
                ["`version` is 9", "reads 1"],
            ),
            // No TOML.
            ("norm = \"none\"", "norm = none", 12, ["", ""]),
            (
                "    \"csv_logger\",",
                "    { typo = 3 },",
                6,
                ["callbacks[0]", "`type`"],
            ),
        ] {
            let text = TEXT.replacen(from, to, 1);
            let error = Recipe::parse(&text).unwrap_err();
            assert!(
                matches!(error, TrainerError::Recipe { line: Some(found), .. } if found == line),
                "{to}: {error}"
            );
            let error = error.to_string();
            assert!(
                error.starts_with(&format!("`recipe.toml`, line {line}: ")),
                "{error}"
            );
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            assert!(error.ends_with("; correct it there"), "{error}");
            assert!(
                !error.contains("damaged") && !error.contains('\n'),
                "{error}"
            );
        }
        let missing = TEXT.replacen("seed = 3\n", "", 1);
        let error = Recipe::parse(&missing).unwrap_err().to_string();
        assert!(error.contains("`seed`: missing"), "{error}");
    }

    #[test]
    fn a_file_of_ones_own_is_named_and_a_missing_one_is_no_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let error = Recipe::load(&path).unwrap_err().to_string();
        assert!(error.contains("mine.toml") && error.contains("check the path"));
        std::fs::write(&path, TEXT.replacen("epochs", "epoch", 1)).unwrap();
        let error = Recipe::load(&path).unwrap_err().to_string();
        assert!(error.contains("mine.toml`, line 3"), "{error}");
        std::fs::write(&path, TEXT).unwrap();
        assert_eq!(Recipe::load(&path).unwrap(), Recipe::parse(TEXT).unwrap());
    }
}
