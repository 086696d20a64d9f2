//! What breaks the rules of the ABI itself, written by hand as from C.

pub(crate) mod scheduler;
pub(crate) mod transform;

use std::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

use firecraft_plugin::abi::{Sink, Status, Str};

pub(crate) const SCHEMA: &str = r#"{
  "type": "object",
  "properties": { "fault": { "type": "string" } },
  "required": ["fault"],
  "additionalProperties": false,
  "examples": [{ "fault": "none" }]
}"#;

pub(crate) struct Instance {
    pub(crate) fault: String,
    /// How many calls run right now.
    pub(crate) inside: AtomicUsize,
    pub(crate) steps: AtomicUsize,
}

/// # Safety
/// As `CreateFn` has it.
pub(crate) unsafe extern "C" fn create(
    params: Str,
    instance: *mut *mut c_void,
    error: *const Sink,
) -> Status {
    // SAFETY: the host lends the text.
    let text = unsafe { params.bytes() }.unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let fault = text
        .strip_prefix("{\"fault\":\"")
        .and_then(|rest| rest.strip_suffix("\"}"));
    let Some(fault) = fault else {
        // SAFETY: a sink of this call.
        let _ = unsafe { (*error).put(b"expected a fault") };
        return Status::FAILED;
    };
    match fault {
        "no instance" => return Status::OK,
        "silent" => return Status::FAILED,
        "odd status" => return Status(77),
        "message that is not text" => {
            // SAFETY: a sink of this call.
            let _ = unsafe { (*error).put(b"bad \xff") };
            return Status::FAILED;
        }
        "endless message" => {
            // SAFETY: a sink of this call.
            while unsafe { (*error).put(&[b'x'; 1000]) }.is_ok() {}
            return Status::FAILED;
        }
        _ => {}
    }
    let made = Box::new(Instance {
        fault: fault.to_owned(),
        inside: AtomicUsize::new(0),
        steps: AtomicUsize::new(0),
    });
    // SAFETY: the host gives a place for it.
    unsafe { *instance = Box::into_raw(made).cast() };
    Status::OK
}

/// # Safety
/// As `DestroyFn` has it.
pub(crate) unsafe extern "C" fn destroy(instance: *mut c_void) {
    // SAFETY: made by `create`, and not used again.
    drop(unsafe { Box::from_raw(instance.cast::<Instance>()) });
}

/// # Safety
/// `instance` was made by `create` and is not destroyed.
pub(crate) unsafe fn get<'a>(instance: *const c_void) -> &'a Instance {
    // SAFETY: the caller vouches for it.
    unsafe { &*instance.cast() }
}

/// Writes to a sink what no sink should take.
///
/// # Safety
/// `sink` was passed to the call that is running.
pub(crate) unsafe fn abuse(sink: *const Sink, fault: &str) {
    // SAFETY: the caller vouches for the sink; the host must refuse a null
    // pointer and a length beyond its limit without reading.
    unsafe {
        let sink = &*sink;
        match fault {
            "null to the sink" => {
                (sink.write)(sink.ctx, ptr::null(), 8);
            }
            "oversize to the sink" => {
                (sink.write)(sink.ctx, sink.ctx.cast(), usize::MAX);
            }
            _ => {}
        }
    }
}

/// Counts who is inside, and how many there were at most.
pub(crate) fn overlap(instance: &Instance) -> usize {
    let inside = instance.inside.fetch_add(1, Ordering::SeqCst) + 1;
    std::thread::yield_now();
    instance.inside.fetch_sub(1, Ordering::SeqCst);
    inside
}
