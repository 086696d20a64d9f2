//! One scheduler for several parameter groups, each with a factor.

use crate::check::Check;
use crate::{Horizon, Phase, ScheduleError, Scheduler, Slot, State, StepContext};

/// One scheduler of width 1 for several parameter groups, each with its own
/// factor: discriminative learning rates.
///
/// ```
/// use firecraft_schedule::*;
/// let lr = Pure::updates(ConstantConfig::new(0.01).init()?);
/// let mut groups = PerGroup::new(lr, [("backbone", 0.1), ("head", 1.0)])?;
/// let mut out = [0.0; 2];
/// groups.step(&StepContext::at(0), &mut out);
/// assert_eq!(out, [0.001, 0.01]);
/// assert_eq!(groups.slots()[0].to_string(), "backbone/lr");
/// # Ok::<(), ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PerGroup<S> {
    inner: S,
    groups: Vec<(String, f64)>,
}

impl<S: Scheduler> PerGroup<S> {
    /// `inner`, times a factor per group.
    ///
    /// # Errors
    /// If `inner` has more than one value, there is no group, a factor is not
    /// finite, or two groups have the same name.
    pub fn new<N: Into<String>>(
        inner: S,
        groups: impl IntoIterator<Item = (N, f64)>,
    ) -> Result<Self, ScheduleError> {
        let check = Check::of("per_group");
        check.that(inner.width() == 1, "inner", "of width 1", inner.width())?;
        let groups: Vec<(String, f64)> = groups
            .into_iter()
            .map(|(name, factor)| (name.into(), factor))
            .collect();
        check.that(!groups.is_empty(), "groups", "one or more", "none")?;
        for (nth, (name, factor)) in groups.iter().enumerate() {
            check.finite(&format!("groups.{name}"), *factor)?;
            let unique = groups[..nth].iter().all(|(other, _)| other != name);
            check.that(unique, "groups", "of different names", name)?;
        }
        Ok(Self { inner, groups })
    }
}

impl<S: Scheduler> Scheduler for PerGroup<S> {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        let mut value = [0.0];
        self.inner.step(context, &mut value);
        for (slot, (_, factor)) in out.iter_mut().zip(&self.groups) {
            *slot = value[0] * factor;
        }
    }

    fn state(&self) -> State {
        State::new("per_group", 1).with_inner("inner", self.inner.state())
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open("per_group", 1)?;
        self.inner.restore(&values.inner("inner")?)
    }

    fn width(&self) -> usize {
        self.groups.len()
    }

    fn slots(&self) -> Vec<Slot> {
        let slot = self.inner.slots().pop().unwrap_or_default();
        let groups = self.groups.iter();
        groups
            .map(|(name, _)| slot.clone().in_group(name))
            .collect()
    }

    fn check(&self, horizon: &Horizon) -> Result<(), ScheduleError> {
        self.inner.check(horizon)
    }

    fn phases(&self, horizon: &Horizon) -> Vec<Phase> {
        self.inner.phases(horizon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConstantConfig, Pure, Slots};

    #[test]
    fn groups_need_names_of_their_own_and_one_value_to_share() {
        let lr = || Pure::updates(ConstantConfig::new(1.0).init().unwrap());
        let error = PerGroup::new(lr(), [("a", 1.0), ("a", 2.0)]).err().unwrap();
        assert_eq!(
            error.to_string(),
            "per_group: `groups` must be of different names, got a"
        );
        let none: [(&str, f64); 0] = [];
        assert!(PerGroup::new(lr(), none).is_err());
        let two = Slots::new()
            .with(Slot::default(), lr())
            .with(Slot::default(), lr());
        assert!(PerGroup::new(two, [("a", 1.0)]).is_err());
    }
}
