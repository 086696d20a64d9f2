//! Plugins by file name, for applications that want that.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// The variable that lists folders with plugins, as `PATH` lists programs.
pub const PATH_VARIABLE: &str = "FIRECRAFT_PLUGIN_PATH";

/// The folders of [`PATH_VARIABLE`] that are absolute, in order.
///
/// Nothing in this crate calls it: an application that wants to let its
/// environment choose plugins says so by calling it. None if the process runs
/// with rights that its caller doesn't have (setuid, setgid, capabilities):
/// then the environment is another user's.
#[must_use]
pub fn search_folders() -> Vec<PathBuf> {
    folders(env::var_os(PATH_VARIABLE).as_deref(), elevated())
}

/// The file of that name in the first of the folders that has one. A name with
/// a folder in it is no name.
///
/// ```
/// use firecraft_plugin_host::find;
/// use std::path::{Path, PathBuf};
///
/// let folders = [PathBuf::from("/nowhere"), PathBuf::from("/")];
/// assert_eq!(find("none.so", &folders), None);
/// assert_eq!(find("../etc/passwd", &folders), None);
/// ```
#[must_use]
pub fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    if Path::new(name).file_name() != Some(OsStr::new(name)) {
        return None;
    }
    folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn folders(value: Option<&OsStr>, elevated: bool) -> Vec<PathBuf> {
    match value {
        Some(value) if !elevated => env::split_paths(value)
            .filter(|folder| folder.is_absolute())
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn elevated() -> bool {
    // SAFETY: reads a number that the kernel gave this process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn elevated() -> bool {
    // SAFETY: these read numbers of this process; they can't fail.
    unsafe { libc::geteuid() != libc::getuid() || libc::getegid() != libc::getgid() }
}

#[cfg(not(unix))]
fn elevated() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn relative_folders_and_an_elevated_process_are_left_out() {
        let value = OsStr::new("/a:b::/c");
        assert_eq!(
            folders(Some(value), false),
            [PathBuf::from("/a"), PathBuf::from("/c")]
        );
        assert!(folders(Some(value), true).is_empty());
        assert!(folders(None, false).is_empty());
        assert!(!elevated());
    }

    #[test]
    fn the_first_folder_that_has_the_file_wins() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = [first.path().to_owned(), second.path().to_owned()];
        std::fs::write(second.path().join("p.so"), "").unwrap();
        assert_eq!(find("p.so", &folders), Some(second.path().join("p.so")));
        std::fs::write(first.path().join("p.so"), "").unwrap();
        assert_eq!(find("p.so", &folders), Some(first.path().join("p.so")));
        for name in ["", ".", "..", "./p.so", "a/p.so"] {
            assert_eq!(find(name, &folders), None, "{name}");
        }
    }
}
