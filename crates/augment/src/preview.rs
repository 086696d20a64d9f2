//! What a transform does to a few images, side by side.

use crate::kernel::Element;
use crate::{AugmentError, Image, Sample, Size, Transform};
use firecraft_key::Key;

/// Images and their augmented variants as bytes, row by row: each image,
/// followed by its variants.
///
/// The tiles go as they are into a grid of `firecraft-plot`.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Height and width of every tile.
    pub size: Size,
    /// Channels of every tile: interleaved, as in a decoder's output.
    pub channels: usize,
    /// Tiles per row: one for the image, and its variants.
    pub columns: usize,
    /// `columns` tiles per image, each `height * width * channels` bytes.
    pub tiles: Vec<Vec<u8>>,
}

/// Draws `variants` variants of every image of a batch
/// `[sample, channel, height, width]`, whose values span `range`.
///
/// Variant `v` of image `i` is drawn with `key.fold(i).fold(v)`.
///
/// ```
/// use firecraft_augment::{RandomRotationConfig, Size, preview};
/// use firecraft_key::Key;
/// let digits = vec![0.5_f32; 2 * 8 * 8];
/// let rotation = RandomRotationConfig::new(0.1);
/// let sheet = preview(&digits, Size::new(8, 8), 1, (0.0, 1.0), &rotation, 5, Key::from_seed(0))?;
/// assert_eq!((sheet.columns, sheet.tiles.len()), (6, 12));
/// assert_eq!(sheet.tiles[11][0], 128);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
///
/// # Errors
/// If `images` doesn't hold whole images, or the transform refuses one.
pub fn preview(
    images: &[f32],
    size: Size,
    channels: usize,
    range: (f32, f32),
    transform: &dyn Transform,
    variants: usize,
    key: Key,
) -> Result<Preview, AugmentError> {
    let each = size.area() * channels;
    if each == 0 || !images.len().is_multiple_of(each) {
        return Err(AugmentError::Length {
            operation: "preview",
            got: images.len(),
            expected: each,
        });
    }
    let mut tiles = Vec::with_capacity(images.len() / each * (variants + 1));
    for (i, image) in images.chunks(each).enumerate() {
        tiles.push(bytes(image, channels, range));
        for variant in 0..variants {
            let mut sample = Sample::new(Image::from_f32_planes(image, size, channels)?);
            let plan = transform.plan(&sample.meta(), key.fold(i as u64).fold(variant as u64))?;
            plan.apply(&mut sample)?;
            if sample.image.size() != size || sample.image.channels() != channels {
                return Err(AugmentError::BatchSize {
                    operation: "preview",
                    got: sample.image.size(),
                    expected: size,
                });
            }
            tiles.push(bytes(&sample.image.to_planes(), channels, range));
        }
    }
    Ok(Preview {
        size,
        channels,
        columns: variants + 1,
        tiles,
    })
}

/// Planes of numbers in `range` as interleaved bytes.
fn bytes(planes: &[f32], channels: usize, (low, high): (f32, f32)) -> Vec<u8> {
    let area = planes.len() / channels;
    let scale = 255.0 / (high - low);
    (0..planes.len())
        .map(|i| {
            let value = planes[i % channels * area + i / channels];
            u8::from_f32((value - low) * scale)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Compose;

    #[test]
    fn planes_become_pixels_in_the_range() {
        let image = [0.0, 1.0, -1.0, 3.0];
        let sheet = preview(
            &image,
            Size::new(1, 2),
            2,
            (-1.0, 1.0),
            &Compose::new(),
            1,
            Key::from_seed(0),
        )
        .unwrap();
        assert_eq!(sheet.tiles, [[128, 0, 255, 255], [128, 0, 255, 255]]);
    }

    #[test]
    fn half_an_image_is_refused() {
        let size = Size::new(2, 2);
        let none = preview(
            &[0.0; 6],
            size,
            1,
            (0.0, 1.0),
            &Compose::new(),
            1,
            Key::from_seed(0),
        );
        assert!(none.is_err());
    }
}
