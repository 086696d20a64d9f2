//! Training from arrays in memory: `fit(x, y)`.

use burn::tensor::{Device, Int, Tensor, TensorData};
use firecraft_key::Key;
use firecraft_spec::Value;
use sha2::{Digest as _, Sha256};

use crate::error::TrainerError;
use crate::model_state::hex;
use crate::source::{BatchSource, Labelled, Targets};

/// Batches of rows of two arrays: inputs of rank `D`, whose first dimension
/// counts the samples, and their targets.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firecraft_trainer::{Arrays, BatchSource, Targets};
///
/// let device = Device::flex();
/// let x = Tensor::<2>::zeros([10, 3], &device);
/// let y = Targets::Classes(Tensor::<1, Int>::zeros([10], &device));
/// let (train, valid) = Arrays::new(x, y, 4)?.shuffled(7).split(0.3)?;
/// assert_eq!((train.samples_per_epoch(), valid.samples_per_epoch()), (7, 3));
/// assert_eq!(train.batches_per_epoch(), 2);
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Arrays<const D: usize> {
    inputs: Vec<f32>,
    dims: [usize; D],
    targets: Rows,
    weights: Option<Vec<f32>>,
    batch_size: usize,
    shuffle: Option<u64>,
    carry_on: bool,
    epoch: u64,
    /// The rows of the running epoch.
    order: Vec<usize>,
    next: usize,
}

#[derive(Debug, Clone)]
enum Rows {
    Classes(Vec<i64>),
    Probabilities(Vec<f32>, usize),
    Values(Vec<f32>, usize),
}

impl<const D: usize> Arrays<D> {
    /// Batches of `batch_size` rows in the order of the arrays; the last one
    /// may be smaller.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Data`] when the arrays are empty or of other lengths,
    /// [`TrainerError::Setting`] for a batch size of 0.
    pub fn new(
        inputs: Tensor<D>,
        targets: Targets,
        batch_size: usize,
    ) -> Result<Self, TrainerError> {
        let dims = inputs.dims();
        let rows = targets.len();
        if dims[0] != rows || rows == 0 {
            return Err(unusable(format!(
                "it has {} inputs and {rows} targets; give as many of both, one at least",
                dims[0]
            )));
        }
        if batch_size == 0 {
            return Err(TrainerError::Setting {
                field: "batch_size",
                value: "0".into(),
                allowed: "at least 1",
            });
        }
        let targets = match targets {
            Targets::Classes(t) => Rows::Classes(t.into_data().iter::<i64>().collect()),
            Targets::Probabilities(t) => {
                let width = t.dims()[1];
                Rows::Probabilities(floats(t.into_data()), width)
            }
            Targets::Values(t) => {
                let width = t.dims()[1];
                Rows::Values(floats(t.into_data()), width)
            }
        };
        Ok(Self {
            inputs: floats(inputs.into_data()),
            dims,
            targets,
            weights: None,
            batch_size,
            shuffle: None,
            carry_on: false,
            epoch: 0,
            order: Vec::new(),
            next: 0,
        })
    }

    /// Gives each sample a weight in the loss: Keras' `sample_weight`.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Data`] for another number of weights than samples or a
    /// weight that is negative or not finite.
    pub fn weights(mut self, weights: Vec<f32>) -> Result<Self, TrainerError> {
        if weights.len() != self.dims[0] {
            return Err(unusable(format!(
                "it has {} samples and {} weights; give as many of both",
                self.dims[0],
                weights.len()
            )));
        }
        if let Some(odd) = weights.iter().find(|&&w| !(w >= 0.0 && w.is_finite())) {
            return Err(unusable(format!("a weight is {odd}; allowed is [0, ∞)")));
        }
        self.weights = Some(weights);
        Ok(self)
    }

    /// Multiplies the weight of each sample by that of its class: Keras'
    /// `class_weight`. Classes beyond the list have weight 1.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Data`] when the targets are no classes.
    pub fn class_weights(self, classes: &[f64]) -> Result<Self, TrainerError> {
        let Rows::Classes(labels) = &self.targets else {
            return Err(unusable("class weights need classes as targets".into()));
        };
        let of = |label: &i64| {
            let class = usize::try_from(*label).ok().and_then(|at| classes.get(at));
            class.map_or(1.0, |&weight| weight as f32)
        };
        let mut weights: Vec<f32> = labels.iter().map(of).collect();
        if let Some(old) = &self.weights {
            for (weight, old) in weights.iter_mut().zip(old) {
                *weight *= old;
            }
        }
        self.weights(weights)
    }

    /// Takes the rows of every epoch in another order, drawn from the seed.
    #[must_use]
    pub const fn shuffled(mut self, seed: u64) -> Self {
        self.shuffle = Some(seed);
        self
    }

    /// Lets an epoch that was cut short by
    /// [`limit_batches`](crate::Trainer::limit_batches) go on in the next one,
    /// until all rows were seen: Keras' `steps_per_epoch`.
    #[must_use]
    pub const fn carry_on(mut self) -> Self {
        self.carry_on = true;
        self
    }

    /// Splits the last `fraction` of the rows off, for validation: Keras'
    /// `validation_split`. They are never shuffled.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Setting`] for a fraction outside (0, 1), or one that
    /// leaves a side empty.
    pub fn split(self, fraction: f64) -> Result<(Self, Self), TrainerError> {
        let rows = self.dims[0];
        // As Keras: the number of training rows is rounded down.
        let at = (rows as f64 * (1.0 - fraction)).floor() as usize;
        if !(fraction > 0.0 && fraction < 1.0) || at == 0 || at == rows {
            return Err(TrainerError::Setting {
                field: "validation_split",
                value: format!("{fraction} of {rows} rows"),
                allowed: "in (0, 1), with a row on each side",
            });
        }
        let valid = Self {
            shuffle: None,
            ..self.rows(at, rows)
        };
        Ok((self.rows(0, at), valid))
    }

    fn rows(&self, from: usize, to: usize) -> Self {
        let order: Vec<usize> = (from..to).collect();
        let mut dims = self.dims;
        dims[0] = to - from;
        Self {
            inputs: gather(&self.inputs, self.width(), &order),
            dims,
            targets: self.targets.gather(&order),
            weights: self.weights.as_ref().map(|w| gather(w, 1, &order)),
            order: Vec::new(),
            ..*self
        }
    }

    fn width(&self) -> usize {
        self.dims[1..].iter().product()
    }

    fn plan(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.order = (0..self.dims[0]).collect();
        if let Some(seed) = self.shuffle {
            let key = Key::from_seed(seed).named("arrays").fold(epoch);
            key.rng().shuffle(&mut self.order);
        }
    }
}

impl Rows {
    fn gather(&self, order: &[usize]) -> Self {
        match self {
            Self::Classes(labels) => Self::Classes(gather(labels, 1, order)),
            Self::Probabilities(values, k) => Self::Probabilities(gather(values, *k, order), *k),
            Self::Values(values, k) => Self::Values(gather(values, *k, order), *k),
        }
    }

    fn tensors(self, rows: usize, device: &Device) -> Targets {
        match self {
            Self::Classes(labels) => Targets::Classes(Tensor::<1, Int>::from_data(
                TensorData::new(labels, [rows]),
                device,
            )),
            Self::Probabilities(values, k) => {
                let data = TensorData::new(values, [rows, k]);
                Targets::Probabilities(Tensor::from_data(data, device))
            }
            Self::Values(values, k) => {
                let data = TensorData::new(values, [rows, k]);
                Targets::Values(Tensor::from_data(data, device))
            }
        }
    }
}

impl<const D: usize> BatchSource for Arrays<D> {
    type Batch = Labelled<Tensor<D>>;

    fn batches_per_epoch(&self) -> u64 {
        self.dims[0].div_ceil(self.batch_size) as u64
    }

    fn samples_per_epoch(&self) -> u64 {
        self.dims[0] as u64
    }

    fn identity(&self) -> String {
        let mut hash = Sha256::new();
        let mut floats = |values: &[f32]| {
            for value in values {
                hash.update(value.to_le_bytes());
            }
        };
        floats(&self.inputs);
        floats(self.weights.as_deref().unwrap_or_default());
        match &self.targets {
            Rows::Probabilities(values, _) | Rows::Values(values, _) => floats(values),
            Rows::Classes(labels) => {
                for label in labels {
                    hash.update(label.to_le_bytes());
                }
            }
        }
        let digest = hex(&hash.finalize());
        format!(
            "{} rows in batches of {}, shuffle {:?}, digest {}",
            self.dims[0],
            self.batch_size,
            self.shuffle,
            &digest[..16]
        )
    }

    fn start_epoch(&mut self, epoch: u64) -> Result<(), TrainerError> {
        if !self.carry_on || self.next >= self.dims[0] || self.order.is_empty() {
            self.next = 0;
            self.plan(epoch);
        }
        Ok(())
    }

    fn next_batch(&mut self, device: &Device) -> Result<Option<Self::Batch>, TrainerError> {
        let end = self.order.len().min(self.next + self.batch_size);
        let order = &self.order[self.next.min(end)..end];
        if order.is_empty() {
            return Ok(None);
        }
        self.next = end;
        let mut dims = self.dims;
        dims[0] = order.len();
        let inputs = TensorData::new(gather(&self.inputs, self.width(), order), dims);
        let weights = self.weights.as_ref().map(|weights| {
            let data = TensorData::new(gather(weights, 1, order), [order.len()]);
            Tensor::from_data(data, device)
        });
        Ok(Some(Labelled {
            inputs: Tensor::from_data(inputs, device),
            targets: self.targets.gather(order).tensors(order.len(), device),
            weights,
        }))
    }

    fn cursor(&self) -> Value {
        Value::from(vec![self.epoch as i64, self.next as i64])
    }

    fn restore(&mut self, cursor: &Value) -> Result<(), TrainerError> {
        let [epoch, next]: [u64; 2] = firecraft_spec::from_value(cursor)?;
        self.plan(epoch);
        self.next = usize::try_from(next).unwrap_or(usize::MAX);
        Ok(())
    }
}

fn gather<T: Copy>(values: &[T], width: usize, order: &[usize]) -> Vec<T> {
    let mut rows = Vec::with_capacity(order.len() * width);
    for &row in order {
        rows.extend_from_slice(&values[row * width..(row + 1) * width]);
    }
    rows
}

fn floats(data: TensorData) -> Vec<f32> {
    data.iter::<f32>().collect()
}

fn unusable(problem: String) -> TrainerError {
    TrainerError::Data {
        split: "array",
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays() -> Arrays<2> {
        let device = Device::flex();
        let x: Vec<f32> = (0..14).map(|i| i as f32).collect();
        let x = Tensor::<2>::from_data(TensorData::new(x, [7, 2]), &device);
        let y: Vec<i64> = (0..7).collect();
        let y = Targets::Classes(Tensor::<1, Int>::from_data(y.as_slice(), &device));
        Arrays::new(x, y, 3).unwrap()
    }

    fn labels(batch: Labelled<Tensor<2>>) -> Vec<i64> {
        let Targets::Classes(labels) = batch.targets else {
            panic!("no classes");
        };
        labels.into_data().iter::<i64>().collect()
    }

    fn epoch(source: &mut Arrays<2>, epoch: u64) -> Vec<Vec<i64>> {
        let device = Device::flex();
        source.start_epoch(epoch).unwrap();
        std::iter::from_fn(|| source.next_batch(&device).unwrap().map(labels)).collect()
    }

    #[test]
    fn rows_come_in_order_and_inputs_with_their_targets() {
        let mut source = arrays();
        assert_eq!(
            epoch(&mut source, 0),
            [vec![0, 1, 2], vec![3, 4, 5], vec![6]]
        );
        source.start_epoch(1).unwrap();
        let batch = source.next_batch(&Device::flex()).unwrap().unwrap();
        let x: Vec<f32> = batch.inputs.into_data().iter().collect();
        assert_eq!(x, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn a_shuffle_holds_every_row_once_and_differs_between_epochs() {
        let mut source = arrays().shuffled(1);
        let (a, b) = (
            epoch(&mut source, 0).concat(),
            epoch(&mut source, 1).concat(),
        );
        assert_ne!(a, b);
        let mut sorted = a.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(epoch(&mut source, 0).concat(), a);
    }

    #[test]
    fn a_cursor_goes_on_where_it_was_taken() {
        let device = Device::flex();
        let mut source = arrays().shuffled(5);
        source.start_epoch(3).unwrap();
        source.next_batch(&device).unwrap();
        let mut other = arrays().shuffled(5);
        other.restore(&source.cursor()).unwrap();
        let next = |s: &mut Arrays<2>| s.next_batch(&device).unwrap().map(labels);
        assert_eq!(next(&mut source), next(&mut other));
    }

    #[test]
    fn bad_arrays_are_refused() {
        let device = Device::flex();
        let y = || Targets::Classes(Tensor::<1, Int>::zeros([3], &device));
        let x = |n| Tensor::<2>::zeros([n, 2], &device);
        assert!(Arrays::new(x(2), y(), 1).is_err());
        assert!(Arrays::new(x(3), y(), 0).is_err());
        let good = || Arrays::new(x(3), y(), 1).unwrap();
        assert!(good().weights(vec![1.0]).is_err());
        assert!(good().weights(vec![1.0, -1.0, 1.0]).is_err());
        assert!(good().split(0.0).is_err());
        assert!(good().split(0.999).is_err());
    }

    #[test]
    fn class_weights_multiply_sample_weights() {
        let source = arrays().weights(vec![2.0; 7]).unwrap();
        let source = source.class_weights(&[1.0, 0.5]).unwrap();
        assert_eq!(source.weights.unwrap()[..3], [2.0, 1.0, 2.0]);
    }
}
