//! Warping the images of a batch, spread over threads.

use super::pixels::{Layout, Pixels};
use super::row::Row;
use super::warp::run;
use crate::{AugmentError, Size, Warp};
use rayon::prelude::*;

/// Writes a batch of images in the layout `[sample, channel, height, width]`,
/// each seen through its own chain of warps, into `target`.
///
/// Samples are spread over rayon's threads; the result doesn't depend on
/// their number. An empty chain copies.
///
/// # Errors
/// If a buffer doesn't fit, or a chain ends in another size than `size`.
pub fn warp_batch(
    source: &[f32],
    target: &mut [f32],
    size: Size,
    channels: usize,
    chains: &[Vec<Warp>],
) -> Result<(), AugmentError> {
    let each = size.area() * channels;
    for got in [source.len(), target.len()] {
        if got != each * chains.len() {
            return Err(AugmentError::Length {
                operation: "warp_batch",
                got,
                expected: each * chains.len(),
            });
        }
    }
    if let Some(last) = chains
        .iter()
        .filter_map(|chain| chain.last())
        .find(|last| last.size != size)
    {
        return Err(AugmentError::BatchSize {
            operation: "warp_batch",
            got: last.size,
            expected: size,
        });
    }
    if each == 0 {
        return Ok(());
    }
    target
        .par_chunks_mut(each)
        .zip(source.par_chunks(each))
        .zip(chains)
        .try_for_each_init(Chain::default, |scratch, ((target, source), chain)| {
            scratch.chain(source, target, size, channels, chain)
        })
}

/// Buffers of one thread.
#[derive(Debug, Default)]
struct Chain {
    row: Row,
    between: [Vec<f32>; 2],
}

impl Chain {
    fn chain(
        &mut self,
        source: &[f32],
        target: &mut [f32],
        size: Size,
        channels: usize,
        chain: &[Warp],
    ) -> Result<(), AugmentError> {
        let Some((last, first)) = chain.split_last() else {
            target.copy_from_slice(source);
            return Ok(());
        };
        let (mut before, mut size) = (source, size);
        let [one, other] = &mut self.between;
        let (mut spare, mut taken) = (one, other);
        for warp in first {
            spare.clear();
            spare.resize(warp.size.area() * channels, 0.0);
            let pixels = Pixels::new(before, size, channels, Layout::Chw)?;
            run(pixels, spare, warp, &mut self.row);
            std::mem::swap(&mut spare, &mut taken);
            (before, size) = (taken.as_slice(), warp.size);
        }
        let pixels = Pixels::new(before, size, channels, Layout::Chw)?;
        run(pixels, target, last, &mut self.row);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Border, Interpolation, Matrix};

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let size = Size::new(19, 23);
        let data: Vec<f32> = (0..16 * 3 * size.area())
            .map(|i| (i * 37 % 101) as f32 / 101.0)
            .collect();
        let chains: Vec<Vec<Warp>> = (0..16)
            .map(|i| {
                vec![Warp {
                    matrix: Matrix::rotation(f64::from(i) / 16.3).about(size.centre()),
                    size,
                    interpolation: Interpolation::Bilinear,
                    border: Border::Symmetric,
                }]
            })
            .collect();
        let run = |threads| {
            let mut out = vec![0.0; data.len()];
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| warp_batch(&data, &mut out, size, 3, &chains).unwrap());
            out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(8));
    }

    #[test]
    fn buffers_and_chains_that_do_not_fit_are_refused() {
        let size = Size::new(2, 2);
        let mut out = [0.0; 4];
        assert!(warp_batch(&[0.0; 3], &mut out, size, 1, &[vec![]]).is_err());
        let chain = vec![Warp::identity(Size::new(1, 2))];
        assert!(warp_batch(&[0.0; 4], &mut out, size, 1, &[chain]).is_err());
        warp_batch(&[], &mut [], Size::new(0, 2), 1, &[vec![]]).unwrap();
    }
}
