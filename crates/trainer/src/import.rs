//! Weights of other programs and models, with names mapped and parts left out.

#[cfg(feature = "pytorch")]
mod pytorch;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Shape, TensorData};

use crate::archive::TensorArchive;
use crate::error::TrainerError;
use crate::model_state::{ModelState, Switches};
use crate::summary::ModelSummary;

/// Puts weights from a safetensors file, or one of PyTorch, into a model.
///
/// Names are mapped by prefixes; [`pytorch`](Self::pytorch) also maps what
/// PyTorch calls and lays out differently. Without [`partial`](Self::partial)
/// every tensor of the model must be there, and every tensor of the file used.
///
/// With the feature `pytorch` it reads what `torch.save` writes, now and in the
/// past: a `state_dict`, a checkpoint that holds one (rename
/// `"state_dict."` to `""`), or a whole module. Python code in a file is never
/// run.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, TensorData};
/// use firecraft_trainer::{Import, TensorArchive};
///
/// // torch: `fc.weight` is [out, in].
/// let mut file = TensorArchive::default();
/// file.insert("fc.weight", TensorData::from([[1.0f32, 2.0, 3.0]]));
/// file.insert("fc.bias", TensorData::from([0.5f32]));
///
/// let model = LinearConfig::new(3, 1).init(&Device::flex());
/// let (model, report) = Import::new(file).pytorch().rename("fc.", "").apply(model)?;
/// assert_eq!(report.loaded, ["bias", "weight"]);
/// let weight = model.weight.val().into_data();
/// assert_eq!(weight.try_to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0]);
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Import {
    archive: TensorArchive,
    prefixes: Vec<(String, String)>,
    pytorch: bool,
    partial: bool,
}

/// What an [`Import`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// Tensors of the model that were set.
    pub loaded: Vec<String>,
    /// Tensors of the model that the file lacks.
    pub missing: Vec<String>,
    /// Tensors of the file that the model lacks.
    pub unused: Vec<String>,
    /// Tensors that have another shape in the file; they were not set.
    pub other_shape: Vec<String>,
}

impl Import {
    /// Weights that were read already.
    pub const fn new(archive: TensorArchive) -> Self {
        Self {
            archive,
            prefixes: Vec::new(),
            pytorch: false,
            partial: false,
        }
    }

    /// Weights of a safetensors file, or of one of PyTorch with the feature
    /// `pytorch`; the content says which. Of the latter, names and layouts are
    /// taken as PyTorch's.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`] when it can't be read, [`TrainerError::Damaged`]
    /// when it is neither.
    pub fn open(path: &Path) -> Result<Self, TrainerError> {
        if is_pytorch(path)? {
            return open_pytorch(path);
        }
        let bytes = fs::read(path).map_err(TrainerError::io("read", path, "check the path"))?;
        let archive = TensorArchive::from_bytes(&bytes).map_err(|error| {
            TrainerError::damaged(path, error.to_string(), "download or export it again")
        })?;
        Ok(Self::new(archive))
    }

    /// Names and layouts are PyTorch's: linear weights are transposed, the
    /// `weight` and `bias` of norms are `gamma` and `beta`, and
    /// `num_batches_tracked` is left out where the model has no such counter.
    #[must_use]
    pub const fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self
    }

    /// Replaces a prefix of names in the file; the first that matches counts.
    #[must_use]
    pub fn rename(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.prefixes.push((from.into(), to.into()));
        self
    }

    /// Accepts tensors that are missing, unused or of another shape, as long as
    /// there is one to set: a backbone under a new head.
    #[must_use]
    pub const fn partial(mut self) -> Self {
        self.partial = true;
        self
    }

    /// Sets the weights; the model keeps its device, ids and what is frozen.
    ///
    /// # Errors
    ///
    /// [`TrainerError::OtherModel`] with the names that don't fit.
    pub fn apply<M: Module>(self, model: M) -> Result<(M, ImportReport), TrainerError> {
        let kinds: BTreeMap<String, String> = ModelSummary::of(&model)
            .rows()
            .iter()
            .map(|row| (row.path.clone(), row.module.clone()))
            .collect();
        let mut theirs: BTreeMap<String, TensorData> = BTreeMap::new();
        for (name, data) in self.archive.iter() {
            theirs.insert(self.renamed(name), data.clone());
        }
        let mut report = ImportReport::default();
        let mut all = TensorArchive::default();
        for (path, ours) in ModelState::of(&model).to_archive().iter() {
            let kind = kinds.get(path).map_or("", String::as_str);
            let found = self
                .names_of(path, kind)
                .into_iter()
                .find_map(|name| theirs.remove(&name));
            let found = found.map(|data| self.laid_out(data, path, kind, ours));
            match found {
                Some(data) if data.shape() == ours.shape() => {
                    report.loaded.push(path.to_owned());
                    all.insert(path, data.convert_dtype(ours.dtype()));
                    continue;
                }
                Some(_) => report.other_shape.push(path.to_owned()),
                None => report.missing.push(path.to_owned()),
            }
            all.insert(path, ours.clone());
        }
        let counter = |name: &String| self.pytorch && name.ends_with("num_batches_tracked");
        report.unused = theirs.into_keys().filter(|name| !counter(name)).collect();
        self.check(&report)?;
        let state = ModelState::from_parts(&all, Switches::default());
        Ok((state.apply(model)?, report))
    }

    fn check(&self, report: &ImportReport) -> Result<(), TrainerError> {
        let other = |problem: String| Err(TrainerError::OtherModel { problem });
        if report.loaded.is_empty() {
            return other("none of its names is one of this model; rename prefixes".into());
        }
        if self.partial {
            return Ok(());
        }
        for (names, what) in [
            (&report.missing, "it lacks"),
            (&report.other_shape, "of another shape are"),
            (&report.unused, "this model lacks"),
        ] {
            if let [first, rest @ ..] = names.as_slice() {
                return other(format!("{what} `{first}` and {} more", rest.len()));
            }
        }
        Ok(())
    }

    fn renamed(&self, name: &str) -> String {
        for (from, to) in &self.prefixes {
            if let Some(rest) = name.strip_prefix(from.as_str()) {
                return format!("{to}{rest}");
            }
        }
        name.to_owned()
    }

    /// What a tensor of the model may be called in the file.
    fn names_of(&self, path: &str, kind: &str) -> Vec<String> {
        let mut names = vec![path.to_owned()];
        if self.pytorch && kind.contains("Norm") {
            for (ours, theirs) in [("gamma", "weight"), ("beta", "bias")] {
                if let Some(parent) = path.strip_suffix(ours) {
                    names.push(format!("{parent}{theirs}"));
                }
            }
        }
        names
    }

    fn laid_out(&self, data: TensorData, path: &str, kind: &str, ours: &TensorData) -> TensorData {
        let is_weight = path == "weight" || path.ends_with(".weight");
        match data.shape()[..] {
            [rows, columns] if self.pytorch && kind == "Linear" && is_weight => {
                transposed(data, rows, columns)
            }
            // A scalar counter of PyTorch has no dimension.
            [] if ours.shape()[..] == [1] => {
                let dtype = data.dtype();
                TensorData::from_bytes(data.into_bytes(), Shape::from([1]), dtype)
            }
            _ => data,
        }
    }
}

/// Whether a file is one of `torch.save`: a ZIP archive, a stream of pickles or
/// an archive of tar. A safetensors file has an opening brace at its ninth byte.
fn is_pytorch(path: &Path) -> Result<bool, TrainerError> {
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(9).read_to_end(&mut start))
        .map_err(TrainerError::io("read", path, "check the path"))?;
    if start.get(8) == Some(&b'{') {
        return Ok(false);
    }
    let is_tar = path.extension().is_some_and(|extension| extension == "tar");
    Ok(start.starts_with(b"PK") || start.starts_with(&[0x80]) || is_tar)
}

#[cfg(feature = "pytorch")]
fn open_pytorch(path: &Path) -> Result<Import, TrainerError> {
    Ok(Import::new(pytorch::read(path)?).pytorch())
}

#[cfg(not(feature = "pytorch"))]
fn open_pytorch(path: &Path) -> Result<Import, TrainerError> {
    Err(TrainerError::damaged(
        path,
        "it is a file of torch.save, which this program was built without",
        "build it with the feature `pytorch`, or save the weights with safetensors.torch.save_file",
    ))
}

/// Any type of number has one width, so whole numbers are moved as bytes.
fn transposed(data: TensorData, rows: usize, columns: usize) -> TensorData {
    let dtype: DType = data.dtype();
    let bytes = data.as_bytes();
    let width = bytes.len() / (rows * columns).max(1);
    let mut turned = Vec::with_capacity(bytes.len());
    for column in 0..columns {
        for row in 0..rows {
            let at = (row * columns + column) * width;
            turned.extend_from_slice(&bytes[at..at + width]);
        }
    }
    TensorData::from_bytes(
        burn::tensor::Bytes::from_bytes_vec(turned),
        Shape::from([columns, rows]),
        dtype,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Net {
        first: Linear,
        norm: BatchNorm,
        head: Linear,
    }

    fn net() -> Net {
        let device = Device::flex().autodiff();
        Net {
            first: LinearConfig::new(2, 3).init(&device).freeze(),
            norm: BatchNormConfig::new(3).init(&device),
            head: LinearConfig::new(3, 5).init(&device),
        }
    }

    /// A torch model of the same body with a head of its own.
    fn torch(classes: usize) -> TensorArchive {
        let mut file = TensorArchive::default();
        let mut put = |name: &str, shape: &[usize], start: f32| {
            let size: usize = shape.iter().product();
            let values: Vec<f32> = (0..size).map(|i| start + i as f32).collect();
            file.insert(name, TensorData::new(values, shape.to_vec()));
        };
        put("body.0.weight", &[3, 2], 0.0);
        put("body.0.bias", &[3], 10.0);
        put("body.1.weight", &[3], 20.0);
        put("body.1.bias", &[3], 30.0);
        put("body.1.running_mean", &[3], 40.0);
        put("body.1.running_var", &[3], 50.0);
        put("head.weight", &[classes, 3], 60.0);
        put("head.bias", &[classes], 90.0);
        file.insert(
            "body.1.num_batches_tracked",
            TensorData::new(vec![7i64], [1]),
        );
        file
    }

    fn import(classes: usize) -> Import {
        Import::new(torch(classes))
            .pytorch()
            .rename("body.0.", "first.")
            .rename("body.1.", "norm.")
    }

    fn floats(state: &ModelState, path: &str) -> Vec<f32> {
        state.get(path).unwrap().try_to_vec::<f32>().unwrap()
    }

    #[test]
    fn a_torch_model_is_loaded_whole() {
        let (model, report) = import(5).apply(net()).unwrap();
        assert!(
            report.missing.is_empty() && report.unused.is_empty(),
            "{report:?}"
        );
        let state = ModelState::of(&model);
        assert_eq!(
            floats(&state, "first.weight"),
            [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]
        );
        assert_eq!(floats(&state, "norm.gamma"), [20.0, 21.0, 22.0]);
        assert_eq!(floats(&state, "norm.beta"), [30.0, 31.0, 32.0]);
        assert_eq!(floats(&state, "norm.running_var"), [50.0, 51.0, 52.0]);
        assert!(!model.first.weight.is_require_grad(), "it stays frozen");
        assert!(model.head.weight.is_require_grad());
    }

    #[cfg(not(feature = "pytorch"))]
    #[test]
    fn a_file_of_torch_is_told_from_a_damaged_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.pt");
        fs::write(&path, b"PK\x03\x04 and so on").unwrap();
        let error = Import::open(&path).unwrap_err().to_string();
        assert!(error.contains("the feature `pytorch`"), "{error}");
    }

    #[cfg(feature = "pytorch")]
    mod torch_files {
        use super::*;

        /// Made by `make_torch_net.py` beside it.
        const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/torch_net.pt");

        #[test]
        fn a_checkpoint_of_torch_is_loaded_by_mapped_names_whatever_its_types() {
            let import = Import::open(Path::new(FILE)).unwrap();
            let import = import
                .rename("state_dict.body.0.", "first.")
                .rename("state_dict.body.1.", "norm.")
                .rename("state_dict.", "");
            let (model, report) = import.apply(net()).unwrap();
            assert!(report.missing.is_empty() && report.unused.is_empty());
            let state = ModelState::of(&model);
            // torch's [out, in] becomes [in, out].
            let weight = floats(&state, "first.weight");
            assert_eq!(weight, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
            // Stored as half precision, and as views of one storage.
            assert_eq!(floats(&state, "first.bias"), [10.0, 10.5, 11.0]);
            assert_eq!(floats(&state, "norm.gamma"), [20.0, 21.0, 22.0]);
            assert_eq!(floats(&state, "norm.beta"), [30.0, 31.0, 32.0]);
            assert_eq!(floats(&state, "norm.running_var"), [50.0, 51.0, 52.0]);
            assert!(!model.first.weight.is_require_grad(), "it stays frozen");
        }

        #[test]
        fn a_torn_or_foreign_file_is_an_error_with_its_path() {
            let folder = tempfile::tempdir().unwrap();
            let whole = fs::read(FILE).unwrap();
            for (name, bytes) in [
                ("torn.pt", &whole[..whole.len() / 2]),
                ("odd.pt", b"PK\x03\x04 and so on".as_slice()),
                ("pickle.pt", b"\x80\x02}q\x00.".as_slice()),
            ] {
                let path = folder.path().join(name);
                fs::write(&path, bytes).unwrap();
                let error = Import::open(&path).unwrap_err().to_string();
                assert!(error.contains(name), "{error}");
                assert!(!error.contains('\n'), "{error}");
            }
        }
    }

    #[test]
    fn another_head_is_an_error_unless_the_import_is_partial() {
        let error = import(9).apply(net()).unwrap_err().to_string();
        assert!(error.contains("`head.bias`"), "{error}");
        let before = net();
        let head = floats(&ModelState::of(&before), "head.weight");
        let (model, report) = import(9).partial().apply(before).unwrap();
        assert_eq!(report.other_shape, ["head.bias", "head.weight"]);
        let state = ModelState::of(&model);
        assert_eq!(floats(&state, "head.weight"), head);
        assert_eq!(floats(&state, "first.bias"), [10.0, 11.0, 12.0]);
        let nothing = Import::new(torch(5)).pytorch().rename("head.", "x.");
        assert!(nothing.partial().apply(net()).is_err());
    }
}
