//! From the table of a transform to the trait.

use std::{ffi::c_void, ptr, slice};

use crate::sdk::{sample::Rest, wire};

use super::guard::{Instance, destroy, guard, guard_instance, parse, schema};
use crate::{
    Destination, Error, ImageMut, Key, Source, Transform,
    abi::{
        Bytes, Class, ClassFlags, ClassKind, Head, Sample, SampleMeta, Shape, Sink, Status, Str,
        TransformTable,
    },
};

/// The class of a transform.
pub fn transform_class<T: Transform>() -> Class {
    const fn table<T: Transform>() -> &'static TransformTable {
        &const {
            TransformTable {
                head: Head::of::<TransformTable>(),
                plan: Some(plan::<T>),
                apply: Some(apply::<T>),
            }
        }
    }
    Class {
        head: Head::of::<Class>(),
        kind: ClassKind::TRANSFORM,
        // `Transform: Sync`, and planning and applying take `&self`.
        flags: if T::IN_PLACE {
            ClassFlags(ClassFlags::THREAD_SHARED.0 | ClassFlags::IN_PLACE.0)
        } else {
            ClassFlags::THREAD_SHARED
        },
        targets: T::TARGETS,
        state_version: T::PLAN_VERSION,
        name: Str::from_static(T::NAME),
        summary: Str::from_static(T::SUMMARY),
        params_schema: schema::<T>(),
        create: Some(create::<T>),
        destroy: Some(destroy::<T>),
        table: ptr::from_ref(table::<T>()).cast(),
    }
}

unsafe extern "C" fn create<T: Transform>(
    params: Str,
    instance: *mut *mut c_void,
    error: *const Sink,
) -> Status {
    let body = || {
        // SAFETY: the host passes readable text and a place for the instance.
        let transform: T = unsafe { parse(params) }?;
        transform.validate()?;
        // SAFETY: as above.
        unsafe { *instance = Instance::into_raw(transform) };
        Ok(())
    };
    // SAFETY: the sink is that of this call.
    unsafe { guard(error, body) }
}

unsafe extern "C" fn plan<T: Transform>(
    instance: *const c_void,
    key: *const u64,
    meta: *const SampleMeta,
    plan: *const Sink,
    output: *mut Shape,
    error: *const Sink,
) -> Status {
    let body = |transform: &T| {
        // SAFETY: the host passes two words, a meta, a sink and a shape. This
        // is the first version of the meta: every host has all of it.
        let (key, meta, plan, output) = unsafe {
            (
                Key::from_words([*key, *key.add(1)]),
                &*meta,
                &*plan,
                &mut *output,
            )
        };
        let planned = transform.plan(meta, key)?;
        *output = transform.output(&planned, *output);
        let bytes = wire::to_bytes(&planned)
            .map_err(|error| Error::new(format!("the plan can't be written: {error}")))?;
        // SAFETY: the sink is that of this call.
        if unsafe { plan.put(&bytes) }.is_ok() {
            Ok(())
        } else {
            Err(Error::new(format!(
                "the host takes no plan of {} bytes",
                bytes.len()
            )))
        }
    };
    // SAFETY: the host passes what `create` made, and a sink of this call.
    unsafe { guard_instance(instance, error, body) }
}

unsafe extern "C" fn apply<T: Transform>(
    instance: *const c_void,
    count: usize,
    plans: *const Bytes,
    src: *const Sample,
    dst: *mut Sample,
    error: *const Sink,
) -> Status {
    let body = |transform: &T| {
        if count == 0 {
            return Ok(());
        }
        // SAFETY: the host passes `count` of each, readable, and the
        // destinations writable and apart from the sources.
        let (plans, sources, destinations) = unsafe {
            (
                slice::from_raw_parts(plans, count),
                slice::from_raw_parts(src, count),
                slice::from_raw_parts_mut(dst, count),
            )
        };
        for ((plan, source), out) in plans.iter().zip(sources).zip(destinations) {
            // SAFETY: a plan is readable.
            let bytes = unsafe { plan.get() }.ok_or_else(|| Error::new("a plan without bytes"))?;
            let plan: T::Plan = wire::from_bytes(bytes)
                .map_err(|error| Error::new(format!("a plan that is not one: {error}")))?;
            if T::IN_PLACE && source.image.data == out.image.data {
                // SAFETY: the arrays of a sample are as its views say; the image
                // of the source is the destination's and not used beside it.
                let (mut image, mut rows) = unsafe {
                    (
                        ImageMut::from_view(&out.image)?,
                        Rest::from_abi(source, out)?,
                    )
                };
                transform.apply_in_place(&plan, &mut image)?;
                rows.copy()?;
                rows.finish(out);
                continue;
            }
            // SAFETY: the arrays of a sample are as its views say, and apart.
            let (source, mut destination) =
                unsafe { (Source::from_abi(source)?, Destination::from_abi(out)?) };
            transform.apply(&plan, &source, &mut destination)?;
            destination.finish(out);
        }
        Ok(())
    };
    // SAFETY: the host passes what `create` made, and a sink of this call.
    unsafe { guard_instance(instance, error, body) }
}
