//! A picture to look at transforms with.

use crate::{Boxes, Image, Points, Sample, Size};

/// A colourful picture of that size with every kind of target: two boxes, a
/// mask and four key points, drawn from nothing.
///
/// Colours run from left to right and get darker downwards, so that turns and
/// mirror images show; a disc, a square with an `F` in it and fine stripes
/// show what interpolation and blurring do.
///
/// ```
/// use firecraft_augment::{Size, test_card};
/// let card = test_card(Size::new(96, 128));
/// assert_eq!(card.image.channels(), 3);
/// assert_eq!(card.boxes.unwrap().rows.len(), 2);
/// ```
#[must_use]
pub fn test_card(size: Size) -> Sample {
    let (w, h) = (size.width as f32, size.height as f32);
    let inside = |[l, t, r, b]: [f32; 4], x: f32, y: f32| x >= l && x < r && y >= t && y < b;
    let square = [0.55 * w, 0.2 * h, 0.9 * w, 0.75 * h];
    let (cx, cy, radius) = (0.27 * w, 0.52 * h, 0.2 * w.min(h) * 1.1);
    let disc = |x: f32, y: f32| (x - cx).powi(2) + (y - cy).powi(2) < radius * radius;
    // The three strokes of the letter, as parts of the square.
    let letter = [
        [0.25, 0.15, 0.4, 0.85],
        [0.25, 0.15, 0.8, 0.3],
        [0.25, 0.45, 0.65, 0.58],
    ];
    let pixel = |x: f32, y: f32| -> [f32; 3] {
        let [l, t, r, b] = square;
        let (u, v) = ((x - l) / (r - l), (y - t) / (b - t));
        if inside(square, x, y) {
            let ink = letter.iter().any(|stroke| inside(*stroke, u, v));
            return if ink {
                [0.1, 0.1, 0.35]
            } else {
                [0.96, 0.9, 0.75]
            };
        }
        if disc(x, y) {
            return [0.85, 0.25, 0.15];
        }
        if y > 0.88 * h {
            return [f32::from(x as usize % 4 < 2); 3];
        }
        let (across, down) = (x / w, y / h);
        let bright = 1.0 - 0.6 * down;
        [
            bright * (0.25 + 0.55 * across),
            bright * (0.75 - 0.35 * across),
            bright * (0.45 + 0.5 * (1.0 - across)),
        ]
    };
    let centres =
        || (0..size.area()).map(|i| ((i % size.width) as f32 + 0.5, (i / size.width) as f32 + 0.5));
    let bytes = centres().flat_map(|(x, y)| pixel(x, y).map(|v| (v * 255.0) as u8));
    let labels = centres().map(|(x, y)| u8::from(disc(x, y)));
    // The buffers are as long as the size says.
    let image = |bytes: Vec<u8>, channels| Image::from_u8(bytes, size, channels);
    let (Ok(picture), Ok(mask)) = (image(bytes.collect(), 3), image(labels.collect(), 1)) else {
        unreachable!("as many values as pixels")
    };
    let mut sample = Sample::new(picture);
    sample.masks = vec![mask];
    sample.boxes = Some(Boxes::new(vec![
        square,
        [cx - radius, cy - radius, cx + radius, cy + radius],
    ]));
    let corner = |x: f32, y: f32| [x - 0.5, y - 0.5];
    sample.points = Some(Points::new(vec![
        corner(square[0], square[1]),
        corner(square[2], square[3]),
        corner(cx, cy),
        corner(0.1 * w, 0.12 * h),
    ]));
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_a_card() {
        for size in [
            Size::new(1, 1),
            Size::new(1, 200),
            Size::new(0, 5),
            Size::new(48, 64),
        ] {
            assert_eq!(test_card(size).validate(), Ok(()));
        }
    }
}
