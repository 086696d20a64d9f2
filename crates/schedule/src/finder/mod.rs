//! The learning-rate range test.

mod recorded;
mod suggest;

pub use suggest::{Suggestion, Suggestions};

use crate::check::Check;
use crate::config::with_methods;
use crate::{Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// How the learning rate grows during a range test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Growth {
    /// By the same factor at every update.
    #[default]
    Exponential,
    /// By the same amount at every update.
    Linear,
}

/// Configuration of [`LrFinder`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LrFinderConfig {
    /// The first learning rate, `> 0`; 1e-7 by default.
    pub start: f64,
    /// The last one, `> start`; 10 by default.
    pub end: f64,
    /// Number of updates, `>= 6`; 100 by default.
    pub updates: u64,
    /// How it grows.
    pub growth: Growth,
    /// The test ends when the smoothed loss is above this multiple of the best
    /// one (for a negative loss, above it by as much), `> 1`; 4 by default.
    /// `None` never ends it.
    pub divergence: Option<f64>,
    /// Weight of the past in the smoothed loss, in `[0, 1)`; 0.98 by default.
    pub smoothing: f64,
    /// Points left out at the start of the curve before suggestions are made;
    /// a tenth of the updates by default.
    pub skip_start: Option<u64>,
    /// Points left out at its end; 5 by default.
    pub skip_end: u64,
}

impl Default for LrFinderConfig {
    fn default() -> Self {
        Self {
            start: 1e-7,
            end: 10.0,
            updates: 100,
            growth: Growth::Exponential,
            divergence: Some(4.0),
            smoothing: 0.98,
            skip_start: None,
            skip_end: 5,
        }
    }
}

with_methods!(LrFinderConfig {
    with_start: start: f64,
    with_end: end: f64,
    with_updates: updates: u64,
    with_growth: growth: Growth,
    with_divergence: divergence: Option<f64>,
    with_smoothing: smoothing: f64,
    with_skip_start: skip_start: Option<u64>,
    with_skip_end: skip_end: u64,
});

impl LrFinderConfig {
    /// fastai's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The test.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn init(&self) -> Result<LrFinder, ScheduleError> {
        let check = Check::of("lr_finder");
        check.positive("start", self.start)?;
        check.finite("end", self.end)?;
        let above = format!("> `start` = {}", self.start);
        check.that(self.end > self.start, "end", above, self.end)?;
        let in_range = (6..=1 << 20).contains(&self.updates);
        check.that(in_range, "updates", "in 6 ..= 1048576", self.updates)?;
        if let Some(divergence) = self.divergence {
            check.that(divergence > 1.0, "divergence", "> 1", divergence)?;
        }
        let smoothing = (0.0..1.0).contains(&self.smoothing);
        check.that(smoothing, "smoothing", "in [0, 1)", self.smoothing)?;
        Ok(LrFinder {
            config: self.clone(),
            curve: Vec::with_capacity(self.updates as usize),
            average: 0.0,
            weight: 1.0,
            best: f64::INFINITY,
        })
    }
}

/// Trains for a while with a growing learning rate, and suggests one. Smith,
/// [arXiv:1506.01186](https://arxiv.org/abs/1506.01186).
///
/// Set [`LrFinder::learning_rate`], train one update, give the loss to
/// [`LrFinder::observe`], until that says that the test is over. The model is to
/// be restored afterwards.
///
/// ```
/// use firecraft_schedule::{LrFinderConfig, Suggestion};
/// let mut finder = LrFinderConfig::new().with_smoothing(0.0).init()?;
/// loop {
///     let lr = finder.learning_rate();
///     let loss = if lr < 0.1 { 2.0 / (1.0 + 100.0 * lr) + 0.1 } else { 100.0 * lr };
///     if finder.observe(loss) {
///         break;
///     }
/// }
/// let suggested = finder.suggest(Suggestion::Valley).unwrap();
/// assert!(suggested.lr > 1e-4 && suggested.lr < 1e-2);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LrFinder {
    config: LrFinderConfig,
    curve: Vec<(f64, f64)>,
    average: f64,
    /// `smoothing^n`, which the average lacks to be one.
    weight: f64,
    best: f64,
}

impl LrFinder {
    /// The learning rate for the next update.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        self.value(self.curve.len() as f64)
    }

    /// Takes the loss of an update into account; `true` when the test is over.
    pub fn observe(&mut self, loss: f64) -> bool {
        self.take(self.learning_rate(), loss)
    }

    fn take(&mut self, lr: f64, loss: f64) -> bool {
        let keep = self.config.smoothing;
        self.average = keep * self.average + (1.0 - keep) * loss;
        self.weight *= keep;
        let smooth = self.average / (1.0 - self.weight);
        self.curve.push((lr, smooth));

        self.best = self.best.min(smooth);
        let diverged = match self.config.divergence {
            // Above `limit * best`, put so that it is above for negative losses too.
            Some(limit) => {
                let margin = (limit - 1.0) * self.best.abs();
                smooth - self.best > margin || smooth.is_nan()
            }
            None => false,
        };
        diverged || self.curve.len() as u64 >= self.config.updates
    }

    /// Learning rates and smoothed losses so far.
    #[must_use]
    pub fn curve(&self) -> &[(f64, f64)] {
        &self.curve
    }

    /// The curve without the points that are left out and without what follows
    /// a loss that is no number.
    #[must_use]
    pub fn trimmed(&self) -> &[(f64, f64)] {
        let skip = self.config.skip_start.unwrap_or(self.config.updates / 10) as usize;
        let end = self
            .curve
            .len()
            .saturating_sub(self.config.skip_end as usize);
        let kept = self.curve.get(skip..end).unwrap_or(&[]);
        let good = kept.iter().position(|(_, loss)| loss.is_nan());
        &kept[..good.unwrap_or(kept.len())]
    }

    /// A suggestion from the trimmed curve, if it is long enough for one.
    #[must_use]
    pub fn suggest(&self, how: Suggestion) -> Option<Suggestions> {
        how.suggest(self.trimmed())
    }
}

impl Schedule for LrFinder {
    /// The learning rate at update `at`, which reaches the end at the number of
    /// updates.
    fn value(&self, at: f64) -> f64 {
        let LrFinderConfig {
            start,
            end,
            updates,
            growth,
            ..
        } = self.config;
        let p = at / updates as f64;
        match growth {
            Growth::Exponential => start * (end / start).powf(p),
            Growth::Linear => start + p * (end - start),
        }
    }
    fn name(&self) -> &'static str {
        "lr_finder"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(finder: &mut LrFinder, loss: impl Fn(f64) -> f64) -> usize {
        while !finder.observe(loss(finder.learning_rate())) {}
        finder.curve().len()
    }

    #[test]
    fn the_test_ends_when_the_loss_diverges_or_is_no_number() {
        let finder = || LrFinderConfig::new().with_smoothing(0.0).init().unwrap();
        assert_eq!(run(&mut finder(), |_| 1.0), 100);
        let diverging = run(&mut finder(), |lr| if lr > 1e-3 { 5.0 } else { 1.0 });
        // Update 51 is the first above 1e-3: 1e-7 * 10^(8 * 0.51).
        assert_eq!(diverging, 52);
        assert!(run(&mut finder(), |lr| if lr > 1e-3 { f64::NAN } else { 1.0 }) < 100);
        let config = LrFinderConfig::new().with_divergence(None);
        assert_eq!(run(&mut config.init().unwrap(), |lr| 1e9 * lr), 100);
    }

    #[test]
    fn negative_losses_diverge_upwards_too() {
        let finder = || LrFinderConfig::new().with_smoothing(0.0).init().unwrap();
        assert_eq!(run(&mut finder(), |_| -1.0), 100);
        assert_eq!(
            run(&mut finder(), |lr| if lr > 1e-3 { 2.5 } else { -1.0 }),
            52
        );
        assert_eq!(
            run(&mut finder(), |lr| if lr > 1e-3 { 1.5 } else { -1.0 }),
            100
        );
    }

    #[test]
    fn the_curve_is_trimmed_at_both_ends_and_at_nan() {
        let mut finder = LrFinderConfig::new().init().unwrap();
        run(&mut finder, |_| 1.0);
        assert_eq!(finder.trimmed().len(), 85);
        let mut finder = LrFinderConfig::new().with_divergence(None).init().unwrap();
        run(&mut finder, |lr| if lr > 1e-3 { f64::NAN } else { 1.0 });
        assert_eq!(finder.trimmed().len(), 41);
    }

    #[test]
    fn a_curve_too_short_has_no_suggestion() {
        let mut finder = LrFinderConfig::new().init().unwrap();
        finder.observe(1.0);
        for how in Suggestion::ALL {
            assert!(finder.suggest(how).is_none());
        }
    }

    #[test]
    fn ranges_are_checked() {
        assert!(LrFinderConfig::new().with_end(1e-9).init().is_err());
        assert!(LrFinderConfig::new().with_updates(5u64).init().is_err());
        assert!(LrFinderConfig::new().with_smoothing(1.0).init().is_err());
    }
}
