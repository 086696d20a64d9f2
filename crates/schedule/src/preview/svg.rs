//! Schedules and range tests as charts.

use super::Preview;
use crate::{LrFinder, Suggestion};
use firecraft_plot::{LineChart, Scale, Series};
use std::fmt::Write;

/// Width and height of a chart in pixels.
const SIZE: (u32, u32) = (640, 300);

impl Preview {
    /// One chart per hyper-parameter, with its name: the curves of all groups
    /// over updates, phases shaded.
    #[must_use]
    pub fn charts(&self) -> Vec<(String, LineChart)> {
        let mut charts: Vec<(String, LineChart)> = Vec::new();
        for (slot, values) in self.slots.iter().zip(&self.values) {
            let place = charts.iter().position(|(name, _)| *name == slot.parameter);
            let place = place.unwrap_or_else(|| {
                charts.push((slot.parameter.clone(), self.empty_chart(&slot.parameter)));
                charts.len() - 1
            });
            let points: Vec<(f64, f64)> =
                (0..).map(f64::from).zip(values.iter().copied()).collect();
            let name = slot.group.as_deref().unwrap_or(&slot.parameter);
            let (_, chart) = &mut charts[place];
            *chart = chart.clone().curve(Series::new(name, &points).stepped());
        }
        charts
    }

    fn empty_chart(&self, parameter: &str) -> LineChart {
        let chart = LineChart::new(format!("Schedule of {parameter}"))
            .x_label("update")
            .y_label(parameter)
            .size(SIZE.0, SIZE.1);
        self.phases.iter().fold(chart, |chart, phase| {
            chart.phase(phase.name.clone(), phase.start, phase.end)
        })
    }

    /// The charts of all hyper-parameters, one below the other, as an SVG
    /// document.
    ///
    /// ```
    /// use firecraft_schedule::*;
    /// let mut schedule = Pure::updates(CosineConfig::new(0.1, 80.0).init()?).warmup(20.0)?;
    /// let svg = Preview::of(&mut schedule, &Horizon::updates(100))?.to_svg();
    /// assert!(svg.contains("warm-up") && svg.contains("cosine"));
    /// # Ok::<(), ScheduleError>(())
    /// ```
    #[must_use]
    pub fn to_svg(&self) -> String {
        let charts = self.charts();
        if let [(_, chart)] = &charts[..] {
            return chart.to_svg();
        }
        let (width, height) = (SIZE.0, SIZE.1 as usize * charts.len());
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">\n"
        );
        for (nth, (_, chart)) in charts.iter().enumerate() {
            let y = SIZE.1 as usize * nth;
            let _ = write!(svg, "<svg y=\"{y}\">\n{}</svg>\n", chart.to_svg());
        }
        svg + "</svg>\n"
    }
}

impl LrFinder {
    /// The curve of the test over a logarithmic axis, its suggestions marked.
    #[must_use]
    pub fn chart(&self) -> LineChart {
        let chart = LineChart::new("Learning-rate range test")
            .x_label("learning rate")
            .y_label("smoothed loss")
            .x_scale(Scale::Log)
            .series("loss", self.curve());
        Suggestion::ALL
            .iter()
            .fold(chart, |chart, how| match self.suggest(*how) {
                Some(found) => chart.marker(how.name(), found.lr),
                None => chart,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConstantConfig, Horizon, LrFinderConfig, OneCycleConfig, Pure, Slot, Slots};

    #[test]
    fn there_is_a_chart_per_parameter_with_all_its_groups() {
        let lr = |value| Pure::updates(ConstantConfig::new(value).init().unwrap());
        let momentum = OneCycleConfig::new(0.1, 10.0).momentum(0.8, 0.9);
        let mut slots = Slots::new()
            .group("backbone", lr(0.01))
            .group("head", lr(0.1))
            .with(
                Slot::new(Slot::MOMENTUM),
                Pure::updates(momentum.init().unwrap()),
            );
        let preview = Preview::of(&mut slots, &Horizon::updates(10)).unwrap();
        let charts = preview.charts();
        let names: Vec<&str> = charts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["lr", "momentum"]);
        let svg = charts[0].1.to_svg();
        assert!(svg.contains("backbone") && svg.contains("head"));
        let all = preview.to_svg();
        assert!(all.contains("Schedule of lr") && all.contains("Schedule of momentum"));
        assert_eq!(all.matches("<svg").count(), all.matches("</svg>").count());
    }

    #[test]
    fn a_range_test_shows_its_suggestions() {
        let mut finder = LrFinderConfig::new().init().unwrap();
        while !finder.observe(1.0 / (1.0 + 1e3 * finder.learning_rate())) {}
        let svg = finder.chart().to_svg();
        assert!(svg.contains("valley") && svg.contains("steep"));
    }
}
