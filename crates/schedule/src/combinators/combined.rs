//! Several schedulers, combined value by value.

use crate::check::Check;
use crate::{BoxScheduler, Horizon, Phase, ScheduleError, Scheduler, Slot, State, StepContext};
use serde::{Deserialize, Serialize};

/// How the values of several schedulers become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Their product: one sets the value, the others are factors of it.
    Product,
    /// Their sum.
    Sum,
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

impl Combine {
    /// The `type` name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    #[inline]
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Product => a * b,
            Self::Sum => a + b,
            Self::Min => a.min(b),
            Self::Max => a.max(b),
        }
    }
}

/// Several schedulers that all run, their values combined.
///
/// Parts of width 1 apply to every value. Multiplying by a
/// [`ReduceOnPlateau`](crate::ReduceOnPlateau) that begins at 1 adds a plateau
/// rule to any schedule:
///
/// ```
/// use firecraft_schedule::*;
/// let decay = Pure::updates(LinearConfig::new(1.0, 0.0, 10.0).init()?);
/// let plateau = ReduceOnPlateauConfig::new(1.0).with_patience(1u64).init()?;
/// let mut both = Combined::new(Combine::Product, vec![Box::new(decay), Box::new(plateau)])?;
/// assert_eq!(step_value(&mut both, &StepContext::at(4).with_metric(1.0)), 0.6);
/// assert_eq!(step_value(&mut both, &StepContext::at(5).with_metric(1.0)), 0.05);
/// # Ok::<(), ScheduleError>(())
/// ```
pub struct Combined {
    how: Combine,
    parts: Vec<BoxScheduler>,
    width: usize,
    scratch: Vec<f64>,
}

impl Combined {
    /// `parts`, combined.
    ///
    /// # Errors
    /// If there is no part, or two have different widths and neither is 1.
    pub fn new(how: Combine, parts: Vec<BoxScheduler>) -> Result<Self, ScheduleError> {
        let width = common_width(how.name(), "parts", &parts)?;
        Ok(Self {
            how,
            parts,
            width,
            scratch: vec![0.0; width],
        })
    }
}

/// The width that all parts have, those of width 1 aside.
pub(super) fn common_width(
    name: &'static str,
    field: &str,
    parts: &[BoxScheduler],
) -> Result<usize, ScheduleError> {
    let check = Check::of(name);
    check.that(!parts.is_empty(), field, "one schedule or more", "none")?;
    let width = parts.iter().map(|part| part.width()).max().unwrap_or(1);
    for (nth, part) in parts.iter().enumerate() {
        let own = part.width();
        let allowed = format!("of width 1 or {width}, like the widest");
        check.that(
            own == 1 || own == width,
            format!("{field}[{nth}]"),
            allowed,
            own,
        )?;
    }
    Ok(width)
}

impl Scheduler for Combined {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        for (nth, part) in self.parts.iter_mut().enumerate() {
            if nth == 0 {
                part.step(context, out);
                continue;
            }
            let width = part.width();
            part.step(context, &mut self.scratch[..width]);
            for (value, other) in out.iter_mut().zip(0..) {
                *value = self
                    .how
                    .apply(*value, self.scratch[width.min(other + 1) - 1]);
            }
        }
    }

    fn state(&self) -> State {
        let parts = self.parts.iter().map(|part| part.state());
        State::new(self.how.name(), 1).with("parts", parts.collect::<Vec<_>>())
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        let values = state.open(self.how.name(), 1)?;
        let parts: Vec<State> = values.get("parts")?;
        if parts.len() != self.parts.len() {
            let (got, expected) = (parts.len(), self.parts.len());
            return Err(values.damaged(format!("{got} parts in place of {expected}")));
        }
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
        self.parts.iter().try_for_each(|part| part.check(horizon))
    }

    fn phases(&self, horizon: &Horizon) -> Vec<Phase> {
        // Those of one part: of several they would lie upon each other.
        let mut phases = self.parts.iter().map(|part| part.phases(horizon));
        phases.find(|phases| !phases.is_empty()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConstantConfig, LinearConfig, Pure, Slots, step_value};

    fn constant(value: f64) -> BoxScheduler {
        Box::new(Pure::updates(ConstantConfig::new(value).init().unwrap()))
    }

    fn linear() -> BoxScheduler {
        Box::new(Pure::updates(
            LinearConfig::new(0.0, 8.0, 8.0).init().unwrap(),
        ))
    }

    #[test]
    fn each_operation_does_what_it_says() {
        let at = |how, update| {
            let mut both = Combined::new(how, vec![linear(), constant(3.0)]).unwrap();
            step_value(&mut both, &StepContext::at(update))
        };
        assert_eq!(at(Combine::Product, 2), 6.0);
        assert_eq!(at(Combine::Sum, 2), 5.0);
        assert_eq!((at(Combine::Min, 2), at(Combine::Min, 7)), (2.0, 3.0));
        assert_eq!((at(Combine::Max, 2), at(Combine::Max, 7)), (3.0, 7.0));
    }

    #[test]
    fn a_narrow_part_applies_to_every_value() {
        let two = || {
            let slots = Slots::new().with(Slot::new("lr"), linear());
            Box::new(slots.with(Slot::new("momentum"), constant(0.5)))
        };
        let context = StepContext::at(4);
        let mut out = [0.0; 2];
        let mut wide = Combined::new(Combine::Product, vec![two(), constant(2.0)]).unwrap();
        wide.step(&context, &mut out);
        assert_eq!(out, [8.0, 1.0]);
        let mut narrow = Combined::new(Combine::Product, vec![constant(2.0), two()]).unwrap();
        narrow.step(&context, &mut out);
        assert_eq!(out, [8.0, 1.0]);
        assert_eq!(narrow.slots()[1], Slot::new("momentum"));
    }

    #[test]
    fn no_part_and_unequal_widths_are_refused() {
        assert!(Combined::new(Combine::Sum, vec![]).is_err());
        let slots = |n| {
            let slots = (0..n).fold(Slots::new(), |s, _| s.with(Slot::default(), constant(1.0)));
            Box::new(slots) as BoxScheduler
        };
        let error = Combined::new(Combine::Sum, vec![slots(2), slots(3)]).err();
        assert_eq!(
            error.unwrap().to_string(),
            "sum: `parts[0]` must be of width 1 or 3, like the widest, got 2"
        );
    }

    #[test]
    fn a_state_with_another_number_of_parts_is_refused() {
        let mut two = Combined::new(Combine::Sum, vec![linear(), constant(1.0)]).unwrap();
        let one = Combined::new(Combine::Sum, vec![linear()]).unwrap();
        assert!(two.restore(&one.state()).is_err());
        let product = Combined::new(Combine::Product, vec![linear(), constant(1.0)]).unwrap();
        assert!(two.restore(&product.state()).is_err());
        assert!(two.restore(&two.state()).is_ok());
    }
}
