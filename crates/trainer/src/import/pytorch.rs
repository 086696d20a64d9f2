//! Files of `torch.save`, through the reader of the burn project.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{BoolStore, Bytes, DType, Shape, TensorData};
use pytorch_reader::{DType as TorchType, PytorchError, PytorchReader};

use crate::archive::TensorArchive;
use crate::error::TrainerError;

const REMEDY: &str = "save the model's state_dict() with torch.save and try again";

/// All tensors of a `.pt` or `.pth` file by their dotted paths. Python code in
/// it is never run.
pub(super) fn read(path: &Path) -> Result<TensorArchive, TrainerError> {
    let damaged = |problem: String| TrainerError::damaged(path, problem, REMEDY);
    let reader = PytorchReader::new(path).map_err(|error| match error {
        PytorchError::Io(error) => TrainerError::io("read", path, "check the path")(error),
        other => damaged(other.to_string()),
    })?;
    let mut archive = TensorArchive::default();
    let tensors: BTreeMap<_, _> = reader.into_tensors().into_iter().collect();
    for (name, tensor) in tensors {
        let bytes = tensor.read().map_err(|error| damaged(error.to_string()))?;
        let data = TensorData::from_bytes(
            Bytes::from_bytes_vec(bytes),
            Shape::from(tensor.shape().to_vec()),
            dtype(tensor.dtype()),
        );
        archive.insert(name, data);
    }
    if archive.is_empty() {
        return Err(damaged("it holds no tensor".into()));
    }
    Ok(archive)
}

const fn dtype(torch: TorchType) -> DType {
    match torch {
        TorchType::F64 => DType::F64,
        TorchType::F32 => DType::F32,
        TorchType::F16 => DType::F16,
        TorchType::BF16 => DType::BF16,
        TorchType::I64 => DType::I64,
        TorchType::I32 => DType::I32,
        TorchType::I16 => DType::I16,
        TorchType::I8 => DType::I8,
        TorchType::U64 => DType::U64,
        TorchType::U32 => DType::U32,
        TorchType::U16 => DType::U16,
        TorchType::U8 => DType::U8,
        TorchType::Bool => DType::Bool(BoolStore::Native),
    }
}
