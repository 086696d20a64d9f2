//! An instance of a class: made, used, and ended once.

use std::{
    ptr,
    ptr::NonNull,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use firecraft_plugin::abi::{ClassFlags, Status, Str};

use crate::{
    ClassInfo, PluginError,
    class::RawInstance,
    sink::{Collector, Lent},
};

/// The longest message that is taken from a plugin, in bytes.
const MESSAGE_LIMIT: usize = 4096;

/// What `create` made; ended with `destroy` when it is dropped.
#[derive(Debug)]
pub(crate) struct Instance {
    class: Arc<ClassInfo>,
    raw: NonNull<std::ffi::c_void>,
    /// A call panicked: the instance is only ended, never called again. The
    /// SDK's instances know it themselves; others need not.
    poisoned: AtomicBool,
    /// Held during each call on an instance that is not shared between threads.
    alone: Option<Mutex<()>>,
}

// SAFETY: by contract an instance may be called and ended from any thread.
unsafe impl Send for Instance {}
// SAFETY: calls from several threads at once happen only if the class promises
// THREAD_SHARED; without it each call holds the lock.
unsafe impl Sync for Instance {}

impl Instance {
    /// Makes an instance from parameters, a JSON object.
    pub(crate) fn new(class: Arc<ClassInfo>, params: &str) -> Result<Self, PluginError> {
        let mut raw: RawInstance = ptr::null_mut();
        let params = Str {
            ptr: params.as_ptr(),
            len: params.len(),
        };
        outcome(class.name(), "create", |error| {
            // SAFETY: the text and the place live as long as the call.
            unsafe { (class.create)(params, &mut raw, error.as_ptr()) }
        })?;
        let raw = NonNull::new(raw)
            .ok_or_else(|| class.wrong("`create` succeeded without an instance"))?;
        let shared = class.flags().contains(ClassFlags::THREAD_SHARED);
        Ok(Self {
            raw,
            poisoned: AtomicBool::new(false),
            alone: (!shared).then(Mutex::default),
            class,
        })
    }

    pub(crate) fn class(&self) -> &ClassInfo {
        &self.class
    }

    /// Calls a function of the class; its message becomes the error.
    pub(crate) fn call(
        &self,
        function: &'static str,
        body: impl FnOnce(RawInstance, &Lent<'_>) -> Status,
    ) -> Result<(), PluginError> {
        let _turn = self.turn();
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(failed(
                self.class.name(),
                function,
                Status::POISONED,
                "make a new one".to_owned(),
            ));
        }
        let done = outcome(self.class.name(), function, |error| {
            body(self.raw.as_ptr(), error)
        });
        if let Err(PluginError::Call { status, .. }) = &done
            && matches!(*status, Status::PANICKED | Status::POISONED)
        {
            self.poisoned.store(true, Ordering::Relaxed);
        }
        done
    }

    fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        let lock = self.alone.as_ref()?;
        // The lock guards no data that a panic could have left half changed.
        Some(lock.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs a call; a status other than OK becomes an error with the message.
pub(crate) fn outcome(
    class: &str,
    function: &'static str,
    body: impl FnOnce(&Lent<'_>) -> Status,
) -> Result<(), PluginError> {
    let mut message = Collector::new(MESSAGE_LIMIT);
    let status = body(&message.lend());
    if status.is_ok() {
        return Ok(());
    }
    Err(failed(class, function, status, message.message()))
}

fn failed(class: &str, function: &'static str, status: Status, message: String) -> PluginError {
    PluginError::Call {
        class: class.to_owned(),
        function,
        status,
        message,
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: made by `create` of this class, and never used again.
        unsafe { (self.class.destroy)(self.raw.as_ptr()) }
    }
}
