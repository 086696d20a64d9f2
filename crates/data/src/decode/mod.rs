//! From the bytes of a JPEG or PNG file to levels.

mod jpeg;
mod orientation;
mod png;

use crate::DataError;
use serde::{Deserialize, Serialize};

/// The largest decoded image, in values: 256 Mi, about 90 megapixels in colour.
pub const DECODE_LIMIT: usize = 256 << 20;

/// What images are converted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// One channel: luma by ITU-R BT.601, as Pillow's `convert("L")`.
    Grey,
    /// Red, green, blue. Grey images become three equal channels.
    #[default]
    Rgb,
}

impl Channels {
    /// Number of values per pixel.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// Levels as a decoder gives them.
struct Decoded {
    levels: Vec<u8>,
    height: usize,
    width: usize,
    /// 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    samples: usize,
    /// The orientation that the camera stored, from 1 to 8.
    orientation: u8,
}

/// Decodes a JPEG or PNG image: H × W × C levels and their shape.
///
/// The format is told by the content, not by a name. The orientation that a
/// camera stored (EXIF) is applied; transparency is dropped, 16 bits become 8,
/// and colour profiles are ignored. A JPEG without its end is an error:
/// decoders would fill it up with grey. `file` is the name used in errors.
///
/// # Errors
/// [`DataError::Decode`] if the bytes are not a whole image of a known format,
/// or a larger one than [`DECODE_LIMIT`].
///
/// ```
/// use firecraft_data::{Channels, decode_image};
/// let error = decode_image("cat.jpg", b"GIF89a", Channels::Rgb).unwrap_err();
/// assert!(error.to_string().starts_with("cat.jpg: the content is neither JPEG nor PNG"));
/// ```
pub fn decode_image(
    file: &str,
    bytes: &[u8],
    channels: Channels,
) -> Result<(Vec<u8>, [usize; 3]), DataError> {
    let decoded = if bytes.starts_with(&[0xff, 0xd8]) {
        jpeg::decode(bytes, channels)
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        png::decode(bytes)
    } else {
        Err("the content is neither JPEG nor PNG".to_owned())
    };
    let Decoded {
        levels,
        height,
        width,
        samples,
        orientation,
    } = decoded.map_err(|reason| DataError::Decode {
        file: file.to_owned(),
        reason,
    })?;
    let levels = convert(levels, samples, channels);
    let (levels, height, width) =
        orientation::apply(orientation, levels, height, width, channels.count());
    Ok((levels, [height, width, channels.count()]))
}

/// Why an image of this size is not decoded, if so.
fn check_size(height: usize, width: usize, samples: usize) -> Result<(), String> {
    match height
        .checked_mul(width)
        .and_then(|n| n.checked_mul(samples))
    {
        Some(1..=DECODE_LIMIT) => Ok(()),
        _ => Err(format!(
            "the image claims {width}x{height} pixels, at most {DECODE_LIMIT} values are decoded"
        )),
    }
}

fn convert(levels: Vec<u8>, samples: usize, channels: Channels) -> Vec<u8> {
    match (channels, samples) {
        (Channels::Rgb, 3) | (Channels::Grey, 1) => levels,
        (Channels::Rgb, 4) => levels
            .chunks_exact(4)
            .flat_map(|p| [p[0], p[1], p[2]])
            .collect(),
        (Channels::Rgb, n) => levels.chunks_exact(n).flat_map(|p| [p[0]; 3]).collect(),
        (Channels::Grey, 2) => levels.chunks_exact(2).map(|p| p[0]).collect(),
        (Channels::Grey, n) => levels.chunks_exact(n).map(luma).collect(),
    }
}

/// BT.601 in 16-bit fixed point.
fn luma(pixel: &[u8]) -> u8 {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests;
