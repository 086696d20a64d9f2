//! A plugin whose tables have been checked.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use firecraft_plugin::abi::{Class, ClassKind, Entry, EntryFn};
use firecraft_schedule::Schedulers;
use firecraft_spec::{Registries, Spec, SpecError};

use crate::{
    ClassInfo, PluginError, PluginScheduler,
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
}

impl Plugin {
    /// Opens the library at `path` and checks its tables. The library is never
    /// unloaded, not even when the check fails: it may have started threads by
    /// then.
    ///
    /// # Safety
    /// The library runs code as it is opened, with all the rights of this
    /// process. The caller vouches for the file, and for the plugin keeping the
    /// contract of `firecraft-plugin` wherever the host can't check it.
    ///
    /// # Errors
    /// Before the library is opened: a relative path, a missing file, something
    /// that is not a regular file. Then: not a library, no entry symbol, and
    /// all that [`Plugin::from_entry`] refuses.
    pub unsafe fn load(path: &Path) -> Result<Self, PluginError> {
        // SAFETY: the caller vouches for the file.
        let entry = unsafe { library::entry(path) }?;
        // SAFETY: the caller vouches for the plugin, whose entry this is.
        unsafe { Self::from_entry(entry) }
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
        let classes = match entry.class {
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

    /// Adds the plugin's schedulers to the registries, beside what is built in.
    ///
    /// # Errors
    /// If a name is taken already; nothing is registered then.
    pub fn register(&self, registries: &mut Registries) -> Result<(), PluginError> {
        let registry = registries.get_mut::<Schedulers>();
        let schedulers = self
            .classes
            .iter()
            .filter(|class| class.kind() == ClassKind::SCHEDULER);
        if let Some(taken) = schedulers
            .clone()
            .find(|class| registry.contains(class.name()))
        {
            return Err(PluginError::Register(SpecError::Duplicate {
                kind: "schedule",
                name: taken.name().to_owned(),
            }));
        }
        for class in schedulers {
            let made_by = Arc::clone(class);
            registry.register(class.name(), class.summary(), move |spec, _| {
                let params = params(spec)?;
                let scheduler = PluginScheduler::new(Arc::clone(&made_by), &params);
                Ok(Box::new(scheduler.map_err(SpecError::invalid)?))
            })?;
        }
        Ok(())
    }
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
fn params(spec: &Spec) -> Result<String, SpecError> {
    serde_json::to_string(&spec.params)
        .map_err(|error| SpecError::invalid(format!("parameters that are not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use firecraft_plugin::abi::{Head, Mismatch, Str};
    use std::{mem, ptr};

    fn good() -> Entry {
        Entry {
            head: Head::of::<Entry>(),
            id: Str::from_static("org.example.test"),
            version: Str::from_static("1.0.0"),
            classes: 0,
            class: None,
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
            class: Some(class),
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
