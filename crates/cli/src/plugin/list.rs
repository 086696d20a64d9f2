//! `firecraft plugin list`.

use std::path::PathBuf;

use clap::Args;
use firecraft::plugin_host::search_folders;

use crate::error::CliError;

#[derive(Args)]
pub(super) struct Arguments {
    /// Shared libraries.
    files: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let mut files = arguments.files.clone();
    if files.is_empty() {
        for folder in search_folders() {
            let entries = std::fs::read_dir(&folder).map_err(|source| CliError::ReadPlugin {
                path: folder.clone(),
                source,
            })?;
            let libraries = entries.filter_map(|entry| Some(entry.ok()?.path()));
            files.extend(libraries.filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == std::env::consts::DLL_EXTENSION)
            }));
        }
        files.sort();
    }
    for file in files {
        let plugin = super::load(&file)?;
        println!("{} {}  {}", plugin.id(), plugin.version(), file.display());
        for class in plugin.classes() {
            let kind = super::kind(class);
            println!("  {kind:9} {}  {}", class.name(), class.summary());
        }
    }
    Ok(())
}
