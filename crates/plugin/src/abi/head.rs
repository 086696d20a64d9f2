//! The frozen first 16 bytes of every table.

use core::{fmt, mem};

/// The first eight bytes of every table that crosses the boundary.
pub const MAGIC: [u8; 8] = *b"firecrft";

/// The major version: tables of another one are refused.
pub const MAJOR: u16 = 1;

/// The minor version: a larger one has more fields at the end.
pub const MINOR: u16 = 0;

/// Says what follows: 16 bytes that never change, in any version.
///
/// ```
/// use firecraft_plugin::abi::{Entry, Head, Mismatch};
///
/// let head = Head::of::<Entry>();
/// assert_eq!(head.check(size_of::<Head>()), Ok(()));
///
/// let other = Head { major: 2, ..head };
/// let error = other.check(size_of::<Head>()).unwrap_err();
/// assert_eq!(error, Mismatch::Major { expected: 1, found: 2 });
/// assert_eq!(error.to_string(), "ABI major version 2, expected 1");
/// ```
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// Bytes of the whole table, this head included, as its author compiled it.
    pub size: u32,
    /// [`MAJOR`] of the author's copy of the ABI.
    pub major: u16,
    /// [`MINOR`] of the author's copy of the ABI.
    pub minor: u16,
}

super::layout!(Head, size 16, magic 0, size 8, major 12, minor 14);

impl Head {
    /// The head of a table `T` of this version of the ABI.
    pub const fn of<T>() -> Self {
        assert!(
            mem::size_of::<T>() >= mem::size_of::<Self>(),
            "a table begins with its head"
        );
        assert!(mem::size_of::<T>() <= u32::MAX as usize);
        Self {
            magic: MAGIC,
            size: mem::size_of::<T>() as u32,
            major: MAJOR,
            minor: MINOR,
        }
    }

    /// Whether a table with this head can be read by this version of the ABI,
    /// if at least `least` bytes of it are needed. The minor version never
    /// matters: `size` says what is there.
    ///
    /// # Errors
    /// The first of magic, major version and size that does not fit.
    pub const fn check(&self, least: usize) -> Result<(), Mismatch> {
        // Arrays have no const equality.
        if u64::from_le_bytes(self.magic) != u64::from_le_bytes(MAGIC) {
            return Err(Mismatch::Magic { found: self.magic });
        }
        if self.major != MAJOR {
            return Err(Mismatch::Major {
                expected: MAJOR,
                found: self.major,
            });
        }
        if (self.size as usize) < least {
            return Err(Mismatch::Size {
                least: least as u64,
                found: self.size,
            });
        }
        Ok(())
    }
}

/// Why a table can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// It is not a table of this ABI at all.
    Magic {
        /// Its first eight bytes.
        found: [u8; 8],
    },
    /// It is of another major version.
    Major {
        /// The version of the reader.
        expected: u16,
        /// The version of the table.
        found: u16,
    },
    /// It ends before what the reader cannot do without.
    Size {
        /// Bytes that the reader needs.
        least: u64,
        /// Bytes that the table has.
        found: u32,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic { found } => {
                write!(
                    f,
                    "magic `{}`, expected `{}`",
                    found.escape_ascii(),
                    MAGIC.escape_ascii()
                )
            }
            Self::Major { expected, found } => {
                write!(f, "ABI major version {found}, expected {expected}")
            }
            Self::Size { least, found } => {
                write!(f, "a table of {found} bytes, expected at least {least}")
            }
        }
    }
}

impl core::error::Error for Mismatch {}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Head = Head {
        magic: MAGIC,
        size: 64,
        major: MAJOR,
        minor: MINOR,
    };

    #[test]
    fn another_magic_is_refused_before_its_version_is_believed() {
        let head = Head {
            magic: *b"\0ELF\x02\x01\x01\0",
            major: 9,
            ..GOOD
        };
        let error = head.check(16).unwrap_err();
        assert_eq!(
            error,
            Mismatch::Magic {
                found: *b"\0ELF\x02\x01\x01\0"
            }
        );
        assert_eq!(
            error.to_string(),
            "magic `\\x00ELF\\x02\\x01\\x01\\x00`, expected `firecrft`"
        );
    }

    #[test]
    fn an_older_and_a_newer_major_are_refused() {
        for major in [0, MAJOR + 1, u16::MAX] {
            let error = Head { major, ..GOOD }.check(16).unwrap_err();
            assert_eq!(
                error,
                Mismatch::Major {
                    expected: MAJOR,
                    found: major
                }
            );
        }
    }

    #[test]
    fn any_minor_is_accepted() {
        for minor in [0, 1, u16::MAX] {
            assert_eq!(Head { minor, ..GOOD }.check(16), Ok(()));
        }
    }

    #[test]
    fn a_table_may_be_longer_but_not_shorter_than_needed() {
        assert_eq!(GOOD.check(64), Ok(()));
        assert_eq!(GOOD.check(16), Ok(()));
        assert_eq!(
            GOOD.check(65),
            Err(Mismatch::Size {
                least: 65,
                found: 64
            })
        );
    }
}
