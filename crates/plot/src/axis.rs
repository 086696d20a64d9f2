//! Axes: the range that is shown, and round numbers to label it with.

use crate::number::{format_number, format_tick};

/// How an axis maps values to positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equal distances.
    #[default]
    Linear,
    /// Equal ratios are equal distances; values that are not positive are gaps.
    Log,
}

/// Which values an axis covers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AxisOptions {
    pub(crate) scale: Scale,
    /// Fixed limits; otherwise those of the data.
    pub(crate) limits: Option<(f64, f64)>,
    /// Leave a margin around the data, and start at zero if it is near.
    pub(crate) pad: bool,
    /// Label whole numbers only.
    pub(crate) whole: bool,
}

/// A fitted axis. Positions are 0 at its start and 1 at its end.
pub(crate) struct Axis {
    scale: Scale,
    start: f64,
    end: f64,
    /// Values and labels, in ascending order.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Fits an axis with about `count` ticks around the finite ones of `values`.
    pub(crate) fn fit(
        values: impl Iterator<Item = f64>,
        options: AxisOptions,
        count: usize,
    ) -> Self {
        let scale = options.scale;
        let (mut low, mut high) = match options.limits {
            Some((a, b)) if shown(scale, a).is_some() && shown(scale, b).is_some() => {
                (a.min(b), a.max(b))
            }
            _ => extremes(values, scale).unwrap_or(if scale == Scale::Log {
                (1.0, 10.0)
            } else {
                (0.0, 1.0)
            }),
        };
        if options.limits.is_none() && options.pad {
            (low, high) = padded(low, high, scale);
        }
        let (mut start, mut end) = (
            shown(scale, low).unwrap_or(0.0),
            shown(scale, high).unwrap_or(1.0),
        );
        if end - start <= f64::EPSILON * 16.0 * start.abs().max(end.abs()) {
            let room = if scale == Scale::Log {
                0.5
            } else {
                (start.abs() * 0.1).max(0.5)
            };
            (start, end) = (start - room, end + room);
        }
        let ticks = match scale {
            Scale::Linear => linear_ticks(start, end, count, options.whole),
            Scale::Log => log_ticks(start, end, count),
        };
        Self {
            scale,
            start,
            end,
            ticks,
        }
    }

    /// Position of `value`, or `None` if it can't be shown. Values beyond the
    /// limits give positions outside 0 to 1.
    pub(crate) fn position(&self, value: f64) -> Option<f64> {
        let position = (shown(self.scale, value)? - self.start) / (self.end - self.start);
        position.is_finite().then_some(position.clamp(-1e3, 1e3))
    }
}

fn shown(scale: Scale, value: f64) -> Option<f64> {
    match scale {
        Scale::Linear => value.is_finite().then_some(value.clamp(-1e300, 1e300)),
        Scale::Log => (value.is_finite() && value > 0.0).then(|| value.log10()),
    }
}

fn extremes(values: impl Iterator<Item = f64>, scale: Scale) -> Option<(f64, f64)> {
    values
        .filter(|&v| shown(scale, v).is_some())
        .fold(None, |range, v| match range {
            None => Some((v, v)),
            Some((low, high)) => Some((low.min(v), high.max(v))),
        })
}

fn padded(low: f64, high: f64, scale: Scale) -> (f64, f64) {
    match scale {
        Scale::Log => {
            let ratio = (high / low).powf(0.04).max(1.02);
            (low / ratio, high * ratio)
        }
        Scale::Linear => {
            let margin = (high - low) * 0.05;
            // A curve that comes near zero is read against zero.
            let low = if low >= 0.0 && low <= 0.25 * high {
                0.0
            } else {
                low - margin
            };
            let high = if high <= 0.0 && high >= 0.25 * low {
                0.0
            } else {
                high + margin
            };
            (low, high)
        }
    }
}

fn linear_ticks(start: f64, end: f64, count: usize, whole: bool) -> Vec<(f64, String)> {
    let rough = (end - start) / count.max(1) as f64;
    let unit = 10_f64.powf(rough.log10().floor());
    let rounds: &[f64] = if whole {
        &[1.0, 2.0, 5.0, 10.0]
    } else {
        &[1.0, 2.0, 2.5, 5.0, 10.0]
    };
    let step = rounds
        .iter()
        .map(|m| m * unit)
        .find(|&s| s >= rough * 0.999_999)
        .unwrap_or(10.0 * unit)
        .max(if whole { 1.0 } else { 0.0 });
    let largest = start.abs().max(end.abs());
    let first = (start / step - 1e-9).ceil();
    let last = (end / step + 1e-9).floor();
    let n = if (0.0..1000.0).contains(&(last - first)) {
        (last - first) as usize + 1
    } else {
        0
    };
    (0..n)
        .map(|i| (first + i as f64) * step)
        // Rounding must not bring in a tick from outside a very short axis.
        .filter(|v| (v - start) / (end - start) > -1e-6 && (v - end) / (end - start) < 1e-6)
        .map(|v| (v, format_tick(v, step, largest)))
        .collect()
}

fn log_ticks(start: f64, end: f64, count: usize) -> Vec<(f64, String)> {
    let decades = end - start;
    let stride = (decades / count.max(1) as f64).ceil().max(1.0) as i32;
    let within: &[f64] = match decades {
        d if d < 1.2 => &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
        d if d < 2.8 && count > 4 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let (first, last) = (start.floor() as i32, end.floor() as i32);
    (first..=last)
        .filter(|e| e.rem_euclid(stride) == 0)
        .flat_map(|e| within.iter().map(move |m| m * 10_f64.powi(e)))
        .filter(|v| (start - 1e-9..=end + 1e-9).contains(&v.log10()))
        .map(|v| (v, format_number(v)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(values: &[f64], options: AxisOptions) -> Vec<String> {
        let axis = Axis::fit(values.iter().copied(), options, 5);
        axis.ticks.into_iter().map(|t| t.1).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            labels(&[0.0, 1.0], AxisOptions::default()),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(
            labels(&[0.0, 97.0], AxisOptions::default()),
            ["0", "20", "40", "60", "80"]
        );
    }

    #[test]
    fn epochs_are_never_halved() {
        let whole = AxisOptions {
            whole: true,
            ..Default::default()
        };
        assert_eq!(labels(&[0.0, 2.0], whole), ["0", "1", "2"]);
    }

    #[test]
    fn a_log_axis_labels_decades() {
        let log = AxisOptions {
            scale: Scale::Log,
            ..Default::default()
        };
        assert_eq!(
            labels(&[1e-5, 1e-2, 0.0, -3.0], log),
            ["1e-5", "1e-4", "0.001", "0.01"]
        );
    }

    #[test]
    fn an_axis_shorter_than_its_step_has_no_tick() {
        let whole = AxisOptions {
            whole: true,
            ..Default::default()
        };
        assert!(labels(&[6.3e-309, 1.9e-308], whole).is_empty());
    }

    #[test]
    fn a_constant_and_an_empty_series_get_an_axis() {
        assert!(labels(&[0.1, 0.1], AxisOptions::default()).len() >= 2);
        assert!(labels(&[f64::NAN], AxisOptions::default()).len() >= 2);
    }

    proptest! {
        #[test]
        fn any_pair_of_values_gets_ascending_ticks_inside_the_axis(a: f64, b: f64, log: bool, pad: bool, whole: bool) {
            let scale = if log { Scale::Log } else { Scale::Linear };
            let axis = Axis::fit([a, b].into_iter(), AxisOptions { scale, pad, whole, limits: None }, 6);
            prop_assert!(axis.ticks.len() < 64);
            for pair in axis.ticks.windows(2) {
                prop_assert!(pair[0].0 < pair[1].0);
            }
            for (value, _) in &axis.ticks {
                if let Some(position) = axis.position(*value) {
                    prop_assert!((-1e-3..=1.001).contains(&position), "{value} at {position}");
                }
            }
        }
    }
}
