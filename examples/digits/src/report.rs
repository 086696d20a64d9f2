//! `report.html`: one page that needs nothing but itself.

use firecraft::augment::{Size, Transform, preview};
use firecraft::data::{ImageDataset, Normalizer};
use firecraft::key::Key;
use firecraft::plot::{BarChart, Heatmap, ImageGrid, LineChart, Page, Scale};
use firecraft::schedule::Mode;
use firecraft::trainer::{History, Recipe};

use crate::error::DigitsError;
use crate::evaluation::Evaluation;
use crate::signals::Signal;

/// How many mistakes are shown.
const MISTAKES: usize = 24;

/// What there is to report. A run that was interrupted has no test.
pub(crate) struct Report<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) device: &'a str,
    pub(crate) status: &'a str,
    pub(crate) history: &'a History,
    pub(crate) signals: &'a [Signal],
    pub(crate) augmentation: Option<&'a dyn Transform>,
    pub(crate) train: &'a ImageDataset,
    pub(crate) normalizer: &'a Normalizer,
    pub(crate) test: Option<(&'a ImageDataset, &'a Evaluation)>,
}

impl Report<'_> {
    pub(crate) fn to_html(&self) -> Result<String, DigitsError> {
        let mut page = Page::new(format!("digits, seed {}", self.recipe.seed))
            .subtitle(format!("{} on {}", self.status, self.device));
        self.summary(&mut page);
        self.curves(&mut page);
        self.augmentation(&mut page)?;
        self.signals(&mut page);
        self.test(&mut page)?;
        page.section("Recipe").code(&self.recipe.to_toml()?);
        Ok(page.to_html())
    }

    fn summary(&self, page: &mut Page) {
        let mut facts = Vec::new();
        if let Some((_, evaluation)) = self.test {
            facts.push((
                "test accuracy",
                format!(
                    "{:.2} % ({} of {} wrong)",
                    evaluation.accuracy() * 100.0,
                    evaluation.mistakes().len(),
                    evaluation.predictions.len()
                ),
            ));
        }
        let metric = "val_accuracy";
        if let Some(best) = self.history.best(metric, Mode::Max) {
            let value = best.metrics.get(metric).unwrap_or(f64::NAN);
            facts.push((
                "best validation accuracy",
                format!("{:.2} % in epoch {}", value * 100.0, best.epoch + 1),
            ));
        }
        facts.push(("epochs finished", self.history.rows().len().to_string()));
        page.section("Result").facts(&facts);
        if self.test.is_none() {
            page.text(
                "The test data was not read: it is kept for the end of the training. \
                 Resume the run to get there.",
            );
        }
    }

    fn curves(&self, page: &mut Page) {
        page.section("Curves");
        if self.history.rows().is_empty() {
            page.text("No epoch is finished yet.");
        }
        let chart = |title: &str, names: [&str; 2]| {
            LineChart::new(title)
                .x_label("epoch")
                .series("training", &self.history.curve(names[0]))
                .series("validation", &self.history.curve(names[1]))
        };
        let loss = chart("Loss", ["loss", "val_loss"]).y_scale(Scale::Log);
        let accuracy = chart("Accuracy", ["accuracy", "val_accuracy"]);
        page.charts(&[loss.to_svg(), accuracy.to_svg()]);
        let rates: Vec<(f64, f64)> = (self.history.rows().iter())
            .map(|row| (row.update as f64, row.learning_rate))
            .collect();
        let rate = LineChart::new("Learning rate")
            .x_label("update")
            .series("learning rate", &rates);
        page.chart(
            &rate.to_svg(),
            "The training loss is measured with augmentation and label smoothing, \
             the validation loss with neither.",
        );
    }

    fn augmentation(&self, page: &mut Page) -> Result<(), DigitsError> {
        page.section("Augmentation");
        let Some(transform) = self.augmentation else {
            page.text("This run was made without augmentation.");
            return Ok(());
        };
        // The transform knows what the network sees: normalised values.
        let normal = |x: f32| (x - self.normalizer.mean()[0]) / self.normalizer.std()[0];
        let images: Vec<f32> = (0..6)
            .flat_map(|i| self.train.pixels(i).to_vec())
            .map(|level| normal(f32::from(level) / 255.0))
            .collect();
        let range = (normal(0.0), normal(1.0));
        let key = Key::from_seed(self.recipe.seed).named("preview");
        let sheet = preview(&images, Size::new(8, 8), 1, range, transform, 9, key)?;
        let mut grid = ImageGrid::new(8, 8).columns(sheet.columns).scale(6).gap(2);
        for tile in &sheet.tiles {
            grid.push(tile, sheet.channels)?;
        }
        page.image(
            &grid.to_data_uri()?,
            "Six digits, each with nine augmented variants",
            "Left: digits of the training data. Right of them: what the network sees. \
             There are no flips: a mirrored digit is another digit or none.",
        );
        Ok(())
    }

    fn signals(&self, page: &mut Page) {
        let layers = self.signals.iter().map(|signal| signal.layer);
        let values: Vec<f64> = self.signals.iter().map(|signal| signal.std).collect();
        let chart = BarChart::new("Signal at initialisation")
            .value_label("standard deviation of the activations")
            .categories(layers)
            .series("signal", &values)
            .reference("unit variance", 1.0);
        page.section("Signal at initialisation").chart(
            &chart.to_svg(),
            "A good initialisation keeps the signal near one through the depth; \
             one that grows or fades by a factor per layer makes training slow or impossible.",
        );
    }

    fn test(&self, page: &mut Page) -> Result<(), DigitsError> {
        let Some((images, evaluation)) = self.test else {
            return Ok(());
        };
        let names: Vec<String> = images.class_names().to_vec();
        let confusion = Heatmap::confusion("Confusion matrix", &names, &evaluation.confusion());
        page.section("Test")
            .chart(&confusion.to_svg(), "Rows: the digit. Columns: the answer.");
        let mistakes = evaluation.mistakes();
        if mistakes.is_empty() {
            page.text("There are no mistakes.");
            return Ok(());
        }
        page.section("Worst mistakes");
        for &i in mistakes.iter().take(MISTAKES) {
            let prediction = &evaluation.predictions[i];
            let mut grid = ImageGrid::new(8, 8).columns(1).scale(8);
            grid.push(images.pixels(i), 1)?;
            let caption = format!(
                "{} read as {} with {:.0} % confidence",
                prediction.label,
                prediction.predicted,
                prediction.confidence * 100.0
            );
            page.image(&grid.to_data_uri()?, &caption, &caption);
        }
        Ok(())
    }
}
