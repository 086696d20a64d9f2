//! Named tensors as one file in the [safetensors] format.
//!
//! Layout: the length of the header as a little-endian `u64`, the header (JSON,
//! padded with spaces to a multiple of eight), the bytes of the tensors without
//! gaps. Tensors are ordered by name, so equal tensors give equal files.
//!
//! The reader trusts nothing: lengths, offsets, shapes and types are checked
//! before any byte is interpreted.
//!
//! [safetensors]: https://github.com/huggingface/safetensors

use std::collections::BTreeMap;

use burn::tensor::{Bytes, DType, Shape, TensorData};
use serde::{Deserialize, Serialize};

/// Largest header the reader accepts, as in the reference implementation.
const HEADER_LIMIT: usize = 100_000_000;

/// Tensors by name, with free text beside them.
///
/// ```
/// use burn::tensor::TensorData;
/// use firecraft_trainer::TensorArchive;
///
/// let mut archive = TensorArchive::default();
/// archive.insert("bias", TensorData::from([0.5f32, -1.0]));
/// let bytes = archive.to_bytes().unwrap();
/// let back = TensorArchive::from_bytes(&bytes).unwrap();
/// assert_eq!(back.get("bias").unwrap().try_to_vec::<f32>().unwrap(), [0.5, -1.0]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct TensorArchive {
    tensors: BTreeMap<String, TensorData>,
    metadata: BTreeMap<String, String>,
}

/// Why bytes are no tensor archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Shorter than its header says, or longer.
    #[error(
        "expected {expected} bytes, got {got}; the file is truncated or not a safetensors file"
    )]
    Length {
        /// Bytes that the header promises.
        expected: usize,
        /// Bytes there are.
        got: usize,
    },
    /// The header is no JSON of the expected form.
    #[error("the header cannot be read: {0}")]
    Header(String),
    /// One tensor's entry contradicts itself.
    #[error("tensor `{name}`: {problem}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

impl TensorArchive {
    /// Adds a tensor, replacing one of the same name.
    pub fn insert(&mut self, name: impl Into<String>, data: TensorData) {
        self.tensors.insert(name.into(), data);
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&TensorData> {
        self.tensors.get(name)
    }

    /// Takes the tensor called `name` out.
    pub fn remove(&mut self, name: &str) -> Option<TensorData> {
        self.tensors.remove(name)
    }

    /// All tensors, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &TensorData)> {
        self.tensors
            .iter()
            .map(|(name, data)| (name.as_str(), data))
    }

    /// Names of all tensors, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Sets a line of free text; it is stored in the header.
    pub fn set_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.metadata.insert(key.into(), value.into());
    }

    /// A line of free text.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The archive as a safetensors file.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Tensor`] for a quantised tensor, which the format lacks.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArchiveError> {
        let mut header = serde_json::Map::new();
        if !self.metadata.is_empty() {
            let metadata = serde_json::to_value(&self.metadata)
                .map_err(|error| ArchiveError::Header(error.to_string()))?;
            header.insert("__metadata__".into(), metadata);
        }
        let mut offset = 0;
        for (name, data) in &self.tensors {
            let dtype = dtype_name(data.dtype()).ok_or_else(|| ArchiveError::Tensor {
                name: name.clone(),
                problem: format!("{:?} has no name in the format", data.dtype()),
            })?;
            let end = offset + data.as_bytes().len();
            let entry = Entry {
                dtype: dtype.into(),
                shape: data.shape().to_vec(),
                data_offsets: [offset, end],
            };
            let entry = serde_json::to_value(entry)
                .map_err(|error| ArchiveError::Header(error.to_string()))?;
            header.insert(name.clone(), entry);
            offset = end;
        }
        let mut header =
            serde_json::to_vec(&header).map_err(|error| ArchiveError::Header(error.to_string()))?;
        header.resize(header.len().next_multiple_of(8), b' ');

        let mut bytes = Vec::with_capacity(8 + header.len() + offset);
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&header);
        for data in self.tensors.values() {
            bytes.extend_from_slice(data.as_bytes());
        }
        Ok(bytes)
    }

    /// Reads a safetensors file.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] whenever a length, an offset, a shape or a type
    /// contradicts another, overlaps, leaves a gap or is unknown.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let got = bytes.len();
        let (length, rest) = bytes
            .split_first_chunk::<8>()
            .ok_or(ArchiveError::Length { expected: 8, got })?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > HEADER_LIMIT || length > rest.len() {
            return Err(ArchiveError::Length {
                expected: length.saturating_add(8),
                got,
            });
        }
        let (header, body) = rest.split_at(length);
        let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header)
            .map_err(|error| ArchiveError::Header(error.to_string()))?;

        let mut archive = Self::default();
        let mut entries = Vec::new();
        for (name, value) in header {
            if name == "__metadata__" {
                archive.metadata = serde_json::from_value(value)
                    .map_err(|error| ArchiveError::Header(error.to_string()))?;
            } else {
                let entry: Entry = serde_json::from_value(value)
                    .map_err(|error| tensor_error(&name, error.to_string()))?;
                entries.push((name, entry));
            }
        }
        entries.sort_by_key(|(_, entry)| entry.data_offsets);

        let mut expected_start = 0;
        for (name, entry) in entries {
            let [start, end] = entry.data_offsets;
            if start != expected_start || end < start {
                return Err(tensor_error(
                    &name,
                    format!("data_offsets [{start}, {end}], expected to start at {expected_start}"),
                ));
            }
            expected_start = end;
            let Some(slice) = body.get(start..end) else {
                return Err(ArchiveError::Length {
                    expected: 8 + length + end,
                    got,
                });
            };
            let (dtype, width) = dtype_of(&entry.dtype)
                .ok_or_else(|| tensor_error(&name, format!("unknown dtype `{}`", entry.dtype)))?;
            let size = entry
                .shape
                .iter()
                .try_fold(width, |size, &n| size.checked_mul(n));
            if size != Some(slice.len()) {
                return Err(tensor_error(
                    &name,
                    format!(
                        "shape {:?} of {} does not fill {} bytes",
                        entry.shape,
                        entry.dtype,
                        slice.len()
                    ),
                ));
            }
            if entry.dtype == "BOOL" && slice.iter().any(|&byte| byte > 1) {
                return Err(tensor_error(&name, "a BOOL byte is neither 0 nor 1".into()));
            }
            let data = TensorData::from_bytes(
                Bytes::from_bytes_vec(slice.to_vec()),
                Shape::from(entry.shape),
                dtype,
            );
            archive.tensors.insert(name, data);
        }
        if expected_start != body.len() {
            return Err(ArchiveError::Length {
                expected: 8 + length + expected_start,
                got,
            });
        }
        Ok(archive)
    }
}

fn tensor_error(name: &str, problem: String) -> ArchiveError {
    ArchiveError::Tensor {
        name: name.into(),
        problem,
    }
}

fn dtype_name(dtype: DType) -> Option<&'static str> {
    use burn::tensor::BoolStore;
    Some(match dtype {
        DType::F64 => "F64",
        DType::F32 | DType::Flex32 => "F32",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::I64 => "I64",
        DType::I32 => "I32",
        DType::I16 => "I16",
        DType::I8 => "I8",
        DType::U64 => "U64",
        DType::U32 => "U32",
        DType::U16 => "U16",
        DType::U8 => "U8",
        DType::Bool(BoolStore::Native) => "BOOL",
        DType::Bool(BoolStore::U8) => "U8",
        DType::Bool(BoolStore::U32) => "U32",
        DType::QFloat(_) => return None,
    })
}

fn dtype_of(name: &str) -> Option<(DType, usize)> {
    use burn::tensor::BoolStore;
    Some(match name {
        "F64" => (DType::F64, 8),
        "F32" => (DType::F32, 4),
        "F16" => (DType::F16, 2),
        "BF16" => (DType::BF16, 2),
        "I64" => (DType::I64, 8),
        "I32" => (DType::I32, 4),
        "I16" => (DType::I16, 2),
        "I8" => (DType::I8, 1),
        "U64" => (DType::U64, 8),
        "U32" => (DType::U32, 4),
        "U16" => (DType::U16, 2),
        "U8" => (DType::U8, 1),
        "BOOL" => (DType::Bool(BoolStore::Native), 1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> TensorArchive {
        let mut archive = TensorArchive::default();
        archive.insert(
            "conv.weight",
            TensorData::new(vec![1.0f32, -2.5, f32::NAN, 4.0], [2, 2]),
        );
        archive.insert("steps", TensorData::new(vec![7i64], [1]));
        archive.insert("mask", TensorData::new(vec![true, false, true], [3]));
        archive.insert("empty", TensorData::new(Vec::<f32>::new(), [0, 3]));
        archive.set_metadata("format", "pt");
        archive
    }

    fn with_header(header: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn round_trip_keeps_every_bit() {
        let archive = sample();
        let bytes = archive.to_bytes().unwrap();
        let back = TensorArchive::from_bytes(&bytes).unwrap();
        assert_eq!(back.to_bytes().unwrap(), bytes);
        assert_eq!(back.metadata("format"), Some("pt"));
        for ((name, a), (other, b)) in archive.iter().zip(back.iter()) {
            assert_eq!(name, other);
            assert_eq!(a.as_bytes(), b.as_bytes());
            assert_eq!(a.shape(), b.shape());
            assert_eq!(a.dtype(), b.dtype());
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = sample().to_bytes().unwrap();
        for length in 0..bytes.len() {
            assert!(
                TensorArchive::from_bytes(&bytes[..length]).is_err(),
                "{length} of {} bytes were accepted",
                bytes.len()
            );
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(TensorArchive::from_bytes(&longer).is_err());
    }

    #[test]
    fn a_huge_header_length_is_refused() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"{}");
        assert!(matches!(
            TensorArchive::from_bytes(&bytes),
            Err(ArchiveError::Length { .. })
        ));
    }

    #[test]
    fn overlapping_tensors_are_refused() {
        let header = r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#;
        assert!(TensorArchive::from_bytes(&with_header(header, &[0; 3])).is_err());
    }

    #[test]
    fn a_gap_between_tensors_is_refused() {
        let header = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#;
        assert!(TensorArchive::from_bytes(&with_header(header, &[0; 3])).is_err());
    }

    #[test]
    fn an_overflowing_shape_is_refused() {
        let header =
            r#"{"a":{"dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#;
        assert!(TensorArchive::from_bytes(&with_header(header, &[0; 8])).is_err());
    }

    #[test]
    fn an_unknown_dtype_and_an_unknown_field_are_refused() {
        let header = r#"{"a":{"dtype":"F12","shape":[1],"data_offsets":[0,1]}}"#;
        assert!(TensorArchive::from_bytes(&with_header(header, &[0])).is_err());
        let header = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}"#;
        assert!(TensorArchive::from_bytes(&with_header(header, &[0])).is_err());
    }

    #[test]
    fn a_boolean_that_is_no_boolean_is_refused() {
        let header = r#"{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}"#;
        assert!(TensorArchive::from_bytes(&with_header(header, &[1])).is_ok());
        assert!(TensorArchive::from_bytes(&with_header(header, &[2])).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = TensorArchive::from_bytes(&bytes);
        }

        #[test]
        fn arbitrary_headers_never_panic(header in "[\\{\\}\\[\\]\":,a-z0-9]{0,80}", body in proptest::collection::vec(any::<u8>(), 0..16)) {
            let _ = TensorArchive::from_bytes(&with_header(&header, &body));
        }
    }
}
