//! The view of a tensor as `[before, features, after]`.

use burn::tensor::Tensor;

use crate::NormError;

/// Splits the axes of a tensor at its feature axis, so that layers and kernels
/// see three axes whatever the rank. No data moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channels<const D: usize> {
    dims: [usize; D],
    axis: usize,
}

impl<const D: usize> Channels<D> {
    /// The view of `dims` whose feature axis (negative counts from the end)
    /// must have `features` elements.
    pub(crate) fn new(
        layer: &'static str,
        dims: [usize; D],
        axis: isize,
        features: usize,
    ) -> Result<Self, NormError> {
        let resolved = if axis < 0 {
            D.checked_add_signed(axis)
        } else {
            Some(axis.unsigned_abs())
        };
        let axis = match resolved {
            Some(axis) if axis < D && D >= 2 => axis,
            _ => {
                return Err(NormError::Rank {
                    layer,
                    shape: dims.to_vec(),
                    expected: "a batch axis and the feature axis, as in [N, C] or [N, C, H, W]",
                });
            }
        };
        if dims[axis] != features {
            return Err(NormError::Features {
                layer,
                axis,
                shape: dims.to_vec(),
                got: dims[axis],
                expected: features,
            });
        }
        Ok(Self { dims, axis })
    }

    /// The position of the feature axis.
    pub(crate) fn axis(&self) -> usize {
        self.axis
    }

    /// The shape of the tensor.
    pub(crate) fn shape(&self) -> Vec<usize> {
        self.dims.to_vec()
    }

    /// Values per feature.
    pub(crate) fn count(&self) -> usize {
        let [before, _, after] = self.view();
        before * after
    }

    /// `[before, features, after]`.
    pub(crate) fn view(&self) -> [usize; 3] {
        [
            self.dims[..self.axis].iter().product(),
            self.dims[self.axis],
            self.dims[self.axis + 1..].iter().product(),
        ]
    }

    /// Values per sample, where the first axis counts the samples.
    pub(crate) fn per_sample(&self, layer: &'static str) -> Result<usize, NormError> {
        if self.axis == 0 {
            return Err(NormError::Rank {
                layer,
                shape: self.shape(),
                expected: "a sample axis before the feature axis, as in [N, C, H, W]",
            });
        }
        Ok(self.dims[1..].iter().product())
    }

    /// The tensor as `[samples, features, positions]`, with all other axes as
    /// positions.
    pub(crate) fn to_samples(self, x: Tensor<D>) -> Tensor<3> {
        let [_, features, after] = self.view();
        let samples = self.dims[0];
        let between = self.dims[1..self.axis].iter().product();
        if between == 1 {
            return x.reshape([samples, features, after]);
        }
        let x = x.reshape([samples, between, features, after]);
        let x = x.swap_dims(1, 2);
        x.reshape([samples, features, between * after])
    }

    /// The samples in the axes of the tensor again.
    pub(crate) fn restore_samples(self, x: Tensor<3>) -> Tensor<D> {
        let [_, features, after] = self.view();
        let samples = self.dims[0];
        let between = self.dims[1..self.axis].iter().product();
        if between == 1 {
            return x.reshape(self.dims);
        }
        let x = x.reshape([samples, features, between, after]);
        x.swap_dims(1, 2).reshape(self.dims)
    }

    /// The tensor in three axes.
    pub(crate) fn flatten(&self, x: Tensor<D>) -> Tensor<3> {
        x.reshape(self.view())
    }

    /// The tensor in its own axes again.
    pub(crate) fn restore(&self, x: Tensor<3>) -> Tensor<D> {
        x.reshape(self.dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_axis_splits_the_shape() {
        let view = |axis, features| Channels::new("L", [2, 3, 4, 5], axis, features).unwrap();
        assert_eq!(view(1, 3).view(), [2, 3, 20]);
        assert_eq!(view(-1, 5).view(), [24, 5, 1]);
        assert_eq!(view(0, 2).view(), [1, 2, 60]);
        assert_eq!(view(-2, 4).count(), 30);
        assert_eq!(Channels::new("L", [7, 3], 1, 3).unwrap().view(), [7, 3, 1]);
    }

    #[test]
    fn wrong_axes_and_lengths_are_errors() {
        assert!(Channels::new("L", [3], 0, 3).is_err());
        assert!(Channels::new("L", [2, 3], 2, 3).is_err());
        assert!(Channels::new("L", [2, 3], -3, 3).is_err());
        let error = Channels::new("L", [2, 3], 1, 4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "L: axis 1 of the input [2, 3] has 3 features, but the layer was made for 4"
        );
    }
}
