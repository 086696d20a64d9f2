//! Labelled images in files: folders by class, or a list in a CSV file.

use crate::decode::{Channels, decode_image};
use crate::{CsvIndex, DataError, Dataset, ImageSample, Labelled, Pixels};
use firecraft_key::Key;
use std::path::{Path, PathBuf};

const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];
/// Deeper folders are taken for a cycle of links.
const DEEPEST: usize = 16;

/// Labelled images in files, decoded when they are read.
///
/// Images keep their sizes; a map in the loader brings them to one. The id of a
/// sample is a hash of its path below the root, so that a file that is added
/// or removed does not change the keys of the others.
#[derive(Clone, Debug)]
pub struct ImageFiles {
    root: PathBuf,
    /// Paths below the root, with `/` between the parts.
    files: Vec<String>,
    labels: Vec<u32>,
    class_names: Vec<String>,
    ignored: Vec<PathBuf>,
    channels: Channels,
}

impl ImageFiles {
    /// The images below `root`, one folder per class.
    ///
    /// Classes are the folders directly in `root`, sorted by name; images are
    /// the `.jpg`, `.jpeg` and `.png` files in them, at any depth, sorted by
    /// path. Names that begin with a dot are passed over, other files are
    /// listed by [`ignored`](Self::ignored).
    ///
    /// # Errors
    /// [`DataError::Missing`] if there is no such folder,
    /// [`DataError::Mismatch`] if it has no class folders, or one without an
    /// image.
    pub fn from_folder(root: impl Into<PathBuf>) -> Result<Self, DataError> {
        let root = root.into();
        if !root.is_dir() {
            return Err(DataError::Missing {
                set: "image folder".to_owned(),
                path: root,
                remedy: "pass a folder that holds one folder of images per class".to_owned(),
            });
        }
        let mut set = Self {
            root: root.clone(),
            files: Vec::new(),
            labels: Vec::new(),
            class_names: Vec::new(),
            ignored: Vec::new(),
            channels: Channels::Rgb,
        };
        for (name, path) in entries(&root)? {
            if !path.is_dir() {
                set.ignored.push(path);
                continue;
            }
            let before = set.files.len();
            set.collect(&path, &name, 1)?;
            if set.files.len() == before {
                return Err(folder_error(
                    &path,
                    "at least one .jpg, .jpeg or .png",
                    "remove the folder or fill it",
                ));
            }
            let label = set.class_names.len() as u32;
            set.labels.resize(set.files.len(), label);
            set.class_names.push(name);
        }
        if set.class_names.is_empty() {
            return Err(folder_error(
                &root,
                "one folder per class",
                "move the images of each class into a folder",
            ));
        }
        Ok(set)
    }

    /// The images that a CSV index lists, with paths below `root`.
    #[must_use]
    pub fn from_index(root: impl Into<PathBuf>, index: &CsvIndex) -> Self {
        Self {
            root: root.into(),
            files: index.rows().iter().map(|row| row.path.clone()).collect(),
            labels: index.rows().iter().map(|row| row.label).collect(),
            class_names: index.class_names().to_vec(),
            ignored: Vec::new(),
            channels: Channels::Rgb,
        }
    }

    /// Decodes to other channels than [`Channels::Rgb`].
    #[must_use]
    pub fn with_channels(mut self, channels: Channels) -> Self {
        self.channels = channels;
        self
    }

    /// The file of sample `index`.
    ///
    /// # Panics
    /// If `index` is not below the number of samples.
    #[must_use]
    pub fn path(&self, index: usize) -> PathBuf {
        self.root.join(&self.files[index])
    }

    /// Files in the folder that are not images by their name.
    #[must_use]
    pub fn ignored(&self) -> &[PathBuf] {
        &self.ignored
    }

    fn collect(&mut self, folder: &Path, below: &str, depth: usize) -> Result<(), DataError> {
        if depth > DEEPEST {
            let remedy = "look for a link that leads back to a folder above it";
            return Err(folder_error(
                folder,
                &format!("at most {DEEPEST} folders deep"),
                remedy,
            ));
        }
        for (name, path) in entries(folder)? {
            let below = format!("{below}/{name}");
            let extension = path
                .extension()
                .and_then(|e| e.to_str())
                .map(str::to_ascii_lowercase);
            if path.is_dir() {
                self.collect(&path, &below, depth + 1)?;
            } else if extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str())) {
                self.files.push(below);
            } else {
                self.ignored.push(path);
            }
        }
        Ok(())
    }
}

/// Names and paths in a folder, sorted by name, without hidden ones.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let failed = |source| DataError::Read {
        file: folder.display().to_string(),
        source,
    };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            let got = entry.file_name().to_string_lossy().into_owned();
            return Err(DataError::Mismatch {
                what: format!("a file name in {}", folder.display()),
                expected: "valid Unicode".to_owned(),
                got,
                remedy: "rename the file",
            });
        };
        if !name.starts_with('.') {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

fn folder_error(folder: &Path, expected: &str, remedy: &'static str) -> DataError {
    DataError::Mismatch {
        what: folder.display().to_string(),
        expected: expected.to_owned(),
        got: "none".to_owned(),
        remedy,
    }
}

impl Dataset for ImageFiles {
    type Item = ImageSample;

    fn len(&self) -> usize {
        self.files.len()
    }

    fn get(&self, index: usize) -> Result<ImageSample, DataError> {
        let path = self.path(index);
        let file = path.display().to_string();
        let bytes = std::fs::read(&path).map_err(|source| DataError::Read {
            file: file.clone(),
            source,
        })?;
        let (levels, [height, width, channels]) = decode_image(&file, &bytes, self.channels)?;
        Ok(ImageSample {
            pixels: Pixels::U8(levels),
            height,
            width,
            channels,
            label: self.labels[index],
        })
    }

    fn id(&self, index: usize) -> u64 {
        Key::from_words([0, 0]).named(&self.files[index]).words()[0]
    }
}

impl Labelled for ImageFiles {
    fn labels(&self) -> Vec<u32> {
        self.labels.clone()
    }

    fn class_names(&self) -> Vec<String> {
        self.class_names.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CorruptPolicy, LoaderConfig};
    use std::fs;

    fn write(path: &Path, level: u8) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 2);
        encoder.set_color(png::ColorType::Rgb);
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&[level; 12])
            .unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (i, name) in ["b/2.png", "b/10.PNG", "b/deep/x.png", "a/1.png"]
            .iter()
            .enumerate()
        {
            write(&folder.path().join(name), i as u8);
        }
        fs::write(folder.path().join("b/notes.txt"), "hello").unwrap();
        fs::write(folder.path().join("b/.hidden.png"), "").unwrap();
        folder
    }

    #[test]
    fn classes_and_files_come_in_the_order_of_their_names() {
        let folder = folder();
        let set = ImageFiles::from_folder(folder.path()).unwrap();
        assert_eq!(set.class_names(), ["a", "b"]);
        assert_eq!(
            set.files,
            ["a/1.png", "b/10.PNG", "b/2.png", "b/deep/x.png"]
        );
        assert_eq!(set.labels(), [0, 1, 1, 1]);
        assert_eq!(set.ignored(), [folder.path().join("b/notes.txt")]);
        let sample = set.get(2).unwrap();
        assert_eq!(
            (sample.pixels, sample.label, sample.channels),
            (Pixels::U8(vec![0; 12]), 1, 3)
        );
        assert_eq!(
            set.with_channels(Channels::Grey).get(1).unwrap().pixels,
            Pixels::U8(vec![1; 4])
        );
    }

    #[test]
    fn ids_survive_a_new_file() {
        let folder = folder();
        let before = ImageFiles::from_folder(folder.path()).unwrap();
        write(&folder.path().join("a/0.png"), 9);
        let after = ImageFiles::from_folder(folder.path()).unwrap();
        assert_eq!(before.id(0), after.id(1));
        // Part of the format of keys: must not change between versions.
        assert_eq!(
            before.id(0),
            Key::from_words([0, 0]).named("a/1.png").words()[0]
        );
    }

    #[test]
    fn folders_that_are_no_data_set_are_explained() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| ImageFiles::from_folder(path).unwrap_err().to_string();
        assert!(message(&folder.path().join("nowhere")).contains("is missing; pass a folder"));
        write(&folder.path().join("flat.png"), 0);
        assert!(message(folder.path()).contains("expected one folder per class"));
        fs::create_dir(folder.path().join("empty")).unwrap();
        assert!(message(folder.path()).contains("empty: got none, expected at least one .jpg"));
    }

    #[test]
    fn unreadable_images_follow_the_policy_of_the_loader() {
        let folder = folder();
        fs::write(folder.path().join("b/2.png"), "this was an image once").unwrap();
        let set = ImageFiles::from_folder(folder.path()).unwrap();
        let bad = set.id(2);
        let config = LoaderConfig::new(4).with_workers(2);
        let strict = config.init(set.clone()).unwrap();
        let error = strict
            .epoch(0)
            .unwrap()
            .next()
            .unwrap()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("2.png: the content is neither JPEG nor PNG"),
            "{error}"
        );
        let lenient = config
            .with_corrupt_policy(CorruptPolicy::Skip)
            .init(set)
            .unwrap();
        let batch = lenient.epoch(0).unwrap().next().unwrap().unwrap();
        assert_eq!((batch.len(), batch.labels.as_slice()), (3, &[0, 1, 1][..]));
        assert_eq!(lenient.skipped()[0].id, bad);
    }
}
