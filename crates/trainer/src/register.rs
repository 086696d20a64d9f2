//! Everything of this crate that recipes reach by name.

use std::path::PathBuf;

use firecraft_spec::{Registries, SpecError};

use crate::{callbacks, loss};

/// Adds every callback and every loss that a recipe can name; paths in the
/// settings of callbacks are those of the process. [`register_in`] gives them a
/// folder.
///
/// [`Lambda`](callbacks::Lambda) and [`Interrupt`](callbacks::Interrupt) hold
/// code and a flag of the program and have no name.
///
/// ```
/// use firecraft_spec::{Registries, Spec};
/// use firecraft_trainer::{CallbackTypes, register};
///
/// let mut registries = Registries::new();
/// register(&mut registries)?;
/// let wrong = Spec::new("time_limit").with("seconds", -1.0);
/// let error = registries.build::<CallbackTypes>(&wrong).err().unwrap();
/// assert_eq!(
///     error.to_string(),
///     "time_limit: `seconds` is -1, allowed is a finite number of at least 0",
/// );
/// # Ok::<(), firecraft_spec::SpecError>(())
/// ```
///
/// # Errors
///
/// [`SpecError::Duplicate`] if a name is taken.
pub fn register(registries: &mut Registries) -> Result<(), SpecError> {
    register_in(registries, "")
}

/// [`register`] for a run folder: relative paths are below it.
///
/// # Errors
///
/// [`SpecError::Duplicate`] if a name is taken.
pub fn register_in(
    registries: &mut Registries,
    folder: impl Into<PathBuf>,
) -> Result<(), SpecError> {
    callbacks::register_all(registries, &folder.into())?;
    loss::register(registries)
}
