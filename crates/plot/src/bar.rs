//! One value, or value and interval, per category.

use crate::axis::{Axis, AxisOptions, Scale};
use crate::canvas::{AXIS, Anchor, Canvas, DIM, FONT, GRID, INK, PEN, fit_text, text_width};
use crate::number::format_number;
use crate::palette::{fill_class, stroke_class};

/// A chart of horizontal bars, one row per category, several series per row.
///
/// Horizontal because categories are named: layers, runs, classes. With
/// [`dots`](Self::dots) it is an interval chart, which may have a log scale.
/// A value that is not finite leaves its place empty.
///
/// ```
/// use firecraft_plot::BarChart;
/// let svg = BarChart::new("Test accuracy")
///     .value_label("accuracy (%)")
///     .categories(["all techniques", "without norm"])
///     .series_between("5 seeds", &[(98.6, 98.1, 99.0), (97.2, 96.0, 98.0)])
///     .dots()
///     .to_svg();
/// assert!(svg.contains("without norm"));
/// ```
#[derive(Clone, Debug)]
pub struct BarChart {
    title: String,
    value_label: String,
    categories: Vec<String>,
    series: Vec<(String, Vec<Interval>)>,
    reference: Vec<(String, f64)>,
    axis: AxisOptions,
    width: f64,
    dots: bool,
}

#[derive(Clone, Copy, Debug)]
struct Interval {
    value: f64,
    between: Option<(f64, f64)>,
}

impl BarChart {
    /// An empty chart, 640 pixels wide; its height follows the categories.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            value_label: String::new(),
            categories: Vec::new(),
            series: Vec::new(),
            reference: Vec::new(),
            axis: AxisOptions {
                pad: true,
                ..AxisOptions::default()
            },
            width: 640.0,
            dots: false,
        }
    }

    /// What the values measure, with their unit.
    #[must_use]
    pub fn value_label(mut self, label: impl Into<String>) -> Self {
        self.value_label = label.into();
        self
    }

    /// Names of the rows, from top to bottom.
    #[must_use]
    pub fn categories<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.categories = names.into_iter().map(Into::into).collect();
        self
    }

    /// Adds one value per category.
    #[must_use]
    pub fn series(mut self, name: impl Into<String>, values: &[f64]) -> Self {
        let bars = values.iter().map(|&value| Interval {
            value,
            between: None,
        });
        self.series.push((name.into(), bars.collect()));
        self
    }

    /// Adds one `(value, low, high)` per category; the interval is a whisker.
    #[must_use]
    pub fn series_between(mut self, name: impl Into<String>, values: &[(f64, f64, f64)]) -> Self {
        let bars = values.iter().map(|&(value, low, high)| Interval {
            value,
            between: Some((low, high)),
        });
        self.series.push((name.into(), bars.collect()));
        self
    }

    /// Marks a value with a named vertical line, for a target.
    #[must_use]
    pub fn reference(mut self, name: impl Into<String>, value: f64) -> Self {
        self.reference.push((name.into(), value));
        self
    }

    /// Draws dots instead of bars, on an axis that need not hold zero.
    #[must_use]
    pub fn dots(mut self) -> Self {
        self.dots = true;
        self
    }

    /// Scale of the values. [`Scale::Log`] implies [`dots`](Self::dots): bars
    /// have no foot there.
    #[must_use]
    pub fn scale(mut self, scale: Scale) -> Self {
        self.axis.scale = scale;
        self.dots |= scale == Scale::Log;
        self
    }

    /// Fixes the limits of the axis.
    #[must_use]
    pub fn limits(mut self, low: f64, high: f64) -> Self {
        self.axis.limits = Some((low, high));
        self
    }

    /// Width in pixels, at least 240.
    #[must_use]
    pub fn width(mut self, width: u32) -> Self {
        self.width = f64::from(width.max(240));
        self
    }

    /// The chart as a complete SVG document.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let legend = if self.series.len() > 1 { 20.0 } else { 0.0 };
        let notes = if self.reference.is_empty() { 0.0 } else { 16.0 };
        let top = 38.0 + legend + notes;
        let lane = if self.series.len() > 1 { 13.0 } else { 16.0 };
        let row = lane * self.series.len().max(1) as f64 + 9.0;
        let bottom = top + row * self.rows().max(1) as f64;
        let height = bottom
            + if self.value_label.is_empty() {
                30.0
            } else {
                48.0
            };
        let mut canvas = Canvas::new(&self.title, self.width, height);
        canvas.title(
            (14.0, 24.0),
            &fit_text(&self.title, 15.0, self.width - 28.0),
        );
        self.legend(&mut canvas);

        let widest = self
            .categories
            .iter()
            .map(|c| text_width(c, FONT))
            .fold(0.0, f64::max);
        let names = widest.min(self.width * 0.36);
        let left = 14.0 + names + 8.0;
        let right = self.width - if self.dots { 24.0 } else { 58.0 };
        let zero = (!self.dots && self.axis.scale == Scale::Linear).then_some(0.0);
        let axis = Axis::fit(
            self.values().chain(zero),
            self.axis,
            ((right - left) / 80.0).clamp(2.0, 8.0) as usize,
        );
        let across = |position: f64| left + position.clamp(0.0, 1.0) * (right - left);

        for (value, label) in &axis.ticks {
            if let Some(x) = axis.position(*value).map(across) {
                canvas.line((x, top), (x, bottom), GRID, 1.0, "");
                canvas.text((x, bottom + 17.0), label, Anchor::Middle, DIM);
            }
        }
        canvas.text(
            ((left + right) / 2.0, bottom + 38.0),
            &self.value_label,
            Anchor::Middle,
            INK,
        );
        for (name, value) in &self.reference {
            if let Some(x) = axis
                .position(*value)
                .filter(|p| (0.0..=1.0).contains(p))
                .map(across)
            {
                canvas.line((x, top), (x, bottom), AXIS, 1.4, "4 3");
                canvas.text((x, top - 5.0), name, Anchor::Middle, DIM);
            }
        }
        for (r, name) in self.categories.iter().enumerate() {
            let middle = top + row * (r as f64 + 0.5);
            canvas.text(
                (left - 8.0, middle + 4.0),
                &fit_text(name, FONT, names),
                Anchor::End,
                INK,
            );
        }
        let foot = axis.position(0.0).map_or(left, across);
        for (s, (_, bars)) in self.series.iter().enumerate() {
            for (r, bar) in bars.iter().take(self.rows()).enumerate() {
                let y = top + row * r as f64 + 4.5 + lane * (s as f64 + 0.5);
                if let Some(x) = axis.position(bar.value).map(across) {
                    self.draw(&mut canvas, s, bar, (foot, x, y), lane, |v| {
                        axis.position(v).map(across)
                    });
                }
            }
        }
        canvas.line(
            (if self.dots { left } else { foot }, top),
            (if self.dots { left } else { foot }, bottom),
            AXIS,
            1.0,
            "",
        );
        if !self.values().any(|v| axis.position(v).is_some()) {
            canvas.text(
                ((left + right) / 2.0, (top + bottom) / 2.0 + 4.0),
                "no data",
                Anchor::Middle,
                DIM,
            );
        }
        canvas.finish()
    }

    fn draw(
        &self,
        canvas: &mut Canvas,
        series: usize,
        bar: &Interval,
        (foot, x, y): (f64, f64, f64),
        lane: f64,
        place: impl Fn(f64) -> Option<f64>,
    ) {
        let (stroke, fill) = (stroke_class(series), fill_class(series));
        let ends = bar
            .between
            .and_then(|(low, high)| Some((place(low.min(high))?, place(high.max(low))?)));
        if self.dots {
            if let Some((a, b)) = ends {
                canvas.line((a, y), (b, y), stroke.paint(), 2.0, "");
                for end in [a, b] {
                    canvas.line((end, y - 4.0), (end, y + 4.0), stroke.paint(), 2.0, "");
                }
            }
            canvas.dot((x, y), 4.0, fill.paint());
        } else {
            canvas.rect(
                foot.min(x),
                y - lane * 0.42,
                (x - foot).abs(),
                lane * 0.84,
                fill.paint(),
                0.85,
            );
            if let Some((a, b)) = ends {
                canvas.line((a, y), (b, y), PEN, 1.4, "");
                for end in [a, b] {
                    canvas.line((end, y - 3.0), (end, y + 3.0), PEN, 1.4, "");
                }
            }
            let end = ends.map_or(x.max(foot), |e| e.1.max(x).max(foot));
            canvas.text(
                (end + 5.0, y + 4.0),
                &format_number(bar.value),
                Anchor::Start,
                DIM,
            );
        }
    }

    fn legend(&self, canvas: &mut Canvas) {
        if self.series.len() < 2 {
            return;
        }
        let mut x = 14.0;
        for (i, (name, _)) in self.series.iter().enumerate() {
            canvas.rect(x, 35.0, 11.0, 11.0, fill_class(i).paint(), 1.0);
            canvas.text((x + 17.0, 45.0), name, Anchor::Start, INK);
            x += 17.0 + text_width(name, FONT) + 16.0;
        }
    }

    fn rows(&self) -> usize {
        self.categories.len()
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.series
            .iter()
            .flat_map(|(_, bars)| bars)
            .flat_map(|bar| {
                let (low, high) = bar.between.unwrap_or((f64::NAN, f64::NAN));
                [bar.value, low, high]
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bars_start_at_zero_and_show_their_value() {
        let svg = BarChart::new("t")
            .categories(["a", "b"])
            .series("s", &[98.7654, f64::NAN])
            .to_svg();
        assert!(svg.contains(">98.77<") && svg.contains(">0<"));
        assert_eq!(svg.matches("class=\"fc-f0\"").count(), 1);
    }

    #[test]
    fn a_log_scale_draws_dots() {
        let svg = BarChart::new("t")
            .categories(["a"])
            .series_between("s", &[(1.0, 0.1, 10.0)])
            .scale(Scale::Log)
            .to_svg();
        assert!(svg.contains("<circle") && svg.contains(">0.1<"));
    }

    #[test]
    fn a_chart_without_data_says_so() {
        assert!(
            BarChart::new("t")
                .categories(["a"])
                .series("s", &[f64::NAN])
                .to_svg()
                .contains("no data")
        );
    }

    proptest! {
        #[test]
        fn any_numbers_make_well_formed_coordinates(values in proptest::collection::vec(any::<(f64, f64, f64)>(), 0..10), log: bool) {
            let scale = if log { Scale::Log } else { Scale::Linear };
            let names: Vec<_> = (0..values.len()).map(|i| i.to_string()).collect();
            let svg = BarChart::new("t").categories(names).series_between("s", &values).scale(scale).to_svg();
            prop_assert!(!svg.contains("=\"NaN") && !svg.contains("=\"inf"));
        }
    }
}
