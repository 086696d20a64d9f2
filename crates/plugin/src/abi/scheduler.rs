//! The table of a scheduler.

use core::ffi::c_void;

use super::{Head, Sink, Status, WORD};

/// Which optional fields of a [`StepContext`] are there, as bits.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepFlags(pub u32);

impl StepFlags {
    /// `total_updates` is known.
    pub const TOTAL_UPDATES: Self = Self(1);
    /// `updates_per_epoch` is known.
    pub const UPDATES_PER_EPOCH: Self = Self(2);
    /// The model was evaluated since the last step, and `metric` is the result.
    pub const METRIC: Self = Self(4);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Where a run stands.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct StepContext {
    /// Bytes of this struct.
    pub size: u32,
    /// Which of the last three fields are there.
    pub flags: StepFlags,
    /// Index of the update about to run, from 0.
    pub update: u64,
    /// Index of its epoch, from 0.
    pub epoch: u64,
    /// Length of the run in updates.
    pub total_updates: u64,
    /// Updates in one epoch.
    pub updates_per_epoch: u64,
    /// The monitored metric.
    pub metric: f64,
}

super::layout!(
    StepContext, size 48,
    size 0, flags 4, update 8, epoch 16, total_updates 24, updates_per_epoch 32, metric 40,
);

/// Fills `values` with what is in force for the update of `context`. Called
/// once before each update, in order; allocates nothing.
pub type StepFn = unsafe extern "C" fn(
    instance: *mut c_void,
    context: *const StepContext,
    values: *mut f64,
    count: usize,
    error: *const Sink,
) -> Status;

/// Writes everything that is needed to go on from here, in a form of the
/// plugin's own.
pub type SaveFn =
    unsafe extern "C" fn(instance: *const c_void, state: *const Sink, error: *const Sink) -> Status;

/// Goes on from what `save` wrote, in this version of the state or an older
/// one. Later steps give the same bits as without the interruption.
pub type LoadFn = unsafe extern "C" fn(
    instance: *mut c_void,
    version: u32,
    state: *const u8,
    len: usize,
    error: *const Sink,
) -> Status;

/// The functions of a scheduler.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SchedulerTable {
    /// Says how much follows.
    pub head: Head,
    /// Never NULL.
    pub step: Option<StepFn>,
    /// NULL together with `load` for a scheduler without state.
    pub save: Option<SaveFn>,
    /// NULL together with `save`.
    pub load: Option<LoadFn>,
}

super::layout!(SchedulerTable, size 16 + 3 * WORD, head 0, step 16, save 16 + WORD, load 16 + 2 * WORD);
