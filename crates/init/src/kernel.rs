//! A weight seen as `groups` blocks of `[rows, columns, taps]`, whatever its
//! memory layout; for initialisers that place single elements or matrices.

use crate::{InitError, Layout, Target};

/// Rows are the axis that the groups divide: outputs of a convolution or a
/// linear layer, inputs of a transposed convolution.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pub(crate) groups: usize,
    /// Rows of one group.
    pub(crate) rows: usize,
    /// Columns of one group.
    pub(crate) columns: usize,
    spatial: Vec<usize>,
    row_stride: usize,
    column_stride: usize,
    tap_strides: Vec<usize>,
}

impl Kernel {
    pub(crate) fn new(of: &'static str, target: &Target) -> Result<Self, InitError> {
        let rank = target.shape.len();
        if rank < 2 {
            let expected = "a weight of two axes or more";
            return Err(InitError::shape(of, expected, &target.shape));
        }
        let (row, column, groups) = match target.layout {
            Layout::ChannelsFirst { groups } | Layout::ChannelsFirstTranspose { groups } => {
                (0, 1, groups)
            }
            Layout::ChannelsLast { groups } => (rank - 1, rank - 2, groups),
            Layout::ChannelsLastTranspose => (rank - 1, rank - 2, 1),
            Layout::Embedding | Layout::Elementwise => (0, 1, 1),
        };
        let shape = &target.shape;
        if groups == 0 || !shape[row].is_multiple_of(groups) {
            let expected = format!("axis {row} to be divisible by {groups} groups");
            return Err(InitError::shape(of, expected, shape));
        }
        Ok(Self::with_axes(shape, row, column, groups))
    }

    /// One group whose rows are `axis`, negative ones counted from the end.
    pub(crate) fn along(of: &'static str, shape: &[usize], axis: isize) -> Result<Self, InitError> {
        let rank = shape.len();
        let row = if axis < 0 { axis + rank as isize } else { axis };
        match usize::try_from(row) {
            Ok(row) if row < rank && rank >= 2 => {
                Ok(Self::with_axes(shape, row, usize::from(row == 0), 1))
            }
            _ => {
                let expected = format!("a weight of two axes or more that has axis {axis}");
                Err(InitError::shape(of, expected, shape))
            }
        }
    }

    fn with_axes(shape: &[usize], row: usize, column: usize, groups: usize) -> Self {
        let rank = shape.len();
        let mut strides = vec![1; rank];
        for axis in (0..rank - 1).rev() {
            strides[axis] = strides[axis + 1] * shape[axis + 1];
        }
        let spatial = || (0..rank).filter(|axis| ![row, column].contains(axis));
        Self {
            groups,
            rows: shape[row] / groups,
            columns: shape[column],
            spatial: spatial().map(|axis| shape[axis]).collect(),
            row_stride: strides[row],
            column_stride: strides[column],
            tap_strides: spatial().map(|axis| strides[axis]).collect(),
        }
    }

    /// Number of spatial axes.
    pub(crate) fn spatial_rank(&self) -> usize {
        self.spatial.len()
    }

    /// Number of taps of the kernel.
    pub(crate) fn taps(&self) -> usize {
        self.spatial.iter().product()
    }

    /// Row-major number of the tap with index `centre(size)` on each axis.
    pub(crate) fn tap(&self, centre: impl Fn(usize) -> usize) -> usize {
        (self.spatial.iter()).fold(0, |tap, &size| tap * size + centre(size))
    }

    /// Offset of an element in the row-major buffer; `tap` is row-major.
    pub(crate) fn offset(&self, group: usize, row: usize, column: usize, tap: usize) -> usize {
        let mut rest = tap;
        let mut offset = (group * self.rows + row) * self.row_stride + column * self.column_stride;
        for (&size, &stride) in self.spatial.iter().zip(&self.tap_strides).rev() {
            offset += rest % size * stride;
            rest /= size;
        }
        offset
    }

    /// Writes the matrix of one group: a row per row, a column per (column,
    /// tap), row-major.
    pub(crate) fn write(&self, group: usize, matrix: &[f32], out: &mut [f32]) {
        let taps = self.taps();
        let width = self.columns * taps;
        let size = self.rows * width;
        let contiguous = self.row_stride == width && (taps == 1 || self.column_stride == taps);
        if contiguous {
            out[group * size..][..size].copy_from_slice(matrix);
            return;
        }
        for (i, &value) in matrix.iter().enumerate() {
            let (row, column) = (i / width, i % width);
            out[self.offset(group, row, column / taps, column % taps)] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_element_is_addressed_once(
            groups in 1..4_usize, rows in 1..4_usize, columns in 1..4_usize,
            spatial in prop::collection::vec(1..4_usize, 0..3), last: bool,
        ) {
            let (mut shape, layout) = if last {
                let mut shape = spatial.clone();
                shape.extend([columns, rows * groups]);
                (shape, Layout::ChannelsLast { groups })
            } else {
                (vec![rows * groups, columns], Layout::ChannelsFirst { groups })
            };
            if !last {
                shape.extend(&spatial);
            }
            let kernel = Kernel::new("test", &Target::new(&shape, layout)).unwrap();
            let mut seen = vec![false; shape.iter().product()];
            for group in 0..groups {
                for row in 0..rows {
                    for column in 0..columns {
                        for tap in 0..kernel.taps() {
                            let at = &mut seen[kernel.offset(group, row, column, tap)];
                            prop_assert!(!*at);
                            *at = true;
                        }
                    }
                }
            }
            prop_assert!(seen.into_iter().all(|at| at));
        }
    }
}
