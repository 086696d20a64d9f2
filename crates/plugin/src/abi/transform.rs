//! The table of a transform: plan, then apply.

use core::ffi::c_void;

use super::{Bytes, Head, Sample, Sink, Status, WORD};

/// What a transform may know of a sample when it plans.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SampleMeta {
    /// Bytes of this struct.
    pub size: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Pixels from left to right.
    pub width: u32,
    /// Channels of the image.
    pub channels: u32,
}

super::layout!(SampleMeta, size 16, size 0, height 4, width 8, channels 12);

/// The size of an image.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Pixels from top to bottom.
    pub height: u32,
    /// Pixels from left to right.
    pub width: u32,
    /// Channels.
    pub channels: u32,
}

super::layout!(Shape, size 12, height 0, width 4, channels 8);

/// Draws everything random for one sample and writes it to `plan`; `output` is
/// the size of the image after it, and on entry that of the image before. The
/// number of channels stays.
///
/// Pure: the same instance parameters, key and meta give the same bytes, on
/// every machine and thread. `key` is two words; the generator that belongs to
/// it is specified in `firecraft-key`, and a C version is in the header.
pub type PlanFn = unsafe extern "C" fn(
    instance: *const c_void,
    key: *const u64,
    meta: *const SampleMeta,
    plan: *const Sink,
    output: *mut Shape,
    error: *const Sink,
) -> Status;

/// Does what `count` plans say, to `count` samples. Each destination has the
/// size that its plan announced, and no initial content that means anything:
/// the plugin writes all of it. Nothing is drawn here: the same plan and source
/// give the same destination. The views of a destination are read, never
/// changed; only its counts are.
pub type ApplyFn = unsafe extern "C" fn(
    instance: *const c_void,
    count: usize,
    plans: *const Bytes,
    src: *const Sample,
    dst: *mut Sample,
    error: *const Sink,
) -> Status;

/// The functions of a transform.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TransformTable {
    /// Says how much follows.
    pub head: Head,
    /// Never NULL.
    pub plan: Option<PlanFn>,
    /// Never NULL.
    pub apply: Option<ApplyFn>,
}

super::layout!(TransformTable, size 16 + 2 * WORD, head 0, plan 16, apply 16 + WORD);
