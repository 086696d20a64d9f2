//! An instance of a class: made, used, and ended once.

use std::{ptr, ptr::NonNull, sync::Arc};

use firecraft_plugin::abi::{Status, Str};

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
}

// SAFETY: by contract an instance may be called from any thread, one at a time;
// `Instance` has no method that calls it through a shared reference.
unsafe impl Send for Instance {}

impl Instance {
    /// Makes an instance from parameters, a JSON object.
    pub(crate) fn new(class: Arc<ClassInfo>, params: &str) -> Result<Self, PluginError> {
        let mut raw: RawInstance = ptr::null_mut();
        let params = Str {
            ptr: params.as_ptr(),
            len: params.len(),
        };
        call(class.name(), "create", |error| {
            // SAFETY: the text and the place live as long as the call.
            unsafe { (class.create)(params, &mut raw, error.as_ptr()) }
        })?;
        let raw = NonNull::new(raw).ok_or_else(|| PluginError::Class {
            name: class.name().to_owned(),
            problem: "`create` succeeded without an instance".to_owned(),
        })?;
        Ok(Self { class, raw })
    }

    pub(crate) fn class(&self) -> &ClassInfo {
        &self.class
    }

    pub(crate) fn as_ptr(&self) -> RawInstance {
        self.raw.as_ptr()
    }

    /// Calls a function of the class; its message becomes the error.
    pub(crate) fn call(
        &self,
        function: &'static str,
        body: impl FnOnce(&Lent<'_>) -> Status,
    ) -> Result<(), PluginError> {
        call(self.class.name(), function, body)
    }
}

fn call(
    class: &str,
    function: &'static str,
    body: impl FnOnce(&Lent<'_>) -> Status,
) -> Result<(), PluginError> {
    let mut message = Collector::new(MESSAGE_LIMIT);
    let status = body(&message.lend());
    if status.is_ok() {
        return Ok(());
    }
    Err(PluginError::Call {
        class: class.to_owned(),
        function,
        status,
        message: message.message(),
    })
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: made by `create` of this class, and never used again.
        unsafe { (self.class.destroy)(self.raw.as_ptr()) }
    }
}
