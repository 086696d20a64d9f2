//! The few file operations a checkpoint needs, each forced to the disk.
//!
//! They sit behind [`Disk`] so that tests can let any one of them fail: a full
//! disk, an I/O error and a torn file are then ordinary test cases.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Storage operations used by [`CheckpointStore`](super::CheckpointStore).
///
/// Every method that changes something returns only when the change would
/// survive a power cut, as far as the operating system can promise it.
pub trait Disk: Send + Sync {
    /// Creates a folder whose parent exists.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Creates a file, writes `bytes` and forces them to the disk.
    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Reads a whole file.
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Renames within one file system; replaces an existing file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Forces the entries of a folder (names, renames) to the disk.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder with all it holds.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// Names of the folders directly inside `path`, sorted.
    fn folders(&self, path: &Path) -> io::Result<Vec<String>>;
}

/// The file system of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        // Windows can't open a folder as a file; NTFS journals the rename.
        if cfg!(unix) {
            File::open(path)?.sync_all()?;
        }
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn folders(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

/// Replaces a file as a whole: readers see the old bytes or the new ones.
///
/// The bytes go to `<name>.tmp` beside it, are forced to the disk and renamed.
pub fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = sibling(path, ".tmp");
    disk.write_file(&temporary, bytes)?;
    disk.rename(&temporary, path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => disk.sync_folder(parent),
        _ => disk.sync_folder(Path::new(".")),
    }
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

#[cfg(test)]
pub(crate) mod faulty {
    //! A disk that fails on command.

    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What happens at the chosen operation and at every one after it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Fault {
        /// The write stores half of the bytes, then fails: a full disk.
        Full,
        /// The operation fails and changes nothing.
        Io,
        /// The write stores half of the bytes and reports success: a torn file.
        Torn,
    }

    /// Lets `healthy` changing operations pass, then applies `fault`.
    pub(crate) struct FaultyDisk {
        fault: Fault,
        left: AtomicUsize,
    }

    impl FaultyDisk {
        pub(crate) fn after(healthy: usize, fault: Fault) -> Self {
            Self {
                fault,
                left: AtomicUsize::new(healthy),
            }
        }

        fn due(&self) -> bool {
            self.left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_err()
        }

        fn check(&self) -> io::Result<()> {
            if self.due() && self.fault != Fault::Torn {
                return Err(io::Error::other("injected fault"));
            }
            Ok(())
        }
    }

    impl Disk for FaultyDisk {
        fn create_folder(&self, path: &Path) -> io::Result<()> {
            self.check()?;
            OsDisk.create_folder(path)
        }

        fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
            if !self.due() {
                return OsDisk.write_file(path, bytes);
            }
            match self.fault {
                Fault::Io => Err(io::Error::other("injected fault")),
                Fault::Full => {
                    OsDisk.write_file(path, &bytes[..bytes.len() / 2])?;
                    Err(io::Error::from(io::ErrorKind::StorageFull))
                }
                Fault::Torn => OsDisk.write_file(path, &bytes[..bytes.len() / 2]),
            }
        }

        fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
            OsDisk.read_file(path)
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.check()?;
            OsDisk.rename(from, to)
        }

        fn sync_folder(&self, path: &Path) -> io::Result<()> {
            self.check()?;
            OsDisk.sync_folder(path)
        }

        fn remove_folder(&self, path: &Path) -> io::Result<()> {
            self.check()?;
            OsDisk.remove_folder(path)
        }

        fn folders(&self, path: &Path) -> io::Result<Vec<String>> {
            OsDisk.folders(path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::faulty::{Fault, FaultyDisk};
    use super::*;

    #[test]
    fn replacing_a_file_never_leaves_half_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        replace_file(&OsDisk, &path, b"old old old").unwrap();
        for healthy in 0..3 {
            for fault in [Fault::Full, Fault::Io] {
                let disk = FaultyDisk::after(healthy, fault);
                assert!(replace_file(&disk, &path, b"new new new").is_err());
                let found = fs::read(&path).unwrap();
                let renamed = healthy >= 2;
                assert_eq!(found == b"new new new", renamed, "{healthy} {fault:?}");
                assert_eq!(found == b"old old old", !renamed, "{healthy} {fault:?}");
                fs::write(&path, b"old old old").unwrap();
            }
        }
    }
}
