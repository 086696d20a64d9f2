//! Range tests that were recorded, by this crate or another program.

use super::{LrFinder, LrFinderConfig};
use crate::ScheduleError;
use crate::check::Check;
use std::fmt::Write;

/// A test with fewer has no suggestions.
const LEAST: usize = 6;

impl LrFinderConfig {
    /// The test that a list of `(learning rate, loss)` is the record of, ended
    /// where it would have ended. Learning rates must be positive and rise.
    ///
    /// The losses are smoothed as this configuration says: by nothing
    /// (`with_smoothing(0.0)`) if they were smoothed when they were recorded.
    /// Its `start`, `end` and `updates` are those of the record.
    ///
    /// ```
    /// use firecraft_schedule::{LrFinderConfig, Suggestion};
    /// let record: Vec<(f64, f64)> = (0..40)
    ///     .map(|i| (1e-4 * 1.3f64.powi(i), f64::from((i - 25).pow(2))))
    ///     .collect();
    /// let config = LrFinderConfig::new().with_smoothing(0.0).with_divergence(None);
    /// let finder = config.recorded(&record)?;
    /// assert_eq!(finder.suggest(Suggestion::Minimum).unwrap().point, record[25]);
    /// # Ok::<(), firecraft_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    /// If there are fewer than 6 points, a learning rate does not rise, or a
    /// number of this configuration is outside its range.
    pub fn recorded(&self, points: &[(f64, f64)]) -> Result<LrFinder, ScheduleError> {
        let check = Check::of("lr_finder");
        let (count, allowed) = (points.len(), format!(">= {LEAST}"));
        check.that(count >= LEAST, "points", allowed, count)?;
        let mut before = 0.0;
        for (number, &(lr, _)) in (1..).zip(points) {
            let rises = lr > before && lr.is_finite();
            let allowed = format!("> {before}, the one before, and finite");
            check.that(rises, format!("learning rate {number}"), allowed, lr)?;
            before = lr;
        }
        let mut config = self.clone();
        (config.start, config.end) = (points[0].0, before);
        config.updates = count as u64;
        let mut finder = config.init()?;
        for &(lr, loss) in points {
            if finder.take(lr, loss) {
                break;
            }
        }
        Ok(finder)
    }

    /// [`recorded`](Self::recorded) from CSV: the columns `learning_rate` (or
    /// `lr`) and `loss` of a table with a head, the first two of one without.
    ///
    /// ```
    /// use firecraft_schedule::LrFinderConfig;
    /// let csv = "step,lr,loss\n0,1e-3,2.5\n1,2e-3,2.4\n2,4e-3,2.2\n3,8e-3,1.9\n\
    ///            4,1.6e-2,1.5\n5,3.2e-2,1.4\n";
    /// let finder = LrFinderConfig::new().with_smoothing(0.0).recorded_csv(csv)?;
    /// assert_eq!(finder.curve()[5], (3.2e-2, 1.4));
    /// # Ok::<(), firecraft_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    /// If a line has no such numbers, with its number, and those of
    /// [`recorded`](Self::recorded).
    pub fn recorded_csv(&self, text: &str) -> Result<LrFinder, ScheduleError> {
        let check = Check::of("lr_finder");
        let mut lines = (1_usize..)
            .zip(text.lines())
            .filter(|(_, line)| !line.trim().is_empty());
        let mut columns = (0, 1);
        let mut points = Vec::new();
        if let Some((number, first)) = lines.next() {
            if let Some(point) = point(first, columns) {
                points.push(point);
            } else {
                let place = |names: &[&str]| {
                    let mut head = first.split(',').map(|name| name.trim().trim_matches('"'));
                    head.position(|name| names.contains(&name))
                };
                let found = place(&["learning_rate", "lr"]).zip(place(&["loss"]));
                let allowed = "two numbers or a head with `learning_rate` and `loss`";
                check.that(found.is_some(), format!("line {number}"), allowed, first)?;
                columns = found.unwrap_or(columns);
            }
        }
        for (number, line) in lines {
            let found = point(line, columns);
            let allowed = "a learning rate and a loss";
            check.that(found.is_some(), format!("line {number}"), allowed, line)?;
            points.extend(found);
        }
        self.recorded(&points)
    }
}

fn point(line: &str, (lr, loss): (usize, usize)) -> Option<(f64, f64)> {
    let number = |column| line.split(',').nth(column)?.trim().parse().ok();
    Some((number(lr)?, number(loss)?))
}

impl LrFinder {
    /// The curve as CSV, which [`LrFinderConfig::recorded_csv`] reads.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("learning_rate,loss\n");
        for (lr, loss) in self.curve() {
            let _ = writeln!(csv, "{lr:e},{loss}");
        }
        csv
    }
}

#[cfg(test)]
mod tests {
    use crate::{LrFinderConfig, Suggestion};

    #[test]
    fn a_test_read_from_its_record_suggests_the_same() {
        let mut finder = LrFinderConfig::new().init().unwrap();
        while !finder.observe(1.0 / (1.0 + 1e3 * finder.learning_rate()) + finder.learning_rate()) {
        }
        let config = LrFinderConfig::new().with_smoothing(0.0);
        let again = config.recorded_csv(&finder.to_csv()).unwrap();
        assert_eq!(again.curve(), finder.curve());
        for how in Suggestion::ALL {
            assert_eq!(again.suggest(how), finder.suggest(how), "{}", how.name());
        }
    }

    #[test]
    fn raw_losses_are_smoothed_and_cut_where_the_test_would_have_ended() {
        let raw: Vec<(f64, f64)> = (1..=20)
            .map(|i| (f64::from(i), if i < 12 { 1.0 } else { 9.0 }))
            .collect();
        let config = LrFinderConfig::new().with_smoothing(0.5);
        let curve = config.recorded(&raw).unwrap().curve().to_vec();
        // 1 + 4, then 5 + 2 = 7 > 4 · 1.
        assert_eq!(curve.len(), 12);
        assert!(curve[11].1 > 4.0 && curve[11].1 < 9.0, "{curve:?}");
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_line() {
        let error = |csv: &str| {
            let read = LrFinderConfig::new().recorded_csv(csv);
            read.unwrap_err().to_string()
        };
        assert_eq!(
            error("epoch,loss\n1,2\n"),
            "lr_finder: `line 1` must be two numbers or a head with `learning_rate` and `loss`, \
             got epoch,loss"
        );
        assert!(error("lr,loss\n1e-3,2\n\n2e-3\n").contains("`line 4`"));
        assert!(error("1,2\n2,2\n").contains("`points` must be >= 6, got 2"));
        assert!(error("").contains("`points`"));
        let falls = error("1,2\n2,2\n3,2\n2.5,2\n4,2\n5,2\n");
        assert!(falls.contains("`learning rate 4` must be > 3"), "{falls}");
        assert!(error("nan,2\n2,2\n3,2\n4,2\n5,2\n6,2\n").contains("`learning rate 1`"));
    }
}
