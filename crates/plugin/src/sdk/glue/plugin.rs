//! The plugin's own tables, built when the host first asks.

use std::{panic, ptr, sync::OnceLock};

use crate::abi::{Class, Entry, Head, Host, Str};

/// A plugin's tables.
#[derive(Debug)]
pub struct Plugin {
    entry: Entry,
    make: fn() -> Vec<Class>,
    classes: OnceLock<Vec<Class>>,
    counted: OnceLock<Entry>,
}

// SAFETY: the tables are written once, behind the locks, and hold text and
// functions that live as long as the process.
unsafe impl Sync for Plugin {}

impl Plugin {
    /// With the classes that `make` builds and `class` returns.
    pub const fn new(
        id: &'static str,
        version: &'static str,
        make: fn() -> Vec<Class>,
        class: unsafe extern "C" fn(usize) -> *const Class,
    ) -> Self {
        let entry = Entry {
            head: Head::of::<Entry>(),
            id: Str::from_static(id),
            version: Str::from_static(version),
            classes: 0,
            class: Some(class),
            get_extension: None,
        };
        Self {
            entry,
            make,
            classes: OnceLock::new(),
            counted: OnceLock::new(),
        }
    }

    /// The table for the host; null if the host's is not one, or if building
    /// the classes panicked.
    ///
    /// # Safety
    /// `host` is null or points to at least a head.
    pub unsafe fn entry(&'static self, host: *const Host) -> *const Entry {
        if host.is_null() {
            return ptr::null();
        }
        // SAFETY: every table begins with a head.
        let head = unsafe { host.cast::<Head>().read() };
        if head.check(size_of::<Head>()).is_err() {
            return ptr::null();
        }
        let built = panic::catch_unwind(|| {
            let classes = self.classes.get_or_init(self.make);
            self.counted.get_or_init(|| Entry {
                classes: classes.len(),
                ..self.entry
            })
        });
        match built {
            Ok(entry) => entry,
            Err(payload) => {
                std::mem::forget(payload);
                ptr::null()
            }
        }
    }

    /// The class at an index, or null.
    pub fn class(&'static self, index: usize) -> *const Class {
        let class = self.classes.get().and_then(|classes| classes.get(index));
        class.map_or(ptr::null(), ptr::from_ref)
    }
}
