//! Whether a file is a whole shared library of this machine.
//!
//! The loader of glibc maps what the header promises; a file that ends before
//! that is no error there but a bus error later. So the header is read here.

/// Where the fields of the header and of a segment lie.
struct Layout {
    class: u8,
    phoff: usize,
    phentsize: usize,
    phnum: usize,
    word: usize,
    p_offset: usize,
    p_filesz: usize,
}

const ELF64: Layout = Layout {
    class: 2,
    phoff: 32,
    phentsize: 54,
    phnum: 56,
    word: 8,
    p_offset: 8,
    p_filesz: 32,
};
const ELF32: Layout = Layout {
    class: 1,
    phoff: 28,
    phentsize: 42,
    phnum: 44,
    word: 4,
    p_offset: 4,
    p_filesz: 16,
};
const LAYOUT: Layout = if cfg!(target_pointer_width = "64") {
    ELF64
} else {
    ELF32
};

const SHARED_LIBRARY: u64 = 3;
const TYPE: usize = 16;
const MACHINE: usize = 18;

/// The number of this machine, where it is known.
const fn machine() -> Option<u64> {
    if cfg!(target_arch = "x86_64") {
        Some(62)
    } else if cfg!(target_arch = "aarch64") {
        Some(183)
    } else if cfg!(target_arch = "x86") {
        Some(3)
    } else if cfg!(target_arch = "arm") {
        Some(40)
    } else if cfg!(target_arch = "riscv64") {
        Some(243)
    } else {
        None
    }
}

/// What is wrong with the file.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Err("it does not begin like one".to_owned());
    }
    if bytes.get(4) != Some(&LAYOUT.class) {
        return Err("it is for machines of another word size".to_owned());
    }
    let little = if cfg!(target_endian = "little") { 1 } else { 2 };
    if bytes.get(5) != Some(&little) {
        return Err("it is for machines of another byte order".to_owned());
    }
    let number = |at: usize, len: usize| number(bytes, at, len).ok_or_else(truncated);
    if number(TYPE, 2)? != SHARED_LIBRARY {
        return Err("it is an object or a program, not a shared library".to_owned());
    }
    let found = number(MACHINE, 2)?;
    if machine().is_some_and(|expected| found != expected) {
        return Err(format!(
            "it is for another architecture (ELF machine {found}), this is {}",
            std::env::consts::ARCH
        ));
    }
    let start = number(LAYOUT.phoff, LAYOUT.word)?;
    let step = number(LAYOUT.phentsize, 2)?;
    for index in 0..number(LAYOUT.phnum, 2)? {
        let segment = start
            .checked_add(index * step)
            .and_then(|at| usize::try_from(at).ok())
            .ok_or_else(truncated)?;
        let field = |offset: usize| {
            let at = segment.checked_add(offset).ok_or_else(truncated)?;
            number(at, LAYOUT.word)
        };
        let (offset, length) = (field(LAYOUT.p_offset)?, field(LAYOUT.p_filesz)?);
        let end = offset.checked_add(length);
        if end.is_none_or(|end| end > bytes.len() as u64) {
            return Err(truncated());
        }
    }
    Ok(())
}

fn truncated() -> String {
    "the file ends before its own headers say; copy or build it again".to_owned()
}

/// A number in the byte order of this machine.
fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(len)?)?;
    let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    Some(if cfg!(target_endian = "little") {
        field.iter().rev().fold(0, fold)
    } else {
        field.iter().fold(0, fold)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one segment of the given extent.
    fn library(offset: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; 128];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        bytes[TYPE] = 3;
        bytes[MACHINE] = machine().unwrap() as u8;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[72..80].copy_from_slice(&offset.to_le_bytes());
        bytes[96..104].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    #[test]
    #[cfg(all(target_pointer_width = "64", target_endian = "little"))]
    fn segments_must_lie_in_the_file() {
        assert_eq!(check(&library(0, 128)), Ok(()));
        for (offset, length) in [(0, 129), (129, 0), (u64::MAX, 2), (1 << 40, 8)] {
            let error = check(&library(offset, length)).unwrap_err();
            assert!(error.contains("ends before"), "{error}");
        }
    }

    #[test]
    #[cfg(all(target_pointer_width = "64", target_endian = "little"))]
    fn every_prefix_of_a_library_is_refused() {
        let whole = library(0, 128);
        for len in 0..whole.len() {
            assert!(check(&whole[..len]).is_err(), "{len}");
        }
    }

    #[test]
    #[cfg(all(target_pointer_width = "64", target_endian = "little"))]
    fn another_machine_word_or_kind_is_named() {
        let changed = |at: usize, to: u8| {
            let mut bytes = library(0, 128);
            bytes[at] = to;
            check(&bytes).unwrap_err()
        };
        assert!(changed(4, 1).contains("word size"));
        assert!(changed(5, 2).contains("byte order"));
        assert!(changed(TYPE, 2).contains("a program"));
        assert!(changed(MACHINE, 8).contains("another architecture"));
    }
}
