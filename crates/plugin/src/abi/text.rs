//! Text and bytes that are lent across the boundary.

use core::{ptr, slice};

use super::WORD;

/// Borrowed UTF-8: a pointer and a length, not terminated, owned by whoever
/// made it. Empty text may have a null pointer.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Str {
    /// The first byte; null only where `len` is 0.
    pub ptr: *const u8,
    /// The number of bytes.
    pub len: usize,
}

super::layout!(Str, size 2 * WORD, ptr 0, len WORD);

// SAFETY: only bytes that outlive the process are ever shared this way: the
// statics that `Str::from_static` borrows, and the tables of loaded libraries,
// which are never unloaded.
unsafe impl Sync for Str {}
// SAFETY: as above.
unsafe impl Send for Str {}

impl Str {
    /// No text.
    pub const EMPTY: Self = Self {
        ptr: ptr::null(),
        len: 0,
    };

    /// Lends text that lives as long as the process.
    ///
    /// ```
    /// use firecraft_plugin::abi::Str;
    ///
    /// let name = Str::from_static("film-grain");
    /// assert_eq!(name.len, 10);
    /// ```
    pub const fn from_static(text: &'static str) -> Self {
        Self {
            ptr: text.as_ptr(),
            len: text.len(),
        }
    }

    /// The bytes, or `None` for a null pointer with a length.
    ///
    /// # Safety
    /// If `ptr` is not null, `len` bytes from it must be readable and unchanged
    /// for `'a`.
    ///
    /// ```
    /// use firecraft_plugin::abi::Str;
    ///
    /// // SAFETY: a literal lives as long as the process.
    /// let bytes = unsafe { Str::from_static("grain").bytes() };
    /// assert_eq!(bytes, Some(&b"grain"[..]));
    /// ```
    pub unsafe fn bytes<'a>(self) -> Option<&'a [u8]> {
        if self.ptr.is_null() {
            return (self.len == 0).then_some(&[]);
        }
        if self.len > isize::MAX as usize {
            return None;
        }
        // SAFETY: not null; the caller vouches for the bytes; no longer than a
        // slice may be.
        Some(unsafe { slice::from_raw_parts(self.ptr, self.len) })
    }
}

/// Borrowed bytes: a pointer and a length. No bytes may have a null pointer.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    /// The first byte; null only where `len` is 0.
    pub ptr: *const u8,
    /// The number of bytes.
    pub len: usize,
}

super::layout!(Bytes, size 2 * WORD, ptr 0, len WORD);

impl Bytes {
    /// Lends bytes for as long as the caller keeps them.
    pub const fn of(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    /// The bytes, or `None` for a null pointer with a length.
    ///
    /// # Safety
    /// As for [`Str::bytes`].
    pub unsafe fn get<'a>(self) -> Option<&'a [u8]> {
        // SAFETY: the caller vouches for it.
        unsafe {
            Str {
                ptr: self.ptr,
                len: self.len,
            }
            .bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_pointer_is_empty_text_and_nothing_longer() {
        // SAFETY: a null pointer is never read.
        unsafe {
            assert_eq!(Str::EMPTY.bytes(), Some(&[][..]));
            assert_eq!(
                Str {
                    ptr: ptr::null(),
                    len: 1
                }
                .bytes(),
                None
            );
        }
    }

    #[test]
    fn a_length_that_no_slice_can_have_is_refused() {
        let text = Str {
            len: usize::MAX,
            ..Str::from_static("x")
        };
        // SAFETY: refused before it is read.
        assert_eq!(unsafe { text.bytes() }, None);
    }
}
