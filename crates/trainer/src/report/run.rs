//! The page of one run.

use firecraft_data::ImageDataset;
use firecraft_plot::{BarChart, Heatmap, ImageGrid, LineChart, Page, PlotError, Scale};
use firecraft_schedule::Mode;

use super::predictions::Predictions;
use crate::error::TrainerError;
use crate::metrics::History;
use crate::recipe::Recipe;

/// How many of the wrong answers are shown as pictures.
const MISTAKES: usize = 24;

/// The longest side of a picture of a mistake, in pixels.
const PICTURE: usize = 96;

/// The report of one run: one HTML page that needs nothing but itself.
///
/// Sections stand in the order of the calls; [`page`](Self::page) takes
/// sections of your own.
///
/// ```
/// use firecraft_trainer::{History, Recipe, report::Report};
///
/// let history = History::default();
/// let mut report = Report::new("digits, seed 1", "finished on flex");
/// report.result(&history, None).curves(&history).recipe(&Recipe::default())?;
/// assert!(report.to_html().contains("No epoch is finished yet."));
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
#[derive(Debug)]
pub struct Report {
    page: Page,
}

impl Report {
    /// A page with a title and a line under it.
    pub fn new(title: impl Into<String>, subtitle: impl Into<String>) -> Self {
        Self {
            page: Page::new(title).subtitle(subtitle),
        }
    }

    /// What came out: test accuracy, best validation accuracy or loss, epochs.
    /// Without a test the page says that the test data was not read.
    pub fn result(&mut self, history: &History, test: Option<&Predictions>) -> &mut Self {
        let mut facts = Vec::new();
        if let Some(test) = test {
            facts.push((
                "test accuracy",
                format!(
                    "{:.2} % ({} of {} wrong)",
                    test.accuracy() * 100.0,
                    test.mistakes().len(),
                    test.samples().len()
                ),
            ));
        }
        if let Some(best) = history.best("val_accuracy", Mode::Max) {
            let value = best.metrics.get("val_accuracy").unwrap_or(f64::NAN);
            facts.push((
                "best validation accuracy",
                format!("{:.2} % in epoch {}", value * 100.0, best.epoch + 1),
            ));
        }
        if let Some(best) = history.best("val_loss", Mode::Min) {
            let value = best.metrics.get("val_loss").unwrap_or(f64::NAN);
            facts.push((
                "least validation loss",
                format!("{value:.4} in epoch {}", best.epoch + 1),
            ));
        }
        facts.push(("epochs finished", history.rows().len().to_string()));
        self.page.section("Result").facts(&facts);
        if test.is_none() {
            self.page.text(
                "The test data was not read: it is kept for the end of the training. \
                 Resume the run to get there.",
            );
        }
        self
    }

    /// Every metric over the epochs, training and validation in one chart, and
    /// the learning rate over the updates.
    pub fn curves(&mut self, history: &History) -> &mut Self {
        self.page.section("Curves");
        if history.rows().is_empty() {
            self.page.text("No epoch is finished yet.");
            return self;
        }
        let charts: Vec<String> = metric_names(history)
            .iter()
            .map(|name| metric_chart(history, name).to_svg())
            .collect();
        self.page.charts(&charts);
        let rates: Vec<(f64, f64)> = (history.rows().iter())
            .map(|row| (row.update as f64, row.learning_rate))
            .collect();
        let rate = LineChart::new("Learning rate")
            .x_label("update")
            .series("learning rate", &rates);
        self.page.chart(
            &rate.to_svg(),
            "The training loss is measured with augmentation and label smoothing, \
             the validation loss with neither.",
        );
        self
    }

    /// Standard deviation of the activations of each part before training.
    pub fn signal(&mut self, stages: &[(&str, f64)]) -> &mut Self {
        let values: Vec<f64> = stages.iter().map(|(_, std)| *std).collect();
        let chart = BarChart::new("Signal at initialisation")
            .value_label("standard deviation of the activations")
            .categories(stages.iter().map(|(name, _)| *name))
            .series("signal", &values)
            .reference("unit variance", 1.0);
        self.page.section("Signal at initialisation").chart(
            &chart.to_svg(),
            "A good initialisation keeps the signal near one through the depth; \
             one that grows or fades by a factor per layer makes training slow or impossible.",
        );
        self
    }

    /// The confusion matrix, and the wrong answers of which the model was
    /// surest, as pictures. `images` are those of the predictions, in order.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Report`] when a picture can't be drawn.
    pub fn test(
        &mut self,
        predictions: &Predictions,
        images: &ImageDataset,
    ) -> Result<&mut Self, TrainerError> {
        let names = images.class_names().to_vec();
        let confusion = Heatmap::confusion("Confusion matrix", &names, &predictions.confusion());
        self.page.section("Test").chart(
            &confusion.to_svg(),
            "Rows: the right class. Columns: the answer.",
        );
        let mistakes = predictions.mistakes();
        if mistakes.is_empty() {
            self.page.text("There are no mistakes.");
            return Ok(self);
        }
        let name = |class: usize| match names.get(class) {
            Some(name) => name.clone(),
            None => class.to_string(),
        };
        let tiles = mistakes.iter().take(MISTAKES).map(|&i| {
            let sample = &predictions.samples()[i];
            let caption = format!(
                "{} read as {} with {:.0} % confidence",
                name(sample.label),
                name(sample.predicted),
                sample.confidence * 100.0
            );
            Ok((picture(images, i).map_err(unreadable)?, caption))
        });
        let tiles = tiles.collect::<Result<Vec<_>, TrainerError>>()?;
        self.page.section("Worst mistakes").tiles(&tiles);
        Ok(self)
    }

    /// The recipe that gives the run again.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Spec`] when the recipe has no text form.
    pub fn recipe(&mut self, recipe: &Recipe) -> Result<&mut Self, TrainerError> {
        self.page.section("Recipe").code(&recipe.to_toml()?);
        Ok(self)
    }

    /// The page, for sections of your own.
    pub fn page(&mut self) -> &mut Page {
        &mut self.page
    }

    /// The page as a complete HTML document.
    pub fn to_html(&self) -> String {
        self.page.to_html()
    }
}

/// Names of the metrics without the prefix of validation, in order of
/// appearance.
pub(super) fn metric_names(history: &History) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in history.rows().iter().flat_map(|row| row.metrics.iter()) {
        let name = name.strip_prefix("val_").unwrap_or(name);
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Losses span decades; what can be zero or negative can't be on such an axis.
pub(super) fn scale_for(name: &str, curves: &[&[(f64, f64)]]) -> Scale {
    let positive = |points: &&[(f64, f64)]| points.iter().all(|(_, y)| *y > 0.0);
    if name.contains("loss") && curves.iter().all(positive) {
        Scale::Log
    } else {
        Scale::Linear
    }
}

fn metric_chart(history: &History, name: &str) -> LineChart {
    let training = history.curve(name);
    let validation = history.curve(&format!("val_{name}"));
    let mut chart = LineChart::new(capitalised(name))
        .x_label("epoch")
        .y_scale(scale_for(name, &[&training, &validation]));
    for (label, points) in [("training", &training), ("validation", &validation)] {
        if !points.is_empty() {
            chart = chart.series(label, points);
        }
    }
    chart
}

pub(super) fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn picture(images: &ImageDataset, index: usize) -> Result<String, PlotError> {
    let [height, width, channels] = images.shape();
    let scale = (PICTURE / height.max(width).max(1)).max(1);
    let mut grid = ImageGrid::new(width, height).columns(1).scale(scale);
    grid.push(images.pixels(index), channels)?;
    grid.to_data_uri()
}

fn unreadable(error: PlotError) -> TrainerError {
    TrainerError::Report {
        problem: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{EpochRow, Metrics};
    use burn::tensor::{Device, Tensor};

    fn history() -> History {
        let mut history = History::default();
        for epoch in 0..2 {
            let mut metrics = Metrics::default();
            for name in ["loss", "accuracy", "val_loss", "val_accuracy", "val_f1"] {
                metrics.set(name, 0.5 + epoch as f64 / 4.0);
            }
            history.push(EpochRow {
                epoch,
                update: 10 * (epoch + 1),
                learning_rate: 0.1,
                metrics,
            });
        }
        history
    }

    fn images() -> ImageDataset {
        let names = vec!["cat".to_owned(), "<dog>".to_owned()];
        ImageDataset::new([2, 2, 1], vec![0; 8], vec![0, 1], names).unwrap()
    }

    #[test]
    fn every_metric_gets_a_chart_whatever_it_is_called() {
        assert_eq!(metric_names(&history()), ["loss", "accuracy", "f1"]);
        let mut report = Report::new("run", "");
        let html = report.curves(&history()).to_html();
        for title in ["Loss", "Accuracy", "F1", "Learning rate"] {
            assert!(html.contains(title), "{title}");
        }
    }

    #[test]
    fn mistakes_are_shown_with_the_names_of_the_classes_escaped() {
        let logits = Tensor::<2>::from_data([[0.0f32, 4.0], [0.0, 4.0]], &Device::flex());
        let predictions = Predictions::new(logits, &[0, 1]).unwrap();
        let mut report = Report::new("run", "");
        report.test(&predictions, &images()).unwrap();
        let html = report.to_html();
        assert!(html.contains("cat read as &lt;dog&gt; with 98 % confidence"));
        assert!(!html.contains("<dog>"));
    }

    #[test]
    fn an_interrupted_run_says_that_the_test_was_not_read() {
        let mut report = Report::new("run", "");
        assert!(
            report
                .result(&history(), None)
                .to_html()
                .contains("was not read")
        );
        assert_eq!(scale_for("loss", &[&[(1.0, 0.0)]]), Scale::Linear);
        assert_eq!(scale_for("loss", &[&[(1.0, 0.5)]]), Scale::Log);
    }
}
