//! Schedules and range tests as charts.

use super::Preview;
use crate::{LrFinder, Phase, Slot, Suggestion};
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
        let phases = self.phases_of(parameter).into_iter();
        phases.fold(chart, |chart, phase| {
            chart.phase(phase.name.clone(), phase.start, phase.end)
        })
    }

    /// The phases that all curves of a chart have in common: shading that is
    /// right for one group alone would tell lies about the others.
    fn phases_of(&self, parameter: &str) -> Vec<&Phase> {
        let of = |slot: Option<&Slot>| -> Vec<&Phase> {
            let phases = self.phases.iter();
            phases.filter(|phase| phase.slot.as_ref() == slot).collect()
        };
        let slots = self.slots.iter().filter(|slot| slot.parameter == parameter);
        let mut groups = slots
            .map(|slot| of(Some(slot)))
            .filter(|own| !own.is_empty());
        let first = groups.next().unwrap_or_default();
        let place = |phase: &Phase| (phase.name.clone(), phase.start, phase.end);
        let alike = groups.all(|other| {
            let places = other.into_iter().map(place);
            places.eq(first.iter().copied().map(place))
        });
        let mut phases = of(None);
        if alike {
            phases.extend(first);
        }
        phases
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
    /// The curve of the test over a logarithmic axis, its suggestions marked
    /// with their learning rates. A curve that diverges without end is cut, so
    /// that the part before can be read.
    #[must_use]
    pub fn chart(&self) -> LineChart {
        let mut chart = LineChart::new("Learning-rate range test")
            .x_label("learning rate")
            .y_label("smoothed loss")
            .x_scale(Scale::Log)
            .series("loss", self.curve());
        if let Some((low, high)) = self.readable() {
            chart = chart.y_limits(low, high);
        }
        Suggestion::ALL
            .iter()
            .fold(chart, |chart, how| match self.suggest(*how) {
                Some(found) => chart.marker(format!("{} {:.1e}", how.name(), found.lr), found.lr),
                None => chart,
            })
    }

    /// Limits around the curve up to its minimum, if what follows is far above.
    fn readable(&self) -> Option<(f64, f64)> {
        let losses = self.curve().iter().map(|point| point.1);
        let losses: Vec<f64> = losses.filter(|loss| loss.is_finite()).collect();
        let least = (0..losses.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b]))?;
        let low = losses[least];
        let before = losses[..=least].iter().copied().fold(low, f64::max);
        let highest = losses.iter().copied().fold(low, f64::max);
        let height = before - low;
        (height > 0.0 && highest - low > 5.0 * height)
            .then_some((low - 0.1 * height, before + 2.0 * height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ConstantConfig, CosineConfig, Horizon, LinearConfig, LrFinderConfig, OneCycleConfig, Pure,
        SchedulerExt, Slots,
    };

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
    fn only_phases_that_hold_for_every_curve_of_a_chart_are_shaded() {
        let warm = |length: f64| {
            let cosine = CosineConfig::new(0.1, 50.0).init().unwrap();
            Pure::updates(cosine).warmup(length).unwrap()
        };
        let shaded = |head: f64| {
            let momentum = LinearConfig::new(0.9, 0.8, 60.0).init().unwrap();
            let mut slots = Slots::new()
                .group("backbone", warm(10.0))
                .group("head", warm(head))
                .with(Slot::new(Slot::MOMENTUM), Pure::updates(momentum));
            let preview = Preview::of(&mut slots, &Horizon::updates(60)).unwrap();
            let charts = preview.charts();
            let shaded: Vec<bool> = (charts.iter())
                .map(|(_, chart)| chart.to_svg().contains("warm-up"))
                .collect();
            shaded
        };
        assert_eq!(shaded(10.0), [true, false]);
        assert_eq!(shaded(20.0), [false, false]);
    }

    #[test]
    fn a_range_test_shows_its_suggestions() {
        let mut finder = LrFinderConfig::new().init().unwrap();
        while !finder.observe(1.0 / (1.0 + 1e3 * finder.learning_rate())) {}
        let svg = finder.chart().to_svg();
        assert!(svg.contains("valley") && svg.contains("steep"));
        let valley = finder.suggest(Suggestion::Valley).unwrap().lr;
        assert!(svg.contains(&format!(">valley {valley:.1e}<")), "{svg}");
    }

    #[test]
    fn a_curve_that_explodes_is_cut_where_its_descent_can_be_read() {
        let config = LrFinderConfig::new().with_smoothing(0.0);
        let mut finder = config.with_divergence(None).init().unwrap();
        let loss = |lr: f64| 2.0 / (1.0 + 1e3 * lr) + (1e2 * lr).powi(4);
        while !finder.observe(loss(finder.learning_rate())) {}
        let (low, high) = finder.readable().unwrap();
        assert!(low > -1.0 && (2.0..10.0).contains(&high), "{low} {high}");

        let mut calm = LrFinderConfig::new().init().unwrap();
        while !calm.observe(1.0 / (1.0 + 1e3 * calm.learning_rate())) {}
        assert_eq!(calm.readable(), None);
    }
}
