//! Opening a shared library.

use std::{fs, mem, path::Path};

use firecraft_plugin::abi::{ENTRY_SYMBOL, Entry, EntryFn, Head, Host};
use libloading::Library;

use crate::PluginError;

/// The table that plugins get. No extension is offered yet.
pub(crate) static HOST: Host = Host {
    head: Head::of::<Host>(),
    get_extension: None,
};

/// Opens the library and calls its entry function.
///
/// # Safety
/// Opening runs the library's initialisers; the caller vouches for the file.
pub(crate) unsafe fn entry(path: &Path) -> Result<*const Entry, PluginError> {
    examine(path)?;
    let refused = |error: libloading::Error| PluginError::NotALibrary {
        path: path.to_owned(),
        reason: reason(&error),
    };
    // SAFETY: the caller vouches for the file.
    let library = unsafe { open(path) }.map_err(refused)?;
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

/// What can be said of the path before any code of the library runs.
fn examine(path: &Path) -> Result<(), PluginError> {
    if !path.is_absolute() {
        return Err(PluginError::NotAbsolute {
            path: path.to_owned(),
        });
    }
    let metadata = fs::metadata(path).map_err(|source| PluginError::Io {
        path: path.to_owned(),
        source,
    })?;
    if !metadata.is_file() {
        return Err(PluginError::NotAFile {
            path: path.to_owned(),
        });
    }
    Ok(())
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

/// What the library needs is looked for beside it and in the system's folders,
/// never in the working directory.
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
