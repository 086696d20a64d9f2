//! The folder that holds the checkpoints of one run.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, OsDisk};
use super::manifest::Manifest;
use crate::error::TrainerError;

/// Files of a checkpoint by name.
pub type Payloads = BTreeMap<String, Vec<u8>>;

const MANIFEST: &str = "manifest.json";
const TEMPORARY: &str = ".writing-";
const REPLACED: &str = ".replaced-";
const REMOVED: &str = ".removed-";

const FREE_SPACE: &str = "free some space, then resume the run";
const CHECK_FOLDER: &str = "check that the folder exists and can be read";

/// Saves, finds and prunes checkpoints.
///
/// Names sort by age: the newest checkpoint has the greatest name.
///
/// ```
/// use firecraft_trainer::checkpoint::{CheckpointStore, Payloads};
///
/// let folder = tempfile::tempdir()?;
/// let store = CheckpointStore::open(folder.path())?;
/// let mut payloads = Payloads::new();
/// payloads.insert("state.json".into(), b"{}".to_vec());
/// store.save("update-000000001", &payloads)?;
/// store.save("update-000000002", &payloads)?;
/// let latest = store.latest()?.unwrap();
/// assert_eq!(latest.name, "update-000000002");
/// assert_eq!(latest.payloads, payloads);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct CheckpointStore {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
}

/// The newest checkpoint that can be read.
#[derive(Debug, Clone)]
pub struct Latest {
    /// Its name.
    pub name: String,
    /// Its files, verified.
    pub payloads: Payloads,
    /// One line for each newer checkpoint that was damaged and passed over.
    pub notices: Vec<String>,
}

impl std::fmt::Debug for CheckpointStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckpointStore")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl CheckpointStore {
    /// Opens the store in `folder`, which is created if it is missing (its
    /// parent is not), and removes what a killed writer left behind.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`] when the folder can't be created or read.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, TrainerError> {
        Self::with_disk(folder, Arc::new(OsDisk))
    }

    /// [`open`](Self::open) on another [`Disk`].
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn with_disk(
        folder: impl Into<PathBuf>,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, TrainerError> {
        let folder = folder.into();
        match disk.create_folder(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(TrainerError::io(
                    "create the checkpoint folder",
                    &folder,
                    "choose a run folder that can be written",
                )(error));
            }
        }
        let store = Self { folder, disk };
        let names = store.all_folders()?;
        for name in &names {
            // A kill between the two renames of a replacement: take it back.
            if let Some(old) = name.strip_prefix(REPLACED)
                && !names.iter().any(|name| name == old)
            {
                let path = store.folder.join(old);
                let replaced = store.folder.join(name);
                store
                    .disk
                    .rename(&replaced, &path)
                    .map_err(TrainerError::io(
                        "take back a checkpoint",
                        &path,
                        CHECK_FOLDER,
                    ))?;
            } else if [TEMPORARY, REPLACED, REMOVED]
                .iter()
                .any(|p| name.starts_with(p))
            {
                let path = store.folder.join(name);
                store.disk.remove_folder(&path).map_err(TrainerError::io(
                    "remove a leftover",
                    &path,
                    CHECK_FOLDER,
                ))?;
            }
        }
        Ok(store)
    }

    /// Where the checkpoints lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Names of all checkpoints, oldest first, damaged ones included.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`] when the folder can't be read.
    pub fn names(&self) -> Result<Vec<String>, TrainerError> {
        let mut names = self.all_folders()?;
        names.retain(|name| !name.starts_with('.'));
        Ok(names)
    }

    /// Writes a checkpoint whole or not at all and returns its folder.
    ///
    /// A good checkpoint of the same name is kept as it is: in a deterministic
    /// run it is the same. A damaged one is replaced.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`]; the checkpoints that existed before still do.
    pub fn save(&self, name: &str, payloads: &Payloads) -> Result<PathBuf, TrainerError> {
        let target = self.folder.join(name);
        let exists = self.all_folders()?.iter().any(|found| found == name);
        if exists && self.load(name).is_ok_and(|found| found == *payloads) {
            return Ok(target);
        }
        let temporary = self.folder.join(format!("{TEMPORARY}{name}"));
        if let Err(error) = self.write(&temporary, payloads) {
            // Half a checkpoint would only take up the space that is missing.
            let _ = self.disk.remove_folder(&temporary);
            return Err(TrainerError::io(
                "write the checkpoint",
                &target,
                FREE_SPACE,
            )(error));
        }
        let replaced = self.folder.join(format!("{REPLACED}{name}"));
        let swap = || -> io::Result<()> {
            if exists {
                self.disk.rename(&target, &replaced)?;
            }
            self.disk.rename(&temporary, &target)?;
            self.disk.sync_folder(&self.folder)?;
            if exists {
                self.disk.remove_folder(&replaced)?;
            }
            Ok(())
        };
        swap().map_err(TrainerError::io(
            "write the checkpoint",
            &target,
            FREE_SPACE,
        ))?;
        Ok(target)
    }

    fn write(&self, folder: &Path, payloads: &Payloads) -> io::Result<()> {
        self.disk.create_folder(folder)?;
        for (name, bytes) in payloads {
            self.disk.write_file(&folder.join(name), bytes)?;
        }
        let mut manifest =
            serde_json::to_vec_pretty(&Manifest::of(payloads)).map_err(io::Error::other)?;
        manifest.push(b'\n');
        self.disk.write_file(&folder.join(MANIFEST), &manifest)?;
        self.disk.sync_folder(folder)
    }

    /// Removes the checkpoints that are newer than `name`.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`] when one can't be removed.
    pub fn remove_after(&self, name: &str) -> Result<(), TrainerError> {
        for newer in self.names()? {
            if newer.as_str() > name {
                self.discard(&newer)?;
            }
        }
        Ok(())
    }

    /// Reads and verifies one checkpoint.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Damaged`] when a file is missing, torn or altered.
    pub fn load(&self, name: &str) -> Result<Payloads, TrainerError> {
        let folder = self.folder.join(name);
        let damaged = |problem: String| {
            TrainerError::damaged(&folder, problem, "resume from an earlier checkpoint")
        };
        let read = |file: &str| {
            self.disk
                .read_file(&folder.join(file))
                .map_err(|error| damaged(format!("`{file}` cannot be read: {error}")))
        };
        let manifest = Manifest::parse(&read(MANIFEST)?).map_err(damaged)?;
        let mut payloads = Payloads::new();
        for file in manifest.payloads.keys() {
            payloads.insert(file.clone(), read(file)?);
        }
        manifest.check(&payloads).map_err(damaged)?;
        Ok(payloads)
    }

    /// The newest checkpoint that can be read, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Damaged`] when there are checkpoints and all of them are
    /// damaged.
    pub fn latest(&self) -> Result<Option<Latest>, TrainerError> {
        let mut notices = Vec::new();
        let mut last_error = None;
        for name in self.names()?.into_iter().rev() {
            match self.load(&name) {
                Ok(payloads) => {
                    if !notices.is_empty() {
                        notices.push(format!("going back to checkpoint `{name}`"));
                    }
                    return Ok(Some(Latest {
                        name,
                        payloads,
                        notices,
                    }));
                }
                Err(error) => {
                    notices.push(match &error {
                        TrainerError::Damaged { problem, .. } => {
                            format!("checkpoint `{name}` is damaged: {problem}")
                        }
                        other => other.to_string(),
                    });
                    last_error = Some(error);
                }
            }
        }
        match last_error {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// Removes all but the newest `keep` checkpoints and the `protected` ones.
    ///
    /// The newest one is read back first; if it can't be, nothing is removed,
    /// so the last good checkpoint stays. `keep` is at least 1. Returns a
    /// notice when nothing could be removed for that reason.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`] when a folder can't be removed.
    pub fn prune(&self, keep: usize, protected: &[String]) -> Result<Option<String>, TrainerError> {
        let names = self.names()?;
        let surplus = names.len().saturating_sub(keep.max(1));
        let doomed: Vec<_> = names[..surplus]
            .iter()
            .filter(|name| !protected.contains(name))
            .collect();
        if doomed.is_empty() {
            return Ok(None);
        }
        if let Some(Err(error)) = names.last().map(|name| self.load(name)) {
            return Ok(Some(format!("no old checkpoint was removed: {error}")));
        }
        for name in doomed {
            self.discard(name)?;
        }
        Ok(None)
    }

    /// Removes a checkpoint; under a temporary name a half-removed folder is
    /// none.
    fn discard(&self, name: &str) -> Result<(), TrainerError> {
        let path = self.folder.join(name);
        let removed = self.folder.join(format!("{REMOVED}{name}"));
        let remove = || -> io::Result<()> {
            self.disk.rename(&path, &removed)?;
            self.disk.remove_folder(&removed)
        };
        remove().map_err(TrainerError::io(
            "remove an old checkpoint",
            &path,
            CHECK_FOLDER,
        ))
    }

    fn all_folders(&self) -> Result<Vec<String>, TrainerError> {
        self.disk.folders(&self.folder).map_err(TrainerError::io(
            "read",
            &self.folder,
            CHECK_FOLDER,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::faulty::{Fault, FaultyDisk};
    use super::*;
    use std::fs;

    fn payloads(content: &str) -> Payloads {
        let mut payloads = Payloads::new();
        payloads.insert("model.safetensors".into(), content.repeat(50).into_bytes());
        payloads.insert("state.json".into(), content.as_bytes().to_vec());
        payloads
    }

    fn store() -> (tempfile::TempDir, CheckpointStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(folder.path().join("checkpoints")).unwrap();
        (folder, store)
    }

    #[test]
    fn an_empty_store_has_no_latest() {
        let (_folder, store) = store();
        assert!(store.latest().unwrap().is_none());
    }

    #[test]
    fn a_torn_or_altered_checkpoint_falls_back_to_the_one_before() {
        for (file, damage) in [
            ("model.safetensors", "cut"),
            ("model.safetensors", "flip"),
            ("state.json", "remove"),
            ("manifest.json", "cut"),
            ("manifest.json", "remove"),
        ] {
            let (_folder, store) = store();
            store.save("update-1", &payloads("one")).unwrap();
            let newest = store.save("update-2", &payloads("two")).unwrap().join(file);
            let mut bytes = fs::read(&newest).unwrap();
            match damage {
                "cut" => fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap(),
                "flip" => {
                    bytes[7] ^= 1;
                    fs::write(&newest, &bytes).unwrap();
                }
                _ => fs::remove_file(&newest).unwrap(),
            }
            let latest = store.latest().unwrap().unwrap();
            assert_eq!(latest.name, "update-1", "{file} {damage}");
            assert_eq!(latest.payloads, payloads("one"));
            assert_eq!(latest.notices.len(), 2, "{:?}", latest.notices);
        }
    }

    #[test]
    fn only_damaged_checkpoints_are_an_error() {
        let (_folder, store) = store();
        let path = store.save("update-1", &payloads("one")).unwrap();
        fs::write(path.join("state.json"), b"").unwrap();
        assert!(matches!(store.latest(), Err(TrainerError::Damaged { .. })));
    }

    #[test]
    fn no_fault_at_any_operation_loses_the_previous_checkpoint() {
        for fault in [Fault::Full, Fault::Io, Fault::Torn] {
            for healthy in 0..9 {
                let (_folder, good) = store();
                good.save("update-1", &payloads("one")).unwrap();
                let disk = Arc::new(FaultyDisk::after(healthy, fault));
                // Opening needs one operation of the disk itself.
                let broken = CheckpointStore {
                    folder: good.folder.clone(),
                    disk,
                };
                let saved = broken.save("update-2", &payloads("two"));
                let reopened = CheckpointStore::open(good.folder()).unwrap();
                let latest = reopened.latest().unwrap().unwrap();
                if latest.name == "update-2" {
                    assert_eq!(latest.payloads, payloads("two"));
                } else {
                    assert_eq!(latest.payloads, payloads("one"));
                    assert!(
                        saved.is_err() || fault == Fault::Torn,
                        "{fault:?} {healthy}"
                    );
                }
                let names = reopened.all_folders().unwrap();
                assert!(names.len() <= 2, "leftovers: {names:?}");
            }
        }
    }

    #[test]
    fn a_damaged_checkpoint_is_replaced_by_a_new_one_of_its_name() {
        let (_folder, store) = store();
        let path = store.save("update-1", &payloads("one")).unwrap();
        fs::write(path.join("state.json"), b"").unwrap();
        store.save("update-1", &payloads("one")).unwrap();
        assert_eq!(store.load("update-1").unwrap(), payloads("one"));
        assert_eq!(store.all_folders().unwrap(), ["update-1"]);
    }

    #[test]
    fn a_kill_between_the_renames_of_a_replacement_loses_nothing() {
        let (_folder, store) = store();
        store.save("update-1", &payloads("one")).unwrap();
        let at = |name: &str| store.folder().join(name);
        fs::rename(at("update-1"), at(".replaced-update-1")).unwrap();
        let store = CheckpointStore::open(store.folder()).unwrap();
        assert_eq!(store.latest().unwrap().unwrap().payloads, payloads("one"));
    }

    #[test]
    fn what_is_newer_than_a_checkpoint_can_be_given_up() {
        let (_folder, store) = store();
        for i in 1..=4 {
            store.save(&format!("update-{i}"), &payloads("x")).unwrap();
        }
        store.remove_after("update-2").unwrap();
        assert_eq!(store.all_folders().unwrap(), ["update-1", "update-2"]);
    }

    #[test]
    fn pruning_keeps_the_newest_and_the_protected() {
        let (_folder, store) = store();
        for i in 1..=5 {
            store.save(&format!("update-{i}"), &payloads("x")).unwrap();
        }
        store.prune(2, &["update-2".into()]).unwrap();
        assert_eq!(store.names().unwrap(), ["update-2", "update-4", "update-5"]);
        store.prune(0, &[]).unwrap();
        assert_eq!(store.names().unwrap(), ["update-5"]);
    }

    #[test]
    fn pruning_never_removes_the_last_good_checkpoint() {
        let (_folder, store) = store();
        store.save("update-1", &payloads("one")).unwrap();
        let path = store.save("update-2", &payloads("two")).unwrap();
        fs::write(path.join("state.json"), b"torn").unwrap();
        assert!(store.prune(1, &[]).unwrap().is_some());
        assert_eq!(store.latest().unwrap().unwrap().name, "update-1");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), b"").unwrap();
        let error = CheckpointStore::open(folder.path().join("file/checkpoints")).unwrap_err();
        assert!(error.to_string().contains("file/checkpoints"), "{error}");
    }
}
