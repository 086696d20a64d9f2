//! The plugins of a recipe.

use firecraft_plugin_host::{Plugin, PluginError, register_all, sha256};
use firecraft_spec::Registries;
use firecraft_trainer::PluginFile;

/// Loads the plugins that a recipe lists and adds their types to the
/// registries, so that the recipe may name them like built-in ones.
///
/// Call it before anything else is made of the recipe: a plugin that is missing,
/// or another than the recipe pins, is then an error before a file is touched.
///
/// ```
/// use firecraft::trainer::Recipe;
///
/// let text = Recipe::default().to_toml()?;
/// let text = format!("{text}\n[[plugins]]\npath = '/opt/plugins/none.so'");
/// let recipe = Recipe::parse(&text)?;
/// let mut registries = firecraft::registries()?;
/// let error = firecraft::load_plugins(&recipe.plugins, &mut registries).unwrap_err();
/// assert!(error.to_string().starts_with("cannot open plugin `/opt/plugins/none.so`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`Plugin::load`] and [`register_all`]; nothing is registered then.
pub fn load_plugins(
    files: &[PluginFile],
    registries: &mut Registries,
) -> Result<Vec<Plugin>, PluginError> {
    let plugins = files
        .iter()
        .map(|file| Plugin::load(&file.path, file.sha256.as_deref()))
        .collect::<Result<Vec<_>, _>>()?;
    register_all(&plugins, registries)?;
    Ok(plugins)
}

/// Writes the SHA-256 of each plugin that has none yet into the list, so that
/// the run that is stored with it is resumed with the same plugins only. Runs
/// nothing of them.
///
/// # Errors
/// If a file can't be read or is not to be trusted; see [`Plugin::load`].
pub fn pin_plugins(files: &mut [PluginFile]) -> Result<(), PluginError> {
    for file in files {
        if file.sha256.is_none() {
            file.sha256 = Some(sha256(&file.path)?);
        }
    }
    Ok(())
}
