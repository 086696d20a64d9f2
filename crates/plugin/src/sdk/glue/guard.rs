//! Every function that the host calls passes through here: errors become a
//! status and a message, panics too.

use std::{
    any::Any,
    ffi::c_void,
    mem, panic,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    Error,
    abi::{Sink, Status, Str},
};

/// What a pointer to an instance points to.
pub(super) struct Instance<T> {
    pub(super) value: T,
    poisoned: AtomicBool,
}

impl<T> Instance<T> {
    pub(super) fn into_raw(value: T) -> *mut c_void {
        Box::into_raw(Box::new(Self {
            value,
            poisoned: AtomicBool::new(false),
        }))
        .cast()
    }
}

/// Runs `body`; a panic and an error become a status and a message.
///
/// # Safety
/// `error` is null or a sink that was passed to the call that is running.
pub(super) unsafe fn guard(error: *const Sink, body: impl FnOnce() -> Result<(), Error>) -> Status {
    let (status, message) = match panic::catch_unwind(panic::AssertUnwindSafe(body)) {
        Ok(Ok(())) => return Status::OK,
        Ok(Err(error)) => (Status::FAILED, error.to_string()),
        Err(payload) => (Status::PANICKED, describe(payload)),
    };
    if !error.is_null() {
        // SAFETY: the caller vouches for the sink. A host that takes no message
        // still gets the status.
        let _ = unsafe { (*error).put(message.as_bytes()) };
    }
    status
}

/// [`guard`] for a call on an instance, which a panic poisons.
///
/// # Safety
/// As [`guard`]; `instance` came from [`Instance::into_raw`] of this `T` and
/// was not destroyed.
pub(super) unsafe fn guard_instance<T>(
    instance: *const c_void,
    error: *const Sink,
    body: impl FnOnce(&T) -> Result<(), Error>,
) -> Status {
    // SAFETY: the caller vouches for the instance.
    let instance = unsafe { &*instance.cast::<Instance<T>>() };
    if instance.poisoned.load(Ordering::Relaxed) {
        return Status::POISONED;
    }
    // SAFETY: the caller vouches for the sink.
    let status = unsafe { guard(error, || body(&instance.value)) };
    if status == Status::PANICKED {
        instance.poisoned.store(true, Ordering::Relaxed);
    }
    status
}

/// # Safety
/// `instance` came from [`Instance::into_raw`] of this `T`; it is not used again.
pub(super) unsafe extern "C" fn destroy<T>(instance: *mut c_void) {
    // SAFETY: no sink is used; the caller vouches for the instance.
    let _ = unsafe {
        guard(std::ptr::null(), || {
            drop(Box::from_raw(instance.cast::<Instance<T>>()));
            Ok(())
        })
    };
}

/// Parameters as the author's type.
///
/// # Safety
/// `params` is readable.
pub(super) unsafe fn parse<T: serde::de::DeserializeOwned>(params: Str) -> Result<T, Error> {
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { params.bytes() }.ok_or_else(|| Error::new("parameters without text"))?;
    // serde would fill a struct from a list, too: parameters without names.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Error::new("expected a JSON object of parameters"));
    }
    serde_json::from_slice(bytes).map_err(|error| Error::new(error.to_string()))
}

/// The message of a panic. A payload that is not text is leaked: dropping it may
/// panic again.
fn describe(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast::<String>().map(|text| *text);
    let text = text.or_else(|other| other.downcast::<&str>().map(|text| (*text).to_owned()));
    let message = text.unwrap_or_else(|other| {
        mem::forget(other);
        "a payload that is not text".to_owned()
    });
    format!("panicked: {message}")
}

/// A static copy of text that was built at run time, once per class and load.
pub(super) fn leak(text: String) -> Str {
    Str::from_static(Box::leak(text.into_boxed_str()))
}

/// The JSON Schema of a type.
pub(super) fn schema<T: schemars::JsonSchema>() -> Str {
    leak(schemars::schema_for!(T).to_value().to_string())
}
