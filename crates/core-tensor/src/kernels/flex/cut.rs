//! How kernels over channels divide `[N, C, S]` among threads and caches.

use std::ops::Range;

use rayon::prelude::*;

use super::{BLOCK, GRAIN};

/// Planes shorter than this are taken as columns: one sum per element of a row,
/// down the samples.
pub(super) const SHORT: usize = 64;

/// The most columns of a block.
pub(super) const COLUMNS: usize = 1024;

/// The most planes of a block.
pub(super) const PLANES: usize = 32;

/// The division of `[N, C, S]`, by the shape alone so that results don't depend
/// on the number of threads.
///
/// Channels are taken in blocks that lie together in memory. The elements of a
/// channel are rows: its planes, or the segments of planes that are long. A
/// part is some rows of a block, and the unit of every reduction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    samples: usize,
    channels: usize,
    positions: usize,
    /// Segments per plane and their length; the last may be shorter.
    segments: usize,
    length: usize,
    /// Channels per block.
    width: usize,
    /// Parts per block.
    parts: usize,
}

/// Some rows of some channels.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) channels: Range<usize>,
    pub(super) rows: Range<usize>,
}

impl Cut {
    pub(super) fn new([samples, channels, positions]: [usize; 3]) -> Self {
        let segments = positions.div_ceil(BLOCK).max(1);
        let length = positions.div_ceil(segments);
        // At least a page, so that hardware reads ahead.
        let run = if positions < SHORT {
            COLUMNS
        } else {
            PLANES * SHORT
        };
        let width = (run / positions.max(1)).clamp(1, channels.max(1));
        let rows = samples * segments;
        let parts = (rows * length * width / (4 * GRAIN)).clamp(1, 64);
        Self {
            samples,
            channels,
            positions,
            segments,
            length,
            width,
            parts: parts.min(rows.max(1)),
        }
    }

    /// Whether planes are taken as columns.
    pub(super) fn is_columns(&self) -> bool {
        self.positions < SHORT
    }

    /// The length of a plane.
    pub(super) fn positions(&self) -> usize {
        self.positions
    }

    /// Rows that make a block of a reduction, where rows are planes.
    pub(super) fn rows_per_block(&self) -> usize {
        (BLOCK / self.length.max(1)).max(1)
    }

    /// Calls `f` with the elements of every segment of a region, in the order
    /// of memory, and with the number of its channel within the region.
    #[inline(always)]
    pub(super) fn segments(&self, at: &Region, mut f: impl FnMut(Range<usize>, usize)) {
        for row in at.rows.clone() {
            let (sample, segment) = (row / self.segments, row % self.segments);
            let start = (segment * self.length).min(self.positions);
            let end = (start + self.length).min(self.positions);
            for (i, channel) in at.channels.clone().enumerate() {
                let plane = (sample * self.channels + channel) * self.positions;
                f(plane + start..plane + end, i);
            }
        }
    }

    /// The elements of a row of a region that is taken as columns: those of all
    /// its channels.
    #[inline(always)]
    pub(super) fn run(&self, at: &Region, row: usize) -> Range<usize> {
        let start = (row * self.channels + at.channels.start) * self.positions;
        start..start + at.channels.len() * self.positions
    }

    fn part(&self, block: usize, part: usize) -> Region {
        let first = block * self.width;
        let rows = self.samples * self.segments;
        Region {
            channels: first..(first + self.width).min(self.channels),
            rows: rows * part / self.parts..rows * (part + 1) / self.parts,
        }
    }
}

/// A reduction of every channel and a write that depends on its result.
pub(super) trait Step: Sync {
    /// What a channel is reduced to.
    type Sum: Copy + Send + Sync;
    /// What the write of a channel needs.
    type Params: Copy + Send + Sync;
    /// The sum of no elements.
    const NOTHING: Self::Sum;

    /// Sets `sums` to those of the channels of a region.
    fn reduce(&self, at: &Region, sums: &mut [Self::Sum]);
    /// The sum of two regions of one channel.
    fn merge(all: Self::Sum, part: Self::Sum) -> Self::Sum;
    /// What the sum of a whole channel comes to.
    fn params(&self, channel: usize, sum: Self::Sum) -> Self::Params;
    /// Writes a region. No two calls get overlapping regions, and no other
    /// method runs on an overlapping one at the same time.
    fn write(&self, at: &Region, params: &[Self::Params]);
}

/// Runs a step on all of `cut` and returns the sums of the channels.
///
/// With enough blocks for all threads, each is read and written while it is in
/// the cache. Otherwise all parts are reduced first and written then. The bits
/// are the same.
pub(super) fn run<S: Step>(step: &S, cut: &Cut) -> Vec<S::Sum> {
    let mut sums = vec![S::NOTHING; cut.channels];
    let blocks = cut.channels.div_ceil(cut.width);
    let elements = cut.samples * cut.positions * cut.width;
    let threads = rayon::current_num_threads();
    if threads == 1 || blocks >= 4 * threads || elements * blocks < 2 * GRAIN {
        sums.par_chunks_mut(cut.width)
            .enumerate()
            .with_min_len(GRAIN.div_ceil(elements.max(1)))
            .for_each(|(block, sums)| {
                let mut part_sums = vec![S::NOTHING; sums.len()];
                for part in 0..cut.parts {
                    step.reduce(&cut.part(block, part), &mut part_sums);
                    merge::<S>(sums, &part_sums);
                }
                let first = block * cut.width;
                let params = params(step, first, sums);
                for part in 0..cut.parts {
                    step.write(&cut.part(block, part), &params);
                }
            });
        return sums;
    }

    let mut part_sums = vec![S::NOTHING; cut.channels * cut.parts];
    part_sums
        .par_chunks_mut(cut.channels)
        .enumerate()
        .for_each(|(part, sums)| {
            sums.par_chunks_mut(cut.width)
                .enumerate()
                .for_each(|(block, sums)| step.reduce(&cut.part(block, part), sums));
        });
    for part in part_sums.chunks(cut.channels) {
        merge::<S>(&mut sums, part);
    }
    let params = params(step, 0, &sums);
    (0..blocks * cut.parts).into_par_iter().for_each(|i| {
        let region = cut.part(i % blocks, i / blocks);
        step.write(&region, &params[region.channels.clone()]);
    });
    sums
}

fn merge<S: Step>(sums: &mut [S::Sum], part: &[S::Sum]) {
    for (all, part) in sums.iter_mut().zip(part) {
        *all = S::merge(*all, *part);
    }
}

fn params<S: Step>(step: &S, first: usize, sums: &[S::Sum]) -> Vec<S::Params> {
    let channels = sums.iter().enumerate();
    channels
        .map(|(i, sum)| step.params(first + i, *sum))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_parts_cover_every_element_once(
            samples in 1..5_usize,
            channels in 1..80_usize,
            positions in prop::sample::select(vec![1_usize, 3, 63, 64, 100, 5000, 9001]),
        ) {
            let cut = Cut::new([samples, channels, positions]);
            let mut seen = vec![0; samples * channels * positions];
            for block in 0..channels.div_ceil(cut.width) {
                for part in 0..cut.parts {
                    let at = cut.part(block, part);
                    let most = if cut.is_columns() { COLUMNS } else { BLOCK };
                    prop_assert!(at.channels.len() * cut.length <= most);
                    let mut mark = |range: Range<usize>| {
                        seen[range].iter_mut().for_each(|n| *n += 1);
                    };
                    if cut.is_columns() {
                        at.rows.clone().for_each(|row| mark(cut.run(&at, row)));
                    } else {
                        cut.segments(&at, |range, _| mark(range));
                    }
                }
            }
            prop_assert!(seen.iter().all(|n| *n == 1));
        }
    }
}
