//! Opening a shared library.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    mem,
    path::{Path, PathBuf},
};

use firecraft_plugin::abi::{ENTRY_SYMBOL, Entry, EntryFn, Head, Host};
use libloading::Library;
use tempfile::TempDir;

use crate::{
    PluginError,
    file::{self, Verified, verify},
};

/// The table that plugins get. No extension is offered yet.
pub(crate) static HOST: Host = Host {
    head: Head::of::<Host>(),
    get_extension: None,
};

/// Checks the file, opens the library and calls its entry function.
///
/// # Safety
/// Opening runs the library's initialisers; the caller vouches for the file.
pub(crate) unsafe fn entry(path: &Path, sha256: Option<&str>) -> Result<*const Entry, PluginError> {
    let file = verify(path, sha256)?;
    let refused = |reason: String| PluginError::NotALibrary {
        path: path.to_owned(),
        reason,
    };
    #[cfg(all(unix, not(target_vendor = "apple")))]
    crate::elf::check(&file.bytes).map_err(refused)?;
    let uncopied = |source| PluginError::Copy {
        path: path.to_owned(),
        folder: std::env::temp_dir(),
        source,
    };
    let (copy, folder) = copy(&file).map_err(uncopied)?;
    file::folders(&copy).map_err(uncopied)??;
    // SAFETY: the caller vouches for the file, of which this is a copy.
    let opened = unsafe { open(&copy) };
    // Mapped, the copy needs its name no more. Where files in use can't be
    // removed, it stays in the folder for temporary files.
    drop(folder);
    let library = opened.map_err(|error| refused(reason(&error)))?;
    // SAFETY: the symbol is what its name promises, or the file is not one that
    // the caller could vouch for.
    let entry = unsafe { library.get::<EntryFn>(ENTRY_SYMBOL.as_bytes()) }.map(|symbol| *symbol);
    // Never unloaded: its tables are used for as long as the process lives, and
    // it may have started threads, or registered thread-local destructors.
    mem::forget(library);
    let entry = entry.map_err(|_| PluginError::MissingSymbol {
        path: path.to_owned(),
    })?;
    // SAFETY: as for the symbol; the host's table is static.
    Ok(unsafe { entry(&HOST) })
}

/// What was verified, in a place where nobody else can change it.
fn copy(file: &Verified) -> io::Result<(PathBuf, TempDir)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("firecraft-plugin-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o700));
    }
    let folder = builder.tempdir()?;
    let name = file.path.file_name().unwrap_or("plugin".as_ref());
    let path = fs::canonicalize(folder.path())?.join(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o500);
    }
    options.open(&path)?.write_all(&file.bytes)?;
    Ok((path, folder))
}

/// Symbols are resolved now, so that a missing one is an error here and not a
/// crash later, and stay out of the way of other libraries.
#[cfg(unix)]
unsafe fn open(path: &Path) -> Result<Library, libloading::Error> {
    use libloading::os::unix;
    // SAFETY: the caller vouches for the file.
    let library = unsafe { unix::Library::open(Some(path), unix::RTLD_NOW | unix::RTLD_LOCAL) }?;
    Ok(library.into())
}

/// What the library needs is looked for in the system's folders, never in the
/// working directory.
#[cfg(windows)]
unsafe fn open(path: &Path) -> Result<Library, libloading::Error> {
    use libloading::os::windows;
    let flags =
        windows::LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | windows::LOAD_LIBRARY_SEARCH_DEFAULT_DIRS;
    // SAFETY: the caller vouches for the file.
    let library = unsafe { windows::Library::load_with_flags(path, flags) }?;
    Ok(library.into())
}

/// The loader's own words; `libloading` keeps them in the source of its error.
fn reason(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
