//! Where plugins write text and bytes.

use std::{ffi::c_void, marker::PhantomData, ptr, slice};

use firecraft_plugin::abi::{Sink, Status};

/// Collects what a plugin writes, up to a limit. What goes beyond it is refused
/// and remembered as such.
#[derive(Debug)]
pub(crate) struct Collector {
    bytes: Vec<u8>,
    limit: usize,
    overflow: bool,
}

/// A sink that can't outlive its collector.
pub(crate) struct Lent<'a> {
    sink: Sink,
    collector: PhantomData<&'a mut Collector>,
}

impl Lent<'_> {
    pub(crate) fn as_ptr(&self) -> *const Sink {
        ptr::from_ref(&self.sink)
    }
}

impl Collector {
    /// Allocates nothing until something is written.
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            overflow: false,
        }
    }

    /// The sink to pass to one call.
    pub(crate) fn lend(&mut self) -> Lent<'_> {
        let ctx = ptr::from_mut(self).cast();
        Lent {
            sink: Sink { ctx, write },
            collector: PhantomData,
        }
    }

    /// What was written, or `None` if it was too much.
    pub(crate) fn bytes(self) -> Option<Vec<u8>> {
        (!self.overflow).then_some(self.bytes)
    }

    /// What was written, as a message for people.
    pub(crate) fn message(self) -> String {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        if text.trim().is_empty() {
            "no reason given".to_owned()
        } else {
            text
        }
    }
}

unsafe extern "C" fn write(ctx: *mut c_void, bytes: *const u8, len: usize) -> Status {
    // SAFETY: `ctx` is the collector that `lend` borrowed for this call.
    let collector = unsafe { &mut *ctx.cast::<Collector>() };
    let room = collector.limit - collector.bytes.len();
    if len > room || (bytes.is_null() && len > 0) {
        collector.overflow = true;
        return Status::FAILED;
    }
    if len > 0 {
        // SAFETY: the plugin says that `len` bytes are readable; not null, and
        // far below the length that no slice may have.
        collector
            .bytes
            .extend_from_slice(unsafe { slice::from_raw_parts(bytes, len) });
    }
    Status::OK
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(collector: &mut Collector, bytes: &[u8]) -> Status {
        let lent = collector.lend();
        // SAFETY: the sink is used while it is lent.
        unsafe { (*lent.as_ptr()).put(bytes) }
    }

    #[test]
    fn writes_are_joined_up_to_the_limit() {
        let mut collector = Collector::new(5);
        assert!(put(&mut collector, b"ab").is_ok());
        assert!(put(&mut collector, b"").is_ok());
        assert!(put(&mut collector, b"cde").is_ok());
        assert_eq!(collector.bytes().as_deref(), Some(&b"abcde"[..]));
    }

    #[test]
    fn too_much_is_refused_and_remembered() {
        let mut collector = Collector::new(3);
        assert!(!put(&mut collector, b"abcd").is_ok());
        assert!(put(&mut collector, b"x").is_ok());
        assert_eq!(collector.bytes(), None);
    }

    #[test]
    fn a_null_pointer_with_a_length_is_refused() {
        let mut collector = Collector::new(9);
        let lent = collector.lend();
        // SAFETY: the sink is used while it is lent.
        let status = unsafe {
            let sink = &*lent.as_ptr();
            (sink.write)(sink.ctx, ptr::null(), 4)
        };
        assert!(!status.is_ok());
    }

    #[test]
    fn a_message_that_is_not_text_is_shown_as_far_as_it_is() {
        let mut collector = Collector::new(9);
        assert!(put(&mut collector, b"bad \xff").is_ok());
        assert_eq!(collector.message(), "bad \u{fffd}");
        assert_eq!(Collector::new(9).message(), "no reason given");
    }
}
