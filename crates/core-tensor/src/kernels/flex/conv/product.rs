//! Products of matrices that lie in slices.

use gemm::Parallelism;

/// Who works on one product.
#[derive(Clone, Copy, Debug)]
pub(super) enum Threads {
    /// The calling thread.
    One,
    /// All of rayon's. The bits are the same: sums aren't divided.
    All,
}

impl Threads {
    /// One for each of so many parts, or all of them for every part where
    /// there are fewer parts than threads.
    pub(super) fn for_parts(parts: usize) -> Self {
        if parts < rayon::current_num_threads() {
            Self::All
        } else {
            Self::One
        }
    }
}

/// A matrix in a slice: element `[i, j]` is at `i * steps[0] + j * steps[1]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<'a> {
    elements: &'a [f32],
    dims: [usize; 2],
    steps: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// A matrix whose rows lie one after the other.
    pub(super) fn new(elements: &'a [f32], dims: [usize; 2]) -> Self {
        Self::with_distance(elements, dims, dims[1])
    }

    /// A matrix whose rows start at a distance.
    pub(super) fn with_distance(elements: &'a [f32], dims: [usize; 2], distance: usize) -> Self {
        assert!(end(dims, [distance, 1]) <= elements.len());
        Self {
            elements,
            dims,
            steps: [distance, 1],
        }
    }

    /// Rows as columns.
    pub(super) fn transposed(self) -> Self {
        let [rows, columns] = self.dims;
        let [row, column] = self.steps;
        Self {
            dims: [columns, rows],
            steps: [column, row],
            ..self
        }
    }

    /// Writes `self * other` to `into`, whose rows start at a distance, or adds
    /// it.
    pub(super) fn times(
        self,
        other: Matrix<'_>,
        into: &mut [f32],
        distance: usize,
        add: bool,
        threads: Threads,
    ) {
        let [rows, inner] = self.dims;
        let columns = other.dims[1];
        assert_eq!(inner, other.dims[0]);
        assert!(columns <= distance && end([rows, columns], [distance, 1]) <= into.len());
        let parallelism = match threads {
            Threads::One => Parallelism::None,
            Threads::All => Parallelism::Rayon(0),
        };
        let (a, b) = (self, other);
        #[allow(unsafe_code)]
        // SAFETY: the last element of each matrix lies in its slice: `end` was
        // compared with the lengths, for `a` and `b` when they were made; rows of
        // the result don't overlap since they are no longer than their distance,
        // and `into` is borrowed mutably.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                inner,
                into.as_mut_ptr(),
                1,
                distance as isize,
                add,
                a.elements.as_ptr(),
                a.steps[1] as isize,
                a.steps[0] as isize,
                b.elements.as_ptr(),
                b.steps[1] as isize,
                b.steps[0] as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}

/// One past the last element.
fn end(dims: [usize; 2], steps: [usize; 2]) -> usize {
    match dims {
        [0, _] | [_, 0] => 0,
        [rows, columns] => (rows - 1) * steps[0] + (columns - 1) * steps[1] + 1,
    }
}
