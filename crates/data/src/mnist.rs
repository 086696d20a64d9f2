//! MNIST and Fashion-MNIST from files that the user has.

use crate::{DataError, ImageDataset, checksum, idx};
use std::path::{Path, PathBuf};

/// Which of the two published parts of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// 60 000 images.
    Train,
    /// 10 000 images.
    Test,
}

struct Files {
    set: &'static str,
    source: &'static str,
    /// SHA-256 of the uncompressed images and labels, train then test.
    digests: [[&'static str; 2]; 2],
}

const MNIST: Files = Files {
    set: "MNIST",
    source: "https://ossci-datasets.s3.amazonaws.com/mnist/",
    digests: [
        [
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ],
        [
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ],
    ],
};

const FASHION: Files = Files {
    set: "Fashion-MNIST",
    source: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    digests: [
        [
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ],
        [
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ],
    ],
};

/// Names of the classes of Fashion-MNIST, in the order of their labels.
const FASHION_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// MNIST: handwritten digits, 28 × 28 × 1 (LeCun, Cortes, Burges).
pub struct Mnist;

impl Mnist {
    /// Reads a part from the folder that holds its four published files, gzip
    /// or plain, and checks their SHA-256.
    ///
    /// # Errors
    /// [`DataError::Missing`] with the place to get the files from,
    /// [`DataError::Checksum`], and the errors of [`idx::parse`].
    pub fn load(folder: &Path, part: Part) -> Result<ImageDataset, DataError> {
        load(
            folder,
            part,
            &MNIST,
            (0..10).map(|digit| digit.to_string()).collect(),
        )
    }
}

/// Fashion-MNIST: ten kinds of clothing, 28 × 28 × 1 (Xiao, Rasul, Vollgraf,
/// 2017, arXiv:1708.07747; MIT licence).
pub struct FashionMnist;

impl FashionMnist {
    /// Reads a part from the folder that holds its four published files, gzip
    /// or plain, and checks their SHA-256.
    ///
    /// # Errors
    /// As [`Mnist::load`].
    pub fn load(folder: &Path, part: Part) -> Result<ImageDataset, DataError> {
        load(
            folder,
            part,
            &FASHION,
            FASHION_CLASSES.map(str::to_owned).into(),
        )
    }
}

fn load(
    folder: &Path,
    part: Part,
    files: &Files,
    class_names: Vec<String>,
) -> Result<ImageDataset, DataError> {
    let (prefix, digests) = match part {
        Part::Train => ("train", files.digests[0]),
        Part::Test => ("t10k", files.digests[1]),
    };
    let images = read(
        folder,
        &format!("{prefix}-images-idx3-ubyte"),
        3,
        files,
        digests[0],
    )?;
    let labels = read(
        folder,
        &format!("{prefix}-labels-idx1-ubyte"),
        1,
        files,
        digests[1],
    )?;
    let [_, height, width] = images.shape[..] else {
        return Err(DataError::config(
            "number of dimensions",
            images.shape.len(),
            3,
        ));
    };
    let labels = labels
        .values
        .iter()
        .map(|&label| u32::from(label))
        .collect();
    ImageDataset::new([height, width, 1], images.values, labels, class_names)
}

fn read(
    folder: &Path,
    name: &str,
    dimensions: usize,
    files: &Files,
    digest: &str,
) -> Result<idx::IdxArray, DataError> {
    let path = find(folder, name).ok_or_else(|| DataError::Missing {
        set: files.set.to_owned(),
        path: folder.join(format!("{name}.gz")),
        remedy: format!(
            "download it from {} and pass the folder that holds it",
            files.source
        ),
    })?;
    let array = idx::read(&path, dimensions)?;
    checksum::verify(
        &path.display().to_string(),
        &[&idx::header(&array)?, &array.values],
        digest,
    )?;
    Ok(array)
}

/// The file under its published name, or as some archives unpack it.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let dotted = name.replacen("-idx", ".idx", 1);
    [
        format!("{name}.gz"),
        name.to_owned(),
        format!("{dotted}.gz"),
        dotted,
    ]
    .into_iter()
    .map(|name| folder.join(name))
    .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_set_says_where_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = FashionMnist::load(folder.path(), Part::Train)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("Fashion-MNIST: ") && error.contains("download it from http"),
            "{error}"
        );
    }

    #[test]
    fn a_file_with_another_content_fails_its_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let array = idx::IdxArray {
            shape: vec![1, 28, 28],
            values: vec![0; 784],
        };
        std::fs::write(
            folder.path().join("t10k-images.idx3-ubyte"),
            idx::encode(&array).unwrap(),
        )
        .unwrap();
        let error = Mnist::load(folder.path(), Part::Test).unwrap_err();
        assert!(matches!(error, DataError::Checksum { .. }), "{error}");
    }
}
