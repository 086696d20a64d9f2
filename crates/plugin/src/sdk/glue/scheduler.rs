//! From the table of a scheduler to the trait.

use std::{cell::UnsafeCell, ffi::c_void, mem, ptr, slice};

use super::guard::{Instance, destroy, guard, guard_instance, parse, schema};
use crate::{
    Error, Scheduler, Step,
    abi::{
        Class, ClassFlags, ClassKind, Head, SchedulerTable, Sink, Status, StepContext, StepFlags,
        Str, Targets,
    },
    sdk::wire,
};

/// A scheduler with its state. The host calls it from one thread at a time.
struct Running<S: Scheduler> {
    scheduler: S,
    state: UnsafeCell<S::State>,
}

/// The class of a scheduler.
pub fn scheduler_class<S: Scheduler>() -> Class {
    const fn table<S: Scheduler>() -> &'static SchedulerTable {
        &const {
            SchedulerTable {
                head: Head::of::<SchedulerTable>(),
                step: Some(step::<S>),
                save: Some(save::<S>),
                load: Some(load::<S>),
            }
        }
    }
    Class {
        head: Head::of::<Class>(),
        kind: ClassKind::SCHEDULER,
        flags: ClassFlags::NONE,
        targets: Targets(0),
        state_version: S::STATE_VERSION,
        name: Str::from_static(S::NAME),
        summary: Str::from_static(S::SUMMARY),
        params_schema: schema::<S>(),
        create: Some(create::<S>),
        destroy: Some(destroy::<Running<S>>),
        table: ptr::from_ref(table::<S>()).cast(),
    }
}

unsafe extern "C" fn create<S: Scheduler>(
    params: Str,
    instance: *mut *mut c_void,
    error: *const Sink,
) -> Status {
    let body = || {
        // SAFETY: the host passes readable text and a place for the instance.
        let scheduler: S = unsafe { parse(params) }?;
        scheduler.validate()?;
        let state = UnsafeCell::new(S::State::default());
        // SAFETY: as above.
        unsafe { *instance = Instance::into_raw(Running { scheduler, state }) };
        Ok(())
    };
    // SAFETY: the sink is that of this call.
    unsafe { guard(error, body) }
}

unsafe extern "C" fn step<S: Scheduler>(
    instance: *mut c_void,
    context: *const StepContext,
    values: *mut f64,
    count: usize,
    error: *const Sink,
) -> Status {
    let body = |running: &Running<S>| {
        // SAFETY: the host passes a context as long as its size says.
        let step = Step::from(unsafe { read(context) });
        let values = if count == 0 {
            &mut []
        } else {
            // SAFETY: the host passes as many writable values as it says.
            unsafe { slice::from_raw_parts_mut(values, count) }
        };
        // SAFETY: the class is not THREAD_SHARED, so no other call is running.
        running
            .scheduler
            .step(unsafe { &mut *running.state.get() }, &step, values);
        Ok(())
    };
    // SAFETY: the host passes what `create` made, and a sink of this call.
    unsafe { guard_instance(instance, error, body) }
}

unsafe extern "C" fn save<S: Scheduler>(
    instance: *const c_void,
    state: *const Sink,
    error: *const Sink,
) -> Status {
    let body = |running: &Running<S>| {
        // SAFETY: no other call is running.
        let bytes = wire::to_bytes(unsafe { &*running.state.get() })
            .map_err(|error| Error::new(format!("the state can't be written: {error}")))?;
        // SAFETY: the host passes a sink for this call.
        if unsafe { (*state).put(&bytes) }.is_ok() {
            Ok(())
        } else {
            Err(Error::new(format!(
                "the host takes no state of {} bytes",
                bytes.len()
            )))
        }
    };
    // SAFETY: the host passes what `create` made, and a sink of this call.
    unsafe { guard_instance(instance, error, body) }
}

unsafe extern "C" fn load<S: Scheduler>(
    instance: *mut c_void,
    version: u32,
    state: *const u8,
    len: usize,
    error: *const Sink,
) -> Status {
    let body = |running: &Running<S>| {
        // SAFETY: the host passes readable bytes.
        let bytes = unsafe { Str { ptr: state, len }.bytes() };
        let loaded = S::load(
            version,
            bytes.ok_or_else(|| Error::new("a state without bytes"))?,
        )?;
        // SAFETY: no other call is running.
        unsafe { *running.state.get() = loaded };
        Ok(())
    };
    // SAFETY: the host passes what `create` made, and a sink of this call.
    unsafe { guard_instance(instance, error, body) }
}

/// What both sides know of a context; the rest is zero, so its flags say that
/// it is not there.
///
/// # Safety
/// `context` is readable as long as its size says, and its size is there.
unsafe fn read(context: *const StepContext) -> StepContext {
    let mut copy = mem::MaybeUninit::<StepContext>::zeroed();
    // SAFETY: the size is there; the copy is no longer than either; zero is a
    // valid value of every field.
    unsafe {
        let size = (context.cast::<u32>().read() as usize).min(size_of::<StepContext>());
        ptr::copy_nonoverlapping(context.cast::<u8>(), copy.as_mut_ptr().cast(), size);
        copy.assume_init()
    }
}

impl From<StepContext> for Step {
    fn from(context: StepContext) -> Self {
        let has = |flag| context.flags.contains(flag);
        Self {
            update: context.update,
            epoch: context.epoch,
            total_updates: has(StepFlags::TOTAL_UPDATES).then_some(context.total_updates),
            updates_per_epoch: has(StepFlags::UPDATES_PER_EPOCH)
                .then_some(context.updates_per_epoch),
            metric: has(StepFlags::METRIC).then_some(context.metric),
        }
    }
}
