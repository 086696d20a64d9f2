//! From a closed form to a scheduler.

use crate::{Horizon, Phase, Schedule, ScheduleError, Scheduler, Slot, State, StepContext, Unit};

/// A closed form over updates, epochs or the fraction of the run.
///
/// It remembers nothing: its state only says which schedule it is, and every
/// step follows from the context alone.
///
/// ```
/// use firecraft_schedule::{Horizon, LinearConfig, Pure, Unit, step_value};
/// let ramp = LinearConfig::new(0.0, 1.0, 1.0).init()?;
/// let mut ramp = Pure::new(ramp, Unit::Fraction);
/// assert_eq!(step_value(&mut ramp, &Horizon::updates(200).at(50)), 0.25);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pure<S> {
    schedule: S,
    unit: Unit,
    slot: Option<&'static str>,
}

impl<S: Schedule> Pure<S> {
    /// `schedule` over positions in `unit`.
    #[must_use]
    pub const fn new(schedule: S, unit: Unit) -> Self {
        Self {
            schedule,
            unit,
            slot: None,
        }
    }

    /// `schedule` over updates.
    #[must_use]
    pub const fn updates(schedule: S) -> Self {
        Self::new(schedule, Unit::Updates)
    }

    /// `schedule` over whole epochs.
    #[must_use]
    pub const fn epochs(schedule: S) -> Self {
        Self::new(schedule, Unit::Epochs)
    }

    /// The same schedule for another hyper-parameter than the learning rate.
    #[must_use]
    pub const fn of(mut self, parameter: &'static str) -> Self {
        self.slot = Some(parameter);
        self
    }

    /// The closed form.
    #[must_use]
    pub const fn schedule(&self) -> &S {
        &self.schedule
    }
}

impl<S: Schedule> Scheduler for Pure<S> {
    #[inline]
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        let value = self.schedule.value(self.unit.position(context));
        match out {
            [only] => *only = value,
            all => all.fill(value),
        }
    }

    fn state(&self) -> State {
        State::new(self.schedule.name(), 1)
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        state.open(self.schedule.name(), 1).map(|_| ())
    }

    fn slots(&self) -> Vec<Slot> {
        vec![self.slot.map_or_else(Slot::default, Slot::new)]
    }

    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        check(self.unit, &self.schedule, horizon)
    }

    fn phases(&self, horizon: &Horizon) -> Vec<Phase> {
        in_updates(self.unit, self.schedule.phases(), horizon)
    }
}

// What happens once per run is compiled once, not once per schedule.

fn check(unit: Unit, schedule: &dyn Schedule, horizon: &Horizon) -> Result<(), ScheduleError> {
    unit.check(schedule.name(), horizon)?;
    match schedule.warmup() {
        Some((field, length)) => unit.check_warmup(schedule.name(), field, length, horizon),
        None => Ok(()),
    }
}

fn in_updates(unit: Unit, phases: Vec<Phase>, horizon: &Horizon) -> Vec<Phase> {
    let in_updates = |phase: Phase| {
        let start = unit.to_updates(phase.start, horizon)?;
        let end = unit.to_updates(phase.end, horizon)?;
        Some(Phase {
            start,
            end,
            ..phase
        })
    };
    phases.into_iter().filter_map(in_updates).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConstantConfig, CosineConfig, step_value};

    #[test]
    fn every_element_of_the_output_is_filled() {
        let mut pure = Pure::updates(ConstantConfig::new(0.5).init().unwrap());
        let mut out = [0.0; 3];
        pure.step(&StepContext::at(0), &mut out);
        assert_eq!(out, [0.5; 3]);
    }

    #[test]
    fn the_state_of_another_closed_form_is_rejected() {
        let mut cosine = Pure::updates(CosineConfig::new(0.1, 10.0).init().unwrap());
        let constant = Pure::updates(ConstantConfig::new(0.5).init().unwrap());
        assert!(cosine.restore(&cosine.state()).is_ok());
        assert!(cosine.restore(&constant.state()).is_err());
    }

    #[test]
    fn epochs_change_the_value_between_epochs_only() {
        let mut cosine = Pure::epochs(CosineConfig::new(0.1, 4.0).init().unwrap());
        let run = Horizon::epochs(4, 5);
        let values: Vec<f64> = (0..20)
            .map(|u| step_value(&mut cosine, &run.at(u)))
            .collect();
        assert!(
            values
                .chunks(5)
                .all(|epoch| epoch.iter().all(|v| *v == epoch[0]))
        );
        assert!(values[4] > values[5]);
    }
}
