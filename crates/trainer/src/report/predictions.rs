//! The answers of a classifier on labelled data.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use crate::error::TrainerError;

/// What a classifier said about one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The right class.
    pub label: usize,
    /// The class of the greatest logit; of equal ones the first.
    pub predicted: usize,
    /// The probability that it gave to `predicted`, in `[0, 1]`.
    pub confidence: f64,
}

/// The answers of a classifier on a data set, in its order.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_trainer::report::Predictions;
///
/// let logits = Tensor::<2>::from_data([[2.0f32, 0.0], [0.0, 1.0], [3.0, 0.0]], &Device::flex());
/// let predictions = Predictions::new(logits, &[0, 1, 1])?;
/// assert_eq!(predictions.accuracy(), 2.0 / 3.0);
/// assert_eq!(predictions.mistakes(), [2]);
/// assert_eq!(predictions.confusion(), [[1, 0], [1, 1]]);
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    classes: usize,
    samples: Vec<Prediction>,
}

impl Predictions {
    /// Reads the answers off logits `[N, K]` and the right classes `[N]`.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Data`] when there are not as many labels as rows, or a
    /// label is not below `K`.
    pub fn new(logits: Tensor<2>, labels: &[u32]) -> Result<Self, TrainerError> {
        let [rows, classes] = logits.dims();
        let wrong = |problem: String| TrainerError::Data {
            split: "evaluation",
            problem,
        };
        if rows != labels.len() {
            return Err(wrong(format!(
                "{} labels for {rows} rows of logits; give one label per sample",
                labels.len()
            )));
        }
        if let Some(label) = labels.iter().find(|&&label| label as usize >= classes) {
            return Err(wrong(format!(
                "label {label} is not below the {classes} classes of the logits"
            )));
        }
        let probabilities: Vec<f64> = softmax(logits.without_autodiff(), 1)
            .into_data()
            .iter::<f64>()
            .collect();
        let samples = probabilities
            .chunks(classes.max(1))
            .zip(labels)
            .map(|(row, &label)| answer(row, label as usize))
            .collect();
        Ok(Self { classes, samples })
    }

    /// One answer per sample.
    pub fn samples(&self) -> &[Prediction] {
        &self.samples
    }

    /// Share of right answers, from 0 to 1; NaN without samples.
    pub fn accuracy(&self) -> f64 {
        let right = self.samples.len() - self.mistakes().len();
        right as f64 / self.samples.len() as f64
    }

    /// Indices of the wrong answers, the most confident first.
    pub fn mistakes(&self) -> Vec<usize> {
        let mut wrong: Vec<usize> = (0..self.samples.len())
            .filter(|&i| self.samples[i].predicted != self.samples[i].label)
            .collect();
        let confidence = |i: usize| self.samples[i].confidence;
        wrong.sort_by(|&a, &b| confidence(b).total_cmp(&confidence(a)).then(a.cmp(&b)));
        wrong
    }

    /// Counts by right class (row) and answer (column).
    pub fn confusion(&self) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; self.classes]; self.classes];
        for sample in &self.samples {
            counts[sample.label][sample.predicted] += 1;
        }
        counts
    }
}

fn answer(probabilities: &[f64], label: usize) -> Prediction {
    let mut best = (0, f64::MIN);
    for (class, &probability) in probabilities.iter().enumerate() {
        if probability > best.1 {
            best = (class, probability);
        }
    }
    Prediction {
        label,
        predicted: best.0,
        confidence: best.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn logits(rows: &[[f32; 3]]) -> Tensor<2> {
        let values: Vec<f32> = rows.iter().flatten().copied().collect();
        Tensor::<1>::from_data(values.as_slice(), &Device::flex()).reshape([rows.len(), 3])
    }

    #[test]
    fn mistakes_are_ordered_by_confidence_and_counted() {
        let rows = [
            [9.0, 0.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.0, 0.0, 4.0],
            [0.0, 2.0, 0.0],
        ];
        let predictions = Predictions::new(logits(&rows), &[0, 2, 1, 1]).unwrap();
        assert_eq!(predictions.accuracy(), 0.5);
        assert_eq!(predictions.mistakes(), [2, 1]);
        assert_eq!(predictions.confusion()[1], [0, 1, 1]);
    }

    #[test]
    fn labels_that_do_not_fit_are_refused() {
        let one = [[1.0, 0.0, 0.0]];
        let error = Predictions::new(logits(&one), &[3]).unwrap_err();
        assert!(error.to_string().contains("label 3"), "{error}");
        let error = Predictions::new(logits(&one), &[0, 1]).unwrap_err();
        assert!(error.to_string().contains("2 labels for 1 rows"), "{error}");
    }

    #[test]
    fn broken_logits_are_wrong_answers_not_panics() {
        let predictions = Predictions::new(logits(&[[f32::NAN; 3]]), &[1]).unwrap();
        assert_eq!(predictions.accuracy(), 0.0);
    }
}
