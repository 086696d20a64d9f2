//! `manifest.json`: what a checkpoint consists of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::store::Payloads;
use crate::model_state::hex;

/// Version of the checkpoint format that this crate writes.
pub const CHECKPOINT_VERSION: u32 = 1;

const FORMAT: &str = "firecraft-checkpoint";

/// The table of contents of a checkpoint.
///
/// It is versioned: a reader refuses a version it doesn't know.
///
/// ```
/// use firecraft_trainer::checkpoint::{Manifest, Payloads};
///
/// let mut payloads = Payloads::new();
/// payloads.insert("state.json".into(), b"{}".to_vec());
/// let manifest = Manifest::of(&payloads);
/// assert_eq!(manifest.payloads["state.json"].bytes, 2);
/// assert!(manifest.check(&payloads).is_ok());
/// payloads.insert("state.json".into(), b"[]".to_vec());
/// assert!(manifest.check(&payloads).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always `firecraft-checkpoint`.
    pub format: String,
    /// See [`CHECKPOINT_VERSION`].
    pub version: u32,
    /// The payload files by name.
    pub payloads: BTreeMap<String, PayloadInfo>,
}

/// What a [`Manifest`] knows of one payload file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadInfo {
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file in hexadecimal.
    pub sha256: String,
}

impl PayloadInfo {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(bytes)),
        }
    }
}

impl Manifest {
    /// Describes `payloads`.
    pub fn of(payloads: &Payloads) -> Self {
        Self {
            format: FORMAT.into(),
            version: CHECKPOINT_VERSION,
            payloads: payloads
                .iter()
                .map(|(name, bytes)| (name.clone(), PayloadInfo::of(bytes)))
                .collect(),
        }
    }

    /// Reads `manifest.json`.
    ///
    /// # Errors
    ///
    /// A sentence when the text is no manifest, or one of another version.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(text)
            .map_err(|error| format!("its manifest cannot be read: {error}"))?;
        if manifest.format != FORMAT {
            return Err(format!(
                "its format is `{}`, not `{FORMAT}`",
                manifest.format
            ));
        }
        if manifest.version != CHECKPOINT_VERSION {
            return Err(format!(
                "its version is {}, this program reads {CHECKPOINT_VERSION}",
                manifest.version
            ));
        }
        let odd = |name: &str| name.contains(['/', '\\']) || name.starts_with('.');
        if let Some(name) = manifest.payloads.keys().find(|name| odd(name)) {
            return Err(format!("its manifest names the file `{name}`"));
        }
        Ok(manifest)
    }

    /// Compares `payloads` with what the manifest says of them.
    ///
    /// # Errors
    ///
    /// A sentence that names the first payload that differs.
    pub fn check(&self, payloads: &Payloads) -> Result<(), String> {
        for (name, info) in &self.payloads {
            let Some(bytes) = payloads.get(name) else {
                return Err(format!("`{name}` is missing"));
            };
            if bytes.len() as u64 != info.bytes {
                return Err(format!(
                    "`{name}` has {} bytes instead of {}",
                    bytes.len(),
                    info.bytes
                ));
            }
            if PayloadInfo::of(bytes) != *info {
                return Err(format!(
                    "`{name}` has another SHA-256 than its manifest says"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(format: &str, version: u32, name: &str) -> Vec<u8> {
        format!(
            r#"{{"format":"{format}","version":{version},"payloads":{{"{name}":{{"bytes":0,"sha256":"x"}}}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn a_later_version_is_refused_with_both_numbers() {
        assert!(Manifest::parse(&text(FORMAT, 1, "a")).is_ok());
        let problem = Manifest::parse(&text(FORMAT, 2, "a")).unwrap_err();
        assert!(problem.contains('2') && problem.contains('1'), "{problem}");
        assert!(Manifest::parse(&text("zip", 1, "a")).is_err());
    }

    #[test]
    fn a_payload_outside_the_folder_is_refused() {
        for name in ["../recipe.toml", "/etc/passwd", "..", "a\\\\b"] {
            assert!(Manifest::parse(&text(FORMAT, 1, name)).is_err(), "{name}");
        }
    }
}
