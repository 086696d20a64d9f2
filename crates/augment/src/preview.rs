//! What a transform does to a few images, side by side.

use crate::kernel::Element;
use crate::{
    AugmentError, BoxRules, Compose, Image, PadIfNeeded, Resize, ResizeTo, Sample, Size, ToRgb,
    ToU8, Transform,
};
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

/// Draws `variants` variants of a sample, with masks, boxes and key points
/// drawn in: tiles of `tile` pixels in RGB, the sample itself first.
///
/// Each picture is scaled to fit its tile, in the middle. Masks are tinted by
/// their label; a box or a point keeps its colour through all variants.
/// Variant `v` is drawn with `key.fold(v)`.
///
/// ```
/// use firecraft_augment::{Boxes, HorizontalFlip, Image, Sample, Size, preview_sample};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_u8(vec![0; 100], Size::new(10, 10), 1)?);
/// sample.boxes = Some(Boxes::new(vec![[1.0, 1.0, 4.0, 9.0]]));
/// let tile = Size::new(40, 40);
/// let sheet = preview_sample(&sample, &HorizontalFlip::new(1.0), 1, tile, Key::from_seed(0))?;
/// let left = |tile: &[u8]| tile[(20 * 40 + 4) * 3..][..3].iter().any(|&v| v > 0);
/// assert!(left(&sheet.tiles[0]) && !left(&sheet.tiles[1]), "the box has moved");
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
///
/// # Errors
/// If the transform refuses the sample, or an image has no colours to show.
pub fn preview_sample(
    sample: &Sample,
    transform: &dyn Transform,
    variants: usize,
    tile: Size,
    key: Key,
) -> Result<Preview, AugmentError> {
    let mut tiles = vec![picture(sample.clone(), tile)?];
    for variant in 0..variants {
        let mut sample = sample.clone();
        transform
            .plan_sample(&sample, key.fold(variant as u64))?
            .apply(&mut sample)?;
        tiles.push(picture(sample, tile)?);
    }
    Ok(Preview {
        size: tile,
        channels: 3,
        columns: variants + 1,
        tiles,
    })
}

/// A sample as a tile, its targets drawn in.
fn picture(mut sample: Sample, tile: Size) -> Result<Vec<u8>, AugmentError> {
    // Boxes that touch the edge shall be seen.
    if let Some(boxes) = &mut sample.boxes {
        boxes.rules = BoxRules {
            keep_empty: true,
            ..BoxRules::default()
        };
    }
    let rgb = Compose::new().with(ToRgb::default()).with(ToU8::default());
    let fit = rgb
        .with(Resize::new(ResizeTo::Within(tile)).with_antialias(true))
        .with(PadIfNeeded::new(tile))
        .exact();
    fit.plan(&sample.meta(), Key::from_words([0, 0]))?
        .apply(&mut sample)?;
    let mut canvas = Canvas {
        rgb: sample.image.as_u8().unwrap_or_default().to_vec(),
        size: sample.image.size(),
    };
    for mask in &sample.masks {
        for (i, label) in mask
            .to_planes()
            .into_iter()
            .take(canvas.size.area())
            .enumerate()
        {
            if label > 0.0 {
                canvas.tint(i, colour(label as usize));
            }
        }
    }
    for (row, from) in sample
        .boxes
        .iter()
        .flat_map(|b| b.rows.iter().zip(&b.source))
    {
        canvas.frame(*row, colour(*from));
    }
    for (row, from) in sample
        .points
        .iter()
        .flat_map(|p| p.rows.iter().zip(&p.source))
    {
        canvas.cross(*row, colour(*from));
    }
    Ok(canvas.rgb)
}

/// Colours that are told apart on any picture.
const fn colour(i: usize) -> [u8; 3] {
    const COLOURS: [[u8; 3]; 8] = [
        [230, 85, 13],
        [49, 163, 84],
        [66, 133, 244],
        [244, 202, 0],
        [170, 68, 204],
        [0, 200, 200],
        [255, 105, 180],
        [160, 110, 60],
    ];
    COLOURS[i % COLOURS.len()]
}

struct Canvas {
    rgb: Vec<u8>,
    size: Size,
}

impl Canvas {
    fn set(&mut self, x: i64, y: i64, colour: [u8; 3]) {
        let Size { height, width } = self.size;
        if (0..width as i64).contains(&x) && (0..height as i64).contains(&y) {
            let start = (y as usize * width + x as usize) * 3;
            self.rgb[start..start + 3].copy_from_slice(&colour);
        }
    }

    /// Half of a colour over a pixel.
    fn tint(&mut self, pixel: usize, colour: [u8; 3]) {
        for (value, colour) in self.rgb[pixel * 3..pixel * 3 + 3].iter_mut().zip(colour) {
            *value = value.midpoint(colour);
        }
    }

    fn frame(&mut self, [l, t, r, b]: [f32; 4], colour: [u8; 3]) {
        let (left, top) = (l.round() as i64, t.round() as i64);
        let (right, bottom) = (r.round() as i64 - 1, b.round() as i64 - 1);
        for x in left..=right.min(self.size.width as i64) {
            self.set(x, top, colour);
            self.set(x, bottom, colour);
        }
        for y in top..=bottom.min(self.size.height as i64) {
            self.set(left, y, colour);
            self.set(right, y, colour);
        }
    }

    /// A cross, dark around so that it shows on its own colour.
    fn cross(&mut self, [x, y]: [f32; 2], colour: [u8; 3]) {
        let (x, y) = (x.round() as i64, y.round() as i64);
        for d in -3..=3 {
            for e in -1..=1 {
                self.set(x + d, y + e, [0; 3]);
                self.set(x + e, y + d, [0; 3]);
            }
        }
        for d in -2..=2 {
            self.set(x + d, y, colour);
            self.set(x, y + d, colour);
        }
    }
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
    fn targets_are_drawn_where_they_are() {
        let size = Size::new(10, 20);
        let mut sample = Sample::new(Image::from_f32(vec![0.0; 200], size, 1).unwrap());
        sample.points = Some(crate::Points::new(vec![[9.5, 4.5]]));
        sample.masks = vec![Image::from_u8(vec![1; 200], size, 1).unwrap()];
        let tile = Size::new(40, 40);
        let sheet = preview_sample(&sample, &Compose::new(), 0, tile, Key::from_seed(0)).unwrap();
        let at = |x: usize, y: usize| &sheet.tiles[0][(y * 40 + x) * 3..][..3];
        assert_eq!(at(20, 2), [0, 0, 0], "above the picture");
        assert_eq!(at(5, 15), [24, 81, 42], "the mask's tint");
        assert!((18..22).any(|x| (18..22).any(|y| at(x, y) == colour(0))));
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
