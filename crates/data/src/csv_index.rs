//! A list of samples in a CSV file.

use crate::DataError;
use std::collections::BTreeSet;
use std::path::Path;

/// One line of a [`CsvIndex`].
#[derive(Clone, Debug, PartialEq)]
pub struct CsvRow {
    /// Path of the image.
    pub path: String,
    /// Number of its class.
    pub label: u32,
    /// The part it belongs to, if the file has a column `split`.
    pub split: Option<String>,
    /// Its weight in the loss, if the file has a column `weight`.
    pub weight: Option<f32>,
}

/// A list of images with their classes, from a CSV file with a header.
///
/// Columns are found by name: `path` and `label` are needed, `split` and
/// `weight` are used if present, others are ignored. Labels are names or
/// numbers; classes are all labels of the file, sorted as numbers if all are.
///
/// ```
/// use firecraft_data::CsvIndex;
/// let index = CsvIndex::parse("list.csv", "path,label,split\na.jpg,cat,train\nb.jpg,ant,test\n".as_bytes())?;
/// assert_eq!(index.class_names(), ["ant", "cat"]);
/// assert_eq!(index.split("train").rows()[0].label, 1);
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CsvIndex {
    rows: Vec<CsvRow>,
    class_names: Vec<String>,
}

impl CsvIndex {
    /// Reads the index at `path`.
    ///
    /// # Errors
    /// [`DataError::Read`] and the errors of [`parse`](Self::parse).
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let file = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| DataError::Read {
            file: file.clone(),
            source,
        })?;
        Self::parse(&file, &bytes)
    }

    /// Reads an index from `bytes`; `file` is the name used in errors.
    ///
    /// # Errors
    /// [`DataError::Format`] with the line, for a missing column, a line of
    /// another length, an empty path or label, or a weight that is no finite
    /// number of at least 0; [`DataError::Empty`] without lines.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, DataError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let broken = |error: csv::Error| {
            format_error(
                file,
                "a line",
                "UTF-8 text with as many fields as the header",
                error,
                "correct the line",
            )
        };
        let header = reader.headers().map_err(broken)?.clone();
        let column = |name: &str| header.iter().position(|title| title == name);
        let needed = |name: &str| {
            let got = header.iter().collect::<Vec<_>>().join(",");
            column(name).ok_or_else(|| {
                format_error(
                    file,
                    "header",
                    format!("a column `{name}`"),
                    got,
                    "name the columns in the first line",
                )
            })
        };
        let (paths, labels) = (needed("path")?, needed("label")?);
        let (splits, weights) = (column("split"), column("weight"));
        let mut rows = Vec::new();
        let mut names = Vec::new();
        for record in reader.records() {
            let record = record.map_err(broken)?;
            let line = record.position().map_or(0, csv::Position::line);
            let field = |column: usize| record.get(column).unwrap_or_default();
            for (name, column) in [("path", paths), ("label", labels)] {
                if field(column).is_empty() {
                    let what = format!("`{name}` in line {line}");
                    return Err(format_error(
                        file,
                        &what,
                        "some text",
                        "empty",
                        "fill it in or remove the line",
                    ));
                }
            }
            let weight = weights
                .map(|column| weight(file, line, field(column)))
                .transpose()?;
            let split = splits.map(|column| field(column).to_owned());
            rows.push(CsvRow {
                path: field(paths).to_owned(),
                label: 0,
                split,
                weight,
            });
            names.push(field(labels).to_owned());
        }
        if rows.is_empty() {
            return Err(DataError::Empty {
                what: file.to_owned(),
            });
        }
        let class_names = classes(&names);
        for (row, name) in rows.iter_mut().zip(&names) {
            // Every name is among the classes, of which there are fewer than rows.
            row.label = class_names
                .iter()
                .position(|class| class == name)
                .unwrap_or_default() as u32;
        }
        Ok(Self { rows, class_names })
    }

    /// The lines, in the order of the file.
    #[must_use]
    pub fn rows(&self) -> &[CsvRow] {
        &self.rows
    }

    /// Names of the classes of the whole file.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The lines whose column `split` is `name`, with the classes of the whole.
    #[must_use]
    pub fn split(&self, name: &str) -> Self {
        let rows = self
            .rows
            .iter()
            .filter(|row| row.split.as_deref() == Some(name))
            .cloned()
            .collect();
        Self {
            rows,
            class_names: self.class_names.clone(),
        }
    }

    /// The column `weight`, if there is one.
    #[must_use]
    pub fn weights(&self) -> Option<Vec<f32>> {
        self.rows.iter().map(|row| row.weight).collect()
    }
}

fn weight(file: &str, line: u64, text: &str) -> Result<f32, DataError> {
    match text.parse::<f32>() {
        Ok(weight) if weight.is_finite() && weight >= 0.0 => Ok(weight),
        _ => {
            let what = format!("`weight` in line {line}");
            Err(format_error(
                file,
                &what,
                "a finite number of at least 0",
                text,
                "correct the line",
            ))
        }
    }
}

/// All names once, as numbers if all are numbers.
fn classes(names: &[String]) -> Vec<String> {
    let unique: BTreeSet<&String> = names.iter().collect();
    let mut classes: Vec<String> = unique.into_iter().cloned().collect();
    let numbers: Option<Vec<u64>> = classes.iter().map(|name| name.parse().ok()).collect();
    if numbers.is_some() {
        classes.sort_by_key(|name| name.parse::<u64>().unwrap_or_default());
    }
    classes
}

fn format_error(
    file: &str,
    what: &str,
    expected: impl ToString,
    got: impl ToString,
    remedy: &'static str,
) -> DataError {
    DataError::Format {
        file: file.to_owned(),
        what: what.to_owned(),
        expected: expected.to_string(),
        got: got.to_string(),
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CsvIndex, DataError> {
        CsvIndex::parse("list.csv", text.as_bytes())
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn columns_are_found_by_name_and_classes_are_shared_by_parts() {
        let index =
            parse("weight,split, label ,path,note\n0.5,train,10,a.png,x\n2,test,9,\"b, c.png\",\n")
                .unwrap();
        assert_eq!(index.class_names(), ["9", "10"]);
        assert_eq!(index.rows()[1].path, "b, c.png");
        assert_eq!(index.weights(), Some(vec![0.5, 2.0]));
        let train = index.split("train");
        assert_eq!(
            (
                train.rows().len(),
                train.rows()[0].label,
                train.class_names().len()
            ),
            (1, 1, 2)
        );
        assert_eq!(parse("path,label\na,b\n").unwrap().weights(), None);
    }

    #[test]
    fn wrong_files_are_explained_with_their_line() {
        assert!(
            message("file,label\na,b\n").contains("header is file,label, expected a column `path`")
        );
        assert!(message("path,label\na,b\nc\n").contains("line: 3"));
        assert!(message("path,label\na,b\n,c\n").contains("`path` in line 3 is empty"));
        assert!(message("path,label,weight\na,b,heavy\n").contains("`weight` in line 2 is heavy"));
        assert!(message("path,label,weight\na,b,-1\n").contains("`weight` in line 2 is -1"));
        assert!(message("path,label\n").contains("has no samples"));
        assert!(
            CsvIndex::parse("f", b"path,label\n\xff\xfe,x\n")
                .unwrap_err()
                .to_string()
                .contains("UTF-8")
        );
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_header() {
        assert!(parse("\u{feff}path,label\na,b\n").is_ok());
    }
}
