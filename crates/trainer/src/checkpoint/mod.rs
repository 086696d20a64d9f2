//! Checkpoints: folders that exist whole or not at all.
//!
//! A checkpoint is a folder with payload files and a `manifest.json` that lists
//! each payload with its length and SHA-256. It is written under a temporary
//! name, every file and the folder are forced to the disk, and the folder is
//! renamed into place, so a kill at any moment leaves either the finished
//! checkpoint or a leftover that the next start removes. A checkpoint whose
//! bytes were damaged afterwards is recognised by its hashes, and the store
//! goes back to the one before it.

mod disk;
mod manifest;
mod store;

pub use disk::{Disk, OsDisk, replace_file};
pub use manifest::{CHECKPOINT_VERSION, Manifest, PayloadInfo};
pub use store::{CheckpointStore, Latest, Payloads};
