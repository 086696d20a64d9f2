//! The digits, embedded or from the user's files.

use std::path::Path;

use firecraft::data::{Dataset as _, Digits, ImageDataset, Normalizer, Splits, idx, sha256_hex};
use firecraft::key::Key;
use firecraft::spec::Spec;

use crate::error::DigitsError;

const IMAGES: &str = "digits-images-idx3-ubyte.gz";
const LABELS: &str = "digits-labels-idx1-ubyte.gz";

/// The split is part of the task: it doesn't depend on the seed of a run.
const SPLIT_SEED: u64 = 0;

/// The three parts and what they need.
pub(crate) struct Data {
    pub(crate) splits: Splits,
    pub(crate) normalizer: Normalizer,
    /// Where the data comes from and its hash, for the recipe.
    pub(crate) spec: Spec,
}

impl Data {
    pub(crate) fn load(folder: Option<&Path>) -> Result<Self, DigitsError> {
        let digits = match folder {
            None => Digits::load()?,
            Some(folder) => read(folder)?,
        };
        let mut bytes: Vec<u8> = (0..digits.len())
            .flat_map(|i| digits.pixels(i).to_vec())
            .collect();
        bytes.extend(digits.labels().iter().map(|&label| label as u8));
        let spec = Spec::new("digits")
            .with("sha256", sha256_hex(&bytes))
            .with("samples", digits.len() as i64)
            .with("split_seed", SPLIT_SEED as i64);
        let splits = digits.split(0.1, 0.2, Key::from_seed(SPLIT_SEED))?;
        let normalizer = Normalizer::fit(&splits.train)?;
        Ok(Self {
            splits,
            normalizer,
            spec,
        })
    }
}

/// Reads the two IDX files; levels go from 0 to 16 as published.
fn read(folder: &Path) -> Result<ImageDataset, DigitsError> {
    let images = idx::read(&folder.join(IMAGES), 3)?;
    let labels = idx::read(&folder.join(LABELS), 1)?;
    let (height, width) = match images.shape[..] {
        [_, height, width] => (height, width),
        _ => (0, 0),
    };
    if (height, width) != (8, 8) {
        return Err(DigitsError::Shape {
            path: folder.to_path_buf(),
            height,
            width,
            channels: 1,
        });
    }
    let spread = |&level: &u8| ((u16::from(level.min(16)) * 255 + 8) / 16) as u8;
    let pixels = images.values.iter().map(spread).collect();
    let labels = labels
        .values
        .iter()
        .map(|&label| u32::from(label))
        .collect();
    let names = (0..10).map(|digit| digit.to_string()).collect();
    Ok(ImageDataset::new([8, 8, 1], pixels, labels, names)?)
}
