//! The test: what the trained network says about data it has never seen.

use burn::module::Module as _;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use firecraft::data::{Batch, ImageDataset, LoaderConfig, Normalizer};
use firecraft::trainer::Supervised as _;

use crate::error::DigitsError;
use crate::model::DigitNet;

/// What the network said about one image.
pub(crate) struct Prediction {
    pub(crate) label: usize,
    pub(crate) predicted: usize,
    /// Probability that it gave to what it said.
    pub(crate) confidence: f64,
}

/// The predictions on a data set, in its order.
pub(crate) struct Evaluation {
    pub(crate) predictions: Vec<Prediction>,
}

const CLASSES: usize = 10;

impl Evaluation {
    pub(crate) fn of(
        model: &DigitNet,
        dataset: &ImageDataset,
        normalizer: &Normalizer,
        device: &Device,
    ) -> Result<Self, DigitsError> {
        let model = model.valid();
        let device = device.clone().without_autodiff();
        let mut predictions = Vec::new();
        for batch in LoaderConfig::new(256).init(dataset.clone())?.epoch(0)? {
            let batch: Batch = batch?;
            let images = batch.to_normalized_tensors(normalizer, &device)?.images;
            let probabilities: Tensor<2> = softmax(model.forward(images), 1);
            let probabilities: Vec<f64> = probabilities.into_data().iter::<f64>().collect();
            for (row, &label) in probabilities.chunks(CLASSES).zip(&batch.labels) {
                let (predicted, confidence) =
                    row.iter()
                        .copied()
                        .enumerate()
                        .fold(
                            (0, f64::MIN),
                            |best, next| {
                                if next.1 > best.1 { next } else { best }
                            },
                        );
                predictions.push(Prediction {
                    label: label as usize,
                    predicted,
                    confidence,
                });
            }
        }
        Ok(Self { predictions })
    }

    /// Share of right answers, from 0 to 1.
    pub(crate) fn accuracy(&self) -> f64 {
        let right = self.predictions.len() - self.mistakes().len();
        right as f64 / self.predictions.len() as f64
    }

    /// Indices of the wrong answers, the most confident first.
    pub(crate) fn mistakes(&self) -> Vec<usize> {
        let mut wrong: Vec<usize> = (0..self.predictions.len())
            .filter(|&i| self.predictions[i].predicted != self.predictions[i].label)
            .collect();
        let confidence = |i: usize| self.predictions[i].confidence;
        wrong.sort_by(|&a, &b| confidence(b).total_cmp(&confidence(a)).then(a.cmp(&b)));
        wrong
    }

    /// Counts by right class (row) and answer (column).
    pub(crate) fn confusion(&self) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; CLASSES]; CLASSES];
        for prediction in &self.predictions {
            counts[prediction.label][prediction.predicted] += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_ordered_by_confidence_and_counted() {
        let prediction = |label, predicted, confidence| Prediction {
            label,
            predicted,
            confidence,
        };
        let evaluation = Evaluation {
            predictions: vec![
                prediction(1, 1, 0.9),
                prediction(2, 7, 0.6),
                prediction(3, 8, 0.8),
                prediction(3, 3, 0.4),
            ],
        };
        assert_eq!(evaluation.accuracy(), 0.5);
        assert_eq!(evaluation.mistakes(), [2, 1]);
        assert_eq!(evaluation.confusion()[3][8], 1);
        assert_eq!(evaluation.confusion()[3][3], 1);
    }
}
