//! What the taps of a kernel see of an image, as the rows of a matrix, and back.
//!
//! A row is what one tap of the kernel, of one channel, sees at all outputs: a
//! plane, moved.

use std::ops::Range;

use crate::kernels::conv::Geometry;
use crate::kernels::flex::{vectorised, width::Width};

/// Writes what the taps see at the outputs in `rows` of one image.
pub(super) fn gather(g: &Geometry, image: &[f32], rows: &Range<usize>, seen: &mut [f32]) {
    let len = rows.len() * g.output[1];
    for_each_tap(g, rows, |i, channel, tap| {
        let plane = &image[channel * g.area()..][..g.area()];
        tap.gather(g, plane, &mut seen[i * len..][..len]);
    });
}

/// Adds what stands where a tap sees an element of the image to the element.
pub(super) fn scatter_add(g: &Geometry, seen: &mut [f32], rows: &Range<usize>, image: &mut [f32]) {
    let len = rows.len() * g.output[1];
    vectorised(
        Width::detect(),
        #[inline(always)]
        || {
            for_each_tap(g, rows, |i, channel, tap| {
                let plane = &mut image[channel * g.area()..][..g.area()];
                tap.scatter_add(g, &mut seen[i * len..][..len], plane);
            });
        },
    );
}

/// Calls `f` with the number of a tap among those of all channels, its channel,
/// and the tap.
#[inline(always)]
fn for_each_tap(g: &Geometry, rows: &Range<usize>, mut f: impl FnMut(usize, usize, &Tap)) {
    let taps = g.kernel[0] * g.kernel[1];
    for y in 0..g.kernel[0] {
        for x in 0..g.kernel[1] {
            let tap = Tap::new(g, [y, x], rows);
            for channel in 0..g.inputs {
                f(channel * taps + y * g.kernel[1] + x, channel, &tap);
            }
        }
    }
}

/// What one tap of the kernel sees at the outputs of some rows.
struct Tap {
    /// The first of the rows.
    first: usize,
    /// The rows, counted from the first, and columns of outputs at which it is
    /// inside the plane.
    rows: Range<usize>,
    columns: Range<usize>,
    /// Where it is in the plane at output 0, may be outside.
    start: [isize; 2],
    /// How far an output of a plane as wide as the input is moved, in elements.
    moved: Option<isize>,
}

impl Tap {
    fn new(g: &Geometry, tap: [usize; 2], rows: &Range<usize>) -> Self {
        let start = [0, 1].map(|a| (tap[a] * g.dilation[a]) as isize - g.padding[a] as isize);
        let [inside, columns] = [0, 1].map(|axis| {
            // The first output from which on the tap is at or after `x`.
            let output = |x: isize| {
                let distance = usize::try_from(x - start[axis]).unwrap_or(0);
                distance.div_ceil(g.stride[axis]).min(g.output[axis])
            };
            output(0)..output(g.input[axis] as isize)
        });
        let clamp = |row: usize| row.clamp(rows.start, rows.end) - rows.start;
        let same = g.stride == [1, 1] && g.output[1] == g.input[1];
        Self {
            first: rows.start,
            rows: clamp(inside.start)..clamp(inside.end),
            columns,
            start,
            moved: same.then(|| start[0] * g.input[1] as isize + start[1]),
        }
    }

    /// The elements of `row` that see the plane, and those of the plane, when
    /// outputs are only moved. At the ends of lines some see the line before or
    /// after.
    #[inline(always)]
    fn overlap(&self, g: &Geometry, moved: isize) -> Option<(Range<usize>, Range<usize>)> {
        let length = g.output[1];
        let offset = (self.first * length) as isize + moved;
        let start = (self.rows.start * length).max(usize::try_from(-offset).unwrap_or(0));
        let end = usize::try_from(g.area() as isize - offset).unwrap_or(0);
        let end = (self.rows.end * length).min(end);
        let source = usize::try_from(start as isize + offset).ok()?;
        (start < end).then(|| (start..end, source..source + (end - start)))
    }

    /// Sets the ends of lines, where the tap is outside of the plane.
    #[inline(always)]
    fn clear_ends(&self, length: usize, row: &mut [f32]) {
        if self.columns == (0..length) {
            return;
        }
        for line in row.chunks_exact_mut(length) {
            line[..self.columns.start].fill(0.0);
            line[self.columns.end..].fill(0.0);
        }
    }

    /// The lines of a row at which the tap is inside, with the line of the plane
    /// that each sees.
    #[inline(always)]
    fn lines(&self, g: &Geometry) -> impl Iterator<Item = (usize, usize)> {
        let (first, start, stride) = (self.first, self.start[0], g.stride[0]);
        self.rows.clone().filter_map(move |line| {
            let y = ((first + line) * stride) as isize + start;
            usize::try_from(y).ok().map(|y| (line, y))
        })
    }

    /// The first element of a line of the plane that the tap sees.
    fn first_column(&self, g: &Geometry) -> usize {
        let x = (self.columns.start * g.stride[1]) as isize + self.start[1];
        usize::try_from(x).unwrap_or(0)
    }

    #[inline(always)]
    fn gather(&self, g: &Geometry, plane: &[f32], row: &mut [f32]) {
        let length = g.output[1];
        if self.rows.is_empty() || self.columns.is_empty() {
            row.fill(0.0);
            return;
        }
        if let Some(moved) = self.moved {
            if let Some((own, seen)) = self.overlap(g, moved) {
                row[..own.start].fill(0.0);
                row[own.end..].fill(0.0);
                row[own].copy_from_slice(&plane[seen]);
                self.clear_ends(length, row);
            } else {
                row.fill(0.0);
            }
            return;
        }
        row[..self.rows.start * length].fill(0.0);
        row[self.rows.end * length..].fill(0.0);
        let x = self.first_column(g);
        for (line, y) in self.lines(g) {
            let line = &mut row[line * length..][..length];
            line[..self.columns.start].fill(0.0);
            line[self.columns.end..].fill(0.0);
            let seen = plane[y * g.input[1] + x..].iter().step_by(g.stride[1]);
            let own = line[self.columns.clone()].iter_mut();
            own.zip(seen).for_each(|(own, seen)| *own = *seen);
        }
    }

    #[inline(always)]
    fn scatter_add(&self, g: &Geometry, row: &mut [f32], plane: &mut [f32]) {
        let length = g.output[1];
        if self.rows.is_empty() || self.columns.is_empty() {
            return;
        }
        if let Some(moved) = self.moved {
            self.clear_ends(length, row);
            if let Some((own, seen)) = self.overlap(g, moved) {
                let own = row[own].iter();
                plane[seen]
                    .iter_mut()
                    .zip(own)
                    .for_each(|(sum, own)| *sum += own);
            }
            return;
        }
        let x = self.first_column(g);
        for (line, y) in self.lines(g) {
            let own = row[line * length..][self.columns.clone()].iter();
            let seen = plane[y * g.input[1] + x..].iter_mut().step_by(g.stride[1]);
            seen.zip(own).for_each(|(sum, own)| *sum += own);
        }
    }
}
