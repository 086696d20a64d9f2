//! Convolution as matrix products.
//!
//! What the taps of a kernel see of an image is gathered into the rows of a
//! matrix, one per tap, and multiplied by the weights. Taps of one column of
//! the kernel see the same image, moved by some rows: where the stride allows
//! it, they share one row of the matrix, and every row of the kernel is a
//! product of its own. So for three rows a third of the memory is written, and
//! it stays in the second cache.
//!
//! Results don't depend on the number of threads: an image is worked on by one
//! thread, and sums over images are cut into parts by the shape alone and merged
//! in order.

mod product;
mod taps;
mod view;

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::{GRAIN, contiguous, elements, tensor};
use crate::kernels::conv::Geometry;
use product::{Matrix, Threads};
use view::View;

/// The most parts of the sum over images, and the most elements that the sums
/// of all parts take.
const PARTS: usize = 32;
const PARTIAL_SUMS: usize = 1 << 20;

/// The output for `x` and `weight`.
pub(crate) fn forward(x: FlexTensor, weight: FlexTensor, geometry: Geometry) -> FlexTensor {
    let [x, weight] = [x, weight].map(contiguous);
    let view = View::new(geometry);
    let (x, weight) = (elements(&x), view.split(elements(&weight)));
    let weights = Weights::new(&view, &geometry, &weight);
    let [from, to] = view.sizes();
    let (per, threads) = share(geometry.images);
    let mut output = vec![0.0; geometry.images * to];
    output
        .par_chunks_mut(per * to)
        .zip(x.par_chunks(per * from))
        .for_each(|(output, x)| {
            let mut seen = view.buffer();
            for (output, x) in output.chunks_exact_mut(to).zip(x.chunks_exact(from)) {
                for tile in view.tiles() {
                    view.gather(&tile, x, &mut seen);
                    let output = &mut output[tile.start..];
                    for (i, (weight, start)) in weights.iter().enumerate() {
                        let seen = view.seen(&tile, &seen, start);
                        weight.times(seen, output, geometry.positions(), i > 0, threads);
                    }
                }
            }
        });
    let [height, width] = geometry.output;
    tensor(output, [geometry.images, geometry.outputs, height, width])
}

/// The gradient of the input.
pub(crate) fn backward_input(
    weight: FlexTensor,
    gradient: FlexTensor,
    geometry: Geometry,
) -> FlexTensor {
    let [weight, gradient] = [weight, gradient].map(contiguous);
    let view = View::new(geometry);
    let (weight, gradient) = (view.split(elements(&weight)), elements(&gradient));
    let weights = Weights::new(&view, &geometry, &weight);
    let [to, from] = view.sizes();
    let (per, threads) = share(geometry.images);
    let mut input = vec![0.0; geometry.images * to];
    input
        .par_chunks_mut(per * to)
        .zip(gradient.par_chunks(per * from))
        .for_each(|(input, gradient)| {
            let mut seen = view.buffer();
            let images = gradient.chunks_exact(from);
            for (input, gradient) in input.chunks_exact_mut(to).zip(images) {
                for tile in view.tiles() {
                    let gradient = view.outputs(&tile, gradient);
                    seen.fill(0.0);
                    for (weight, start) in weights.iter() {
                        let (weight, seen) = (weight.transposed(), &mut seen[start..]);
                        weight.times(gradient, seen, tile.distance, true, threads);
                    }
                    view.scatter_add(&tile, &mut seen, input);
                }
            }
        });
    let [height, width] = geometry.input;
    tensor(input, [geometry.images, geometry.inputs, height, width])
}

/// The gradient of the weight.
pub(crate) fn backward_weight(
    x: FlexTensor,
    gradient: FlexTensor,
    geometry: Geometry,
) -> FlexTensor {
    let [x, gradient] = [x, gradient].map(contiguous);
    let (x, gradient) = (elements(&x), elements(&gradient));
    let view = View::new(geometry);
    let [from, to] = view.sizes();
    let len = geometry.outputs * geometry.patch();
    let parts = (PARTIAL_SUMS / len).clamp(8, PARTS).min(geometry.images);
    let per = geometry.images.div_ceil(parts);
    let parts = geometry.images.div_ceil(per);
    let threads = Threads::for_parts(parts);
    let mut sums = vec![0.0; parts * len];
    sums.par_chunks_mut(len)
        .zip(x.par_chunks(per * from))
        .zip(gradient.par_chunks(per * to))
        .for_each(|((sum, x), gradient)| {
            let mut seen = view.buffer();
            for (x, gradient) in x.chunks_exact(from).zip(gradient.chunks_exact(to)) {
                for tile in view.tiles() {
                    view.gather(&tile, x, &mut seen);
                    let gradient = view.outputs(&tile, gradient);
                    let products = sum.chunks_exact_mut(geometry.outputs * view.taps());
                    for (sum, start) in products.zip(view.starts()) {
                        let seen = view.seen(&tile, &seen, start).transposed();
                        gradient.times(seen, sum, view.taps(), true, threads);
                    }
                }
            }
        });
    let (sum, rest) = sums.split_at_mut(len);
    sum.par_chunks_mut(GRAIN)
        .enumerate()
        .for_each(|(chunk, sum)| {
            for part in rest.chunks_exact(len) {
                let part = part[chunk * GRAIN..].iter();
                sum.iter_mut()
                    .zip(part)
                    .for_each(|(sum, part)| *sum += part);
            }
        });
    sums.truncate(len);
    let [height, width] = geometry.kernel;
    let dims = [geometry.outputs, geometry.inputs, height, width];
    tensor(view.join(sums), dims)
}

/// The weights of all products, split.
struct Weights<'a> {
    view: &'a View,
    split: &'a [f32],
    /// Of one product.
    dims: [usize; 2],
}

impl<'a> Weights<'a> {
    fn new(view: &'a View, geometry: &Geometry, split: &'a [f32]) -> Self {
        Self {
            view,
            split,
            dims: [geometry.outputs, view.taps()],
        }
    }

    /// The matrix of each product, and where it starts in what is gathered.
    fn iter(&self) -> impl Iterator<Item = (Matrix<'_>, usize)> {
        let [outputs, taps] = self.dims;
        let products = self.split.chunks_exact(outputs * taps);
        products
            .map(|weights| Matrix::new(weights, self.dims))
            .zip(self.view.starts())
    }
}

/// Images per task, and who works on the products of one.
fn share(images: usize) -> (usize, Threads) {
    let tasks = (4 * rayon::current_num_threads()).min(images);
    let per = images.div_ceil(tasks);
    (per, Threads::for_parts(images.div_ceil(per)))
}
