//! A scheduler that breaks the rules.

use std::{ffi::c_void, ptr, slice, sync::atomic::Ordering};

use firecraft_plugin::abi::{
    Class, ClassFlags, ClassKind, Head, SchedulerTable, Sink, Status, StepContext, Str, Targets,
};

use super::{SCHEMA, abuse, create, destroy, get, overlap};

static TABLE: SchedulerTable = SchedulerTable {
    head: Head::of::<SchedulerTable>(),
    step: Some(step),
    save: Some(save),
    load: Some(load),
};

pub(crate) fn class() -> Class {
    Class {
        head: Head::of::<Class>(),
        kind: ClassKind::SCHEDULER,
        flags: ClassFlags::NONE,
        targets: Targets(0),
        state_version: 1,
        name: Str::from_static("raw_scheduler"),
        summary: Str::from_static("breaks a rule of the ABI"),
        params_schema: Str::from_static(SCHEMA),
        create: Some(create),
        destroy: Some(destroy),
        table: ptr::from_ref(&TABLE).cast(),
    }
}

unsafe extern "C" fn step(
    instance: *mut c_void,
    _: *const StepContext,
    values: *mut f64,
    count: usize,
    _: *const Sink,
) -> Status {
    // SAFETY: the host passes an instance of this class and `count` values.
    let (instance, filled) = unsafe { (get(instance), slice::from_raw_parts_mut(values, count)) };
    overlap(instance);
    let steps = instance.steps.fetch_add(1, Ordering::SeqCst) + 1;
    filled.fill(1.0 / steps as f64);
    match instance.fault.as_str() {
        // SAFETY: breaks the rules on purpose, inside of what the tests lay out.
        "writes past the end" => unsafe { *values.add(count) = 0.5 },
        // SAFETY: as above.
        "writes before the start" => unsafe { *values.sub(1) = 0.5 },
        _ => {}
    }
    match instance.fault.as_str() {
        "silent error in step" => Status::FAILED,
        "odd status" => Status(77),
        _ => Status::OK,
    }
}

unsafe extern "C" fn save(instance: *const c_void, state: *const Sink, _: *const Sink) -> Status {
    // SAFETY: the host passes an instance of this class and a sink.
    unsafe {
        let instance = get(instance);
        abuse(state, &instance.fault);
        if instance.fault == "silent error in save" {
            return Status::FAILED;
        }
        // Bytes that are no text, on purpose.
        let steps = instance.steps.load(Ordering::SeqCst) as u64;
        (*state).put(&[[0xff; 8], steps.to_le_bytes()].concat())
    }
}

unsafe extern "C" fn load(
    instance: *mut c_void,
    version: u32,
    state: *const u8,
    len: usize,
    error: *const Sink,
) -> Status {
    // SAFETY: the host passes an instance of this class and readable bytes.
    unsafe {
        let bytes = slice::from_raw_parts(state, len);
        let steps = bytes.strip_prefix(&[0xff; 8]);
        match steps.and_then(|rest| rest.try_into().ok()) {
            Some(steps) if version == 1 => {
                let steps = u64::from_le_bytes(steps) as usize;
                get(instance).steps.store(steps, Ordering::SeqCst);
                Status::OK
            }
            _ => {
                let _ = (*error).put(b"not a state of this scheduler");
                Status::FAILED
            }
        }
    }
}
