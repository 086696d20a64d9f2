//! The folder of one run: recipe, history, checkpoints, report.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::checkpoint::{CheckpointStore, OsDisk, replace_file};
use crate::error::TrainerError;
use crate::recipe::Recipe;

const RECIPE: &str = "recipe.toml";
const LOCK: &str = ".lock";
const WRITABLE: &str = "choose a folder that can be written";

/// The folder that a run keeps its files in.
///
/// | file | content |
/// |---|---|
/// | `recipe.toml` | what the run is made from |
/// | `history.csv` | one row per epoch, without wall clock |
/// | `timing.csv` | seconds per epoch |
/// | `checkpoints/` | see [`checkpoint`](crate::checkpoint) |
/// | `report.html` | curves and pictures |
///
/// A folder is locked while a `RunFolder` of it lives, so that two processes
/// can't write into one run; the lock ends with the process, however it ends.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: Option<File>,
}

impl RunFolder {
    /// Makes the next free folder `<parent>/<name>-0001`, `-0002`, … and stores
    /// the recipe in it. `parent` is made if it is missing.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`] when a folder or file can't be written; nothing that
    /// existed before is touched.
    pub fn create(parent: &Path, name: &str, recipe: &Recipe) -> Result<Self, TrainerError> {
        fs::create_dir_all(parent).map_err(TrainerError::io(
            "create the folder of runs",
            parent,
            WRITABLE,
        ))?;
        for number in 1.. {
            let path = parent.join(format!("{name}-{number:04}"));
            match fs::create_dir(&path) {
                Ok(()) => {
                    let run = Self {
                        _lock: lock(&path)?,
                        path,
                    };
                    run.write(RECIPE, recipe.to_toml()?.as_bytes())?;
                    return Ok(run);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(TrainerError::io("create the run folder", &path, WRITABLE)(
                        error,
                    ));
                }
            }
        }
        unreachable!("the numbers are endless")
    }

    /// Opens the folder of an earlier run.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`] when it is no run folder or another process uses it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, TrainerError> {
        let path = path.into();
        let recipe = path.join(RECIPE);
        fs::metadata(&recipe).map_err(TrainerError::io(
            "open the run; there is no",
            &recipe,
            "give the folder of an earlier run",
        ))?;
        Ok(Self {
            _lock: lock(&path)?,
            path,
        })
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The recipe that the run was made from.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Damaged`] when `recipe.toml` is no recipe.
    pub fn recipe(&self) -> Result<Recipe, TrainerError> {
        Recipe::load_stored(&self.path.join(RECIPE))
    }

    /// The store of the run's checkpoints.
    ///
    /// # Errors
    ///
    /// As [`CheckpointStore::open`].
    pub fn checkpoints(&self) -> Result<CheckpointStore, TrainerError> {
        CheckpointStore::open(self.path.join("checkpoints"))
    }

    /// Writes a file of the folder whole or not at all and returns its path.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`]; an older file of that name is left as it was.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, TrainerError> {
        let path = self.path.join(name);
        replace_file(&OsDisk, &path, bytes).map_err(TrainerError::io("write", &path, WRITABLE))?;
        Ok(path)
    }
}

fn lock(folder: &Path) -> Result<Option<File>, TrainerError> {
    let path = folder.join(LOCK);
    let file = File::create(&path).map_err(TrainerError::io("write", &path, WRITABLE))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        // Some network file systems have no locks; the run goes on without.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(TryLockError::Error(error)) => Err(TrainerError::io("lock", &path, WRITABLE)(error)),
        Err(TryLockError::WouldBlock) => Err(TrainerError::io(
            "lock",
            &path,
            "wait for the other process that uses this run, or end it",
        )(io::Error::from(io::ErrorKind::WouldBlock))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_numbered_and_never_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        let recipe = Recipe::default();
        let first = RunFolder::create(parent.path(), "digits", &recipe).unwrap();
        let second = RunFolder::create(parent.path(), "digits", &recipe).unwrap();
        assert!(first.path().ends_with("digits-0001"));
        assert!(second.path().ends_with("digits-0002"));
    }

    #[test]
    fn a_run_is_used_by_one_owner_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunFolder::create(parent.path(), "digits", &Recipe::default()).unwrap();
        let path = run.path().to_path_buf();
        let error = RunFolder::open(&path).unwrap_err().to_string();
        assert!(error.contains("other process"), "{error}");
        drop(run);
        assert_eq!(
            RunFolder::open(&path).unwrap().recipe().unwrap(),
            Recipe::default()
        );
    }

    #[test]
    fn the_recipe_of_a_run_that_was_changed_is_called_damaged() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunFolder::create(parent.path(), "digits", &Recipe::default()).unwrap();
        let path = run.path().join(RECIPE);
        let whole = fs::read_to_string(&path).unwrap();
        for (from, to, part) in [
            ("epochs = 1", "epochs = 0", "`epochs` is 0"),
            ("epochs = 1", "epoch = 1", "did you mean `epochs`"),
            ("epochs = 1", "epochs =", "line 3"),
        ] {
            fs::write(&path, whole.replace(from, to)).unwrap();
            let error = run.recipe().unwrap_err();
            assert!(matches!(error, TrainerError::Damaged { .. }));
            let error = error.to_string();
            assert!(error.contains("is damaged: line 3"), "{error}");
            assert!(error.contains(part), "{error}");
            assert!(error.ends_with("restore the file or start a new run"));
        }
    }

    #[test]
    fn a_folder_without_recipe_is_no_run() {
        let folder = tempfile::tempdir().unwrap();
        let error = RunFolder::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("recipe.toml"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
