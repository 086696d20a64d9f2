//! A schedule without training: its values as a table, CSV, a chart or a line
//! of text.

mod sparkline;
#[cfg(feature = "plot")]
mod svg;

pub use sparkline::sparkline;

use crate::{Horizon, Phase, ScheduleError, Scheduler, Slot};
use std::fmt::Write;

/// Every value that a scheduler gives in a run.
///
/// ```
/// use firecraft_schedule::*;
/// let mut schedule = Pure::updates(CosineConfig::new(0.1, 8.0).init()?).warmup(2.0)?;
/// let preview = Preview::of(&mut schedule, &Horizon::epochs(5, 2))?;
/// assert_eq!(preview.values(0).len(), 10);
/// assert_eq!(preview.to_csv().lines().nth(2), Some("1,0,0.05"));
/// assert_eq!(preview.sparkline(0, 10), "▁▅██▇▆▅▃▂▁");
/// assert_eq!(preview.table(3), "\
/// update  epoch         lr
///      0      0          0
///      4      2  8.5355e-2
///      9      4  3.8060e-3
/// ");
/// # Ok::<(), ScheduleError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    horizon: Horizon,
    slots: Vec<Slot>,
    phases: Vec<Phase>,
    /// One list per slot.
    values: Vec<Vec<f64>>,
}

/// Updates that are stepped through at most.
const MAX_UPDATES: u64 = 10_000_000;

impl Preview {
    /// What `scheduler` does in a run as long as `horizon` says, without any
    /// metric. The scheduler is left as it was.
    ///
    /// # Errors
    /// If the length is unknown or beyond ten million updates, or the
    /// scheduler does not fit the run.
    pub fn of<S: Scheduler + ?Sized>(
        scheduler: &mut S,
        horizon: &Horizon,
    ) -> Result<Self, ScheduleError> {
        Self::with_metrics(scheduler, horizon, |_| None)
    }

    /// The same with a metric after each epoch: `metric` of the epoch's number.
    /// It is seen by the first update of the next one.
    ///
    /// # Errors
    /// As [`Preview::of`].
    pub fn with_metrics<S: Scheduler + ?Sized>(
        scheduler: &mut S,
        horizon: &Horizon,
        metric: impl Fn(u64) -> Option<f64>,
    ) -> Result<Self, ScheduleError> {
        scheduler.check(horizon)?;
        let total = match horizon.total_updates {
            Some(total) if total <= MAX_UPDATES => total,
            Some(total) => {
                let allowed = format!("<= {MAX_UPDATES} for a preview");
                return Err(ScheduleError::parameter(
                    "preview",
                    "total_updates",
                    allowed,
                    total,
                ));
            }
            None => {
                return Err(ScheduleError::Missing {
                    schedule: "preview",
                    needs: "the length of the run",
                    remedy: "give the number of updates",
                });
            }
        };
        let before = scheduler.state();
        let width = scheduler.width();
        let mut values = vec![Vec::with_capacity(total as usize); width];
        let mut out = vec![0.0; width];
        for update in 0..total {
            let mut context = horizon.at(update);
            let begins_epoch = horizon
                .updates_per_epoch
                .is_some_and(|n| n > 0 && update > 0 && update % n == 0);
            if begins_epoch {
                context.metric = metric(context.epoch - 1);
            }
            scheduler.step(&context, &mut out);
            for (column, &value) in values.iter_mut().zip(&out) {
                column.push(value);
            }
        }
        scheduler.restore(&before)?;
        Ok(Self {
            horizon: *horizon,
            slots: scheduler.slots(),
            phases: scheduler.phases(horizon),
            values,
        })
    }

    /// What each list of values is for.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The named stretches of the run, in updates.
    #[must_use]
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// The values of one slot, by update; none for a slot that is not there.
    #[must_use]
    pub fn values(&self, slot: usize) -> &[f64] {
        self.values.get(slot).map_or(&[], Vec::as_slice)
    }

    fn updates(&self) -> usize {
        self.values.first().map_or(0, Vec::len)
    }

    /// All updates as CSV: `update,epoch,` and a column per slot.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("update,epoch");
        for slot in &self.slots {
            // A quote or comma in a group's name is legal, and has to be told.
            let name = slot.to_string();
            if name.contains([',', '"', '\n']) {
                let _ = write!(csv, ",\"{}\"", name.replace('"', "\"\""));
            } else {
                let _ = write!(csv, ",{name}");
            }
        }
        csv.push('\n');
        for update in 0..self.updates() {
            let _ = write!(csv, "{update},{}", self.horizon.at(update as u64).epoch);
            for column in &self.values {
                let _ = write!(csv, ",{}", column[update]);
            }
            csv.push('\n');
        }
        csv
    }

    /// At most `rows` updates, evenly spaced and with both ends, as an aligned
    /// table.
    #[must_use]
    pub fn table(&self, rows: usize) -> String {
        let names: Vec<String> = self.slots.iter().map(Slot::to_string).collect();
        let width = |name: &String| name.chars().count().max(9);
        let mut table = String::from("update  epoch");
        for name in &names {
            let _ = write!(table, "  {name:>width$}", width = width(name));
        }
        table.push('\n');
        let updates = self.updates();
        let rows = rows.min(updates);
        for row in 0..rows {
            let update = if rows == 1 {
                0
            } else {
                row * (updates - 1) / (rows - 1)
            };
            let epoch = self.horizon.at(update as u64).epoch;
            let _ = write!(table, "{update:>6}  {epoch:>5}");
            for (column, name) in self.values.iter().zip(&names) {
                let value = short(column[update]);
                let _ = write!(table, "  {value:>width$}", width = width(name));
            }
            table.push('\n');
        }
        table
    }

    /// One slot as a line of at most `width` block characters.
    #[must_use]
    pub fn sparkline(&self, slot: usize, width: usize) -> String {
        sparkline(self.values(slot), width)
    }
}

fn short(value: f64) -> String {
    if value == 0.0
        || !value.is_finite()
        || (0.01..1e4).contains(&value.abs()) && value.fract() == 0.0
    {
        format!("{value}")
    } else {
        format!("{value:.4e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConstantConfig, Pure, ReduceOnPlateauConfig, SchedulerExt, Slots};

    #[test]
    fn a_preview_leaves_the_scheduler_as_it_was() {
        let mut plateau = ReduceOnPlateauConfig::new(1.0)
            .with_patience(1u64)
            .init()
            .unwrap();
        plateau.observe(0.5);
        let before = plateau.state();
        let run = Horizon::epochs(4, 2);
        let preview = Preview::with_metrics(&mut plateau, &run, |_| Some(1.0)).unwrap();
        let values = [1.0, 1.0, 0.1, 0.1, 0.1 * 0.1, 0.1 * 0.1];
        assert_eq!(preview.values(0)[..6], values);
        assert_eq!(plateau.state(), before);
    }

    #[test]
    fn names_that_need_it_are_quoted() {
        let constant = Pure::updates(ConstantConfig::new(1.0).init().unwrap());
        let mut slots = Slots::new().group("a,\"b\"", constant);
        let preview = Preview::of(&mut slots, &Horizon::updates(1)).unwrap();
        let csv = preview.to_csv();
        assert_eq!(csv, "update,epoch,\"a,\"\"b\"\"/lr\"\n0,0,1\n");
    }

    #[test]
    fn runs_of_unknown_absurd_or_no_length_are_told_apart() {
        let mut constant = Pure::updates(ConstantConfig::new(1.0).init().unwrap());
        assert!(Preview::of(&mut constant, &Horizon::default()).is_err());
        assert!(Preview::of(&mut constant, &Horizon::updates(u64::MAX)).is_err());
        let preview = Preview::of(&mut constant, &Horizon::updates(0)).unwrap();
        assert_eq!(preview.table(5).lines().count(), 1);
        assert_eq!(preview.sparkline(0, 5), "");
        assert_eq!(preview.sparkline(7, 5), "");
    }

    #[test]
    fn a_schedule_that_does_not_fit_is_refused() {
        let constant = Pure::updates(ConstantConfig::new(1.0).init().unwrap());
        let mut warm = constant.warmup(10.0).unwrap();
        assert!(Preview::of(&mut warm, &Horizon::updates(10)).is_err());
    }
}
