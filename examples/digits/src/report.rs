//! `report.html`: one page that needs nothing but itself.

use firecraft::augment::{Size, Transform, preview};
use firecraft::data::{ImageDataset, Normalizer};
use firecraft::key::Key;
use firecraft::plot::{ImageGrid, Page};
use firecraft::trainer::report::{Predictions, Report};
use firecraft::trainer::{History, Recipe};

use crate::error::DigitsError;
use crate::signals::Signal;

/// What there is to report. A run that was interrupted has no test.
pub(crate) struct Contents<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) device: &'a str,
    pub(crate) status: &'a str,
    pub(crate) history: &'a History,
    pub(crate) signals: &'a [Signal],
    pub(crate) augmentation: Option<&'a dyn Transform>,
    pub(crate) train: &'a ImageDataset,
    pub(crate) normalizer: &'a Normalizer,
    pub(crate) test: Option<(&'a ImageDataset, &'a Predictions)>,
}

impl Contents<'_> {
    pub(crate) fn to_html(&self) -> Result<String, DigitsError> {
        let title = format!("digits, seed {}", self.recipe.seed);
        let mut report = Report::new(title, format!("{} on {}", self.status, self.device));
        report
            .result(self.history, self.test.map(|(_, predictions)| predictions))
            .curves(self.history);
        self.augmentation(report.page())?;
        let stages: Vec<(&str, f64)> = (self.signals.iter())
            .map(|signal| (signal.layer, signal.std))
            .collect();
        report.signal(&stages);
        if let Some((images, predictions)) = self.test {
            report.test(predictions, images)?;
        }
        Ok(report.recipe(self.recipe)?.to_html())
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
}
