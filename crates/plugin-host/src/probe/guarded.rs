//! Memory between pages that must not be touched.

use std::{io, ptr::NonNull};

/// Bytes that end where a page begins whose touch ends the process: a plugin
/// that reads or writes past the end of an array is caught at the first byte.
/// Before the bytes lie a pattern and then another such page.
///
/// Where pages can't be protected, ordinary memory with the pattern on either
/// side.
pub(crate) struct Guarded {
    start: NonNull<u8>,
    whole: usize,
    offset: usize,
    len: usize,
}

const PATTERN: u8 = 0xA5;

impl Guarded {
    /// Room for `len` bytes; the array ends at the page if `len` is a multiple
    /// of the size of its elements, as it is for arrays.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let page = system::page();
        let inner = len.div_ceil(page).max(1) * page;
        let whole = inner + 2 * page;
        let start = system::map(whole, page)?;
        let guarded = Self {
            start,
            whole,
            offset: page + inner - len,
            len,
        };
        let margin = guarded.offset - page;
        // SAFETY: from the first page's end to the array, which is ours.
        unsafe { start.as_ptr().add(page).write_bytes(PATTERN, margin) };
        Ok(guarded)
    }

    /// A copy of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> io::Result<Self> {
        let mut guarded = Self::new(bytes.len())?;
        guarded.bytes_mut().copy_from_slice(bytes);
        Ok(guarded)
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        // SAFETY: inside of the mapping.
        unsafe { self.start.as_ptr().add(self.offset) }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: readable, and no call of a plugin is running.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: writable, and borrowed as a whole.
        unsafe { std::slice::from_raw_parts_mut(self.as_ptr(), self.len) }
    }

    /// Whether what lies before the array is as it was.
    pub(crate) fn is_whole(&self) -> bool {
        let page = system::page();
        // SAFETY: as in `new`.
        let margin = unsafe {
            std::slice::from_raw_parts(self.start.as_ptr().add(page), self.offset - page)
        };
        margin.iter().all(|&byte| byte == PATTERN)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        system::unmap(self.start, self.whole);
    }
}

#[cfg(unix)]
mod system {
    use std::{io, ptr, ptr::NonNull};

    pub(super) fn page() -> usize {
        // SAFETY: reads a number of the system.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).unwrap_or(4096).max(4096)
    }

    pub(super) fn map(whole: usize, page: usize) -> io::Result<NonNull<u8>> {
        // SAFETY: a new mapping, whose first and last page are then closed; the
        // pages are inside of it.
        unsafe {
            let start = libc::mmap(
                ptr::null_mut(),
                whole,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            if start == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let start = start.cast::<u8>();
            for closed in [start, start.add(whole - page)] {
                if libc::mprotect(closed.cast(), page, libc::PROT_NONE) != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            NonNull::new(start).ok_or_else(|| io::Error::other("a mapping at address 0"))
        }
    }

    pub(super) fn unmap(start: NonNull<u8>, whole: usize) {
        // SAFETY: mapped by `map`, and not used again.
        unsafe { libc::munmap(start.as_ptr().cast(), whole) };
    }
}

#[cfg(not(unix))]
mod system {
    use std::{
        alloc::{Layout, alloc_zeroed, dealloc},
        io,
        ptr::NonNull,
    };

    pub(super) fn page() -> usize {
        4096
    }

    fn layout(whole: usize) -> io::Result<Layout> {
        Layout::from_size_align(whole, page()).map_err(io::Error::other)
    }

    pub(super) fn map(whole: usize, _: usize) -> io::Result<NonNull<u8>> {
        // SAFETY: at least three pages long.
        let start = unsafe { alloc_zeroed(layout(whole)?) };
        NonNull::new(start).ok_or_else(|| io::Error::other("out of memory"))
    }

    pub(super) fn unmap(start: NonNull<u8>, whole: usize) {
        if let Ok(layout) = layout(whole) {
            // SAFETY: allocated by `map` with this layout.
            unsafe { dealloc(start.as_ptr(), layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_end_at_the_page_and_what_lies_before_is_watched() {
        let bytes: Vec<u8> = (0..100).collect();
        let guarded = Guarded::of(&bytes).unwrap();
        assert_eq!(guarded.bytes(), bytes);
        assert_eq!((guarded.as_ptr().addr() + 100) % system::page(), 0);
        assert!(guarded.is_whole());
        // SAFETY: still inside of the mapping.
        unsafe { guarded.as_ptr().sub(1).write(0) };
        assert!(!guarded.is_whole());
    }

    #[test]
    fn no_bytes_are_an_array_too() {
        let guarded = Guarded::new(0).unwrap();
        assert!(guarded.bytes().is_empty() && guarded.is_whole());
    }
}
