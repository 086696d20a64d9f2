//! Reading tables and text that a plugin points to.

use std::{mem, ptr};

use firecraft_plugin::abi::{Head, Str};

use crate::PluginError;

/// A table whose every field has zero for a value that means absent: no text,
/// no function, nothing.
///
/// # Safety
/// `repr(C)`, begins with a [`Head`], and all bytes zero is a valid value.
pub(crate) unsafe trait Table: Copy {
    /// The name in messages.
    const NAME: &'static str;
    /// The bytes that a reader cannot do without.
    const LEAST: usize;
}

/// What both sides know of a table: fields beyond the plugin's size are zero,
/// fields beyond ours are left out.
///
/// # Safety
/// `table` is null, or points to a [`Head`] and to as many bytes as its `size`
/// says.
pub(crate) unsafe fn table<T: Table>(table: *const T) -> Result<T, PluginError> {
    if table.is_null() {
        return Err(PluginError::NoTable { table: T::NAME });
    }
    if !table.is_aligned() {
        return Err(PluginError::Misaligned {
            table: T::NAME,
            address: table.addr(),
            alignment: mem::align_of::<T>(),
        });
    }
    // SAFETY: not null, aligned, and every table begins with a head.
    let head = unsafe { table.cast::<Head>().read() };
    head.check(T::LEAST).map_err(|mismatch| PluginError::Head {
        table: T::NAME,
        mismatch,
    })?;
    let mut copy = mem::MaybeUninit::<T>::zeroed();
    let known = (head.size as usize).min(mem::size_of::<T>());
    // SAFETY: the head fits this version, so `size` bytes are there; the target
    // is our own, and `known` is no more than either. Zero is a valid value.
    unsafe {
        ptr::copy_nonoverlapping(table.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), known);
        Ok(copy.assume_init())
    }
}

/// Text of at most `limit` bytes.
///
/// # Safety
/// `text` is readable as long as its length says, or its pointer is null.
pub(crate) unsafe fn text(
    field: &'static str,
    text: Str,
    limit: usize,
) -> Result<String, PluginError> {
    let wrong = |found: String| PluginError::Text {
        field,
        found,
        limit,
    };
    if text.len == 0 {
        return Err(wrong("empty".to_owned()));
    }
    if text.len > limit {
        return Err(wrong(format!("{} bytes long", text.len)));
    }
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { text.bytes() }.ok_or_else(|| wrong("a null pointer".to_owned()))?;
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(wrong(format!(
            "not UTF-8 from byte {}",
            error.valid_up_to()
        ))),
    }
}
