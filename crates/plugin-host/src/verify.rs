//! Reading a plugin's entry table without believing it.

use std::{mem, path::Path, ptr};

use firecraft_plugin::{Entry, Head, Str};

use crate::{PluginError, library};

/// The longest id or version that is accepted, in bytes.
const TEXT_LIMIT: usize = 256;

/// A plugin whose entry table has been checked.
///
/// ```
/// use firecraft_plugin::{Entry, Head, Str};
/// use firecraft_plugin_host::Plugin;
///
/// let entry = Entry {
///     head: Head::of::<Entry>(),
///     id: Str::from_static("org.example.none"),
///     version: Str::from_static("0.1.0"),
///     classes: 0,
///     class: None,
///     get_extension: None,
/// };
/// // SAFETY: a table of this very version, with text that is never freed.
/// let plugin = unsafe { Plugin::from_entry(&entry) }?;
/// assert_eq!((plugin.id(), plugin.version()), ("org.example.none", "0.1.0"));
/// # Ok::<(), firecraft_plugin_host::PluginError>(())
/// ```
#[derive(Debug)]
pub struct Plugin {
    id: String,
    version: String,
    entry: Entry,
}

impl Plugin {
    /// Opens the library at `path` and checks its entry table. The library is
    /// never unloaded, not even when the check fails: it may have started
    /// threads by then.
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

    /// Checks an entry table that is linked statically, or that a library
    /// returned.
    ///
    /// # Safety
    /// `entry` is null, or points to a [`Head`] and to as many bytes as its
    /// `size` says, with the meaning that its version gives them; text is
    /// readable as long as its length says; all of it outlives the process.
    ///
    /// # Errors
    /// A null or misaligned table, a wrong magic, major version or size, text
    /// that is not text, classes without a function.
    pub unsafe fn from_entry(entry: *const Entry) -> Result<Self, PluginError> {
        if entry.is_null() {
            return Err(PluginError::Declined);
        }
        if !entry.is_aligned() {
            return Err(PluginError::Misaligned {
                address: entry.addr(),
                alignment: mem::align_of::<Entry>(),
            });
        }
        // SAFETY: not null, aligned, and every table begins with a head.
        let head = unsafe { entry.cast::<Head>().read() };
        head.check(Entry::LEAST)?;
        // SAFETY: the head fits this version, so `size` bytes are there.
        let entry = unsafe { copy(entry, head.size) };

        // SAFETY: text of a table whose version fits.
        let (id, version) = unsafe { (text("id", entry.id)?, text("version", entry.version)?) };
        if entry.classes > 0 && entry.class.is_none() {
            return Err(PluginError::NoClassFunction {
                classes: entry.classes,
            });
        }
        Ok(Self { id, version, entry })
    }

    /// The name that no other plugin has.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The plugin's own version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many transforms and schedulers the plugin brings.
    pub fn classes(&self) -> usize {
        self.entry.classes
    }

    /// The minor version of the ABI that the plugin was built with.
    pub fn abi_minor(&self) -> u16 {
        self.entry.head.minor
    }
}

/// What both sides know of a table: fields beyond the plugin's size are zero,
/// fields beyond ours are left out.
///
/// # Safety
/// `size` bytes from `entry` are readable.
unsafe fn copy(entry: *const Entry, size: u32) -> Entry {
    let mut copy = mem::MaybeUninit::<Entry>::zeroed();
    let known = (size as usize).min(mem::size_of::<Entry>());
    // SAFETY: the caller vouches for the source, the target is our own, and
    // `known` is no more than either. Zero is a valid value of every field:
    // empty text, no classes, missing functions.
    unsafe {
        ptr::copy_nonoverlapping(entry.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), known);
        copy.assume_init()
    }
}

/// # Safety
/// `text` is readable as long as its length says, or its pointer is null.
unsafe fn text(field: &'static str, text: Str) -> Result<String, PluginError> {
    let wrong = |found: String| PluginError::Text {
        field,
        found,
        limit: TEXT_LIMIT,
    };
    if text.len == 0 {
        return Err(wrong("empty".to_owned()));
    }
    if text.len > TEXT_LIMIT {
        return Err(wrong(format!("{} bytes long", text.len)));
    }
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { text.bytes() }.ok_or_else(|| wrong("a null pointer".to_owned()))?;
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(wrong(format!(
            "not UTF-8 from byte {}",
            error.valid_up_to()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firecraft_plugin::{Class, Mismatch};

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
            PluginError::Head(Mismatch::Magic { .. })
        ));
    }

    #[test]
    fn another_major_version_is_refused() {
        let mut entry = good();
        entry.head.major += 1;
        let error = refused(&entry);
        assert!(matches!(error, PluginError::Head(Mismatch::Major { .. })));
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
            PluginError::Head(Mismatch::Size { .. })
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
        assert_eq!(plugin.classes(), 0);
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
        let entry = Entry {
            classes: 2,
            class: Some(class),
            ..good()
        };
        // SAFETY: a table of this version.
        assert_eq!(unsafe { Plugin::from_entry(&entry) }.unwrap().classes(), 2);
    }
}
