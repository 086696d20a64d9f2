//! A plugin whose tables have been checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use firecraft_augment::{Transform, Transforms};
use firecraft_plugin::abi::{
    Class, ClassKind, Entry, EntryFn, ExtensionFn, SELF_TEST, SelfTest, Str,
};
use firecraft_schedule::{BoxScheduler, Schedulers};
use firecraft_spec::{Kind as _, Registries, Spec, SpecError};

use crate::{
    ClassInfo, PluginError, PluginScheduler, PluginTransform,
    instance::outcome,
    library::{self, HOST},
    read,
};

/// The longest id or version that is accepted, in bytes.
const TEXT_LIMIT: usize = 256;
/// More classes than anyone writes.
const CLASS_LIMIT: usize = 4096;

/// A plugin whose tables have been checked.
///
/// ```
/// use firecraft_plugin::{Scheduler, Step, declare_plugin};
/// use firecraft_plugin_host::Plugin;
/// use firecraft_schedule::{Schedulers, StepContext, step_value};
/// use firecraft_spec::{Registries, Spec};
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Halving {
///     start: f64,
///     every: u64,
/// }
///
/// impl Scheduler for Halving {
///     type State = ();
///     const NAME: &'static str = "halving";
///     const SUMMARY: &'static str = "halves the value every so many updates";
///     fn step(&self, _: &mut (), step: &Step, values: &mut [f64]) {
///         values.fill(self.start * 0.5f64.powi((step.update / self.every) as i32));
///     }
/// }
///
/// declare_plugin! {
///     entry: halving_plugin,
///     id: "org.example.halving",
///     transforms: [],
///     schedulers: [Halving],
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // SAFETY: the entry function of a plugin that is linked statically.
/// let plugin = unsafe { Plugin::link(halving_plugin) }?;
/// assert_eq!(plugin.id(), "org.example.halving");
///
/// let mut registries = Registries::new();
/// plugin.register(&mut registries)?;
/// let spec = Spec::new("halving").with("start", 0.1).with("every", 10);
/// let mut halving = registries.build::<Schedulers>(&spec)?;
/// assert_eq!(step_value(&mut halving, &StepContext::at(25)), 0.025);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Plugin {
    id: String,
    version: String,
    abi_minor: u16,
    classes: Vec<Arc<ClassInfo>>,
    extension: Option<ExtensionFn>,
    checked: bool,
}

impl Plugin {
    /// Loads the plugin in the file at `path`.
    ///
    /// Before any code of the library runs: the path must be absolute and lead
    /// to a regular file; on Unix the file and every folder above it must belong
    /// to root or to the user that runs this and be writable by nobody else; its
    /// SHA-256 must be the one that is given, if one is; on ELF systems it must
    /// be a whole library of this architecture. What was read then is what is
    /// opened, from a private copy. The library is never unloaded, not even when
    /// a later check fails: it may have started threads by then.
    ///
    /// # Trust
    /// A plugin runs with all the rights of this process, from the moment that
    /// its library is opened. This function is safe to call as
    /// [`Command::spawn`](std::process::Command::spawn) is: naming a file is the
    /// decision to trust it, here as much as a program. The checks find accidents
    /// and other users' meddling; they can't make a hostile plugin harmless.
    ///
    /// # Errors
    /// For each of the above; if the file exports no entry; and all that
    /// [`Plugin::from_entry`] refuses.
    pub fn load(path: &Path, sha256: Option<&str>) -> Result<Self, PluginError> {
        // SAFETY: the caller chose the file, and with it to trust the plugin to
        // keep the contract of `firecraft-plugin` where that can't be checked.
        unsafe { Self::from_entry(library::entry(path, sha256)?) }
    }

    /// Checks the tables of a plugin that is linked statically.
    ///
    /// # Safety
    /// As for [`Plugin::from_entry`], of what the function returns.
    ///
    /// # Errors
    /// As for [`Plugin::from_entry`].
    pub unsafe fn link(entry: EntryFn) -> Result<Self, PluginError> {
        // SAFETY: the host's table is static; the caller vouches for the rest.
        unsafe { Self::from_entry(entry(&HOST)) }
    }

    /// Checks the tables that an entry function returned.
    ///
    /// # Safety
    /// `entry` is null, or points to a [`Head`](firecraft_plugin::abi::Head) and
    /// to as many bytes as its `size` says, with the meaning that its version
    /// gives them; text is readable as long as its length says; all of it
    /// outlives the process.
    ///
    /// # Errors
    /// A null or misaligned table, a wrong magic, major version or size, text
    /// that is not text, a missing function, two classes of one name.
    pub unsafe fn from_entry(entry: *const Entry) -> Result<Self, PluginError> {
        if entry.is_null() {
            return Err(PluginError::Declined);
        }
        // SAFETY: the caller vouches for the table and its text.
        let (entry, id, version) = unsafe {
            let entry = read::table(entry)?;
            let id = read::text("id", entry.id, TEXT_LIMIT)?;
            let version = read::text("version", entry.version, TEXT_LIMIT)?;
            (entry, id, version)
        };
        let count = entry.classes;
        if count > CLASS_LIMIT {
            return Err(PluginError::TooManyClasses {
                classes: count,
                limit: CLASS_LIMIT,
            });
        }
        let classes = match entry.class_at {
            // SAFETY: the function of a table whose version fits.
            Some(class) => unsafe { read_classes(count, class) }?,
            None if count == 0 => Vec::new(),
            None => return Err(PluginError::NoClassFunction { classes: count }),
        };
        Ok(Self {
            id,
            version,
            abi_minor: entry.head.minor,
            classes,
            extension: entry.get_extension,
            checked: false,
        })
    }

    /// The name that no other plugin has.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The plugin's own version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The minor version of the ABI that the plugin was built with.
    pub fn abi_minor(&self) -> u16 {
        self.abi_minor
    }

    /// The transforms and schedulers that the plugin brings.
    pub fn classes(&self) -> impl ExactSizeIterator<Item = &ClassInfo> {
        self.classes.iter().map(Arc::as_ref)
    }

    /// Whether what types of this plugin write lies between canaries, which are
    /// checked after each call: a write beside an image, a mask, a table of rows
    /// or a scheduler's values is then an error by name, before it does harm
    /// elsewhere. Costs a copy per image.
    #[must_use]
    pub fn checked(mut self, checked: bool) -> Self {
        self.checked = checked;
        self
    }

    /// Runs the test that the plugin brings; `false` if it brings none.
    ///
    /// # Errors
    /// If the test fails.
    pub fn self_test(&self) -> Result<bool, PluginError> {
        let Some(extension) = self.extension else {
            return Ok(false);
        };
        // SAFETY: the function of an entry whose version fits; what it returns
        // is null or the table of that name, and outlives the process.
        let table = unsafe {
            let table: *const SelfTest = extension(Str::from_static(SELF_TEST)).cast();
            if table.is_null() {
                return Ok(false);
            }
            read::table(table)?
        };
        let run = table.run.ok_or_else(|| PluginError::Class {
            name: SELF_TEST.to_owned(),
            problem: "its function `run` is NULL".to_owned(),
        })?;
        outcome(SELF_TEST, "run", |error| {
            // SAFETY: a sink of this call.
            unsafe { run(error.as_ptr()) }
        })?;
        Ok(true)
    }

    /// A transform of this plugin, without a registry.
    ///
    /// # Errors
    /// If it has no such transform, or the transform refuses the parameters.
    pub fn transform(&self, spec: &Spec) -> Result<PluginTransform, PluginError> {
        let class = Arc::clone(self.class(&spec.type_name)?);
        PluginTransform::new(class, &params(spec)?, spec.clone(), self.checked)
    }

    /// A scheduler of this plugin, without a registry.
    ///
    /// # Errors
    /// As for [`Plugin::transform`].
    pub fn scheduler(&self, spec: &Spec) -> Result<PluginScheduler, PluginError> {
        let class = Arc::clone(self.class(&spec.type_name)?);
        PluginScheduler::new(class, &params(spec)?, self.checked)
    }

    pub(crate) fn class(&self, name: &str) -> Result<&Arc<ClassInfo>, PluginError> {
        let found = self.classes.iter().find(|class| class.name() == name);
        found.ok_or_else(|| PluginError::Class {
            name: name.to_owned(),
            problem: format!("plugin `{}` has no class of this name", self.id),
        })
    }

    /// Adds the plugin's transforms and schedulers to the registries, beside
    /// what is built in.
    ///
    /// # Errors
    /// If a name is taken already; nothing is registered then.
    pub fn register(&self, registries: &mut Registries) -> Result<(), PluginError> {
        register_all([self], registries)
    }

    fn conflict(&self, registries: &mut Registries) -> Option<SpecError> {
        self.classes.iter().find_map(|class| {
            let (kind, taken) = match class.kind() {
                ClassKind::TRANSFORM => (
                    Transforms::NAME,
                    registries.get_mut::<Transforms>().contains(class.name()),
                ),
                _ => (
                    Schedulers::NAME,
                    registries.get_mut::<Schedulers>().contains(class.name()),
                ),
            };
            taken.then(|| SpecError::Duplicate {
                kind,
                name: class.name().to_owned(),
            })
        })
    }

    fn add(&self, registries: &mut Registries) -> Result<(), SpecError> {
        let checked = self.checked;
        for class in &self.classes {
            let made_by = Arc::clone(class);
            match class.kind() {
                ClassKind::TRANSFORM => registries.get_mut::<Transforms>().register(
                    class.name(),
                    class.summary(),
                    move |spec, _| {
                        let class = Arc::clone(&made_by);
                        let made = params(spec).and_then(|json| {
                            PluginTransform::new(class, &json, spec.clone(), checked)
                        });
                        Ok(Box::new(made.map_err(SpecError::invalid)?) as Box<dyn Transform>)
                    },
                )?,
                _ => registries.get_mut::<Schedulers>().register(
                    class.name(),
                    class.summary(),
                    move |spec, _| {
                        let class = Arc::clone(&made_by);
                        let made = params(spec)
                            .and_then(|json| PluginScheduler::new(class, &json, checked));
                        Ok(Box::new(made.map_err(SpecError::invalid)?) as BoxScheduler)
                    },
                )?,
            }
        }
        Ok(())
    }
}

/// Adds the transforms and schedulers of several plugins to the registries.
///
/// # Errors
/// If two of them are the same plugin, or two types of a kind have one name:
/// of two plugins, or of a plugin and what is there already. Nothing is
/// registered then.
pub fn register_all<'a>(
    plugins: impl IntoIterator<Item = &'a Plugin>,
    registries: &mut Registries,
) -> Result<(), PluginError> {
    let plugins: Vec<&Plugin> = plugins.into_iter().collect();
    let (mut ids, mut names) = (BTreeMap::new(), BTreeMap::new());
    for plugin in &plugins {
        if let Some(first) = ids.insert(plugin.id(), plugin.version()) {
            return Err(PluginError::Twice {
                id: plugin.id().to_owned(),
                first: first.to_owned(),
                second: plugin.version().to_owned(),
            });
        }
        if let Some(taken) = plugin.conflict(registries) {
            return Err(PluginError::Taken {
                id: plugin.id().to_owned(),
                source: taken,
            });
        }
        for class in plugin.classes() {
            if let Some(other) = names.insert((class.kind().0, class.name()), plugin.id()) {
                return Err(PluginError::SameName {
                    name: class.name().to_owned(),
                    first: other.to_owned(),
                    second: plugin.id().to_owned(),
                });
            }
        }
    }
    for plugin in plugins {
        plugin.add(registries)?;
    }
    Ok(())
}

/// # Safety
/// `class` is the function of a plugin's entry table.
unsafe fn read_classes(
    count: usize,
    class: unsafe extern "C" fn(usize) -> *const Class,
) -> Result<Vec<Arc<ClassInfo>>, PluginError> {
    let mut classes = Vec::with_capacity(count);
    let mut names = BTreeSet::new();
    for index in 0..count {
        // SAFETY: an index below the count, of a class that outlives the process.
        let info = unsafe { ClassInfo::read(class(index)) }?;
        if !names.insert(info.name().to_owned()) {
            return Err(PluginError::Class {
                name: info.name().to_owned(),
                problem: "the plugin has two classes of this name".to_owned(),
            });
        }
        classes.push(Arc::new(info));
    }
    Ok(classes)
}

/// The parameters of a spec as a JSON object.
fn params(spec: &Spec) -> Result<String, PluginError> {
    serde_json::to_string(&spec.params).map_err(|error| PluginError::Class {
        name: spec.type_name.clone(),
        problem: format!("parameters that are not JSON: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use firecraft_plugin::abi::{Head, Mismatch};
    use std::{mem, ptr};

    fn good() -> Entry {
        Entry {
            head: Head::of::<Entry>(),
            id: Str::from_static("org.example.test"),
            version: Str::from_static("1.0.0"),
            classes: 0,
            class_at: None,
            get_extension: None,
        }
    }

    fn refused(entry: &Entry) -> PluginError {
        // SAFETY: a table of this version, whatever its values.
        unsafe { Plugin::from_entry(entry) }.unwrap_err()
    }

    #[test]
    fn null_is_a_plugin_that_declines() {
        // SAFETY: null is allowed.
        let error = unsafe { Plugin::from_entry(ptr::null()) }.unwrap_err();
        assert!(matches!(error, PluginError::Declined));
    }

    #[test]
    fn a_misaligned_table_is_refused_unread() {
        let entry = ptr::without_provenance::<Entry>(0x1001);
        // SAFETY: refused before it is read.
        let error = unsafe { Plugin::from_entry(entry) }.unwrap_err();
        assert!(
            matches!(
                error,
                PluginError::Misaligned {
                    address: 0x1001,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_magic_is_refused() {
        let mut entry = good();
        entry.head.magic = *b"notaplug";
        assert!(matches!(
            refused(&entry),
            PluginError::Head {
                mismatch: Mismatch::Magic { .. },
                ..
            }
        ));
    }

    #[test]
    fn another_major_version_is_refused() {
        let mut entry = good();
        entry.head.major += 1;
        let error = refused(&entry);
        assert!(matches!(
            error,
            PluginError::Head {
                mismatch: Mismatch::Major { .. },
                ..
            }
        ));
        assert_eq!(
            error.to_string(),
            "the plugin's entry table does not fit this host: ABI major version 2, expected 1; \
             rebuild the plugin"
        );
    }

    #[test]
    fn a_table_that_ends_before_its_version_is_refused() {
        let mut entry = good();
        entry.head.size = Entry::LEAST as u32 - 1;
        assert!(matches!(
            refused(&entry),
            PluginError::Head {
                mismatch: Mismatch::Size { .. },
                ..
            }
        ));
    }

    #[test]
    fn fields_beyond_the_size_of_an_older_plugin_count_as_missing() {
        let mut entry = good();
        entry.head.size = Entry::LEAST as u32;
        // Bytes behind the end of an older table are anything at all.
        entry.classes = 7;
        // SAFETY: a table of this version.
        let plugin = unsafe { Plugin::from_entry(&entry) }.unwrap();
        assert_eq!(plugin.classes().len(), 0);
    }

    #[test]
    fn a_newer_plugin_with_more_fields_is_read_as_far_as_they_are_known() {
        #[repr(C)]
        struct Newer {
            entry: Entry,
            appended: [usize; 4],
        }
        let mut newer = Newer {
            entry: good(),
            appended: [usize::MAX; 4],
        };
        newer.entry.head.size = mem::size_of::<Newer>() as u32;
        newer.entry.head.minor = 3;
        // SAFETY: a table of this major version, as long as it says.
        let plugin = unsafe { Plugin::from_entry((&raw const newer).cast()) }.unwrap();
        assert_eq!((plugin.id(), plugin.abi_minor()), ("org.example.test", 3));
        assert_eq!(newer.appended, [usize::MAX; 4]);
    }

    #[test]
    fn text_that_is_empty_long_null_or_not_utf8_is_refused() {
        static LONG: [u8; TEXT_LIMIT + 1] = [b'a'; TEXT_LIMIT + 1];
        static BYTES: [u8; 3] = [b'o', b'k', 0xff];
        let cases = [
            (Str::EMPTY, "empty"),
            (
                Str {
                    ptr: LONG.as_ptr(),
                    len: LONG.len(),
                },
                "257 bytes long",
            ),
            (
                Str {
                    ptr: ptr::null(),
                    len: 4,
                },
                "a null pointer",
            ),
            (
                Str {
                    ptr: BYTES.as_ptr(),
                    len: 3,
                },
                "not UTF-8 from byte 2",
            ),
        ];
        for (id, expected) in cases {
            let error = refused(&Entry { id, ..good() });
            let PluginError::Text {
                field: "id", found, ..
            } = error
            else {
                panic!("{error}");
            };
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn classes_need_a_function() {
        let error = refused(&Entry {
            classes: 2,
            ..good()
        });
        assert!(matches!(error, PluginError::NoClassFunction { classes: 2 }));

        unsafe extern "C" fn class(_: usize) -> *const Class {
            ptr::null()
        }
        let error = refused(&Entry {
            classes: 2,
            class_at: Some(class),
            ..good()
        });
        assert!(matches!(error, PluginError::NoTable { table: "class" }));
    }

    #[test]
    fn a_count_that_no_plugin_has_is_refused() {
        let error = refused(&Entry {
            classes: usize::MAX,
            ..good()
        });
        assert!(matches!(error, PluginError::TooManyClasses { .. }));
    }
}
