//! A trained model as files for inference.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Bytes;
use burn_pack::{Tensor as Packed, Writer};
use firecraft_data::Normalizer;
use firecraft_norm::{NormTree, fold_norms};
use serde::{Deserialize, Serialize};

use crate::archive::TensorArchive;
use crate::checkpoint::{OsDisk, replace_file};
use crate::error::TrainerError;
use crate::model_state::ModelState;

/// Version of the form of `export.json` that this crate writes.
pub const EXPORT_VERSION: u32 = 1;

const INFO: &str = "export.json";
const SAFETENSORS: &str = "model.safetensors";
const BURNPACK: &str = "model.bpk";

/// What a program needs besides the weights to use a model: `export.json`.
///
/// Weights are those of the model in validation mode, by parameter path, in
/// both formats. Augmentation has no weights and is not in them.
/// [`write_folded`](Self::write_folded) folds batch normalisation into the
/// layers before it, for programs that should not know it.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use firecraft_trainer::Export;
///
/// let folder = tempfile::tempdir()?;
/// let model = LinearConfig::new(3, 2).init(&Device::flex());
/// Export::new()
///     .classes(["cat", "dog"])
///     .input([3])
///     .write(&model, folder.path())?;
/// let (export, weights) = Export::read(folder.path())?;
/// assert_eq!(export.classes, ["cat", "dog"]);
/// assert_eq!(weights.get("weight").unwrap().shape()[..], [3, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// See [`EXPORT_VERSION`].
    pub version: u32,
    /// Names of the classes, in the order of the logits.
    pub classes: Vec<String>,
    /// Shape of one input without the batch, such as `[3, 224, 224]`.
    pub input: Vec<usize>,
    /// What is done with pixels in `[0, 1]` before the model sees them.
    pub normalizer: Option<Normalizer>,
    /// Whether batch normalisations were folded into the layers before them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub folded: bool,
    /// SHA-256 over paths, types and shapes of the weights.
    pub fingerprint: String,
}

impl Default for Export {
    fn default() -> Self {
        Self::new()
    }
}

impl Export {
    /// Nothing but the weights.
    pub const fn new() -> Self {
        Self {
            version: EXPORT_VERSION,
            classes: Vec::new(),
            input: Vec::new(),
            normalizer: None,
            folded: false,
            fingerprint: String::new(),
        }
    }

    /// Names the classes, in the order of the logits.
    #[must_use]
    pub fn classes<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.classes = names.into_iter().map(Into::into).collect();
        self
    }

    /// Notes the shape of one input without the batch.
    #[must_use]
    pub fn input(mut self, shape: impl Into<Vec<usize>>) -> Self {
        self.input = shape.into();
        self
    }

    /// Notes how inputs are normalised.
    #[must_use]
    pub fn normalizer(mut self, normalizer: Normalizer) -> Self {
        self.normalizer = Some(normalizer);
        self
    }

    /// Writes `export.json`, `model.safetensors` and `model.bpk` into a folder,
    /// which is made if it is missing. Each file is there whole or not at all,
    /// `export.json` last.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`] when a file can't be written.
    pub fn write<M: Module>(mut self, model: &M, folder: &Path) -> Result<PathBuf, TrainerError> {
        const WRITABLE: &str = "choose a folder that can be written";
        let state = ModelState::of(model);
        let archive = state.to_archive();
        self.fingerprint = state.fingerprint();
        let info = folder.join(INFO);
        let unwritable = |problem: String| TrainerError::damaged(&info, problem, WRITABLE);
        let mut text = serde_json::to_vec_pretty(&self).map_err(|e| unwritable(e.to_string()))?;
        text.push(b'\n');
        let tensors = archive.to_bytes().map_err(|e| unwritable(e.to_string()))?;
        let packed = burnpack(&archive).map_err(unwritable)?;

        fs::create_dir_all(folder).map_err(TrainerError::io(
            "create the folder of the export",
            folder,
            WRITABLE,
        ))?;
        for (name, bytes) in [
            (SAFETENSORS, tensors.as_slice()),
            (BURNPACK, &packed),
            (INFO, &text),
        ] {
            let path = folder.join(name);
            replace_file(&OsDisk, &path, bytes)
                .map_err(TrainerError::io("write", &path, WRITABLE))?;
        }
        Ok(info)
    }

    /// [`write`](Self::write) with every batch normalisation folded into the
    /// layer before it, as far as the model's `norm_tree!` pairs the two: fewer
    /// tensors that give the same outputs. The program that loads them folds its
    /// model the same way first ([`firecraft_norm::fold_norms`]).
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::tensor::Device;
    /// use firecraft_norm::{BatchNorm, BatchNormConfig, norm_tree};
    /// use firecraft_trainer::Export;
    ///
    /// #[derive(Module, Debug)]
    /// struct Net {
    ///     linear: Linear,
    ///     norm: Option<BatchNorm>,
    /// }
    /// norm_tree!(Net { linear => norm });
    ///
    /// let device = Device::flex();
    /// let net = Net {
    ///     linear: LinearConfig::new(3, 2).init(&device),
    ///     norm: Some(BatchNormConfig::new(2).init(&device)),
    /// };
    /// let folder = tempfile::tempdir()?;
    /// Export::new().write_folded(&net, folder.path())?;
    /// let (export, weights) = Export::read(folder.path())?;
    /// assert!(export.folded);
    /// assert_eq!(weights.names().collect::<Vec<_>>(), ["linear.bias", "linear.weight"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TrainerError::Norm`] when a layer can't be folded, [`TrainerError::Io`]
    /// when a file can't be written.
    pub fn write_folded<M: Module + NormTree>(
        mut self,
        model: &M,
        folder: &Path,
    ) -> Result<PathBuf, TrainerError> {
        self.folded = true;
        self.write(&fold_norms(model.valid())?, folder)
    }

    /// Reads an export: what it says of the model, and the weights.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`] or [`TrainerError::Damaged`] when a file is missing
    /// or not what it should be.
    pub fn read(folder: &Path) -> Result<(Self, TensorArchive), TrainerError> {
        const REMEDY: &str = "export the model again";
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(TrainerError::io("read", &path, REMEDY))
        };
        let path = folder.join(INFO);
        let damaged = |problem: String| TrainerError::damaged(&path, problem, REMEDY);
        let export: Self =
            serde_json::from_slice(&read(INFO)?).map_err(|error| damaged(error.to_string()))?;
        if export.version != EXPORT_VERSION {
            return Err(damaged(format!(
                "its version is {}, this program reads {EXPORT_VERSION}",
                export.version
            )));
        }
        let archive = TensorArchive::from_bytes(&read(SAFETENSORS)?)
            .map_err(|error| damaged(error.to_string()))?;
        let state = ModelState::from_parts(&archive, crate::model_state::Switches::default());
        if state.fingerprint() != export.fingerprint {
            return Err(damaged(
                "weights and description don't belong together".into(),
            ));
        }
        Ok((export, archive))
    }
}

fn burnpack(archive: &TensorArchive) -> Result<Bytes, String> {
    let tensor = |(path, data): (&str, &burn::tensor::TensorData)| {
        Packed::new(
            path.to_owned(),
            data.dtype(),
            data.shape().clone(),
            None,
            Bytes::from_bytes_vec(data.as_bytes().to_vec()),
        )
    };
    let writer = Writer::new(archive.iter().map(tensor).collect());
    writer.into_bytes().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Tensor};
    use firecraft_norm::{BatchNormConfig, Norm, NormConfig, norm_tree};

    #[test]
    fn an_export_of_other_weights_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let device = Device::flex();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let write = |outputs, path: &Path| {
            let model = LinearConfig::new(3, outputs).init(&device);
            Export::new().write(&model, path).unwrap();
        };
        write(2, &a);
        write(4, &b);
        fs::copy(b.join(SAFETENSORS), a.join(SAFETENSORS)).unwrap();
        assert!(matches!(
            Export::read(&a),
            Err(TrainerError::Damaged { .. })
        ));
        assert!(Export::read(&b).is_ok());
    }

    #[derive(Module, Debug)]
    struct Net {
        linear: Linear,
        norm: Norm,
        head: Linear,
    }
    norm_tree!(Net { linear => norm });

    impl Net {
        fn new(device: &Device) -> Self {
            let norm = NormConfig::Batch(BatchNormConfig::new(1));
            Self {
                linear: LinearConfig::new(3, 4).init(device),
                norm: norm.init(4, device),
                head: LinearConfig::new(4, 2).init(device),
            }
        }

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            self.head.forward(self.norm.forward(self.linear.forward(x)))
        }
    }

    #[test]
    fn a_folded_export_says_so_and_gives_the_same_outputs() {
        let folder = tempfile::tempdir().unwrap();
        let device = Device::flex().autodiff();
        let net = Net::new(&device);
        let x = Tensor::<2>::from_data([[1.0f32, 2.0, 3.0], [4.0, -5.0, 6.0]], &device);
        // Statistics that are not those of a new layer.
        let _ = net.forward(x.clone());
        Export::new().write_folded(&net, folder.path()).unwrap();
        let (export, weights) = Export::read(folder.path()).unwrap();
        assert!(export.folded && weights.get("norm.gamma").is_none());
        let other = fold_norms(Net::new(&Device::flex())).unwrap();
        let (loaded, _) = crate::Import::new(weights).apply(other).unwrap();
        let x = x.inner();
        let difference = net.valid().forward(x.clone()) - loaded.forward(x);
        assert!(difference.abs().max().into_scalar::<f32>() < 1e-5);
    }

    #[test]
    fn the_burnpack_holds_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let model = LinearConfig::new(3, 2).init(&Device::flex());
        Export::new().write(&model, folder.path()).unwrap();
        let (_, archive) = Export::read(folder.path()).unwrap();
        let reader = burn_pack::Reader::from_file(folder.path().join(BURNPACK)).unwrap();
        let names: Vec<_> = reader
            .tensor_names()
            .iter()
            .map(|n| (*n).to_owned())
            .collect();
        assert_eq!(names, archive.names().collect::<Vec<_>>());
        for (name, data) in archive.iter() {
            assert_eq!(reader.tensor_data(name).unwrap(), data.as_bytes());
        }
    }
}
