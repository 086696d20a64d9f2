//! A curve in one line of text.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `values` as at most `width` block characters between their minimum and
/// maximum; each character is the mean of its share of the values, a blank
/// where none of them is finite.
///
/// ```
/// use firecraft_plot::sparkline;
/// assert_eq!(sparkline(&[0.0, 1.0, 2.0, f64::NAN, 7.0], 10), "▁▂▃ █");
/// assert_eq!(sparkline(&[5.0, 5.0], 10), "▄▄");
/// ```
#[must_use]
pub fn sparkline(values: &[f64], width: usize) -> String {
    let columns = width.min(values.len());
    let means: Vec<f64> = (0..columns)
        .map(|c| {
            let share = &values[c * values.len() / columns..(c + 1) * values.len() / columns];
            let finite = share.iter().filter(|v| v.is_finite());
            let n = finite.clone().count();
            finite.map(|v| v / n as f64).sum::<f64>() + if n == 0 { f64::NAN } else { 0.0 }
        })
        .collect();
    let finite = || means.iter().copied().filter(|m| m.is_finite());
    let (low, high) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(f64::NEG_INFINITY, f64::max),
    );
    means
        .iter()
        .map(|&mean| match mean {
            m if !m.is_finite() => ' ',
            _ if high <= low => BLOCKS[3],
            m => {
                BLOCKS[(((m / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)) * 7.0)
                    .round()
                    .clamp(0.0, 7.0) as usize]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn long_series_are_averaged() {
        let ramp: Vec<f64> = (0..800).map(f64::from).collect();
        assert_eq!(sparkline(&ramp, 8), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[], 8), "");
        assert_eq!(sparkline(&ramp, 0), "");
    }

    proptest! {
        #[test]
        fn any_values_fit_the_width(values in proptest::collection::vec(any::<f64>(), 0..50), width in 0..40_usize) {
            prop_assert_eq!(sparkline(&values, width).chars().count(), width.min(values.len()));
        }
    }
}
