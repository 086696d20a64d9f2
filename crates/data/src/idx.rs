//! IDX, the format of the MNIST family: a header with the sizes of each
//! dimension, then unsigned bytes; plain or gzip-compressed.
//!
//! Header: two zero bytes, the element type (`0x08` = unsigned byte, the only
//! one read here), the number of dimensions, then each size as a big-endian
//! 32-bit number. Source: Y. LeCun, C. Cortes, C. Burges, *The MNIST database*.

use crate::DataError;
use flate2::read::GzDecoder;
use std::io::Read;
use std::path::Path;

/// Content that is read without asking: 1 GiB, 20 times the largest file of
/// the MNIST family.
pub const DEFAULT_LIMIT: u64 = 1 << 30;

const UNSIGNED_BYTE: u8 = 0x08;

/// An array of unsigned bytes, as an IDX file holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxArray {
    /// Size of each dimension, the slowest first.
    pub shape: Vec<usize>,
    /// The elements in row-major order.
    pub values: Vec<u8>,
}

/// Reads the IDX file at `path` with `dimensions` dimensions.
///
/// # Errors
/// As [`parse`], and [`DataError::Read`] if the file can't be read.
pub fn read(path: &Path, dimensions: usize) -> Result<IdxArray, DataError> {
    let file = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| DataError::Read {
        file: file.clone(),
        source,
    })?;
    parse(&file, &bytes, dimensions, DEFAULT_LIMIT)
}

/// Reads an IDX array from `bytes`, which may be gzip-compressed.
///
/// `file` is the name used in errors; `limit` bounds the bytes of content, so
/// that a corrupt header or a hostile archive can't exhaust memory.
///
/// # Errors
/// [`DataError::Format`] for a wrong magic number, element type, number of
/// dimensions or length, [`DataError::TooLarge`], and [`DataError::Read`] for
/// broken compression.
///
/// ```
/// use firecraft_data::idx;
/// let bytes = [0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9];
/// let labels = idx::parse("labels", &bytes, 1, 1000)?;
/// assert_eq!((labels.shape, labels.values), (vec![3], vec![7, 8, 9]));
/// let error = idx::parse("labels", &bytes[..10], 1, 1000).unwrap_err();
/// assert!(error.to_string().contains("length of the content is 2 bytes, expected 3 bytes"));
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
pub fn parse(
    file: &str,
    bytes: &[u8],
    dimensions: usize,
    limit: u64,
) -> Result<IdxArray, DataError> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        read_array(file, GzDecoder::new(bytes), dimensions, limit)
    } else {
        read_array(file, bytes, dimensions, limit)
    }
}

fn read_array(
    file: &str,
    mut reader: impl Read,
    dimensions: usize,
    limit: u64,
) -> Result<IdxArray, DataError> {
    let failed = |source| DataError::Read {
        file: file.to_owned(),
        source,
    };
    let header = take(&mut reader, 4).map_err(failed)?;
    match header.as_slice() {
        [0, 0, UNSIGNED_BYTE, n] if usize::from(*n) == dimensions => {}
        [0, 0, UNSIGNED_BYTE, n] => {
            let remedy = "images have 3 dimensions and labels have 1: the files may be swapped";
            return Err(format_error(
                file,
                "number of dimensions",
                dimensions,
                n,
                remedy,
            ));
        }
        [0, 0, 0x09 | 0x0B..=0x0E, _] => {
            let got = format!("{:#04x}", header[2]);
            return Err(format_error(
                file,
                "element type",
                "0x08 (unsigned byte)",
                got,
                "convert the file to unsigned bytes",
            ));
        }
        other => {
            let got = other
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect::<Vec<_>>()
                .join(" ");
            let expected = format!("00 00 08 {dimensions:02x}");
            return Err(format_error(
                file,
                "magic number",
                expected,
                got,
                "this is not an IDX file; fetch it again",
            ));
        }
    }
    let sizes = take(&mut reader, 4 * dimensions as u64).map_err(failed)?;
    if sizes.len() < 4 * dimensions {
        let (expected, got) = (
            format!("{} bytes", 4 + 4 * dimensions),
            format!("{} bytes", 4 + sizes.len()),
        );
        return Err(format_error(
            file,
            "length of the header",
            expected,
            got,
            "the file is truncated; fetch it again",
        ));
    }
    let shape: Vec<usize> = sizes
        .chunks_exact(4)
        .map(|s| {
            s.iter()
                .fold(0, |size, &byte| size << 8 | usize::from(byte))
        })
        .collect();
    let declared = shape
        .iter()
        .try_fold(1_u128, |product, &size| product.checked_mul(size as u128));
    let declared = declared.unwrap_or(u128::MAX);
    let length = match u64::try_from(declared) {
        Ok(length) if length <= limit => length,
        _ => {
            return Err(DataError::TooLarge {
                file: file.to_owned(),
                declared,
                limit,
            });
        }
    };
    // One more than declared: finds what follows, and makes gzip check its sum.
    let values = take(&mut reader, length + 1).map_err(failed)?;
    if values.len() as u64 != length {
        let more = if values.len() as u64 > length {
            "more than "
        } else {
            ""
        };
        let got = format!("{more}{} bytes", (values.len() as u64).min(length));
        let remedy = "the file is truncated or corrupt; fetch it again";
        return Err(format_error(
            file,
            "length of the content",
            format!("{length} bytes"),
            got,
            remedy,
        ));
    }
    Ok(IdxArray { shape, values })
}

/// At most `count` bytes. Memory grows with what is there, not with `count`.
fn take(reader: &mut impl Read, count: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
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

/// The IDX form of an array; the inverse of [`parse`].
///
/// # Errors
/// [`DataError::Mismatch`] if the shape does not belong to the values, has more
/// than 255 dimensions, or a size of 2³² or more.
pub fn encode(array: &IdxArray) -> Result<Vec<u8>, DataError> {
    let mut bytes = header(array)?;
    bytes.extend_from_slice(&array.values);
    Ok(bytes)
}

/// What comes before the values of an array.
pub(crate) fn header(array: &IdxArray) -> Result<Vec<u8>, DataError> {
    let product = array
        .shape
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size));
    let sizes = array
        .shape
        .iter()
        .map(|&size| u32::try_from(size).ok())
        .collect::<Option<Vec<_>>>();
    match (product, u8::try_from(array.shape.len()), sizes) {
        (Some(product), Ok(dimensions), Some(sizes)) if product == array.values.len() => {
            let mut bytes = vec![0, 0, UNSIGNED_BYTE, dimensions];
            bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
            Ok(bytes)
        }
        _ => Err(DataError::Mismatch {
            what: "shape of an IDX array".to_owned(),
            expected: format!("one of {} elements, sizes below 2^32", array.values.len()),
            got: format!("{:?}", array.shape),
            remedy: "pass the shape of the values",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn images() -> Vec<u8> {
        encode(&IdxArray {
            shape: vec![2, 2, 3],
            values: (0..12).collect(),
        })
        .unwrap()
    }

    fn message(bytes: &[u8], dimensions: usize) -> String {
        parse("f.idx", bytes, dimensions, 1 << 20)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn every_truncation_is_an_error_that_names_the_file() {
        for bytes in [images(), gzip(&images())] {
            assert_eq!(parse("f.idx", &bytes, 3, 12).unwrap().values.len(), 12);
            for end in 0..bytes.len() {
                assert!(message(&bytes[..end], 3).contains("f.idx"), "{end}");
            }
        }
    }

    #[test]
    fn wrong_files_are_told_apart() {
        assert!(message(&images(), 1).contains("may be swapped"));
        assert!(
            message(b"\x89PNG\r\n\x1a\n", 3)
                .contains("magic number is 89 50 4e 47, expected 00 00 08 03")
        );
        assert!(message(&[0, 0, 0x0d, 3], 3).contains("element type is 0x0d"));
        assert!(message(&[&images()[..], &[1]].concat(), 3).contains("more than 12 bytes"));
        assert!(message(b"", 3).contains("magic number is , expected"));
    }

    #[test]
    fn a_flipped_bit_in_compressed_data_is_found() {
        let good = gzip(&images());
        for byte in 10..good.len() {
            let mut bad = good.clone();
            bad[byte] ^= 0x10;
            let parsed = parse("f.idx", &bad, 3, 1 << 20);
            assert!(parsed.is_err(), "byte {byte}");
        }
    }

    #[test]
    fn a_declared_size_above_the_limit_is_refused_without_reading() {
        let mut header = vec![0, 0, 8, 3];
        header.extend([0xff; 12]);
        let error = parse("f.idx", &header, 3, 1 << 30).unwrap_err();
        assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
        // A large size within the limit does not reserve memory for it.
        let header = [0, 0, 8, 1, 0x30, 0, 0, 0];
        assert!(
            message_with_limit(&header, 1, u64::MAX)
                .contains("is 0 bytes, expected 805306368 bytes")
        );
    }

    fn message_with_limit(bytes: &[u8], dimensions: usize, limit: u64) -> String {
        parse("f.idx", bytes, dimensions, limit)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_gzip_bomb_stops_at_the_declared_size() {
        let mut bytes = vec![0, 0, 8, 1, 0, 0, 0, 4];
        bytes.resize(8 << 20, 0);
        assert!(message(&gzip(&bytes), 1).contains("more than 4 bytes"));
    }

    proptest! {
        #[test]
        fn encode_and_parse_are_inverse(shape in proptest::collection::vec(0_usize..6, 1..4), seed: u8, compressed: bool) {
            let values = (0..shape.iter().product::<usize>()).map(|i| seed.wrapping_add(i as u8)).collect();
            let array = IdxArray { shape: shape.clone(), values };
            let mut bytes = encode(&array).unwrap();
            if compressed { bytes = gzip(&bytes); }
            prop_assert_eq!(parse("f", &bytes, shape.len(), 1 << 20).unwrap(), array);
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..64), idx: bool, dimensions in 0_usize..4) {
            if idx && bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&[0, 0, 8, dimensions as u8]);
            }
            let _ = parse("f", &bytes, dimensions, 1 << 16);
        }
    }
}
