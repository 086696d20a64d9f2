//! MixUp and CutMix in the loop.

use burn::tensor::{Tensor, TensorData};
use firecraft_augment::{AugmentError, Mixing, Size, one_hot};
use firecraft_key::Key;

use crate::error::TrainerError;
use crate::source::{Labelled, Targets};

/// Mixes the images of a batch and their labels, for
/// [`BatchSource::map_batches`](crate::BatchSource::map_batches).
///
/// Targets become probabilities; the accuracy of training is then that of the
/// heavier label. Weights of samples can't be mixed and are an error. The batch
/// is mixed on the host.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firecraft_augment::Mixing;
/// use firecraft_trainer::{Arrays, BatchSource, Targets, mix_batches};
///
/// let device = Device::flex();
/// let x = Tensor::<4>::ones([6, 1, 2, 2], &device);
/// let y = Targets::Classes(Tensor::<1, Int>::from_data([0, 1, 2, 0, 1, 2], &device));
/// let mut source = Arrays::new(x, y, 3)?
///     .map_batches(7, "mixup", mix_batches(Mixing::mixup(0.2), 3)?);
/// source.start_epoch(0)?;
/// let batch = source.next_batch(&device)?.unwrap();
/// assert!(matches!(batch.targets, Targets::Probabilities(q) if q.dims() == [3, 3]));
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
///
/// # Errors
///
/// [`TrainerError::Data`] for settings of the mixing outside their ranges.
#[allow(clippy::type_complexity, reason = "an alias can't hold `impl FnMut`")]
pub fn mix_batches(
    mixing: Mixing,
    classes: usize,
) -> Result<
    impl FnMut(Labelled<Tensor<4>>, Key) -> Result<Labelled<Tensor<4>>, TrainerError>,
    TrainerError,
> {
    mixing.validate().map_err(unmixable)?;
    Ok(move |batch, key| mix(&mixing, classes, batch, key))
}

fn mix(
    mixing: &Mixing,
    classes: usize,
    batch: Labelled<Tensor<4>>,
    key: Key,
) -> Result<Labelled<Tensor<4>>, TrainerError> {
    let [samples, channels, height, width] = batch.inputs.dims();
    let device = batch.inputs.device();
    if batch.weights.is_some() {
        return Err(TrainerError::Data {
            split: "training",
            problem: "weighted samples can't be mixed; leave the weights or the mixing out".into(),
        });
    }
    let rows = match batch.targets {
        Targets::Classes(labels) => {
            let labels: Vec<usize> = labels
                .into_data()
                .iter::<i64>()
                .map(|label| usize::try_from(label).unwrap_or(usize::MAX))
                .collect();
            one_hot(&labels, classes, 0.0).map_err(unmixable)?
        }
        Targets::Probabilities(values) | Targets::Values(values) => {
            values.into_data().iter::<f32>().collect()
        }
    };
    let size = Size::new(height, width);
    let plan = mixing.plan(samples, size, key).map_err(unmixable)?;
    let mut images: Vec<f32> = batch.inputs.into_data().iter::<f32>().collect();
    plan.apply(&mut images, size, channels).map_err(unmixable)?;
    let rows = plan.labels(&rows).map_err(unmixable)?;
    let kept = plan.pairs.len();
    let images = TensorData::new(images, [kept, channels, height, width]);
    let rows = TensorData::new(rows, [kept, classes]);
    Ok(Labelled {
        inputs: Tensor::from_data(images, &device),
        targets: Targets::Probabilities(Tensor::from_data(rows, &device)),
        weights: None,
    })
}

fn unmixable(error: AugmentError) -> TrainerError {
    TrainerError::Data {
        split: "training",
        problem: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};

    fn batch(labels: &[i64]) -> Labelled<Tensor<4>> {
        let device = Device::flex();
        let pixels: Vec<f32> = (0..labels.len() * 4).map(|i| (i / 4) as f32).collect();
        Labelled {
            inputs: Tensor::from_data(TensorData::new(pixels, [labels.len(), 1, 2, 2]), &device),
            targets: Targets::Classes(Tensor::<1, Int>::from_data(labels, &device)),
            weights: None,
        }
    }

    #[test]
    fn images_and_labels_are_mixed_by_one_weight() {
        let mut map = mix_batches(Mixing::mixup(1.0), 3).unwrap();
        let mixed = map(batch(&[0, 1, 2]), Key::from_seed(1)).unwrap();
        let images: Vec<f32> = mixed.inputs.into_data().iter().collect();
        let Targets::Probabilities(rows) = mixed.targets else {
            panic!("no probabilities");
        };
        let rows: Vec<f32> = rows.into_data().iter().collect();
        // The second sample is mixed with the first, whose pixels are 0.
        assert!((images[4] - rows[4]).abs() < 1e-6, "{images:?} {rows:?}");
        let again = map(batch(&[0, 1, 2]), Key::from_seed(1)).unwrap();
        assert_eq!(
            again.inputs.into_data().iter::<f32>().collect::<Vec<_>>(),
            images
        );
    }

    #[test]
    fn labels_out_of_range_and_weights_are_refused() {
        let mut map = mix_batches(Mixing::mixup(1.0), 2).unwrap();
        assert!(map(batch(&[0, 2]), Key::from_seed(1)).is_err());
        let mut weighted = batch(&[0, 1]);
        weighted.weights = Some(Tensor::ones([2], &Device::flex()));
        assert!(map(weighted, Key::from_seed(1)).is_err());
        assert!(mix_batches(Mixing::mixup(-1.0), 2).is_err());
    }
}
