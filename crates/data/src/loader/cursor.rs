//! A place in an epoch that can be saved.

use super::LoaderConfig;
use crate::DataError;
use serde::{Deserialize, Serialize};

/// The place before a batch of an epoch; made by
/// [`Epoch::cursor`](super::Epoch::cursor), used by
/// [`Loader::resume`](super::Loader::resume).
///
/// It holds a digest of the whole epoch, so that continuing with other data,
/// another seed or another order is an error and not a silent drift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    version: u32,
    /// The epoch.
    pub epoch: u64,
    /// The batch that comes next.
    pub batch: u64,
    samples: u64,
    batch_size: u64,
    fingerprint: String,
}

const VERSION: u32 = 1;

impl Cursor {
    pub(super) fn new(
        config: &LoaderConfig,
        samples: usize,
        fingerprint: &str,
        epoch: u64,
        batch: usize,
    ) -> Self {
        Self {
            version: VERSION,
            epoch,
            batch: batch as u64,
            samples: samples as u64,
            batch_size: config.batch_size() as u64,
            fingerprint: fingerprint.to_owned(),
        }
    }

    /// The number of the batch to continue with.
    pub(super) fn check(
        &self,
        config: &LoaderConfig,
        samples: usize,
        fingerprint: &str,
        batches: usize,
    ) -> Result<usize, DataError> {
        let same = |what, expected: String, got: String| {
            if expected == got {
                Ok(())
            } else {
                Err(DataError::Cursor {
                    what,
                    expected,
                    got,
                })
            }
        };
        same(
            "the version of the cursor",
            self.version.to_string(),
            VERSION.to_string(),
        )?;
        same(
            "the number of samples",
            self.samples.to_string(),
            samples.to_string(),
        )?;
        same(
            "the batch size",
            self.batch_size.to_string(),
            config.batch_size().to_string(),
        )?;
        same(
            "the digest of seed, samples and order",
            self.fingerprint.clone(),
            fingerprint.to_owned(),
        )?;
        match usize::try_from(self.batch) {
            Ok(batch) if batch <= batches => Ok(batch),
            _ => Err(DataError::Cursor {
                what: "the number of batches",
                expected: format!("at least {}", self.batch),
                got: batches.to_string(),
            }),
        }
    }
}
