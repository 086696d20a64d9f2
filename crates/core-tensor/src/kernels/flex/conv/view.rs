//! How a convolution becomes products: what is gathered, and what is a move.

use std::borrow::Cow;
use std::ops::Range;

use super::product::Matrix;
use super::taps;
use crate::kernels::conv::Geometry;

/// More outputs of a plane than this don't stay in the cache: they are worked
/// on some rows at a time.
const MANY: usize = 1024;

/// With fewer taps in a row of the kernel than this, a product for each row is
/// too small a piece of work.
const FEW: usize = 24;

/// A convolution as sums of products `[outputs, taps] * [taps, positions]`.
pub(super) struct View {
    geometry: Geometry,
    /// What is gathered: the geometry itself, or, with moves, that of a kernel
    /// of one row at all rows of outputs that the moves reach.
    gathered: Geometry,
    /// Products: the rows of the kernel, or 1.
    moves: usize,
    /// Rows of an output plane that are worked on together.
    rows: usize,
}

impl View {
    pub(super) fn new(geometry: Geometry) -> Self {
        let [height, width] = geometry.kernel;
        let mut gathered = geometry;
        let mut moves = 1;
        if height > 1 && geometry.stride[0] == 1 && geometry.inputs * width >= FEW {
            moves = height;
            gathered.kernel[0] = 1;
            gathered.output[0] += (height - 1) * geometry.dilation[0];
        }
        Self {
            geometry,
            gathered,
            moves,
            rows: (MANY / geometry.output[1]).clamp(1, geometry.output[0]),
        }
    }

    /// Elements of an input and of an output image.
    pub(super) fn sizes(&self) -> [usize; 2] {
        let g = &self.geometry;
        [g.inputs * g.area(), g.outputs * g.positions()]
    }

    /// Taps that a product sums over.
    pub(super) fn taps(&self) -> usize {
        self.gathered.patch()
    }

    /// The parts of an output plane that are worked on one after the other.
    pub(super) fn tiles(&self) -> impl Iterator<Item = Tile> + use<> {
        let ([height, width], rows) = (self.geometry.output, self.rows);
        let reach = self.gathered.output[0] - height;
        (0..height).step_by(rows).map(move |top| {
            let bottom = (top + rows).min(height);
            Tile {
                start: top * width,
                positions: (bottom - top) * width,
                seen: top..bottom + reach,
                distance: (bottom + reach - top) * width,
            }
        })
    }

    /// Room for what is gathered of a tile.
    pub(super) fn buffer(&self) -> Vec<f32> {
        let most = self.tiles().map(|tile| tile.distance).max();
        vec![0.0; self.taps() * most.unwrap_or(0)]
    }

    /// Gathers what the taps see of an image.
    pub(super) fn gather(&self, tile: &Tile, x: &[f32], seen: &mut [f32]) {
        taps::gather(&self.gathered, x, &tile.seen, seen);
    }

    /// Adds to the elements of an image what stands where they were seen, and
    /// may change `seen`.
    pub(super) fn scatter_add(&self, tile: &Tile, seen: &mut [f32], x: &mut [f32]) {
        taps::scatter_add(&self.gathered, seen, &tile.seen, x);
    }

    /// The outputs of an image at a tile, `[outputs, positions]`.
    pub(super) fn outputs<'a>(&self, tile: &Tile, y: &'a [f32]) -> Matrix<'a> {
        let g = &self.geometry;
        let dims = [g.outputs, tile.positions];
        Matrix::with_distance(&y[tile.start..], dims, g.positions())
    }

    /// Where each product starts in what is gathered of a tile.
    pub(super) fn starts(&self) -> impl Iterator<Item = usize> {
        let step = self.geometry.dilation[0] * self.geometry.output[1];
        (0..self.moves).map(move |row| row * step)
    }

    /// What a product sees, `[taps, positions]`.
    pub(super) fn seen<'a>(&self, tile: &Tile, seen: &'a [f32], start: usize) -> Matrix<'a> {
        let dims = [self.taps(), tile.positions];
        Matrix::with_distance(&seen[start..], dims, tile.distance)
    }

    /// The weights of each product, `[outputs, taps]`, one after the other.
    pub(super) fn split<'a>(&self, weight: &'a [f32]) -> Cow<'a, [f32]> {
        if self.moves == 1 {
            return Cow::Borrowed(weight);
        }
        let mut split = vec![0.0; weight.len()];
        self.each_row(|joined, own| split[own].copy_from_slice(&weight[joined]));
        Cow::Owned(split)
    }

    /// The inverse of [`split`](Self::split).
    pub(super) fn join(&self, split: Vec<f32>) -> Vec<f32> {
        if self.moves == 1 {
            return split;
        }
        let mut weight = vec![0.0; split.len()];
        self.each_row(|joined, own| weight[joined].copy_from_slice(&split[own]));
        weight
    }

    /// Calls `f` with where a row of a kernel lies in a weight and in its split.
    fn each_row(&self, mut f: impl FnMut(Range<usize>, Range<usize>)) {
        let g = &self.geometry;
        let [height, width] = g.kernel;
        let kernels = g.outputs * g.inputs;
        for kernel in 0..kernels {
            for row in 0..height {
                let joined = (kernel * height + row) * width;
                let own = (row * kernels + kernel) * width;
                f(joined..joined + width, own..own + width);
            }
        }
    }
}

/// Some rows of an output plane.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    /// Where the tile starts in a plane, and how many outputs it has.
    pub(super) start: usize,
    positions: usize,
    /// The rows of outputs at which taps are gathered.
    seen: Range<usize>,
    /// What is gathered of one tap.
    pub(super) distance: usize,
}
