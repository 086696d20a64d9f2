//! How the camera was held.

/// The orientation (tag 0x0112, from 1 to 8) in an EXIF block, which is a TIFF
/// header and a directory; 1 (upright) if there is none.
pub(super) fn of_exif(exif: &[u8]) -> u8 {
    find(exif)
        .filter(|orientation| (1..=8).contains(orientation))
        .map_or(1, |orientation| orientation as u8)
}

fn find(exif: &[u8]) -> Option<u16> {
    const ORIENTATION: u16 = 0x0112;
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk()?;
        Some(if little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let offset = *tiff.get(4..)?.first_chunk()?;
    let offset = if little {
        u32::from_le_bytes(offset)
    } else {
        u32::from_be_bytes(offset)
    };
    let directory = usize::try_from(offset).ok()?;
    let entries = usize::from(short(directory)?);
    (0..entries)
        .map(|entry| directory.saturating_add(2 + 12 * entry))
        .find(|&at| short(at) == Some(ORIENTATION))
        .and_then(|at| short(at + 8))
}

/// Turns levels H × W × C upright; returns them with their height and width.
pub(super) fn apply(
    orientation: u8,
    levels: Vec<u8>,
    height: usize,
    width: usize,
    channels: usize,
) -> (Vec<u8>, usize, usize) {
    if orientation <= 1 {
        return (levels, height, width);
    }
    let transposed = orientation >= 5;
    let rows_back = matches!(orientation, 3 | 4 | 6 | 7);
    let columns_back = matches!(orientation, 2 | 3 | 7 | 8);
    let (rows, columns) = if transposed {
        (width, height)
    } else {
        (height, width)
    };
    let mut upright = Vec::with_capacity(levels.len());
    for y in 0..rows {
        for x in 0..columns {
            let (row, column) = if transposed { (x, y) } else { (y, x) };
            let row = if rows_back { height - 1 - row } else { row };
            let column = if columns_back {
                width - 1 - column
            } else {
                column
            };
            let start = (row * width + column) * channels;
            upright.extend_from_slice(&levels[start..start + channels]);
        }
    }
    (upright, rows, columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_eight_orientations_are_those_of_the_standard() {
        // 1 2 3
        // 4 5 6
        let image = || vec![1, 2, 3, 4, 5, 6];
        for (orientation, upright, height) in [
            (1, [1, 2, 3, 4, 5, 6], 2),
            (2, [3, 2, 1, 6, 5, 4], 2),
            (3, [6, 5, 4, 3, 2, 1], 2),
            (4, [4, 5, 6, 1, 2, 3], 2),
            (5, [1, 4, 2, 5, 3, 6], 3),
            (6, [4, 1, 5, 2, 6, 3], 3),
            (7, [6, 3, 5, 2, 4, 1], 3),
            (8, [3, 6, 2, 5, 1, 4], 3),
        ] {
            let (levels, rows, columns) = apply(orientation, image(), 2, 3, 1);
            assert_eq!(
                (levels.as_slice(), rows, columns),
                (&upright[..], height, 6 / height),
                "{orientation}"
            );
        }
    }

    #[test]
    fn both_byte_orders_are_read() {
        assert_eq!(
            of_exif(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"),
            6
        );
        assert_eq!(
            of_exif(b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0"),
            3
        );
        assert_eq!(
            of_exif(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0"),
            1
        );
    }

    proptest! {
        #[test]
        fn arbitrary_blocks_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), little: bool) {
            let _ = of_exif(&bytes);
            let _ = of_exif(&[if little { &b"II*\0"[..] } else { b"MM\0*" }, &bytes].concat());
        }
    }
}
