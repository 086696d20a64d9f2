//! One type of transform or scheduler that a plugin brings.

use core::ffi::c_void;

use super::{Head, Sink, Status, Str, WORD};

/// What a class is.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassKind(pub u32);

impl ClassKind {
    /// Its table is a [`TransformTable`](super::TransformTable).
    pub const TRANSFORM: Self = Self(1);
    /// Its table is a [`SchedulerTable`](super::SchedulerTable).
    pub const SCHEDULER: Self = Self(2);
}

/// What a class promises, as bits.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassFlags(pub u32);

impl ClassFlags {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// One instance may be called from several threads at once. Without it the
    /// host calls an instance from one thread at a time.
    pub const THREAD_SHARED: Self = Self(1);
    /// Image and masks of a destination may be those of its source, in the same
    /// memory, where a plan keeps the size. Boxes and points never are.
    pub const IN_PLACE: Self = Self(2);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a transform can move, as bits. A sample with a target that is not among
/// them is refused by the host.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Targets(pub u32);

impl Targets {
    /// The image alone.
    pub const IMAGE: Self = Self(1);
    /// Label maps.
    pub const MASKS: Self = Self(2);
    /// Boxes.
    pub const BOXES: Self = Self(4);
    /// Key points.
    pub const POINTS: Self = Self(8);
    /// Everything: also right for a transform that moves nothing.
    pub const ALL: Self = Self(15);

    /// Both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Makes an instance from parameters, a JSON object that fits the class's
/// schema. On success `*instance` is not null.
pub type CreateFn =
    unsafe extern "C" fn(params: Str, instance: *mut *mut c_void, error: *const Sink) -> Status;

/// Ends an instance. Called once, when no other call is running on it.
pub type DestroyFn = unsafe extern "C" fn(instance: *mut c_void);

/// One type of transform or scheduler.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Class {
    /// Says how much follows.
    pub head: Head,
    /// What it is.
    pub kind: ClassKind,
    /// What it promises.
    pub flags: ClassFlags,
    /// What a transform can move; 0 for schedulers.
    pub targets: Targets,
    /// The version of a scheduler's saved state, of a transform's plans. Raise
    /// it when their form changes.
    pub state_version: u32,
    /// The name in specs, such as `"film_grain"`: 1 to 64 of `a-z 0-9 _ . -`.
    pub name: Str,
    /// What it does, in a sentence.
    pub summary: Str,
    /// A JSON Schema of the parameters.
    pub params_schema: Str,
    /// Never NULL.
    pub create: Option<CreateFn>,
    /// Never NULL.
    pub destroy: Option<DestroyFn>,
    /// A [`TransformTable`](super::TransformTable) or a
    /// [`SchedulerTable`](super::SchedulerTable), by `kind`.
    pub table: *const Head,
}

super::layout!(
    Class, size 32 + 9 * WORD,
    head 0, kind 16, flags 20, targets 24, state_version 28, name 32, summary 32 + 2 * WORD,
    params_schema 32 + 4 * WORD, create 32 + 6 * WORD, destroy 32 + 7 * WORD, table 32 + 8 * WORD,
);

// SAFETY: a table is written once and read from then on; what it points to
// lives as long as the process.
unsafe impl Sync for Class {}
// SAFETY: as above.
unsafe impl Send for Class {}
