//! The report of a diagnosis, as a table and as JSON.

use super::probe::Seen;
use super::verdict::{Thresholds, Verdict};
use crate::InitError;
use firecraft_spec::Value;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Mean and standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Mean over all elements.
    #[serde(with = "number")]
    pub mean: f64,
    /// Standard deviation over all elements.
    #[serde(with = "number")]
    pub std: f64,
}

/// Numbers that need not be finite, which JSON can't write, in the spelling of
/// [`Value`]: a network that explodes is what a report is for.
mod number {
    use super::{Deserialize, Serialize, Value};
    use serde::{Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Value::Float(*x).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let value = Value::deserialize(deserializer)?;
        (value.as_number()).ok_or_else(|| D::Error::custom(format_args!("{value} is no number")))
    }
}

impl Moments {
    pub(super) fn of(values: &[f64]) -> Self {
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let square: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        Self {
            mean,
            std: (square / n).sqrt(),
        }
    }
}

/// What one layer of a forward pass and its way back carried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerSignal {
    /// The name the probe was given.
    pub name: String,
    /// Moments of the values.
    pub activation: Moments,
    /// Fraction of values that are 0.
    pub zeros: f64,
    /// Fraction of units that are 0 for every sample of the batch.
    pub dead: f64,
    /// Fraction of values near ±1, if none is beyond.
    pub saturated: f64,
    /// Moments of the gradients, on an autodiff device.
    pub gradient: Option<Moments>,
    /// What that means.
    pub verdict: Verdict,
}

/// What all layers carried. Prints as a table; `serde_json` makes it JSON,
/// `to_svg` (feature `plot`) a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalReport {
    /// In the order of the forward pass.
    pub layers: Vec<LayerSignal>,
    /// The verdict on the first layer whose activations are at fault, else on
    /// the first whose gradients are.
    pub verdict: Verdict,
    /// The name of that layer, unless all is well.
    pub culprit: Option<String>,
    /// What usually helps against it.
    pub remedy: String,
    /// Factor by which the activations grow per layer, on geometric average.
    pub forward_factor: Option<f64>,
    /// Factor by which the gradients grow per layer on their way back.
    pub backward_factor: Option<f64>,
}

impl SignalReport {
    pub(super) fn new(seen: Vec<Seen>) -> Self {
        let layers: Vec<LayerSignal> = (seen.into_iter())
            .map(|seen| LayerSignal {
                name: seen.name,
                activation: seen.values.moments,
                zeros: seen.values.zeros,
                dead: seen.values.dead,
                saturated: seen.values.saturated,
                gradient: seen.gradient,
                verdict: Verdict::Healthy,
            })
            .collect();
        let sizes: Vec<f64> = (layers.iter())
            .map(|layer| layer.activation.root_mean_square())
            .collect();
        let gradients: Option<Vec<f64>> = (layers.iter().rev())
            .map(|layer| layer.gradient.map(|gradient| gradient.std))
            .collect();
        let mut report = Self {
            verdict: Verdict::Healthy,
            culprit: None,
            remedy: String::new(),
            forward_factor: factor(&sizes),
            backward_factor: gradients.and_then(|gradients| factor(&gradients)),
            layers,
        };
        report.judge(&Thresholds::default());
        report
    }

    /// The same numbers judged by other thresholds.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use firecraft_init::{Thresholds, Verdict, diagnose_with};
    /// let report = diagnose_with(|probe| {
    ///     let x = Tensor::<2>::from_floats([[30.0, -30.0]], &Device::flex());
    ///     let _ = probe.see("x", x);
    /// })?;
    /// assert_eq!(report.verdict, Verdict::Healthy);
    /// let strict = Thresholds { exploding: 10.0, ..Thresholds::default() };
    /// assert_eq!(report.judged(&strict)?.verdict, Verdict::Exploding);
    /// # Ok::<(), firecraft_init::InitError>(())
    /// ```
    ///
    /// # Errors
    /// [`InitError::Setting`] for a threshold that is not a positive number.
    pub fn judged(mut self, thresholds: &Thresholds) -> Result<Self, InitError> {
        thresholds.validate()?;
        self.judge(thresholds);
        Ok(self)
    }

    fn judge(&mut self, thresholds: &Thresholds) {
        // A layer of one value has no deviation, but a size.
        let gradient = |layer: &LayerSignal| (layer.gradient).map(|g| g.root_mean_square());
        let last = self.layers.last().and_then(gradient);
        for layer in &mut self.layers {
            let relative = gradient(layer).zip(last).map(|(size, last)| size / last);
            layer.verdict = thresholds.judge(layer, relative);
        }
        let culprit = culprit(&self.layers);
        self.verdict = culprit.map_or(Verdict::Healthy, |layer| layer.verdict);
        self.culprit = culprit.map(|layer| layer.name.clone());
        self.remedy = self.verdict.remedy().to_owned();
    }

    /// The layer of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&LayerSignal> {
        self.layers.iter().find(|layer| layer.name == name)
    }

    /// One sentence: what is wrong, since where, and what helps.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = match &self.culprit {
            None => self.verdict.to_string(),
            Some(name) => format!("{} from `{name}` on: {}", self.verdict, self.remedy),
        };
        let per_layer = [
            ("activations", self.forward_factor),
            ("gradients", self.backward_factor),
        ];
        for (what, factor) in per_layer {
            if let Some(factor) = factor {
                text.push_str(&format!("; {what} × {factor:.3} per layer"));
            }
        }
        text
    }
}

/// Gradients die where activations do, and before: the activations tell more.
fn culprit(layers: &[LayerSignal]) -> Option<&LayerSignal> {
    let unhealthy = || (layers.iter()).filter(|layer| layer.verdict != Verdict::Healthy);
    let in_gradients = |layer: &&LayerSignal| {
        use Verdict::{ExplodingGradient, VanishingGradient};
        matches!(layer.verdict, VanishingGradient | ExplodingGradient)
    };
    unhealthy()
        .find(|layer| !in_gradients(layer))
        .or_else(|| unhealthy().next())
}

/// Geometric mean of the growth from one to the next, over the part that is
/// finite and not 0.
fn factor(sizes: &[f64]) -> Option<f64> {
    let usable = sizes
        .iter()
        .take_while(|size| size.is_finite() && **size > 0.0);
    let sizes: Vec<f64> = usable.copied().collect();
    match sizes.as_slice() {
        [first, .., last] => {
            let steps = (sizes.len() - 1) as f64;
            Some(libm::exp((libm::log(*last) - libm::log(*first)) / steps))
        }
        _ => None,
    }
}

impl fmt::Display for SignalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = (self.layers.iter().map(|layer| layer.name.chars().count()))
            .fold("layer".len(), usize::max);
        writeln!(
            f,
            "{:<width$}  {:>10}  {:>10}  {:>6}  {:>6}  {:>10}  verdict",
            "layer", "mean", "std", "zero %", "dead %", "grad std"
        )?;
        for layer in &self.layers {
            let gradient = (layer.gradient).map_or_else(
                || "-".to_owned(),
                |gradient| format!("{:.2e}", gradient.std),
            );
            writeln!(
                f,
                "{:<width$}  {:>10.2e}  {:>10.2e}  {:>6.1}  {:>6.1}  {gradient:>10}  {}",
                layer.name,
                layer.activation.mean,
                layer.activation.std,
                100.0 * layer.zeros,
                100.0 * layer.dead,
                layer.verdict
            )?;
        }
        writeln!(f, "{}", self.summary())
    }
}
