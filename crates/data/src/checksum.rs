//! SHA-256 of data, in the form that checksum files use.

use crate::DataError;
use sha2::{Digest, Sha256};

/// The SHA-256 of `bytes` in lower-case hexadecimal.
///
/// ```
/// let digest = firecraft_data::sha256_hex(b"abc");
/// assert!(digest.starts_with("ba7816bf8f01cfea"));
/// ```
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fails unless the SHA-256 of `parts`, one after the other, is `expected`.
pub(crate) fn verify(file: &str, parts: &[&[u8]], expected: &str) -> Result<(), DataError> {
    let digest = parts.iter().fold(Sha256::new(), Sha256::chain_update);
    let got = hex(&digest.finalize());
    if got == expected {
        return Ok(());
    }
    Err(DataError::Checksum {
        file: file.to_owned(),
        expected: expected.to_owned(),
        got,
    })
}
