//! Ghost batch normalisation: large batches normalised in small parts.

use burn::tensor::Tensor;
use firecraft_core_tensor::Mode;
use firecraft_core_tensor::kernels::Activation;

use super::BatchNorm;
use crate::NormError;

impl BatchNorm {
    /// The output of a batch in parts, where the configuration asks for it and
    /// the batch is larger than one part.
    pub(super) fn forward_in_parts<const D: usize>(
        &self,
        x: &Tensor<D>,
        mode: Mode,
        activation: Activation,
    ) -> Option<Result<Tensor<D>, NormError>> {
        let size = self.config.virtual_batch_size?;
        let rows = x.dims()[0];
        if rows <= size || self.running(mode).is_some() || self.recalibration().is_some() {
            return None;
        }
        let parts = part_lengths(rows, size).scan(0, |start, length| {
            let part = x.clone().narrow(0, *start, length);
            *start += length;
            Some(self.run(part, mode, activation))
        });
        Some(
            parts
                .collect::<Result<Vec<_>, _>>()
                .map(|parts| Tensor::cat(parts, 0)),
        )
    }
}

/// The fewest parts of at most `size` rows, whose lengths differ by one at
/// most: no part of a single row is left over.
fn part_lengths(rows: usize, size: usize) -> impl Iterator<Item = usize> {
    let parts = rows.div_ceil(size);
    (0..parts).map(move |part| (part + 1) * rows / parts - part * rows / parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BatchNormConfig;
    use crate::testing::random;
    use burn::module::Module;
    use burn::tensor::Device;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    #[test]
    fn parts_are_as_equal_as_they_can_be() {
        for (rows, size, want) in [
            (8, 4, vec![4, 4]),
            (9, 4, vec![3, 3, 3]),
            (10, 4, vec![3, 3, 4]),
            (5, 4, vec![2, 3]),
        ] {
            assert_eq!(part_lengths(rows, size).collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn a_batch_in_parts_is_the_layer_called_on_each_part() {
        let device = Device::flex().autodiff();
        let x = random([6, 2, 3], 5).autodiff();
        let config = BatchNormConfig::new(2);
        let ghost = config.clone().with_virtual_batch_size(3).init(&device);
        let plain = config.init(&device);
        let got = values(ghost.forward(x.clone()));
        let mut want = values(plain.forward(x.clone().narrow(0, 0, 3)));
        want.extend(values(plain.forward(x.clone().narrow(0, 3, 3))));
        assert_eq!(got, want);
        let mean = |layer: &BatchNorm| values(layer.running_mean.as_ref().unwrap().value());
        assert_eq!(mean(&ghost), mean(&plain));
        // Evaluation does not depend on parts.
        let plain_x = x.without_autodiff();
        let evaluated = values(ghost.valid().forward(plain_x.clone()));
        assert_eq!(evaluated, values(plain.valid().forward(plain_x)));
    }

    #[test]
    fn parts_of_no_row_are_an_error() {
        let config = BatchNormConfig::new(2).with_virtual_batch_size(0);
        assert!(config.try_init(&Device::flex()).is_err());
    }
}
