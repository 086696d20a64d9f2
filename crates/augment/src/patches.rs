//! Images as sequences of patches, for transformers that take any aspect ratio.

use crate::ops::check_size;
use crate::{AugmentError, Image, Size, Values};

/// The patches of an image, row by row: timm's `Patchify`. Dehghani et al.,
/// *Patch n' Pack: NaViT* (2023).
///
/// Images of any size and aspect ratio make sequences of any length; give them
/// about the same one with [`ResizeTo::Sequence`](crate::ResizeTo::Sequence),
/// and exactly the same with [`Patches::padded`].
///
/// ```
/// use firecraft_augment::{Image, Patches, Size};
/// let image = Image::from_f32((0..12).map(|i| i as f32).collect(), Size::new(2, 6), 1)?;
/// let patches = Patches::of(&image, Size::new(2, 2))?;
/// assert_eq!(patches.len(), 3);
/// assert_eq!(patches.row(1), [2.0, 3.0, 8.0, 9.0]);
/// assert_eq!(patches.places[2], [0, 2]);
/// let four = patches.padded(4);
/// assert_eq!(four.valid, [true, true, true, false]);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Patches {
    /// `[patch, height * width * channels]`: in each patch its pixels row by
    /// row, and in each pixel its channels. Bytes are over 255.
    pub values: Vec<f32>,
    /// Row and column of each patch, counted in patches.
    pub places: Vec<[usize; 2]>,
    /// Which patches belong to the image.
    pub valid: Vec<bool>,
    each: usize,
}

impl Patches {
    /// Cuts an image into patches. What is missing of the last row and column
    /// is 0.
    ///
    /// # Errors
    /// If a patch has no pixels, or no memory would hold it.
    pub fn of(image: &Image, patch: Size) -> Result<Self, AugmentError> {
        check_size("patches", "patch", patch)?;
        let (size, channels) = (image.size(), image.channels());
        let (down, across) = (
            size.height.div_ceil(patch.height),
            size.width.div_ceil(patch.width),
        );
        let each = patch.area() * channels;
        let mut patches = Self {
            values: vec![0.0; down * across * each],
            places: (0..down * across)
                .map(|i| [i / across, i % across])
                .collect(),
            valid: vec![true; down * across],
            each,
        };
        match image.values() {
            Values::U8(data) => patches.fill(data, size, channels, patch, |v| f32::from(v) / 255.0),
            Values::F32(data) => patches.fill(data, size, channels, patch, |v| v),
        }
        Ok(patches)
    }

    fn fill<T: Copy>(
        &mut self,
        data: &[T],
        size: Size,
        channels: usize,
        patch: Size,
        number: impl Fn(T) -> f32,
    ) {
        let (from, to) = (size.width * channels, patch.width * channels);
        if from == 0 {
            return;
        }
        for (values, [row, column]) in self.values.chunks_exact_mut(self.each).zip(&self.places) {
            let rows = data.chunks_exact(from).skip(row * patch.height);
            for (out, line) in values.chunks_exact_mut(to).zip(rows) {
                for (out, value) in out.iter_mut().zip(&line[column * to..]) {
                    *out = number(*value);
                }
            }
        }
    }

    /// Number of patches, with those that don't belong to the image.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The values of a patch.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    pub fn row(&self, patch: usize) -> &[f32] {
        &self.values[patch * self.each..(patch + 1) * self.each]
    }

    /// Exactly `length` patches, for a batch: the first ones, followed by
    /// patches of zeros at place 0, which are not valid.
    #[must_use]
    pub fn padded(mut self, length: usize) -> Self {
        self.values.resize(length * self.each, 0.0);
        self.places.resize(length, [0, 0]);
        self.valid.resize(length, false);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_of_the_last_patches_is_zero() {
        let bytes = (1..=18).map(|i| i * 10).collect();
        let image = Image::from_u8(bytes, Size::new(3, 3), 2).unwrap();
        let patches = Patches::of(&image, Size::new(2, 2)).unwrap();
        assert_eq!(patches.places, [[0, 0], [0, 1], [1, 0], [1, 1]]);
        let as_bytes = |row: usize| -> Vec<u8> {
            let row = patches.row(row).iter();
            row.map(|v| (v * 255.0).round() as u8).collect()
        };
        assert_eq!(as_bytes(0), [10, 20, 30, 40, 70, 80, 90, 100]);
        assert_eq!(as_bytes(1), [50, 60, 0, 0, 110, 120, 0, 0]);
        assert_eq!(as_bytes(3), [170, 180, 0, 0, 0, 0, 0, 0]);
        assert_eq!(patches.clone().padded(2).row(1), patches.row(1));
    }

    #[test]
    fn no_pixels_are_no_patches_and_empty_patches_are_refused() {
        let none = Image::from_u8(Vec::new(), Size::new(0, 4), 1).unwrap();
        assert!(Patches::of(&none, Size::new(2, 2)).unwrap().is_empty());
        let error = Patches::of(&none, Size::new(0, 2)).unwrap_err();
        assert!(error.to_string().contains("patches: patch"), "{error}");
    }
}
