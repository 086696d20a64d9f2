//! A transform that breaks the rules.

use std::{ffi::c_void, ptr, slice};

use firecraft_plugin::abi::{
    Bytes, Class, ClassFlags, ClassKind, DType, Head, Sample, SampleMeta, Shape, Sink, Status, Str,
    Targets, TransformTable,
};

use super::{SCHEMA, abuse, create, destroy, get, overlap};

static TABLE: TransformTable = TransformTable {
    head: Head::of::<TransformTable>(),
    plan: Some(plan),
    apply: Some(apply),
};

pub(crate) fn class(name: &'static str, flags: ClassFlags) -> Class {
    Class {
        head: Head::of::<Class>(),
        kind: ClassKind::TRANSFORM,
        flags,
        targets: Targets::ALL,
        state_version: 1,
        name: Str::from_static(name),
        summary: Str::from_static("breaks a rule of the ABI"),
        params_schema: Str::from_static(SCHEMA),
        create: Some(create),
        destroy: Some(destroy),
        table: ptr::from_ref(&TABLE).cast(),
    }
}

unsafe extern "C" fn plan(
    instance: *const c_void,
    key: *const u64,
    _: *const SampleMeta,
    plan: *const Sink,
    _: *mut Shape,
    error: *const Sink,
) -> Status {
    // SAFETY: the host passes an instance of this class, a key and sinks.
    unsafe {
        let instance = get(instance);
        if overlap(instance) > 1 && instance.fault == "hates company" {
            let _ = (*error).put(b"called by two threads at once");
            return Status::FAILED;
        }
        abuse(plan, &instance.fault);
        if instance.fault == "silent error in plan" {
            return Status::FAILED;
        }
        let _ = (*plan).put(&(*key).to_le_bytes());
    }
    Status::OK
}

unsafe extern "C" fn apply(
    instance: *const c_void,
    count: usize,
    _: *const Bytes,
    src: *const Sample,
    dst: *mut Sample,
    error: *const Sink,
) -> Status {
    // SAFETY: the host passes an instance of this class and `count` samples.
    let (instance, sources, destinations) = unsafe {
        (
            get(instance),
            slice::from_raw_parts(src, count),
            slice::from_raw_parts_mut(dst, count),
        )
    };
    if overlap(instance) > 1 && instance.fault == "hates company" {
        // SAFETY: a sink of this call.
        let _ = unsafe { (*error).put(b"called by two threads at once") };
        return Status::FAILED;
    }
    for (source, destination) in sources.iter().zip(destinations) {
        // SAFETY: the arrays are as their views say.
        unsafe { copy(source, destination) };
        // SAFETY: breaks the rules on purpose, inside of what the tests lay out.
        unsafe { break_rule(&instance.fault, source, destination) };
    }
    match instance.fault.as_str() {
        "silent error in apply" => Status::FAILED,
        "panicked status" => Status::PANICKED,
        _ => Status::OK,
    }
}

/// # Safety
/// The arrays of both are as their views say.
unsafe fn copy(source: &Sample, destination: &mut Sample) {
    let bytes = |view: &firecraft_plugin::abi::View| {
        let len: i64 = view.shape[..view.ndim as usize].iter().product();
        len as usize * usize::from(view.dtype.bits / 8)
    };
    // SAFETY: both are of one size, and apart, or the same memory.
    unsafe {
        let len = bytes(&source.image).min(bytes(&destination.image));
        ptr::copy(
            source.image.data.cast::<u8>(),
            destination.image.data.cast(),
            len,
        );
        for i in 0..source.mask_count {
            let (from, to) = (&*source.masks.add(i), &*destination.masks.add(i));
            ptr::copy(from.data.cast::<u8>(), to.data.cast(), bytes(from));
        }
        rows::<4>(&source.boxes, &destination.boxes, destination.box_src);
        rows::<2>(&source.points, &destination.points, destination.point_src);
    }
    destination.box_count = source.box_count;
    destination.point_count = source.point_count;
}

/// # Safety
/// Both hold as many rows of `D` floats, and `origins` as many.
unsafe fn rows<const D: usize>(
    from: &firecraft_plugin::abi::View,
    to: &firecraft_plugin::abi::View,
    origins: *mut u32,
) {
    if from.ndim == 0 {
        return;
    }
    // SAFETY: the caller vouches for it.
    unsafe {
        let n = from.shape[0] as usize;
        ptr::copy(from.data.cast::<[f32; D]>(), to.data.cast(), n);
        for i in 0..n {
            *origins.add(i) = i as u32;
        }
    }
}

/// # Safety
/// Not safe: that is the point.
unsafe fn break_rule(fault: &str, source: &Sample, destination: &mut Sample) {
    let len: i64 = destination.image.shape.iter().take(3).product();
    let image = destination.image.data.cast::<u8>();
    let (boxes, points) = (
        destination.boxes.data.cast::<[f32; 4]>(),
        destination.points.data.cast::<[f32; 2]>(),
    );
    let len = len as usize * usize::from(destination.image.dtype.bits / 8);
    // SAFETY: see above.
    unsafe {
        match fault {
            "writes past the end" => *image.add(len) ^= 0x55,
            "writes before the start" => *image.sub(1) ^= 0x55,
            "writes far past the end" => *image.add(len + 40) ^= 0x55,
            "writes past a mask" => {
                let mask = &*destination.masks.add(source.mask_count - 1);
                let len: i64 = mask.shape.iter().take(2).product();
                *mask.data.cast::<u8>().add(len as usize) ^= 0x55;
            }
            "writes past the boxes" => (*boxes.add(source.box_count))[0] = 0.5,
            "writes past the points" => (*points.add(source.point_count))[0] = 0.5,
            "writes past the boxes' origins" => {
                *destination.box_src.add(source.box_count) = 0;
            }
            "writes past the points' origins" => *destination.point_src.add(source.point_count) = 0,
            "writes to the source" => *source.image.data.cast::<u8>() ^= 0x55,
            "writes to a mask of the source" => *(*source.masks).data.cast::<u8>() ^= 0x55,
            "reads past the end" => {
                let beyond = source.image.data.cast::<u8>().add(len);
                *image = beyond.read_volatile();
            }
            "changes the shape" => destination.image.shape[0] += 1,
            "changes the dtype" => destination.image.dtype = DType::F32,
            "changes the stride" => destination.image.strides[0] += 1,
            "changes the pointer" => destination.image.data = ptr::null_mut(),
            "changes a mask's view" => (*destination.masks).shape[0] += 1,
            "changes the number of masks" => destination.mask_count += 1,
            "changes the boxes' view" => destination.boxes.shape[0] = 0,
            "changes the boxes' origins" => destination.box_src = ptr::null_mut(),
            "changes the points' view" => destination.points.strides[0] += 1,
            "too many boxes" => destination.box_count += 1,
            "far too many boxes" => destination.box_count = usize::MAX,
            "too many points" => destination.point_count += 1,
            "box from nowhere" => *destination.box_src = 99,
            "box twice" => *destination.box_src.add(1) = *destination.box_src,
            "nan box" => (*boxes)[0] = f32::NAN,
            "reversed box" => (*boxes).swap(0, 2),
            "inf point" => (*points)[1] = f32::INFINITY,
            _ => {}
        }
    }
}
