//! One scheduler after the other.

use super::combined::common_width;
use crate::check::Check;
use crate::context::Origin;
use crate::math::reached;
use crate::{
    BoxScheduler, Horizon, Phase, ScheduleError, Scheduler, Slot, State, StepContext, Unit,
};

/// Schedulers one after the other, each with a clock of its own that starts at
/// its beginning.
///
/// Lengths are given by duration, so there can be neither gaps nor overlaps.
/// The last part runs on; each part sees its own length as `total_updates`. The
/// metric on the first step of a part was measured in the part before, and is
/// not counted.
///
/// ```
/// use firecraft_schedule::*;
/// let up = Pure::updates(LinearConfig::new(0.0, 1.0, 4.0).init()?);
/// let down = Pure::updates(LinearConfig::new(1.0, 0.0, 2.0).init()?);
/// let mut both = Sequence::new(Unit::Updates).then(up, 4.0)?.last(down)?;
/// let values: Vec<f64> = (0..8).map(|t| step_value(&mut both, &StepContext::at(t))).collect();
/// assert_eq!(values, [0.0, 0.25, 0.5, 0.75, 1.0, 0.5, 0.0, 0.0]);
/// # Ok::<(), ScheduleError>(())
/// ```
pub struct Sequence {
    unit: Unit,
    parts: Vec<BoxScheduler>,
    /// Where each part but the last ends; the last may have an end too.
    ends: Vec<f64>,
    width: usize,
    active: usize,
    origin: Option<Origin>,
}

impl Sequence {
    /// An empty sequence whose lengths are in `unit`.
    #[must_use]
    pub const fn new(unit: Unit) -> Self {
        Self {
            unit,
            parts: Vec::new(),
            ends: Vec::new(),
            width: 1,
            active: 0,
            origin: None,
        }
    }

    /// A sequence that changes from each part to the next at a milestone.
    ///
    /// # Errors
    /// Unless there is one milestone fewer than parts, and they increase.
    pub fn with_milestones(
        parts: Vec<BoxScheduler>,
        milestones: &[f64],
        unit: Unit,
    ) -> Result<Self, ScheduleError> {
        let check = Check::of("sequence");
        let needed = parts.len().saturating_sub(1);
        let allowed = format!("{needed} values, one fewer than schedules");
        check.that(
            milestones.len() == needed,
            "milestones",
            allowed,
            milestones.len(),
        )?;
        let mut sequence = Self::new(unit);
        let mut start = 0.0;
        let mut milestones = milestones.iter().enumerate();
        for part in parts {
            match milestones.next() {
                Some((nth, &end)) => {
                    let field = format!("milestones[{nth}]");
                    let allowed = format!("> {start}, the one before");
                    check.that(end > start && end.is_finite(), field, allowed, end)?;
                    sequence = sequence.push(Box::new(part), Some(end))?;
                    start = end;
                }
                None => sequence = sequence.push(Box::new(part), None)?,
            }
        }
        sequence.finish()
    }

    /// Adds a part of the given length.
    ///
    /// # Errors
    /// If the length is not positive.
    pub fn then(self, part: impl Scheduler + 'static, length: f64) -> Result<Self, ScheduleError> {
        let field = format!("parts[{}].length", self.parts.len());
        Check::of("sequence").positive(&field, length)?;
        let end = self.ends.last().copied().unwrap_or(0.0) + length;
        self.push(Box::new(part), Some(end))
    }

    /// Adds the last part, which runs on.
    ///
    /// # Errors
    /// If the widths of the parts don't fit together.
    pub fn last(self, part: impl Scheduler + 'static) -> Result<Self, ScheduleError> {
        self.push(Box::new(part), None)?.finish()
    }

    /// Ends a sequence whose last part has a length; past it that part runs
    /// on.
    ///
    /// # Errors
    /// If there is no part, or the widths of the parts don't fit together.
    pub fn finish(mut self) -> Result<Self, ScheduleError> {
        self.width = common_width("sequence", "parts", &self.parts)?;
        Ok(self)
    }

    fn push(mut self, part: BoxScheduler, end: Option<f64>) -> Result<Self, ScheduleError> {
        let complete = self.ends.len() < self.parts.len();
        let field = format!("parts[{}]", self.parts.len());
        let allowed = "absent: the part before has no length";
        Check::of("sequence").that(!complete, field, allowed, "another part")?;
        self.parts.push(part);
        self.ends.extend(end);
        Ok(self)
    }
}

impl Scheduler for Sequence {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        let at = self.unit.position(context);
        let passed = self.ends.partition_point(|&end| reached(at, end));
        let active = passed.min(self.parts.len().saturating_sub(1));
        let start = match active.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0.0,
        };
        let entering = active != self.active || (active > 0 && self.origin.is_none());
        if entering {
            self.active = active;
            self.origin = (active > 0).then(|| self.unit.origin(start, context));
        }
        let Some(part) = self.parts.get_mut(active) else {
            return;
        };
        let length = self.ends.get(active);
        let length =
            length.and_then(|end| self.unit.whole_updates(end - start, &context.horizon()));
        let mut own = context.since(self.origin.unwrap_or_default(), length);
        if entering && active > 0 {
            own.metric = None;
        }
        part.step(&own, out);
    }

    fn state(&self) -> State {
        let parts = self.parts.iter().map(|part| part.state());
        let mut state = State::new("sequence", 1)
            .with_count("active", self.active as u64)
            .with("parts", parts.collect::<Vec<_>>());
        if let Some(origin) = self.origin {
            state = state
                .with_count("origin_update", origin.update)
                .with_count("origin_epoch", origin.epoch);
        }
        state
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("sequence", 1)?;
        let parts: Vec<State> = values.get("parts")?;
        let active: usize = values.get("active")?;
        if parts.len() != self.parts.len() || active >= self.parts.len() {
            let (got, expected) = (parts.len(), self.parts.len());
            return Err(values.damaged(format!(
                "part {active} of {got} is active, this sequence has {expected}"
            )));
        }
        let update: Option<u64> = values.get("origin_update")?;
        let epoch: Option<u64> = values.get("origin_epoch")?;
        self.active = active;
        self.origin = update
            .zip(epoch)
            .map(|(update, epoch)| Origin { update, epoch });
        for (part, state) in self.parts.iter_mut().zip(&parts) {
            part.restore(state)?;
        }
        Ok(())
    }

    fn width(&self) -> usize {
        self.width
    }

    fn slots(&self) -> Vec<Slot> {
        let widest = self.parts.iter().find(|part| part.width() == self.width);
        widest.map_or_else(Vec::new, |part| part.slots())
    }

    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        self.unit.check("sequence", horizon)?;
        let mut start = 0.0;
        for (nth, part) in self.parts.iter().enumerate() {
            let end = self.ends.get(nth).copied();
            let updates = |at| self.unit.to_updates(at, horizon);
            if let (Some(begin), Some(total)) = (updates(start), horizon.total_updates) {
                let field = format!("parts[{nth}]");
                let allowed = format!("begun before the run ends at {total}");
                Check::of("sequence").that(begin < total as f64, field, allowed, begin)?;
            }
            let own = Horizon {
                total_updates: match end {
                    Some(end) => self.unit.whole_updates(end - start, horizon),
                    None => horizon
                        .total_updates
                        .zip(updates(start))
                        .map(|(total, begin)| total.saturating_sub(begin as u64)),
                },
                ..*horizon
            };
            part.check(&own)?;
            start = end.unwrap_or(start);
        }
        Ok(())
    }

    fn phases(&self, horizon: &Horizon) -> Vec<Phase> {
        let mut phases = Vec::new();
        let mut start = 0.0;
        for (nth, part) in self.parts.iter().enumerate() {
            let end = self.ends.get(nth).copied();
            let Some(begin) = self.unit.to_updates(start, horizon) else {
                break;
            };
            let stop = end.and_then(|end| self.unit.to_updates(end, horizon));
            let stop = stop.unwrap_or_else(|| horizon.total_updates.map_or(begin, |n| n as f64));
            let inner = part.phases(horizon);
            if inner.is_empty() {
                phases.push(Phase::new(format!("part {}", nth + 1), begin, stop));
            }
            phases.extend(inner.into_iter().map(|phase| Phase {
                start: (phase.start + begin).min(stop),
                end: (phase.end + begin).min(stop),
                ..phase
            }));
            start = end.unwrap_or(start);
        }
        phases
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CosineConfig, LinearConfig, Pure, ReduceOnPlateauConfig, step_value};

    fn line(start: f64, end: f64, length: f64) -> Pure<crate::Linear> {
        Pure::updates(LinearConfig::new(start, end, length).init().unwrap())
    }

    #[test]
    fn parts_in_epochs_have_their_own_epochs() {
        let cosine = Pure::epochs(CosineConfig::new(1.0, 2.0).init().unwrap());
        let mut sequence = Sequence::new(Unit::Epochs)
            .then(line(0.0, 0.0, 1.0), 3.0)
            .unwrap()
            .last(cosine)
            .unwrap();
        let run = Horizon::epochs(5, 4);
        let values: Vec<f64> = (0..20)
            .map(|update| step_value(&mut sequence, &run.at(update)))
            .collect();
        assert_eq!(values[11], 0.0);
        assert_eq!(values[12..16], [1.0; 4]);
        assert!((values[16] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_part_knows_its_own_length() {
        let fraction = || {
            Pure::new(
                LinearConfig::new(0.0, 1.0, 1.0).init().unwrap(),
                Unit::Fraction,
            )
        };
        let mut sequence = Sequence::new(Unit::Updates)
            .then(fraction(), 10.0)
            .unwrap()
            .last(fraction())
            .unwrap();
        let run = Horizon::updates(30);
        let at = [5, 10, 20].map(|update| step_value(&mut sequence, &run.at(update)));
        assert_eq!(at, [0.5, 0.0, 0.5]);
    }

    #[test]
    fn parts_begin_on_time_though_fractions_are_not_exact() {
        let down = || line(1.0, 0.0, 100.0);
        let mut sequence = Sequence::new(Unit::Fraction)
            .then(line(0.0, 0.0, 1.0), 0.1)
            .unwrap()
            .then(line(0.0, 0.0, 1.0), 0.2)
            .unwrap()
            .last(down())
            .unwrap();
        // The last part begins at 0.1 + 0.2, a rounding error after update 30.
        let run = Horizon::updates(100);
        let at = [29, 30, 31].map(|update| step_value(&mut sequence, &run.at(update)));
        assert_eq!(at, [0.0, 1.0, 0.99]);
    }

    #[test]
    fn a_metric_of_the_part_before_is_not_counted() {
        let plateau = ReduceOnPlateauConfig::new(1.0)
            .with_patience(1u64)
            .init()
            .unwrap();
        let mut sequence = Sequence::new(Unit::Updates)
            .then(line(0.0, 1.0, 2.0), 2.0)
            .unwrap()
            .last(plateau)
            .unwrap();
        let mut step = |update| {
            let context = StepContext::at(update).with_metric(1.0);
            step_value(&mut sequence, &context)
        };
        let values = [0, 1, 2, 3, 4].map(&mut step);
        assert_eq!(values, [0.0, 0.5, 1.0, 1.0, 0.1]);
    }

    #[test]
    fn milestones_must_increase_and_fit_the_parts() {
        let parts = || -> Vec<BoxScheduler> {
            vec![Box::new(line(0.0, 1.0, 2.0)), Box::new(line(1.0, 0.0, 2.0))]
        };
        assert!(Sequence::with_milestones(parts(), &[5.0], Unit::Updates).is_ok());
        let error = |milestones: &[f64]| {
            let sequence = Sequence::with_milestones(parts(), milestones, Unit::Updates);
            sequence.err().unwrap().to_string()
        };
        assert_eq!(
            error(&[]),
            "sequence: `milestones` must be 1 values, one fewer than schedules, got 0"
        );
        assert!(error(&[0.0]).contains("`milestones[0]` must be > 0"));
        assert!(error(&[f64::NAN]).contains("milestones[0]"));
    }

    #[test]
    fn nothing_follows_the_last_part() {
        let sequence = Sequence::new(Unit::Updates)
            .last(line(0.0, 1.0, 2.0))
            .unwrap();
        assert!(sequence.then(line(0.0, 1.0, 2.0), 3.0).is_err());
        assert!(Sequence::new(Unit::Updates).finish().is_err());
        let negative = Sequence::new(Unit::Updates).then(line(0.0, 1.0, 2.0), -1.0);
        assert!(
            negative
                .err()
                .unwrap()
                .to_string()
                .contains("`parts[0].length`")
        );
    }

    #[test]
    fn a_part_that_would_begin_after_the_run_is_refused() {
        let sequence = Sequence::new(Unit::Updates)
            .then(line(0.0, 1.0, 2.0), 50.0)
            .unwrap()
            .last(line(1.0, 0.0, 2.0))
            .unwrap();
        assert!(sequence.check(&Horizon::updates(51)).is_ok());
        let error = sequence.check(&Horizon::updates(50)).unwrap_err();
        assert!(error.to_string().contains("`parts[1]`"), "{error}");
    }
}
