//! Parts of a data set that read from the whole.

use crate::{DataError, Dataset, stratified_split};
use firecraft_key::Key;
use std::sync::Arc;

/// A data set whose samples have classes.
pub trait Labelled: Dataset {
    /// The class of each sample.
    fn labels(&self) -> Vec<u32>;

    /// Names of the classes.
    fn class_names(&self) -> Vec<String>;
}

impl<D: Labelled> Labelled for Arc<D> {
    fn labels(&self) -> Vec<u32> {
        (**self).labels()
    }

    fn class_names(&self) -> Vec<String> {
        (**self).class_names()
    }
}

/// Some samples of a data set, in an order of their own, with the ids that they
/// have in the whole.
#[derive(Debug)]
pub struct Subset<D> {
    whole: Arc<D>,
    indices: Arc<[usize]>,
}

impl<D> Clone for Subset<D> {
    fn clone(&self) -> Self {
        Self {
            whole: Arc::clone(&self.whole),
            indices: Arc::clone(&self.indices),
        }
    }
}

impl<D: Dataset> Subset<D> {
    /// The samples of `whole` at `indices`, in that order.
    ///
    /// # Errors
    /// [`DataError::Config`] for an index that does not exist.
    pub fn new(whole: Arc<D>, indices: Vec<usize>) -> Result<Self, DataError> {
        let len = whole.len();
        match indices.iter().find(|&&index| index >= len) {
            Some(index) => Err(DataError::config("index", index, format!("below {len}"))),
            None => Ok(Self {
                whole,
                indices: indices.into(),
            }),
        }
    }

    /// The data set that this is a part of.
    #[must_use]
    pub fn whole(&self) -> &Arc<D> {
        &self.whole
    }

    /// Indices in the whole.
    #[must_use]
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    type Item = D::Item;

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&self, index: usize) -> Result<D::Item, DataError> {
        match self.indices.get(index) {
            Some(&index) => self.whole.get(index),
            None => Err(DataError::config(
                "index",
                index,
                format!("below {}", self.indices.len()),
            )),
        }
    }

    fn id(&self, index: usize) -> u64 {
        self.whole.id(self.indices[index])
    }
}

impl<D: Labelled> Labelled for Subset<D> {
    fn labels(&self) -> Vec<u32> {
        let all = self.whole.labels();
        self.indices.iter().map(|&index| all[index]).collect()
    }

    fn class_names(&self) -> Vec<String> {
        self.whole.class_names()
    }
}

/// Sets aside a `fraction` of a data set for validation, the same share of
/// every class, chosen by `key`; returns what is left and the part set aside.
///
/// Keras' `validation_split=` takes the last samples instead, whatever their
/// classes.
///
/// # Errors
/// [`DataError::Config`] unless `fraction` is in `[0, 1]`.
///
/// ```
/// use firecraft_data::{Dataset, Digits, validation_split};
/// use firecraft_key::Key;
/// let (train, validation) = validation_split(Digits::load()?.into(), 0.1, Key::from_seed(3))?;
/// assert_eq!((train.len(), validation.len()), (1617, 180));
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
pub fn validation_split<D: Labelled>(
    whole: Arc<D>,
    fraction: f64,
    key: Key,
) -> Result<(Subset<D>, Subset<D>), DataError> {
    if !(0.0..=1.0).contains(&fraction) {
        return Err(DataError::config(
            "validation fraction",
            fraction,
            "from 0 to 1",
        ));
    }
    let parts = stratified_split(&whole.labels(), &[1.0 - fraction, fraction], key)?;
    let mut parts = parts
        .into_iter()
        .map(|indices| Subset::new(Arc::clone(&whole), indices));
    let mut next = || {
        parts
            .next()
            .unwrap_or_else(|| Subset::new(Arc::clone(&whole), Vec::new()))
    };
    Ok((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digits;

    #[test]
    fn a_part_reads_the_samples_of_the_whole() {
        let digits = Arc::new(Digits::load().unwrap());
        let part = Subset::new(Arc::clone(&digits), vec![7, 3]).unwrap();
        assert_eq!(part.get(0).unwrap(), digits.get(7).unwrap());
        assert_eq!((part.id(1), part.labels()), (3, vec![7, 3]));
        let nested = Subset::new(Arc::new(part), vec![1]).unwrap();
        assert_eq!((nested.id(0), nested.class_names().len()), (3, 10));
        assert!(nested.get(1).is_err() && Subset::new(digits, vec![1797]).is_err());
    }

    #[test]
    fn both_parts_together_are_the_whole() {
        let digits = Arc::new(Digits::load().unwrap());
        let (train, validation) = validation_split(digits, 0.25, Key::from_seed(1)).unwrap();
        let mut all = [train.indices(), validation.indices()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1797).collect::<Vec<_>>());
    }

    #[test]
    fn impossible_fractions_are_refused() {
        for fraction in [-0.1, 1.5, f64::NAN] {
            let digits = Arc::new(Digits::load().unwrap());
            assert!(validation_split(digits, fraction, Key::from_seed(0)).is_err());
        }
    }
}
