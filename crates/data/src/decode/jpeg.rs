//! JPEG, by zune-jpeg.

use super::{Channels, Decoded, check_size, orientation};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

pub(super) fn decode(bytes: &[u8], channels: Channels) -> Result<Decoded, String> {
    if !has_end(bytes) {
        return Err(format!(
            "the JPEG stops after {} bytes without its end marker",
            bytes.len()
        ));
    }
    let options = DecoderOptions::default()
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder
        .decode_headers()
        .map_err(|error| error.to_string())?;
    let (Some((width, height)), Some(colours)) = (decoder.dimensions(), decoder.input_colorspace())
    else {
        return Err("the JPEG has no frame".to_owned());
    };
    // The luma of a colour JPEG is stored as such: no need to decode the rest.
    let grey =
        colours == ColorSpace::Luma || (channels == Channels::Grey && colours == ColorSpace::YCbCr);
    let (wanted, samples) = if grey {
        (ColorSpace::Luma, 1)
    } else {
        (ColorSpace::RGB, 3)
    };
    check_size(height, width, samples)?;
    let orientation = decoder.exif().map_or(1, |exif| orientation::of_exif(exif));
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let levels = decoder.decode().map_err(|error| error.to_string())?;
    if levels.len() != height * width * samples {
        return Err(format!(
            "the JPEG decodes to {} values, expected {width}x{height}x{samples}",
            levels.len()
        ));
    }
    Ok(Decoded {
        levels,
        height,
        width,
        samples,
        orientation,
    })
}

/// Whether the end marker follows the last scan. The marker's bytes may occur
/// earlier, in a thumbnail, so the segments are walked.
pub(super) fn has_end(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    // 0xff before one of these is part of compressed data or padding.
    let is_marker =
        |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0x01 | 0xd0..=0xd7 | 0xff);
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let Some(at) = rest.windows(2).position(is_marker) {
        if rest[at + 1] == END {
            return true;
        }
        let segment = &rest[at + 2..];
        let length = segment
            .first_chunk()
            .map_or(0, |&length| usize::from(u16::from_be_bytes(length)));
        match segment.get(length.max(2)..) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    false
}
