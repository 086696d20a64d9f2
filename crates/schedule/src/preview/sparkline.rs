//! A curve in one line of text.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `values` as at most `width` block characters between their minimum and
/// maximum. Each character is the mean of its share of the values, and a blank
/// where one of them is not finite.
///
/// ```
/// use firecraft_schedule::sparkline;
/// assert_eq!(sparkline(&[0.0, 1.0, 2.0, f64::NAN, 7.0], 10), "▁▂▃ █");
/// assert_eq!(sparkline(&[5.0, 5.0], 10), "▄▄");
/// ```
#[must_use]
pub fn sparkline(values: &[f64], width: usize) -> String {
    let columns = width.min(values.len());
    let means: Vec<f64> = (0..columns)
        .map(|column| {
            let start = column * values.len() / columns;
            let share = &values[start..(column + 1) * values.len() / columns];
            share.iter().map(|value| value / share.len() as f64).sum()
        })
        .collect();
    let finite = || means.iter().copied().filter(|mean| mean.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    let block = |mean: f64| {
        if !mean.is_finite() {
            ' '
        } else if high <= low {
            BLOCKS[3]
        } else {
            // Halved, so that the range of extreme values stays finite.
            let height = (mean / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
            BLOCKS[(height * 7.0).round().clamp(0.0, 7.0) as usize]
        }
    };
    means.into_iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_values_are_averaged_into_few_columns() {
        let ramp: Vec<f64> = (0..800).map(f64::from).collect();
        assert_eq!(sparkline(&ramp, 8), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[-f64::MAX, f64::MAX], 2), "▁█");
        assert_eq!(sparkline(&[], 8), "");
    }
}
