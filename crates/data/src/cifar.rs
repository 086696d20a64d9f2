//! CIFAR-10 and CIFAR-100 in their binary form (Krizhevsky, *Learning multiple
//! layers of features from tiny images*, 2009).
//!
//! A record is one label byte (CIFAR-100: two, the coarse one first) and 3072
//! levels: the red, green and blue planes of a 32 × 32 image.

use crate::{DataError, ImageDataset, Part};
use std::path::Path;

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const CIFAR10_CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// CIFAR-10: photographs of 10 kinds of things, 32 × 32 × 3; 50 000 for
/// training, 10 000 for the test.
pub struct Cifar10;

impl Cifar10 {
    /// Reads a part from the folder of the unpacked binary version
    /// (`cifar-10-batches-bin`).
    ///
    /// # Errors
    /// [`DataError::Missing`] with the place to get the files from, and
    /// [`DataError::Format`] for a file of another length or with a label above
    /// 9.
    pub fn load(folder: &Path, part: Part) -> Result<ImageDataset, DataError> {
        let files: &[&str] = match part {
            Part::Train => &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
            Part::Test => &["test_batch.bin"],
        };
        let mut images = Records::new(1, CIFAR10_CLASSES.len());
        for name in files {
            images.append_file("CIFAR-10", folder, name, 10_000)?;
        }
        images.finish(CIFAR10_CLASSES.map(str::to_owned).into())
    }
}

/// CIFAR-100: photographs of 100 kinds of things, 32 × 32 × 3; 50 000 for
/// training, 10 000 for the test.
pub struct Cifar100;

impl Cifar100 {
    /// Reads a part, with its 100 fine labels, from the folder of the unpacked
    /// binary version (`cifar-100-binary`).
    ///
    /// # Errors
    /// As [`Cifar10::load`].
    pub fn load(folder: &Path, part: Part) -> Result<ImageDataset, DataError> {
        let (name, count) = match part {
            Part::Train => ("train.bin", 50_000),
            Part::Test => ("test.bin", 10_000),
        };
        let path = folder.join("fine_label_names.txt");
        let bytes = read("CIFAR-100", &path)?;
        let names: Vec<String> = String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::trim)
            .map(str::to_owned)
            .collect();
        let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
        if names.len() != 100 {
            return Err(format_error(
                &path,
                "number of class names",
                "100",
                names.len(),
                "fetch the archive again",
            ));
        }
        let mut images = Records::new(2, names.len());
        images.append_file("CIFAR-100", folder, name, count)?;
        images.finish(names)
    }
}

/// Records read so far.
struct Records {
    /// Label bytes per record, of which the last counts.
    label_bytes: usize,
    classes: usize,
    pixels: Vec<u8>,
    labels: Vec<u32>,
}

impl Records {
    fn new(label_bytes: usize, classes: usize) -> Self {
        Self {
            label_bytes,
            classes,
            pixels: Vec::new(),
            labels: Vec::new(),
        }
    }

    fn append_file(
        &mut self,
        set: &str,
        folder: &Path,
        name: &str,
        count: usize,
    ) -> Result<(), DataError> {
        let path = folder.join(name);
        self.append(&path, &read(set, &path)?, count)
    }

    fn append(&mut self, path: &Path, bytes: &[u8], count: usize) -> Result<(), DataError> {
        let record = self.label_bytes + 3 * PLANE;
        if bytes.len() != count * record {
            let expected = format!("{} bytes ({count} records)", count * record);
            let remedy =
                "the file is truncated or another version (the binary one is read); fetch it again";
            return Err(format_error(
                path,
                "length",
                expected,
                format!("{} bytes", bytes.len()),
                remedy,
            ));
        }
        self.pixels.reserve(count * 3 * PLANE);
        for (number, record) in bytes.chunks_exact(record).enumerate() {
            let (label, planes) = record.split_at(self.label_bytes);
            let label = label.last().copied().unwrap_or(u8::MAX);
            if usize::from(label) >= self.classes {
                let what = format!("label of record {number}");
                let expected = format!("below {}", self.classes);
                return Err(format_error(
                    path,
                    &what,
                    expected,
                    label,
                    "the file is corrupt; fetch it again",
                ));
            }
            self.labels.push(u32::from(label));
            self.pixels.extend(
                (0..PLANE).flat_map(|i| [planes[i], planes[PLANE + i], planes[2 * PLANE + i]]),
            );
        }
        Ok(())
    }

    fn finish(self, class_names: Vec<String>) -> Result<ImageDataset, DataError> {
        ImageDataset::new([SIDE, SIDE, 3], self.pixels, self.labels, class_names)
    }
}

fn read(set: &str, path: &Path) -> Result<Vec<u8>, DataError> {
    if !path.is_file() {
        return Err(DataError::Missing {
            set: set.to_owned(),
            path: path.to_owned(),
            remedy: "download the binary version from https://www.cs.toronto.edu/~kriz/cifar.html, unpack it, \
                     and pass the folder that holds it"
                .to_owned(),
        });
    }
    std::fs::read(path).map_err(|source| DataError::Read {
        file: path.display().to_string(),
        source,
    })
}

fn format_error(
    path: &Path,
    what: &str,
    expected: impl ToString,
    got: impl ToString,
    remedy: &'static str,
) -> DataError {
    DataError::Format {
        file: path.display().to_string(),
        what: what.to_owned(),
        expected: expected.to_string(),
        got: got.to_string(),
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    /// `count` records whose planes are 1, 2 and 3 plus the number.
    fn records(label_bytes: usize, count: usize) -> Vec<u8> {
        let record = |n: usize| {
            let labels = std::iter::repeat_n(n as u8, label_bytes);
            let planes =
                (1..=3_u8).flat_map(move |plane| std::iter::repeat_n(plane + n as u8, PLANE));
            labels.chain(planes)
        };
        (0..count).flat_map(record).collect()
    }

    #[test]
    fn planes_become_pixels() {
        for label_bytes in [1, 2] {
            let mut images = Records::new(label_bytes, 10);
            images
                .append(Path::new("f.bin"), &records(label_bytes, 3), 3)
                .unwrap();
            let set = images
                .finish(CIFAR10_CLASSES.map(str::to_owned).into())
                .unwrap();
            assert_eq!((set.len(), set.labels()), (3, vec![0, 1, 2]));
            assert_eq!(set.pixels(2)[..6], [3, 4, 5, 3, 4, 5]);
        }
    }

    #[test]
    fn truncated_files_and_impossible_labels_are_refused() {
        let mut bytes = records(1, 3);
        let error = Records::new(1, 10)
            .append(Path::new("f.bin"), &bytes[..bytes.len() - 1], 3)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("f.bin: length is 9218 bytes, expected 9219 bytes"),
            "{error}"
        );
        bytes[3073] = 10;
        let error = Records::new(1, 10)
            .append(Path::new("f.bin"), &bytes, 3)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("label of record 1 is 10, expected below 10"),
            "{error}"
        );
    }

    #[test]
    fn whole_folders_are_read_and_missing_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Cifar10::load(folder.path(), Part::Test)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("test_batch.bin is missing") && error.contains("toronto.edu"),
            "{error}"
        );
        let mut bytes = records(2, 1).repeat(10_000);
        bytes[1] = 99;
        std::fs::write(folder.path().join("test.bin"), bytes).unwrap();
        let names = folder.path().join("fine_label_names.txt");
        std::fs::write(&names, "apple\n").unwrap();
        assert!(Cifar100::load(folder.path(), Part::Test).is_err());
        let all: String = (0..100).map(|n| format!("name{n}\n")).collect();
        std::fs::write(names, all + "\n").unwrap();
        let set = Cifar100::load(folder.path(), Part::Test).unwrap();
        assert_eq!(
            (set.len(), set.label(0), set.class_names()[99].as_str()),
            (10_000, 99, "name99")
        );
    }
}
