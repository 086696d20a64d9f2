//! The plugin's own tables, built when the host first asks.

use std::{ffi::c_void, panic, ptr, sync::OnceLock};

use super::guard::guard;
use crate::{
    Error,
    abi::{
        Class, Entry, ExtensionFn, Head, Host, SELF_TEST, SelfTest, SelfTestFn, Sink, Status, Str,
    },
};

/// Runs a plugin's own test.
///
/// # Safety
/// `error` is a sink that was passed to the call that is running.
pub unsafe fn self_test(test: fn() -> Result<(), Error>, error: *const Sink) -> Status {
    // SAFETY: the caller vouches for the sink.
    unsafe { guard(error, test) }
}

/// A plugin's tables.
#[derive(Debug)]
pub struct Plugin {
    entry: Entry,
    make: fn() -> Vec<Class>,
    classes: OnceLock<Vec<Class>>,
    counted: OnceLock<Entry>,
    self_test: Option<SelfTest>,
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
            class_at: Some(class),
            get_extension: None,
        };
        Self {
            entry,
            make,
            classes: OnceLock::new(),
            counted: OnceLock::new(),
            self_test: None,
        }
    }

    /// With a test that the host can run, and the function that finds it.
    pub const fn with_self_test(mut self, run: SelfTestFn, extension: ExtensionFn) -> Self {
        self.entry.get_extension = Some(extension);
        self.self_test = Some(SelfTest {
            head: Head::of::<SelfTest>(),
            run: Some(run),
        });
        self
    }

    /// The optional table of that name, or null.
    ///
    /// # Safety
    /// `id` is readable as long as its length says.
    pub unsafe fn extension(&'static self, id: Str) -> *const c_void {
        // SAFETY: the caller vouches for it.
        let known = unsafe { id.bytes() } == Some(SELF_TEST.as_bytes());
        match &self.self_test {
            Some(table) if known => ptr::from_ref(table).cast(),
            _ => ptr::null(),
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
