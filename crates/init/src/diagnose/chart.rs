//! The report of a diagnosis as a chart.

use super::report::SignalReport;
use firecraft_plot::{LineChart, Scale};

impl SignalReport {
    /// Deviations of activations and gradients over depth, on a log scale, with
    /// the layer at fault marked and the remedy below.
    ///
    /// ```
    /// # use burn::tensor::{Device, Tensor};
    /// let report = firecraft_init::diagnose_with(|probe| {
    ///     let x = Tensor::<2>::from_floats([[1.0, -1.0]], &Device::flex());
    ///     let x = probe.see("first", x);
    ///     probe.see("second", x * 0.1);
    /// })?;
    /// assert!(report.to_svg("Signal").starts_with("<svg"));
    /// # Ok::<(), firecraft_init::InitError>(())
    /// ```
    #[must_use]
    pub fn to_svg(&self, title: &str) -> String {
        let points = |value: &dyn Fn(&super::LayerSignal) -> Option<f64>| -> Vec<(f64, f64)> {
            (self.layers.iter().enumerate())
                .filter_map(|(i, layer)| Some((i as f64 + 1.0, value(layer)?)))
                .collect()
        };
        let activations = points(&|layer| Some(layer.activation.std));
        let gradients = points(&|layer| layer.gradient.map(|gradient| gradient.std));
        let mut chart = LineChart::new(format!("{title}: {}", self.verdict))
            .size(820, 380)
            .y_label("standard deviation")
            .y_scale(Scale::Log)
            .series("activations", &activations);
        if !gradients.is_empty() {
            chart = chart.series("gradients", &gradients);
        }
        let at = (self.culprit.as_ref())
            .and_then(|name| self.layers.iter().position(|layer| layer.name == *name));
        let chart = chart.x_label("layer");
        match at {
            None => chart,
            Some(at) => chart
                .marker(self.verdict.to_string(), at as f64 + 1.0)
                .note(format!(
                    "{} from `{}` on. Remedy: {}",
                    self.verdict, self.layers[at].name, self.remedy
                )),
        }
        .to_svg()
    }
}
