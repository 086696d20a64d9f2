//! What is known of a file before any code of it runs.

use std::{
    fs::{self, File, Metadata},
    io::Read,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::PluginError;

/// More than any plugin is.
const SIZE_LIMIT: u64 = 1 << 30;

/// A file whose path, owner, mode and content were checked: its bytes as they
/// were then, whatever happens to the file.
pub(crate) struct Verified {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

/// Checks a file and reads it.
///
/// The file is opened once and by its real path, in folders that nobody else can
/// write; owner and mode are those of what was opened, and the hash is that of
/// what was read, so that exchanging the file or a link on the way in between
/// changes nothing.
pub(crate) fn verify(path: &Path, sha256: Option<&str>) -> Result<Verified, PluginError> {
    if !path.is_absolute() {
        return Err(PluginError::NotAbsolute {
            path: path.to_owned(),
        });
    }
    let failed = |source| PluginError::Io {
        path: path.to_owned(),
        source,
    };
    let real = trust::resolve(path).map_err(failed)??;
    // Opening a pipe would wait for its other end.
    if !fs::symlink_metadata(&real).map_err(failed)?.is_file() {
        return Err(PluginError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut file = trust::open(&real).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(PluginError::NotAFile {
            path: path.to_owned(),
        });
    }
    trust::file(&real, &metadata)?;
    let bytes = read(&mut file, &metadata).map_err(failed)?;
    if let Some(expected) = sha256 {
        pinned(path, expected, &bytes)?;
    }
    Ok(Verified { path: real, bytes })
}

/// Whether nobody else can put another file at this real path.
pub(crate) fn folders(real: &Path) -> std::io::Result<Result<(), PluginError>> {
    for folder in real.ancestors().skip(1) {
        if let Err(untrusted) = trust::folder(folder, &fs::symlink_metadata(folder)?) {
            return Ok(Err(untrusted));
        }
    }
    Ok(Ok(()))
}

fn read(file: &mut File, metadata: &Metadata) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(metadata.len().min(SIZE_LIMIT) as usize + 1);
    file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(std::io::Error::other("it is larger than 1 GiB"));
    }
    Ok(bytes)
}

fn pinned(path: &Path, expected: &str, bytes: &[u8]) -> Result<(), PluginError> {
    let found = hex(bytes);
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(PluginError::Pin {
        path: path.to_owned(),
        expected: expected.to_owned(),
        found,
    })
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a plugin's file, as 64 hexadecimal digits: what a recipe pins
/// it by. Checks the file as loading does, and runs nothing of it.
///
/// # Errors
/// As [`Plugin::load`](crate::Plugin::load), up to the point where the library
/// is opened.
pub fn sha256(path: &Path) -> Result<String, PluginError> {
    Ok(hex(&verify(path, None)?.bytes))
}

/// Who may have written the file: nobody but root and the user that runs this.
#[cfg(unix)]
mod trust {
    use std::{
        ffi::OsString,
        fs::{self, File, Metadata, OpenOptions},
        io,
        os::unix::fs::{MetadataExt, OpenOptionsExt},
        path::{Component, Path, PathBuf},
    };

    use crate::PluginError;

    const WRITABLE_BY_OTHERS: u32 = 0o022;
    /// Entries of such a folder are safe from everyone but their owners.
    const STICKY: u32 = 0o1000;

    /// As many as the kernel follows.
    const LINK_LIMIT: usize = 40;

    /// Where an absolute path leads, if nobody else can lead it anywhere else:
    /// every folder on the way is looked at before what lies in it, and so is
    /// every link. Looking at the real path alone would not do: whoever can
    /// change a link chooses among all files that are to be trusted.
    pub(super) fn resolve(path: &Path) -> io::Result<Result<PathBuf, PluginError>> {
        let mut real = PathBuf::from("/");
        let mut ahead = parts(path);
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if part == ".." {
                real.pop();
                continue;
            }
            if let Err(untrusted) = folder(&real, &fs::symlink_metadata(&real)?) {
                return Ok(Err(untrusted));
            }
            let next = real.join(part);
            let metadata = fs::symlink_metadata(&next)?;
            if metadata.is_symlink() {
                links += 1;
                if links > LINK_LIMIT {
                    return Err(io::Error::from_raw_os_error(libc::ELOOP));
                }
                if let Err(untrusted) = owner(&next, &metadata) {
                    return Ok(Err(untrusted));
                }
                let target = fs::read_link(&next)?;
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                ahead.extend(parts(&target));
            } else if ahead.is_empty() || metadata.is_dir() {
                real = next;
            } else {
                return Err(io::Error::from_raw_os_error(libc::ENOTDIR));
            }
        }
        Ok(Ok(real))
    }

    /// The names in a path, the last one first.
    fn parts(path: &Path) -> Vec<OsString> {
        let name = |part: Component<'_>| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        };
        path.components().rev().filter_map(name).collect()
    }

    /// The file itself, never what a link in its place points to.
    pub(super) fn open(path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
            .open(path)
    }

    pub(super) fn file(path: &Path, metadata: &Metadata) -> Result<(), PluginError> {
        owner(path, metadata)?;
        if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(writable(path));
        }
        Ok(())
    }

    pub(super) fn folder(path: &Path, metadata: &Metadata) -> Result<(), PluginError> {
        owner(path, metadata)?;
        let mode = metadata.mode();
        if mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0 {
            return Err(writable(path));
        }
        Ok(())
    }

    fn owner(path: &Path, metadata: &Metadata) -> Result<(), PluginError> {
        // SAFETY: reads a number of this process; can't fail.
        let user = unsafe { libc::geteuid() };
        if metadata.uid() == 0 || metadata.uid() == user {
            return Ok(());
        }
        Err(PluginError::Untrusted {
            path: path.to_owned(),
            problem: format!("belongs to user {}", metadata.uid()),
            remedy: "copy the plugin to a folder of your own",
        })
    }

    fn writable(path: &Path) -> PluginError {
        PluginError::Untrusted {
            path: path.to_owned(),
            problem: "can be written by other users".to_owned(),
            remedy: "run `chmod go-w` on it, or copy the plugin to a folder of your own",
        }
    }
}

/// Access lists of Windows are not looked at: the default ones of a user's own
/// folders keep other users out.
#[cfg(not(unix))]
mod trust {
    use std::{
        fs::{self, File, Metadata},
        io,
        path::{Path, PathBuf},
    };

    use crate::PluginError;

    pub(super) fn resolve(path: &Path) -> io::Result<Result<PathBuf, PluginError>> {
        fs::canonicalize(path).map(Ok)
    }

    pub(super) fn open(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    pub(super) fn file(_: &Path, _: &Metadata) -> Result<(), PluginError> {
        Ok(())
    }

    pub(super) fn folder(_: &Path, _: &Metadata) -> Result<(), PluginError> {
        Ok(())
    }
}
