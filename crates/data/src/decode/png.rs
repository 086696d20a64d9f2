//! PNG, by the png crate.

use super::{DECODE_LIMIT, Decoded, check_size, orientation};
use png::{Decoder, Limits, Transformations};
use std::io::Cursor;

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let mut decoder = Decoder::new_with_limits(
        Cursor::new(bytes),
        Limits {
            bytes: DECODE_LIMIT,
        },
    );
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let samples = reader.output_color_type().0.samples();
    check_size(height, width, samples)?;
    let orientation = reader
        .info()
        .exif_metadata
        .as_deref()
        .map_or(1, orientation::of_exif);
    let mut levels = vec![0; height * width * samples];
    reader
        .next_frame(&mut levels)
        .map_err(|error| error.to_string())?;
    Ok(Decoded {
        levels,
        height,
        width,
        samples,
        orientation,
    })
}
