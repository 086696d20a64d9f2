//! Labelled images of one size, in memory.

use crate::{DataError, Dataset, ImageSample, Labelled, Pixels, stratified_split};
use firecraft_key::Key;
use std::fmt;
use std::sync::Arc;

/// Labelled images of one size in memory: u8 levels, N × H × W × C.
///
/// Cloning and selecting are cheap: parts share the pixels of the whole, and
/// their samples keep the ids they have in it.
///
/// ```
/// use firecraft_data::{Dataset, ImageDataset};
/// let names = vec!["dark".to_owned(), "light".to_owned()];
/// let set = ImageDataset::new([1, 1, 1], vec![3, 250, 9], vec![0, 1, 0], names)?;
/// let part = set.select(&[1, 2])?;
/// assert_eq!((part.len(), part.label(0), part.id(0)), (2, 1, 1));
/// assert_eq!(part.pixels(1), [9]);
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
#[derive(Clone)]
pub struct ImageDataset {
    shape: [usize; 3],
    pixels: Arc<[u8]>,
    labels: Arc<[u32]>,
    class_names: Arc<[String]>,
    /// Which rows of the storage belong to this part, in order.
    rows: Arc<[u32]>,
}

impl ImageDataset {
    /// A data set from its parts.
    ///
    /// # Arguments
    /// - `shape`: height, width, channels of every image.
    /// - `pixels`: N × H × W × C levels.
    /// - `labels`: N class numbers below the number of `class_names`.
    ///
    /// # Errors
    /// [`DataError::Mismatch`] if the lengths contradict each other or a label
    /// has no class.
    pub fn new(
        shape: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<u32>,
        class_names: Vec<String>,
    ) -> Result<Self, DataError> {
        let [height, width, channels] = shape;
        let size = height
            .checked_mul(width)
            .and_then(|n| n.checked_mul(channels))
            .filter(|&n| n > 0);
        let expected = size.and_then(|n| n.checked_mul(labels.len()));
        if expected != Some(pixels.len()) {
            return Err(DataError::Mismatch {
                what: "number of pixel values".to_owned(),
                expected: format!("{} images of {height}x{width}x{channels}", labels.len()),
                got: pixels.len().to_string(),
                remedy: "pass one label per image, and all images in one size",
            });
        }
        let Ok(count) = u32::try_from(labels.len()) else {
            return Err(DataError::config(
                "number of images",
                labels.len(),
                "less than 2^32",
            ));
        };
        if let Some(row) = labels
            .iter()
            .position(|&label| label as usize >= class_names.len())
        {
            return Err(DataError::Mismatch {
                what: format!("label of sample {row}"),
                expected: format!("a class below {}", class_names.len()),
                got: labels[row].to_string(),
                remedy: "check the label file, or name all classes",
            });
        }
        Ok(Self {
            shape,
            pixels: pixels.into(),
            labels: labels.into(),
            class_names: class_names.into(),
            rows: (0..count).collect(),
        })
    }

    /// Height, width and channels of every image.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The levels of image `index`: H × W × C.
    ///
    /// # Panics
    /// If `index` is not below the number of samples.
    #[must_use]
    pub fn pixels(&self, index: usize) -> &[u8] {
        let size = self.shape.iter().product::<usize>();
        let row = self.rows[index] as usize;
        &self.pixels[row * size..(row + 1) * size]
    }

    /// The class of image `index`.
    ///
    /// # Panics
    /// If `index` is not below the number of samples.
    #[must_use]
    pub fn label(&self, index: usize) -> u32 {
        self.labels[self.rows[index] as usize]
    }

    /// The classes of all images, in order.
    #[must_use]
    pub fn labels(&self) -> Vec<u32> {
        (0..self.rows.len()).map(|i| self.label(i)).collect()
    }

    /// Names of the classes.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Number of samples of each class.
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.class_names.len()];
        for i in 0..self.rows.len() {
            counts[self.label(i) as usize] += 1;
        }
        counts
    }

    /// The samples at `indices`, in that order; repetitions are allowed.
    ///
    /// # Errors
    /// [`DataError::Config`] for an index that does not exist.
    pub fn select(&self, indices: &[usize]) -> Result<Self, DataError> {
        let row = |&index: &usize| {
            let row = self.rows.get(index).copied();
            row.ok_or_else(|| {
                DataError::config("index", index, format!("below {}", self.rows.len()))
            })
        };
        Ok(Self {
            rows: indices.iter().map(row).collect::<Result<_, _>>()?,
            ..self.clone()
        })
    }

    /// The first `count` samples, or all if there are fewer.
    #[must_use]
    pub fn take(&self, count: usize) -> Self {
        Self {
            rows: self.rows[..count.min(self.rows.len())].into(),
            ..self.clone()
        }
    }

    /// Train, validation and test parts with the same share of every class.
    ///
    /// `validation` and `test` are fractions of the whole; the rest is for
    /// training. See [`stratified_split`].
    ///
    /// # Errors
    /// [`DataError::Config`] if the fractions are negative or leave nothing.
    pub fn split(&self, validation: f64, test: f64, key: Key) -> Result<Splits, DataError> {
        let fractions = [1.0 - validation - test, validation, test];
        let parts = stratified_split(&self.labels(), &fractions, key)?;
        match parts.as_slice() {
            [train, validation, test] => Ok(Splits {
                train: self.select(train)?,
                validation: self.select(validation)?,
                test: self.select(test)?,
            }),
            parts => Err(DataError::config("number of parts", parts.len(), 3)),
        }
    }
}

impl Dataset for ImageDataset {
    type Item = ImageSample;

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn get(&self, index: usize) -> Result<ImageSample, DataError> {
        if index >= self.rows.len() {
            return Err(DataError::config(
                "index",
                index,
                format!("below {}", self.rows.len()),
            ));
        }
        let [height, width, channels] = self.shape;
        let pixels = Pixels::U8(self.pixels(index).to_vec());
        Ok(ImageSample {
            pixels,
            height,
            width,
            channels,
            label: self.label(index),
        })
    }

    fn id(&self, index: usize) -> u64 {
        u64::from(self.rows[index])
    }
}

impl Labelled for ImageDataset {
    fn labels(&self) -> Vec<u32> {
        self.labels()
    }

    fn class_names(&self) -> Vec<String> {
        self.class_names().to_vec()
    }
}

impl fmt::Debug for ImageDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageDataset")
            .field("len", &self.rows.len())
            .field("shape", &self.shape)
            .field("classes", &self.class_names.len())
            .finish_non_exhaustive()
    }
}

/// The three parts that a data set is split into: learn on the first, choose on
/// the second, report on the third.
#[derive(Clone, Debug)]
pub struct Splits {
    /// For training.
    pub train: ImageDataset,
    /// For everything that is chosen.
    pub validation: ImageDataset,
    /// Read once, at the end.
    pub test: ImageDataset,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| i.to_string()).collect()
    }

    #[test]
    fn contradicting_parts_are_refused() {
        let lengths = ImageDataset::new([2, 2, 1], vec![0; 7], vec![0, 0], names(1)).unwrap_err();
        assert!(
            lengths
                .to_string()
                .contains("got 7, expected 2 images of 2x2x1"),
            "{lengths}"
        );
        let label = ImageDataset::new([1, 1, 1], vec![0; 2], vec![0, 3], names(2)).unwrap_err();
        assert!(
            label
                .to_string()
                .contains("label of sample 1: got 3, expected a class below 2"),
            "{label}"
        );
        let huge = ImageDataset::new([usize::MAX, 2, 3], vec![], vec![0], names(1));
        assert!(matches!(huge, Err(DataError::Mismatch { .. })));
        assert!(matches!(
            ImageDataset::new([0, 2, 3], vec![], vec![0], names(1)),
            Err(DataError::Mismatch { .. })
        ));
    }

    #[test]
    fn parts_of_parts_keep_their_ids() {
        let set = ImageDataset::new([1, 1, 1], (0..10).collect(), vec![0; 10], names(1)).unwrap();
        let part = set.select(&[9, 4, 2]).unwrap().select(&[2, 0]).unwrap();
        assert_eq!((part.id(0), part.id(1)), (2, 9));
        assert_eq!(part.get(1).unwrap().pixels, Pixels::U8(vec![9]));
        assert!(part.select(&[2]).is_err() && part.get(2).is_err());
        assert_eq!(set.take(3).len(), 3);
    }
}
