//! Learning rates read off the curve of a range test.

use serde::{Deserialize, Serialize};

/// A way to read a learning rate off the curve of a range test. All are
/// fastai's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suggestion {
    /// Halfway along the longest stretch of falling losses (the longest
    /// falling subsequence). The default of fastai, and the most robust.
    Valley,
    /// Where, coming from the right, the slope has settled: interval slide
    /// rule.
    Slide,
    /// Where the loss falls fastest over the logarithm of the learning rate.
    Steep,
    /// A tenth of the learning rate with the lowest loss.
    Minimum,
}

/// A suggested learning rate, and the point of the curve it was read from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suggestions {
    /// The suggestion.
    pub lr: f64,
    /// Learning rate and loss of the point that was found.
    pub point: (f64, f64),
}

/// Points between the two ends of the slide rule.
const SLIDE: usize = 15;
/// Difference of slopes below which the slide rule stops.
const SLIDE_THRESHOLD: f64 = 0.005;

impl Suggestion {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Valley, Self::Slide, Self::Steep, Self::Minimum];

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valley => "valley",
            Self::Slide => "slide",
            Self::Steep => "steep",
            Self::Minimum => "minimum",
        }
    }

    /// The suggestion from a curve of (learning rate, loss), or `None` if the
    /// curve is too short.
    ///
    /// ```
    /// use firecraft_schedule::Suggestion;
    /// let curve: Vec<(f64, f64)> = (0..10)
    ///     .map(|i| (10f64.powi(i - 8), if i < 7 { 10.0 - f64::from(i) } else { 99.0 }))
    ///     .collect();
    /// assert_eq!(Suggestion::Minimum.suggest(&curve).unwrap().lr, 0.001);
    /// assert_eq!(Suggestion::Valley.suggest(&curve).unwrap().lr, 1e-6);
    /// ```
    #[must_use]
    pub fn suggest(self, curve: &[(f64, f64)]) -> Option<Suggestions> {
        match self {
            Self::Valley => valley(curve),
            Self::Slide => slide(curve),
            Self::Steep => steep(curve),
            Self::Minimum => minimum(curve),
        }
    }
}

fn valley(curve: &[(f64, f64)]) -> Option<Suggestions> {
    if curve.is_empty() {
        return None;
    }
    // The greatest last loss of a falling subsequence of each length.
    let mut tails: Vec<f64> = Vec::new();
    let mut end = 0;
    for (i, &(_, loss)) in curve.iter().enumerate() {
        if loss.is_nan() {
            continue;
        }
        let length = tails.partition_point(|&tail| tail > loss);
        match tails.get_mut(length) {
            Some(tail) => *tail = loss,
            None => {
                tails.push(loss);
                end = i;
            }
        }
    }
    let longest = tails.len().max(1);
    // The start is as far back as the subsequence is long, as if it had no
    // gaps; fastai lets it run off the front, where we stop.
    let start = end as f64 - longest as f64;
    let start = if longest == 1 { 0.0 } else { start };
    let section = (end as f64 - start) / 3.0;
    let index = start + section.trunc() + (section / 2.0).trunc();
    let point = *curve.get(index.max(0.0) as usize)?;
    Some(Suggestions { lr: point.0, point })
}

fn slide(curve: &[(f64, f64)]) -> Option<Suggestions> {
    let n = curve.len();
    if n <= SLIDE {
        return None;
    }
    let slopes = gradient(curve);
    let mut right = n - 1;
    let mut lr = curve[right - SLIDE].0;
    // The left end stops at the first point.
    while right >= SLIDE && (slopes[right] - slopes[right - SLIDE]).abs() > SLIDE_THRESHOLD {
        lr = curve[right - SLIDE].0;
        right -= 1;
    }
    let loss = interpolate(curve, lr);
    Some(Suggestions {
        lr,
        point: (lr, loss),
    })
}

/// Central differences of the losses, one-sided at the ends.
fn gradient(curve: &[(f64, f64)]) -> Vec<f64> {
    let last = curve.len() - 1;
    let loss = |i: usize| curve[i].1;
    (0..=last)
        .map(|i| match i {
            0 => loss(1) - loss(0),
            i if i == last => loss(last) - loss(last - 1),
            i => (loss(i + 1) - loss(i - 1)) / 2.0,
        })
        .collect()
}

fn interpolate(curve: &[(f64, f64)], lr: f64) -> f64 {
    let next = curve
        .partition_point(|point| point.0 < lr)
        .min(curve.len() - 1);
    let (a, b) = (curve[next.saturating_sub(1)], curve[next]);
    if b.0 == a.0 {
        return b.1;
    }
    let p = (lr.log10() - a.0.log10()) / (b.0.log10() - a.0.log10());
    a.1 + (b.1 - a.1) * p.clamp(0.0, 1.0)
}

fn steep(curve: &[(f64, f64)]) -> Option<Suggestions> {
    let slope = |pair: &[(f64, f64)]| (pair[1].1 - pair[0].1) / (pair[1].0.ln() - pair[0].0.ln());
    let slopes = curve.windows(2).map(slope);
    let (index, _) = first_minimum(slopes)?;
    let point = curve[index];
    Some(Suggestions { lr: point.0, point })
}

fn minimum(curve: &[(f64, f64)]) -> Option<Suggestions> {
    let (index, _) = first_minimum(curve.iter().map(|point| point.1))?;
    let point = curve[index];
    Some(Suggestions {
        lr: point.0 / 10.0,
        point,
    })
}

fn first_minimum(values: impl Iterator<Item = f64>) -> Option<(usize, f64)> {
    values
        .enumerate()
        .filter(|(_, value)| !value.is_nan())
        .reduce(|best, other| if other.1 < best.1 { other } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_that_only_rise_still_have_an_answer() {
        let curve: Vec<(f64, f64)> = (1..60)
            .map(|i| (f64::from(i) * 1e-3, f64::from(i)))
            .collect();
        for how in Suggestion::ALL {
            let found = how.suggest(&curve).unwrap();
            assert!(found.lr > 0.0 && found.lr.is_finite(), "{}", how.name());
        }
    }

    /// Lengths of the longest falling subsequence that ends at each point, as
    /// fastai counts them.
    fn lengths(curve: &[(f64, f64)]) -> Vec<usize> {
        let mut lengths = vec![1; curve.len()];
        for i in 1..curve.len() {
            for j in 0..i {
                if curve[i].1 < curve[j].1 {
                    lengths[i] = lengths[i].max(lengths[j] + 1);
                }
            }
        }
        lengths
    }

    #[test]
    fn the_valley_lies_in_the_longest_falling_subsequence() {
        let mut seed = 1_u64;
        for n in 1..200 {
            let curve: Vec<(f64, f64)> = (0..n)
                .map(|i| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    // Few values, so that there are ties.
                    (f64::from(i + 1), (seed >> 60) as f64)
                })
                .collect();
            let lengths = lengths(&curve);
            let longest = *lengths.iter().max().unwrap();
            let end = lengths.iter().position(|&n| n == longest).unwrap();
            let start = if longest == 1 {
                0.0
            } else {
                end as f64 - longest as f64
            };
            let third = (end as f64 - start) / 3.0;
            let at = start + third.trunc() + (third / 2.0).trunc();
            let found = Suggestion::Valley.suggest(&curve).unwrap();
            assert_eq!(found.point, curve[at.max(0.0) as usize], "{curve:?}");
        }
    }

    #[test]
    fn the_steepest_point_is_where_the_loss_falls_most() {
        let losses = [5.0, 4.9, 4.0, 3.9, 3.8];
        let curve: Vec<(f64, f64)> = (0..).map(|i| 10f64.powi(i)).zip(losses).collect();
        assert_eq!(
            Suggestion::Steep.suggest(&curve).unwrap().point,
            (10.0, 4.9)
        );
    }
}
