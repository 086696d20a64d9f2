//! Golden files, cases and tensors, read from JSON.
//!
//! Non-finite numbers are the strings `"NaN"`, `"inf"` and `"-inf"`, in tensors
//! and in arguments alike; every accessor here understands them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

/// What is wrong with a golden folder, or with one field of a case.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The folder or a file in it can't be read.
    #[error("cannot read {path}: {source}; pass a folder with the layout of tests/golden")]
    Read {
        /// The path that was opened.
        path: PathBuf,
        /// The reason the system gave.
        source: io::Error,
    },
    /// A file is not the JSON it should be.
    #[error("{path} is not a golden file: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// The folder holds no family at all.
    #[error("{path} holds no golden file; expected <family>/<file>.json below it")]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A field of a case is missing or has another type.
    #[error("field `{field}`: expected {expected}, found {found}")]
    Field {
        /// The path of the field inside the case.
        field: String,
        /// What the accessor reads.
        expected: &'static str,
        /// What the file has there.
        found: String,
    },
}

/// One file of reference data: `<family>/<name>.json`.
#[derive(Debug)]
pub struct File {
    /// The folder it lies in: `schedules`, `norm`, …
    pub family: String,
    /// The file's name without `.json`.
    pub name: String,
    /// Its cases, in the order of the file.
    pub cases: Vec<Case>,
    headers: Arc<BTreeMap<String, Value>>,
}

impl File {
    /// `<family>/<name>.json`, as the lists and the report name it.
    pub fn id(&self) -> String {
        format!("{}/{}.json", self.family, self.name)
    }

    /// Everything but the cases of the file `name` in the same family, such as
    /// the images that the augmentation cases refer to.
    pub fn sibling(&self, name: &str) -> Result<Field<'_>, GoldenError> {
        match self.headers.get(name) {
            Some(value) => Ok(Field::new(name.to_owned(), value)),
            None => Err(GoldenError::Field {
                field: format!("{}/{name}.json", self.family),
                expected: "a file of this family",
                found: "no such file".to_owned(),
            }),
        }
    }
}

/// One reference case.
#[derive(Debug, Clone)]
pub struct Case {
    /// `group/index`, unique within its file.
    pub id: String,
    body: Value,
}

impl Case {
    /// The case's group: its id without the index.
    pub fn group(&self) -> &str {
        self.id
            .rsplit_once('/')
            .map_or(&self.id, |(group, _)| group)
    }

    /// The library that computed the reference.
    pub fn peer(&self) -> &str {
        self.text("peer")
    }

    /// What was run: the field `name`, or `op` in the augmentation files.
    pub fn name(&self) -> &str {
        let name = self.text("name");
        if name.is_empty() {
            self.text("op")
        } else {
            name
        }
    }

    /// The peer's arguments; an absent field reads as `null`.
    pub fn args(&self) -> Field<'_> {
        self.get("args")
    }

    /// The whole case, for helpers that take a field.
    pub fn body(&self) -> Field<'_> {
        Field::new(self.id.clone(), &self.body)
    }

    /// The case as one field, for readers that take a case or a part of one.
    pub fn whole(&self) -> Field<'_> {
        Field::new(self.id.clone(), &self.body)
    }

    /// A field of the case; an absent field reads as `null`.
    pub fn get(&self, field: &str) -> Field<'_> {
        Field::new(
            field.to_owned(),
            self.body.get(field).unwrap_or(&Value::Null),
        )
    }

    /// Whether the case has the field and it is not `null`.
    pub fn has(&self, field: &str) -> bool {
        !self.get(field).is_null()
    }

    fn text(&self, field: &str) -> &str {
        self.body.get(field).and_then(Value::as_str).unwrap_or("")
    }
}

/// A JSON value that knows where it came from, so that a wrong type names the
/// field.
///
/// ```
/// use conformance::golden::Field;
///
/// let json = serde_json::json!({"gamma": [0.5, "inf"], "patience": 3});
/// let args = Field::new("args".to_owned(), &json);
/// assert_eq!(args.get("gamma").f64s()?, [0.5, f64::INFINITY]);
/// assert_eq!(args.get("patience").u64()?, 3);
/// assert_eq!(args.get("cooldown").or(0, |f| f.u64())?, 0);
/// let error = args.get("patience").str().unwrap_err();
/// assert_eq!(error.to_string(), "field `args.patience`: expected a string, found 3");
/// # Ok::<(), conformance::golden::GoldenError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Field<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Field<'a> {
    /// A value found at `path`.
    pub fn new(path: String, value: &'a Value) -> Self {
        Self { path, value }
    }

    /// The JSON itself.
    pub fn json(&self) -> &'a Value {
        self.value
    }

    /// Whether the field is absent or `null`.
    pub fn is_null(&self) -> bool {
        self.value.is_null()
    }

    /// A member of an object; an absent one reads as `null`.
    pub fn get(&self, field: &str) -> Field<'a> {
        let value = self.value.get(field).unwrap_or(&Value::Null);
        Field::new(format!("{}.{field}", self.path), value)
    }

    /// The names of an object's members; none for anything else.
    pub fn keys(&self) -> Vec<&'a str> {
        let object = self.value.as_object();
        object.map_or_else(Vec::new, |o| o.keys().map(String::as_str).collect())
    }

    /// The elements of an array.
    pub fn items(&self) -> Result<Vec<Field<'a>>, GoldenError> {
        let array = self
            .value
            .as_array()
            .ok_or_else(|| self.wrong("an array"))?;
        Ok(array
            .iter()
            .enumerate()
            .map(|(i, value)| Field::new(format!("{}[{i}]", self.path), value))
            .collect())
    }

    /// `default` where the field is absent or `null`, else what `read` reads.
    pub fn or<T>(
        &self,
        default: T,
        read: impl FnOnce(&Self) -> Result<T, GoldenError>,
    ) -> Result<T, GoldenError> {
        if self.is_null() {
            Ok(default)
        } else {
            read(self)
        }
    }

    /// `None` where the field is absent or `null`, else what `read` reads.
    pub fn optional<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, GoldenError>,
    ) -> Result<Option<T>, GoldenError> {
        self.or(None, |field| read(field).map(Some))
    }

    /// A number, or one of `"NaN"`, `"inf"`, `"-inf"`.
    pub fn f64(&self) -> Result<f64, GoldenError> {
        number(self.value).ok_or_else(|| self.wrong("a number"))
    }

    /// An array of numbers.
    pub fn f64s(&self) -> Result<Vec<f64>, GoldenError> {
        self.items()?.iter().map(Field::f64).collect()
    }

    /// A non-negative integer.
    pub fn u64(&self) -> Result<u64, GoldenError> {
        let wrong = || self.wrong("a non-negative integer");
        match self.value.as_u64() {
            Some(n) => Ok(n),
            // Peers print whole numbers as 10.0 where their argument is a float.
            None => match number(self.value).ok_or_else(wrong)? {
                x if x >= 0.0 && x.fract() == 0.0 && x < 9e15 => Ok(x as u64),
                _ => Err(wrong()),
            },
        }
    }

    /// An array of non-negative integers.
    pub fn u64s(&self) -> Result<Vec<u64>, GoldenError> {
        self.items()?.iter().map(Field::u64).collect()
    }

    /// A non-negative integer as a length or an index.
    pub fn usize(&self) -> Result<usize, GoldenError> {
        usize::try_from(self.u64()?).map_err(|_| self.wrong("an index"))
    }

    /// An array of lengths or indices.
    pub fn usizes(&self) -> Result<Vec<usize>, GoldenError> {
        self.items()?.iter().map(Field::usize).collect()
    }

    /// A string.
    pub fn str(&self) -> Result<&'a str, GoldenError> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    /// `true` or `false`.
    pub fn bool(&self) -> Result<bool, GoldenError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.wrong("true or false"))
    }

    /// A tensor `{s: shape, t: dtype, d: row-major data}`.
    pub fn tensor(&self) -> Result<Tensor, GoldenError> {
        let shape = self.get("s").usizes()?;
        let data = self.get("d").f64s()?;
        if shape.iter().product::<usize>() != data.len() {
            return Err(self.wrong("as many numbers as the shape says"));
        }
        let dtype = self.get("t").or("float32", Field::str)?.to_owned();
        Ok(Tensor { shape, dtype, data })
    }

    fn wrong(&self, expected: &'static str) -> GoldenError {
        let mut found = self.value.to_string();
        if let Some((cut, _)) = found.char_indices().nth(60) {
            found.truncate(cut);
            found.push('…');
        }
        GoldenError::Field {
            field: self.path.clone(),
            expected,
            found,
        }
    }
}

/// A reference tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The lengths of its axes; empty for a scalar.
    pub shape: Vec<usize>,
    /// The peer's name of the type: `float64`, `uint8`, …
    pub dtype: String,
    /// The numbers as they are printed.
    pub data: Vec<f64>,
}

impl Tensor {
    /// The numbers rounded to `f32`: what the peer was given as *input*.
    pub fn f32s(&self) -> Vec<f32> {
        self.data.iter().map(|&x| x as f32).collect()
    }

    /// The numbers rounded to `f32` and widened again, for a computation in
    /// `f64` on the peer's inputs.
    pub fn widened(&self) -> Vec<f64> {
        self.f32s().into_iter().map(f64::from).collect()
    }

    /// The numbers as bytes, for images.
    pub fn u8s(&self) -> Vec<u8> {
        self.data.iter().map(|&x| x as u8).collect()
    }

    /// The numbers as indices, for class targets.
    pub fn i64s(&self) -> Vec<i64> {
        self.data.iter().map(|&x| x as i64).collect()
    }
}

/// Reads every `<family>/<file>.json` below `root`, sorted by family and name;
/// with `family`, only that one.
pub fn load(root: &Path, family: Option<&str>) -> Result<Vec<File>, GoldenError> {
    let mut files = Vec::new();
    for folder in entries(root)?.into_iter().filter(|path| path.is_dir()) {
        let name = stem(&folder);
        if family.is_none_or(|wanted| wanted == name) {
            files.extend(load_family(&folder, &name)?);
        }
    }
    if files.is_empty() {
        return Err(GoldenError::Empty {
            path: family.map_or_else(|| root.to_owned(), |f| root.join(f)),
        });
    }
    Ok(files)
}

fn load_family(folder: &Path, family: &str) -> Result<Vec<File>, GoldenError> {
    let mut headers = BTreeMap::new();
    let mut cases = Vec::new();
    for path in entries(folder)? {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let (header, list) = load_file(&path, family)?;
        headers.insert(stem(&path), header);
        cases.push((stem(&path), list));
    }
    let headers = Arc::new(headers);
    Ok(cases
        .into_iter()
        .map(|(name, cases)| File {
            family: family.to_owned(),
            name,
            cases,
            headers: Arc::clone(&headers),
        })
        .collect())
}

fn load_file(path: &Path, family: &str) -> Result<(Value, Vec<Case>), GoldenError> {
    let format = |reason: String| GoldenError::Format {
        path: path.to_owned(),
        reason,
    };
    let text = fs::read_to_string(path).map_err(|source| GoldenError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut body: Value = serde_json::from_str(&text).map_err(|e| format(e.to_string()))?;
    let object = body
        .as_object_mut()
        .ok_or_else(|| format("expected an object at the top".to_owned()))?;
    match object.get("family").and_then(Value::as_str) {
        Some(found) if found == family => {}
        found => {
            return Err(format(format!(
                "expected family `{family}`, its folder, found {found:?}"
            )));
        }
    }
    let cases = match object.remove("cases") {
        None => Vec::new(),
        Some(Value::Array(cases)) => cases,
        Some(_) => return Err(format("expected `cases` to be an array".to_owned())),
    };
    let mut seen = std::collections::BTreeSet::new();
    let mut list = Vec::with_capacity(cases.len());
    for (i, body) in cases.into_iter().enumerate() {
        let id = body.get("id").and_then(Value::as_str);
        let id = id
            .ok_or_else(|| format(format!("case {i} has no string `id`")))?
            .to_owned();
        if !seen.insert(id.clone()) {
            return Err(format(format!("two cases are called `{id}`")));
        }
        list.push(Case { id, body });
    }
    Ok((body, list))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, GoldenError> {
    let read = |source| GoldenError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut paths = fs::read_dir(folder)
        .map_err(read)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(read)?;
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => match s.as_str() {
            "NaN" => Some(f64::NAN),
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}
