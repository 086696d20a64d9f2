//! The view of a tensor as `[before, features, after]` where the features may
//! span several axes.

use burn::tensor::Tensor;

use crate::NormError;

/// A run of neighbouring axes whose elements are normalised together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axes<const D: usize> {
    dims: [usize; D],
    first: usize,
    end: usize,
}

impl<const D: usize> Axes<D> {
    /// The axes of `x` from `first` on (negative counts from the end), whose
    /// lengths must be `lengths`.
    pub(crate) fn new(
        layer: &'static str,
        dims: [usize; D],
        first: isize,
        lengths: &[usize],
    ) -> Result<Self, NormError> {
        let resolved = if first < 0 {
            D.checked_add_signed(first)
        } else {
            Some(first.unsigned_abs())
        };
        let rank = || NormError::Rank {
            layer,
            shape: dims.to_vec(),
            expected: "the axes that are normalised, as in [N, L, C] for the last one",
        };
        let first = resolved.ok_or_else(rank)?;
        let end = first + lengths.len();
        if end > D {
            return Err(rank());
        }
        for (axis, expected) in (first..end).zip(lengths) {
            if dims[axis] != *expected {
                return Err(NormError::Features {
                    layer,
                    axis,
                    shape: dims.to_vec(),
                    got: dims[axis],
                    expected: *expected,
                });
            }
        }
        Ok(Self { dims, first, end })
    }

    /// The tensor as rows of the features, `[rows, features]`.
    pub(crate) fn to_rows(self, x: Tensor<D>) -> Tensor<2> {
        let [before, features, after] = self.view();
        if after == 1 {
            return x.reshape([before, features]);
        }
        let x = x.reshape([before, features, after]).swap_dims(1, 2);
        x.reshape([before * after, features])
    }

    /// The rows in the shape of the tensor again.
    pub(crate) fn restore(self, rows: Tensor<2>) -> Tensor<D> {
        let [before, features, after] = self.view();
        if after == 1 {
            return rows.reshape(self.dims);
        }
        let x = rows.reshape([before, after, features]).swap_dims(1, 2);
        x.reshape(self.dims)
    }

    fn view(&self) -> [usize; 3] {
        [
            self.dims[..self.first].iter().product(),
            self.dims[self.first..self.end].iter().product(),
            self.dims[self.end..].iter().product(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn rows_are_the_elements_of_the_axes_and_go_back() {
        let x = Tensor::<1, burn::tensor::Int>::arange(0..24, &Device::flex()).float();
        let x = x.reshape([2, 3, 4]);
        for (first, lengths, row) in [
            (-1, vec![4], [0.0, 1.0, 2.0, 3.0]),
            (1, vec![3], [0.0, 4.0, 8.0, 1.0]),
            (0, vec![2, 3], [0.0, 4.0, 8.0, 12.0]),
        ] {
            let axes = Axes::new("L", [2, 3, 4], first, &lengths).unwrap();
            let rows = axes.to_rows(x.clone());
            let start = rows.clone().try_into_vec_as::<f32>().unwrap();
            assert_eq!(start[..4], row);
            let back = axes.restore(rows).try_into_vec_as::<f32>().unwrap();
            assert_eq!(back, x.clone().try_into_vec_as::<f32>().unwrap());
        }
    }

    #[test]
    fn axes_that_do_not_fit_are_errors() {
        assert!(Axes::new("L", [2, 3], -3, &[2]).is_err());
        assert!(Axes::new("L", [2, 3], 1, &[3, 4]).is_err());
        assert!(Axes::new("L", [2, 3], -1, &[2]).is_err());
    }
}
