//! The optional table of a plugin's own test.

use super::{Head, Sink, Status, WORD};

/// The name of the optional table that `get_extension` of an [`Entry`](super::Entry)
/// gives: a [`SelfTest`].
pub const SELF_TEST: &str = "self-test/1";

/// Tests the plugin. A status other than OK says that it does not work here;
/// the reason is in the error sink.
pub type SelfTestFn = unsafe extern "C" fn(error: *const Sink) -> Status;

/// A plugin's own test, which `firecraft plugin check` runs.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SelfTest {
    /// Says how much follows.
    pub head: Head,
    /// Never NULL.
    pub run: Option<SelfTestFn>,
}

super::layout!(SelfTest, size 16 + WORD, head 0, run 16);
