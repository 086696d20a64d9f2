//! How calls end, and where output of unknown length goes.

use core::{ffi::c_void, fmt};

use super::WORD;

/// How a call ended.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// It did what it should.
    pub const OK: Self = Self(0);
    /// It could not; the error sink says why.
    pub const FAILED: Self = Self(1);
    /// The plugin panicked; the instance is not to be used again.
    pub const PANICKED: Self = Self(2);
    /// The instance panicked in an earlier call.
    pub const POISONED: Self = Self(3);
    /// The plugin does not offer this.
    pub const UNSUPPORTED: Self = Self(4);

    /// Whether the outputs of the call count.
    pub const fn is_ok(self) -> bool {
        self.0 == Self::OK.0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OK => f.write_str("ok"),
            Self::FAILED => f.write_str("failed"),
            Self::PANICKED => f.write_str("panicked"),
            Self::POISONED => f.write_str("unusable since it panicked"),
            Self::UNSUPPORTED => f.write_str("not supported"),
            Self(code) => write!(f, "unknown status {code}"),
        }
    }
}

/// Takes `len` bytes from `bytes`; a status other than [`Status::OK`] says that
/// no more will be taken.
pub type WriteFn = unsafe extern "C" fn(ctx: *mut c_void, bytes: *const u8, len: usize) -> Status;

/// Where the callee writes bytes: any number of calls, in order, from the
/// thread and during the call that the sink was passed to.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Sink {
    /// The first argument of `write`.
    pub ctx: *mut c_void,
    /// Never NULL.
    pub write: WriteFn,
}

super::layout!(Sink, size 2 * WORD, ctx 0, write WORD);

impl Sink {
    /// Writes bytes.
    ///
    /// # Safety
    /// The sink was passed to the call that is running.
    pub unsafe fn put(&self, bytes: &[u8]) -> Status {
        // SAFETY: the slice is valid for its length; the caller vouches for the
        // sink.
        unsafe { (self.write)(self.ctx, bytes.as_ptr(), bytes.len()) }
    }
}
