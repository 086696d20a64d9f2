//! One curve, and its way from points to a path.

use crate::palette::{DASHES, SERIES};

/// One curve of a [`LineChart`](crate::LineChart), with its optional band.
///
/// ```
/// use firecraft_plot::{LineChart, Series};
/// let mean = Series::new("mean of 5 seeds", &[(0.0, 2.0), (1.0, 1.0)])
///     .band(&[(0.0, 1.8, 2.2), (1.0, 0.9, 1.2)]);
/// let svg = LineChart::new("Loss").curve(mean).to_svg();
/// assert!(svg.contains("fill-opacity"));
/// ```
#[derive(Clone, Debug)]
pub struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) band: Vec<(f64, f64, f64)>,
    pub(crate) stepped: bool,
    pub(crate) dots: bool,
    dashed: bool,
}

impl Series {
    /// A curve through `points` `(x, y)`, in their order. A point with a value
    /// that is not finite interrupts the curve.
    #[must_use]
    pub fn new(name: impl Into<String>, points: &[(f64, f64)]) -> Self {
        Self {
            name: name.into(),
            points: points.to_vec(),
            band: Vec::new(),
            stepped: false,
            dots: false,
            dashed: false,
        }
    }

    /// Shades the region between `low` and `high` of `(x, low, high)` behind
    /// the curve: mean ± spread, minimum to maximum.
    #[must_use]
    pub fn band(mut self, band: &[(f64, f64, f64)]) -> Self {
        self.band = band.to_vec();
        self
    }

    /// Holds each value until the next point, as a staircase schedule does.
    #[must_use]
    pub fn stepped(mut self) -> Self {
        self.stepped = true;
        self
    }

    /// Marks every point with a dot.
    #[must_use]
    pub fn with_dots(mut self) -> Self {
        self.dots = true;
        self
    }

    /// Draws the curve dashed, for a reference or a limit.
    #[must_use]
    pub fn dashed(mut self) -> Self {
        self.dashed = true;
        self
    }

    pub(crate) fn dash(&self, index: usize) -> &'static str {
        let round = index / SERIES.len() + usize::from(self.dashed);
        DASHES[round % DASHES.len()]
    }
}

/// Splits a sequence at its gaps.
pub(crate) fn runs<T>(items: impl Iterator<Item = Option<T>>) -> Vec<Vec<T>> {
    let mut runs = vec![Vec::new()];
    for item in items {
        match (item, runs.last_mut()) {
            (Some(item), Some(run)) => run.push(item),
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

pub(crate) fn staircase(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut path = Vec::with_capacity(points.len() * 2);
    for &(x, y) in points {
        if let Some(&(_, before)) = path.last() {
            path.push((x, before));
        }
        path.push((x, y));
    }
    path
}

/// Keeps the first, lowest, highest and last point of each pixel column.
pub(crate) fn reduce(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let ascending = points.windows(2).all(|pair| pair[0].0 <= pair[1].0);
    let columns = match (points.first(), points.last()) {
        (Some(first), Some(last)) => last.0 - first.0,
        _ => 0.0,
    };
    if !ascending || (points.len() as f64) < 4.0 * columns.max(64.0) {
        return points.to_vec();
    }
    let mut kept = Vec::new();
    for column in points.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
        let extreme = |better: fn(f64, f64) -> bool| {
            (1..column.len()).fold(0, |best, i| {
                if better(column[i].1, column[best].1) {
                    i
                } else {
                    best
                }
            })
        };
        let mut chosen = [
            0,
            extreme(|a, b| a < b),
            extreme(|a, b| a > b),
            column.len() - 1,
        ];
        chosen.sort_unstable();
        kept.extend(chosen.chunk_by(|a, b| a == b).map(|same| column[same[0]]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staircase_holds_each_value() {
        assert_eq!(
            staircase(&[(0.0, 1.0), (2.0, 3.0)]),
            [(0.0, 1.0), (2.0, 1.0), (2.0, 3.0)]
        );
    }

    #[test]
    fn short_and_unordered_series_are_not_reduced() {
        let unordered: Vec<_> = (0..1000)
            .map(|i| (f64::from(i * 7 % 10), f64::from(i)))
            .collect();
        assert_eq!(reduce(&unordered), unordered);
    }

    #[test]
    fn colours_repeat_with_another_dash() {
        let series = Series::new("s", &[]);
        assert_ne!(series.dash(0), series.dash(SERIES.len()));
        assert_ne!(series.dash(0), series.clone().dashed().dash(0));
    }
}
