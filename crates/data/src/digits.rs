//! The data set that firecraft ships: 1797 handwritten digits.

use crate::image_dataset::Splits;
use crate::{DataError, ImageDataset, checksum, idx};
use firecraft_key::Key;

const IMAGES: &[u8] = include_bytes!("../assets/digits-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../assets/digits-labels-idx1-ubyte.gz");
const LEVELS: u16 = 16;

/// 1797 handwritten digits, 8 × 8 × 1, ten classes; part of this crate.
///
/// *Optical Recognition of Handwritten Digits* (Alpaydin and Kaynak, 1998,
/// doi 10.24432/C50P49, CC BY 4.0), the test half, in its original order. The
/// 17 grey levels are spread over 0 to 255: `round(level * 255 / 16)`.
pub struct Digits;

impl Digits {
    /// All digits, in their original order.
    ///
    /// # Errors
    /// None in a build that is intact; the embedded files are checked all the
    /// same.
    ///
    /// ```
    /// use firecraft_data::{Dataset, Digits};
    /// let digits = Digits::load()?;
    /// assert_eq!((digits.len(), digits.shape()), (1797, [8, 8, 1]));
    /// assert_eq!(digits.labels()[..5], [0, 1, 2, 3, 4]);
    /// assert_eq!(digits.class_counts(), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    /// # Ok::<(), firecraft_data::DataError>(())
    /// ```
    pub fn load() -> Result<ImageDataset, DataError> {
        let images = idx::parse("embedded digit images", IMAGES, 3, 1 << 20)?;
        let labels = idx::parse("embedded digit labels", LABELS, 1, 1 << 20)?;
        let pixels = images.values.iter().map(|&level| spread(level)).collect();
        let labels = labels
            .values
            .iter()
            .map(|&label| u32::from(label))
            .collect();
        let names = (0..10).map(|digit| digit.to_string()).collect();
        ImageDataset::new([8, 8, 1], pixels, labels, names)
    }

    /// 70 % for training, 10 % for validation, 20 % for the test, with the same
    /// share of every digit in each; the same `key` gives the same parts.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    ///
    /// ```
    /// use firecraft_data::{Dataset, Digits};
    /// use firecraft_key::Key;
    /// let splits = Digits::split(Key::from_seed(0))?;
    /// assert_eq!((splits.train.len(), splits.validation.len(), splits.test.len()), (1258, 180, 359));
    /// # Ok::<(), firecraft_data::DataError>(())
    /// ```
    pub fn split(key: Key) -> Result<Splits, DataError> {
        Self::load()?.split(0.1, 0.2, key)
    }

    /// SHA-256 of the embedded image and label files, for records of runs.
    #[must_use]
    pub fn checksums() -> [String; 2] {
        [checksum::sha256_hex(IMAGES), checksum::sha256_hex(LABELS)]
    }
}

fn spread(level: u8) -> u8 {
    let spread = (u16::from(level.min(LEVELS as u8)) * 255 + LEVELS / 2) / LEVELS;
    spread as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    #[test]
    fn embedded_files_are_the_published_ones() {
        assert_eq!(
            Digits::checksums(),
            [
                "16bf71e8bfa958f11ad68a045567f2a2f5362b27ab1e7cadd4cf9a3cbb37176e",
                "22e1486adc7849d49bbac7f3e6227134ade1aea8cf5289c8dceeecd5a005d43c",
            ]
        );
    }

    #[test]
    fn levels_cover_the_range_of_a_byte() {
        assert_eq!([0, 1, 8, 16].map(spread), [0, 16, 128, 255]);
        let digits = Digits::load().unwrap();
        let brightest = (0..digits.len())
            .flat_map(|i| digits.pixels(i).to_vec())
            .max();
        assert_eq!(brightest, Some(255));
    }

    #[test]
    fn the_first_digit_is_a_zero_as_scikit_learn_shows_it() {
        let digits = Digits::load().unwrap();
        let first_rows = [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0].map(spread);
        assert_eq!(digits.pixels(0)[..16], first_rows);
    }
}
