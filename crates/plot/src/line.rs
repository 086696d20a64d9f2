//! Curves over updates, epochs or any other number.

mod markers;

use crate::axis::{Axis, AxisOptions, Scale};
use crate::canvas::{
    AXIS, Anchor, Canvas, DIM, FONT, GRID, INK, Paint, fit_text, text_width, wrap_text,
};
use crate::palette::{PHASES, fill_class, stroke_class};
use crate::series::{Series, reduce, runs, staircase};

/// A line chart: several series over one x axis.
///
/// Limits follow the data; a chart whose values come near zero starts there.
/// Without a finite point it says "no data". Long series are reduced to the
/// extremes of each pixel column, so that spikes stay visible and files small.
///
/// ```
/// use firecraft_plot::{LineChart, Scale};
/// let svg = LineChart::new("Learning rate")
///     .x_label("update")
///     .y_label("learning rate")
///     .y_scale(Scale::Log)
///     .phase("warm-up", 0.0, 10.0)
///     .phase("cosine", 10.0, 100.0)
///     .series("lr", &[(0.0, 1e-4), (10.0, 1e-2), (100.0, 1e-5)])
///     .to_svg();
/// assert!(svg.contains("warm-up") && svg.contains(">0.001<"));
/// ```
#[derive(Clone, Debug)]
pub struct LineChart {
    title: String,
    x_label: String,
    y_label: String,
    x: AxisOptions,
    y: AxisOptions,
    size: (f64, f64),
    series: Vec<Series>,
    phases: Vec<(String, f64, f64)>,
    markers: Vec<(String, f64)>,
    note: String,
}

impl LineChart {
    /// An empty chart of 640 × 350 pixels.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            x_label: String::new(),
            y_label: String::new(),
            x: AxisOptions::default(),
            y: AxisOptions {
                pad: true,
                ..AxisOptions::default()
            },
            size: (640.0, 350.0),
            series: Vec::new(),
            phases: Vec::new(),
            markers: Vec::new(),
            note: String::new(),
        }
    }

    /// What the x axis counts, with its unit.
    #[must_use]
    pub fn x_label(mut self, label: impl Into<String>) -> Self {
        self.x_label = label.into();
        self
    }

    /// What the y axis measures, with its unit.
    #[must_use]
    pub fn y_label(mut self, label: impl Into<String>) -> Self {
        self.y_label = label.into();
        self
    }

    /// Scale of the x axis (default [`Scale::Linear`]).
    #[must_use]
    pub fn x_scale(mut self, scale: Scale) -> Self {
        self.x.scale = scale;
        self
    }

    /// Scale of the y axis (default [`Scale::Linear`]).
    #[must_use]
    pub fn y_scale(mut self, scale: Scale) -> Self {
        self.y.scale = scale;
        self
    }

    /// Fixes the limits of the x axis; limits that the scale can't show are
    /// ignored.
    #[must_use]
    pub fn x_limits(mut self, low: f64, high: f64) -> Self {
        self.x.limits = Some((low, high));
        self
    }

    /// Fixes the limits of the y axis; curves are cut there.
    #[must_use]
    pub fn y_limits(mut self, low: f64, high: f64) -> Self {
        self.y.limits = Some((low, high));
        self
    }

    /// Size in pixels, at least 200 × 120.
    #[must_use]
    pub fn size(mut self, width: u32, height: u32) -> Self {
        self.size = (f64::from(width.max(200)), f64::from(height.max(120)));
        self
    }

    /// Adds a curve through `points` `(x, y)`.
    #[must_use]
    pub fn series(self, name: impl Into<String>, points: &[(f64, f64)]) -> Self {
        self.curve(Series::new(name, points))
    }

    /// Adds a curve with a style or a band of its own.
    #[must_use]
    pub fn curve(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Shades the part of the x axis from `start` to `end` and names it.
    #[must_use]
    pub fn phase(mut self, name: impl Into<String>, start: f64, end: f64) -> Self {
        self.phases
            .push((name.into(), start.min(end), start.max(end)));
        self
    }

    /// Marks `x` with a named vertical line, for a best epoch or a resume.
    #[must_use]
    pub fn marker(mut self, name: impl Into<String>, x: f64) -> Self {
        self.markers.push((name.into(), x));
        self
    }

    /// Puts a sentence below the chart, in as many lines as it needs. The
    /// chart's size stays, its plot makes room.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.note = text.into();
        self
    }

    /// The chart as a complete SVG document.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let (width, height) = self.size;
        let mut canvas = Canvas::new(&self.title, width, height);
        canvas.title((14.0, 24.0), &fit_text(&self.title, 15.0, width - 28.0));
        let mut top = 38.0 + self.legend(&mut canvas);
        if !self.phases.is_empty() {
            top += 16.0;
        }
        let below = if self.x_label.is_empty() { 28.0 } else { 46.0 };
        let bottom = height - self.draw_note(&mut canvas) - below;
        let mut frame = self.frame(top, bottom);
        let room = self.marker_height(&frame);
        // The names of markers stand above the plot, if it keeps half of it all.
        let above = room <= (bottom - top) / 2.0;
        if above && room > 0.0 {
            frame = self.frame(top + room, bottom);
        }
        let Frame { left, right, .. } = frame;
        let top = frame.top;

        self.draw_phases(&mut canvas, &frame);
        self.draw_axes(&mut canvas, &frame);
        canvas.open_clip(
            left - 4.0,
            top - 4.0,
            right - left + 8.0,
            bottom - top + 8.0,
        );
        for (i, series) in self.series.iter().enumerate() {
            draw_band(&mut canvas, &frame, series, i);
        }
        for (i, series) in self.series.iter().enumerate() {
            draw_curve(&mut canvas, &frame, series, i);
        }
        canvas.close_clip();
        self.draw_markers(&mut canvas, &frame, above);
        if !self.has_points(&frame) {
            let centre = ((left + right) / 2.0, (top + bottom) / 2.0);
            canvas.text(centre, "no data", Anchor::Middle, DIM);
        }
        canvas.finish()
    }

    fn frame(&self, top: f64, bottom: f64) -> Frame {
        let y = Axis::fit(
            self.y_values(),
            self.y,
            ((bottom - top) / 48.0).clamp(2.0, 10.0) as usize,
        );
        let tick_width = y
            .ticks
            .iter()
            .map(|t| text_width(&t.1, FONT))
            .fold(20.0, f64::max);
        let left = 14.0 + tick_width + 8.0 + if self.y_label.is_empty() { 0.0 } else { 18.0 };
        let right = self.size.0 - 22.0;
        let whole = self.x_values().all(|x| !x.is_finite() || x.fract() == 0.0);
        let x = Axis::fit(
            self.x_values(),
            AxisOptions { whole, ..self.x },
            ((right - left) / 80.0).clamp(2.0, 10.0) as usize,
        );
        Frame {
            left,
            right,
            top,
            bottom,
            x,
            y,
        }
    }

    fn x_values(&self) -> impl Iterator<Item = f64> {
        let points = self.series.iter().flat_map(|s| {
            s.points
                .iter()
                .map(|p| p.0)
                .chain(s.band.iter().map(|b| b.0))
        });
        points.chain(self.phases.iter().flat_map(|p| [p.1, p.2]))
    }

    fn y_values(&self) -> impl Iterator<Item = f64> {
        self.series.iter().flat_map(|s| {
            s.points
                .iter()
                .map(|p| p.1)
                .chain(s.band.iter().flat_map(|b| [b.1, b.2]))
        })
    }

    fn has_points(&self, frame: &Frame) -> bool {
        self.series
            .iter()
            .any(|s| s.points.iter().any(|&p| frame.place(p).is_some()))
    }

    /// Draws the legend under the title and returns its height.
    fn legend(&self, canvas: &mut Canvas) -> f64 {
        if self.series.len() < 2 {
            return 0.0;
        }
        let (mut x, mut y) = (14.0, 44.0);
        for (i, series) in self.series.iter().enumerate() {
            let name = fit_text(&series.name, FONT, self.size.0 - 70.0);
            let width = 32.0 + text_width(&name, FONT) + 16.0;
            if x > 14.0 && x + width > self.size.0 {
                (x, y) = (14.0, y + 18.0);
            }
            let stroke = stroke_class(i);
            canvas.line(
                (x, y - 4.0),
                (x + 24.0, y - 4.0),
                stroke.paint(),
                2.5,
                series.dash(i),
            );
            canvas.text((x + 31.0, y), &name, Anchor::Start, INK);
            x += width;
        }
        y - 30.0
    }

    /// Draws the note at the lower edge and returns its height.
    fn draw_note(&self, canvas: &mut Canvas) -> f64 {
        const LINE: f64 = 17.0;
        let (width, height) = self.size;
        let mut lines = wrap_text(&self.note, FONT, width - 28.0);
        // The plot keeps at least half of the height.
        lines.truncate((height * 0.3 / LINE) as usize);
        let count = lines.len() as f64;
        for (row, line) in lines.iter().enumerate() {
            let y = height - 9.0 - LINE * (count - 1.0 - row as f64);
            canvas.text((14.0, y), line, Anchor::Start, DIM);
        }
        LINE * count
    }

    fn draw_phases(&self, canvas: &mut Canvas, frame: &Frame) {
        for (i, (name, start, end)) in self.phases.iter().enumerate() {
            let (Some(a), Some(b)) = (frame.x.position(*start), frame.x.position(*end)) else {
                continue;
            };
            let (a, b) = (
                frame.across(a.clamp(0.0, 1.0)),
                frame.across(b.clamp(0.0, 1.0)),
            );
            let class = ["fc-p0", "fc-p1"][i % 2];
            let fill = Paint {
                class,
                colour: PHASES[i % 2],
            };
            canvas.rect(
                a,
                frame.top - 18.0,
                b - a,
                frame.bottom - frame.top + 18.0,
                fill,
                1.0,
            );
            // A phase too narrow for a few letters stays unnamed.
            if b - a >= 24.0 {
                // Widths are estimated high: a few pixels more are free.
                let label = fit_text(name, FONT, (b - a) * 1.15);
                canvas.text(
                    ((a + b) / 2.0, frame.top - 5.0),
                    &label,
                    Anchor::Middle,
                    DIM,
                );
            }
        }
    }

    fn draw_axes(&self, canvas: &mut Canvas, frame: &Frame) {
        for (value, label) in &frame.y.ticks {
            if let Some(position) = frame.y.position(*value) {
                let y = frame.up(position);
                canvas.line((frame.left, y), (frame.right, y), GRID, 1.0, "");
                canvas.text((frame.left - 8.0, y + 4.0), label, Anchor::End, DIM);
            }
        }
        for (value, label) in &frame.x.ticks {
            if let Some(position) = frame.x.position(*value) {
                let x = frame.across(position);
                canvas.line((x, frame.bottom), (x, frame.bottom + 4.0), AXIS, 1.0, "");
                canvas.text((x, frame.bottom + 18.0), label, Anchor::Middle, DIM);
            }
        }
        canvas.path(
            &[
                (frame.left, frame.top),
                (frame.left, frame.bottom),
                (frame.right, frame.bottom),
            ],
            AXIS,
            1.0,
            "",
        );
        let middle = (
            (frame.left + frame.right) / 2.0,
            (frame.top + frame.bottom) / 2.0,
        );
        canvas.text(
            (middle.0, frame.bottom + 37.0),
            &self.x_label,
            Anchor::Middle,
            INK,
        );
        canvas.vertical_text((20.0, middle.1), &self.y_label, INK);
    }
}

/// The plot area and its axes.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: Axis,
    y: Axis,
}

impl Frame {
    fn across(&self, position: f64) -> f64 {
        self.left + position * (self.right - self.left)
    }

    fn up(&self, position: f64) -> f64 {
        self.bottom - position * (self.bottom - self.top)
    }

    fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        Some((
            self.across(self.x.position(x)?),
            self.up(self.y.position(y)?),
        ))
    }
}

fn draw_band(canvas: &mut Canvas, frame: &Frame, series: &Series, index: usize) {
    let fill = fill_class(index);
    let placed = series
        .band
        .iter()
        .map(|&(x, low, high)| Some((frame.place((x, low))?, frame.place((x, high))?)));
    for run in runs(placed) {
        let mut outline: Vec<_> = run.iter().map(|edges| edges.0).collect();
        outline.extend(run.iter().rev().map(|edges| edges.1));
        canvas.polygon(&outline, fill.paint(), 0.18);
    }
}

fn draw_curve(canvas: &mut Canvas, frame: &Frame, series: &Series, index: usize) {
    let (stroke, fill) = (stroke_class(index), fill_class(index));
    for run in runs(series.points.iter().map(|&p| frame.place(p))) {
        let reduced = reduce(&run);
        let path = if series.stepped {
            staircase(&reduced)
        } else {
            reduced
        };
        canvas.path(&path, stroke.paint(), 2.0, series.dash(index));
        // A point between two gaps has no line to be seen by.
        if series.dots || run.len() == 1 {
            for &point in &run {
                canvas.dot(point, 3.0, fill.paint());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paths(svg: &str) -> usize {
        svg.matches("class=\"fc-s0\"").count()
    }

    #[test]
    fn values_that_are_not_finite_are_gaps() {
        let points = [
            (0.0, 1.0),
            (1.0, 2.0),
            (2.0, f64::NAN),
            (3.0, 2.0),
            (4.0, 1.0),
        ];
        assert_eq!(paths(&LineChart::new("t").series("a", &points).to_svg()), 2);
    }

    #[test]
    fn a_lone_point_is_a_dot() {
        let svg = LineChart::new("t")
            .series("a", &[(0.0, 1.0), (1.0, f64::INFINITY)])
            .to_svg();
        assert_eq!((paths(&svg), svg.matches("<circle").count()), (0, 1));
    }

    #[test]
    fn a_chart_without_data_says_so() {
        assert!(LineChart::new("t").to_svg().contains("no data"));
        let negative = LineChart::new("t")
            .y_scale(Scale::Log)
            .series("a", &[(0.0, -1.0), (1.0, 0.0)]);
        assert!(negative.to_svg().contains("no data"));
    }

    #[test]
    fn long_series_keep_their_spikes() {
        let mut points: Vec<_> = (0..20_000).map(|i| (f64::from(i), 1.0)).collect();
        points[7_777].1 = 9.0;
        let svg = LineChart::new("t").series("loss", &points).to_svg();
        assert!(svg.len() < 60_000, "{}", svg.len());
        let peak = LineChart::new("t")
            .series("loss", &[(0.0, 1.0), (7_777.0, 9.0), (19_999.0, 1.0)])
            .to_svg();
        let highest = |svg: &str| {
            let start = svg.find("class=\"fc-s0\"").unwrap();
            let data = svg[start..].split('"').nth(3).unwrap().to_owned();
            data.split(['M', 'L'])
                .filter_map(|p| p.split(' ').nth(1)?.parse::<f64>().ok())
                .fold(f64::MAX, f64::min)
        };
        assert_eq!(highest(&svg), highest(&peak));
    }

    #[test]
    fn names_of_close_markers_go_below_each_other() {
        let svg = LineChart::new("t")
            .series("a", &[(0.0, 0.0), (100.0, 1.0)])
            .marker("valley", 40.0)
            .marker("slide", 41.0)
            .marker("minimum", 90.0)
            .to_svg();
        let row = |name: &str| -> f64 {
            let end = svg.find(&format!(">{name}<")).unwrap();
            let text = &svg[svg[..end].rfind("<text").unwrap()..end];
            let y = text.split(" y=\"").nth(1).unwrap();
            y.split('"').next().unwrap().parse().unwrap()
        };
        assert!(row("slide") > row("valley"));
        assert_eq!(row("minimum"), row("valley"));
    }

    #[test]
    fn nothing_is_drawn_over_the_name_of_a_marker() {
        let svg = LineChart::new("t")
            .series("a", &[(0.0, 0.0), (50.0, 1.0), (100.0, 1.0)])
            .marker("slide", 40.0)
            .marker("valley", 42.0)
            .marker("end", 100.0)
            .to_svg();
        let name = svg.find(">slide<").unwrap();
        assert!(svg.rfind("stroke-dasharray").unwrap() < name);
        // Each name lies on a patch; the first `fc-bg` is the page and the style.
        let patches = svg[..name].matches("class=\"fc-bg\"").count();
        assert_eq!(patches, 2);
        // What has no room to the right of its line stands to its left.
        let end = &svg[..svg.find(">end<").unwrap()];
        assert!(end[end.rfind("<text").unwrap()..].contains("text-anchor=\"end\""));
    }

    #[test]
    fn a_note_stands_below_the_chart_in_lines_that_fit() {
        let chart = LineChart::new("t").series("a", &[(0.0, 0.0), (1.0, 1.0)]);
        let svg = chart.clone().note("gain ".repeat(40)).to_svg();
        // 40 words of about 33 pixels on 612.
        assert_eq!(svg.matches(">gain gain").count(), 3, "{svg}");
        assert_eq!(chart.clone().note("").to_svg(), chart.to_svg());
    }

    #[test]
    fn names_are_escaped() {
        let svg = LineChart::new("<t>")
            .series("a&b", &[(0.0, 0.0)])
            .series("c", &[])
            .marker("<m>", 0.0)
            .to_svg();
        assert!(svg.contains("a&amp;b") && svg.contains("&lt;m&gt;") && !svg.contains("<m>"));
    }

    proptest! {
        #[test]
        fn any_numbers_make_well_formed_coordinates(
            points in proptest::collection::vec((any::<f64>(), any::<f64>()), 0..40),
            log_x: bool, log_y: bool, limits in proptest::option::of((any::<f64>(), any::<f64>())),
        ) {
            let scale = |log| if log { Scale::Log } else { Scale::Linear };
            let band: Vec<_> = points.iter().map(|p| (p.0, p.1, p.1 * 2.0)).collect();
            let mut chart = LineChart::new("t").x_scale(scale(log_x)).y_scale(scale(log_y))
                .phase("p", points.first().map_or(0.0, |p| p.0), 3.0)
                .curve(Series::new("a", &points).band(&band).stepped());
            if let Some((low, high)) = limits {
                chart = chart.y_limits(low, high);
            }
            let svg = chart.to_svg();
            prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            prop_assert_eq!(svg, chart.to_svg());
        }
    }
}
