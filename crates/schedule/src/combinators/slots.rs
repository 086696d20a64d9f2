//! Several schedulers side by side, one slot each.

use crate::{BoxScheduler, Horizon, Phase, ScheduleError, Scheduler, Slot, State, StepContext};

/// Schedulers side by side: each fills its own slots, for its own
/// hyper-parameters and parameter groups.
///
/// ```
/// use firecraft_schedule::*;
/// let cycle = OneCycleConfig::new(0.1, 100.0);
/// let mut slots = Slots::new()
///     .with(Slot::new(Slot::LEARNING_RATE), Pure::updates(cycle.init()?))
///     .with(Slot::new(Slot::MOMENTUM), Pure::updates(cycle.momentum(0.85, 0.95).init()?));
/// let mut out = [0.0; 2];
/// slots.step(&StepContext::at(29), &mut out);
/// assert_eq!(out, [0.1, 0.85]);
/// assert_eq!(slots.slots()[1].to_string(), "momentum");
/// # Ok::<(), ScheduleError>(())
/// ```
#[derive(Default)]
pub struct Slots {
    parts: Vec<Part>,
    width: usize,
}

struct Part {
    scheduler: BoxScheduler,
    slots: Vec<Slot>,
}

impl Slots {
    /// No slot at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `slot`, filled by the first value of `scheduler`.
    #[must_use]
    pub fn with(self, slot: Slot, scheduler: impl Scheduler + 'static) -> Self {
        let slots = vec![slot; scheduler.width()];
        self.push(Box::new(scheduler), slots)
    }

    /// Adds the slots of `scheduler` for the parameter group `group`.
    #[must_use]
    pub fn group(self, group: &str, scheduler: impl Scheduler + 'static) -> Self {
        let slots = scheduler.slots().into_iter();
        let slots = slots.map(|slot| slot.in_group(group)).collect();
        self.push(Box::new(scheduler), slots)
    }

    fn push(mut self, scheduler: BoxScheduler, slots: Vec<Slot>) -> Self {
        self.width += slots.len();
        self.parts.push(Part { scheduler, slots });
        self
    }
}

impl Scheduler for Slots {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        let mut rest = out;
        for part in &mut self.parts {
            let (own, others) = rest.split_at_mut(part.slots.len().min(rest.len()));
            part.scheduler.step(context, own);
            rest = others;
        }
    }

    fn state(&self) -> State {
        let parts = self.parts.iter().map(|part| part.scheduler.state());
        State::new("slots", 1).with("parts", parts.collect::<Vec<_>>())
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("slots", 1)?;
        let parts: Vec<State> = values.get("parts")?;
        if parts.len() != self.parts.len() {
            let (got, expected) = (parts.len(), self.parts.len());
            return Err(values.damaged(format!("{got} parts in place of {expected}")));
        }
        for (part, state) in self.parts.iter_mut().zip(&parts) {
            part.scheduler.restore(state)?;
        }
        Ok(())
    }

    fn width(&self) -> usize {
        self.width
    }

    fn slots(&self) -> Vec<Slot> {
        self.parts
            .iter()
            .flat_map(|part| part.slots.clone())
            .collect()
    }

    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        self.parts
            .iter()
            .try_for_each(|part| part.scheduler.check(horizon))
    }

    fn phases(&self, horizon: &Horizon) -> Vec<Phase> {
        let mut phases = Vec::new();
        for Part { scheduler, slots } in &self.parts {
            let own = scheduler.slots();
            for phase in scheduler.phases(horizon) {
                let of = |(own, slot): (&Slot, &Slot)| {
                    let concerned = phase.slot.as_ref().is_none_or(|phase| phase == own);
                    concerned.then(|| slot.clone())
                };
                let mut slots: Vec<Slot> = own.iter().zip(slots).filter_map(of).collect();
                slots.dedup();
                phases.extend(slots.into_iter().map(|slot| Phase {
                    slot: Some(slot),
                    ..phase.clone()
                }));
            }
        }
        phases
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConstantConfig, Pure};

    fn constant(value: f64) -> Pure<crate::Constant> {
        Pure::updates(ConstantConfig::new(value).init().unwrap())
    }

    #[test]
    fn groups_keep_the_slots_of_their_schedulers() {
        let pair = Slots::new()
            .with(Slot::default(), constant(1.0))
            .with(Slot::new(Slot::MOMENTUM), constant(2.0));
        let mut all = Slots::new()
            .group("body", pair)
            .group("head", constant(3.0));
        let names: Vec<String> = all.slots().iter().map(Slot::to_string).collect();
        assert_eq!(names, ["body/lr", "body/momentum", "head/lr"]);
        let mut out = [0.0; 3];
        all.step(&StepContext::at(0), &mut out);
        assert_eq!(out, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn phases_belong_to_the_slots_of_their_schedulers() {
        let decay =
            |length| Pure::updates(crate::LinearConfig::new(1.0, 0.0, length).init().unwrap());
        let pair = Slots::new()
            .with(Slot::default(), decay(10.0))
            .with(Slot::new(Slot::MOMENTUM), constant(2.0));
        let all = Slots::new().group("body", pair).group("head", decay(20.0));
        let phases = all.phases(&Horizon::updates(30));
        let found: Vec<(String, f64)> = phases
            .iter()
            .map(|phase| (phase.slot.as_ref().unwrap().to_string(), phase.end))
            .collect();
        assert_eq!(
            found,
            [("body/lr".to_owned(), 10.0), ("head/lr".to_owned(), 20.0)]
        );
    }

    #[test]
    fn a_short_output_is_filled_as_far_as_it_goes() {
        let mut slots = Slots::new()
            .with(Slot::default(), constant(1.0))
            .with(Slot::default(), constant(2.0));
        let mut out = [0.0];
        slots.step(&StepContext::at(0), &mut out);
        assert_eq!(out, [1.0]);
    }
}
