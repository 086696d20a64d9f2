//! Combinators as methods.

use super::{Combine, Combined, Jitter, JitterConfig, Map, Mapped, PerGroup, Repeat, RepeatConfig};
use super::{Sequence, Warmup, WarmupConfig};
use crate::{BoxScheduler, ScheduleError, Scheduler, Unit};
use firecraft_key::Key;

/// The combinators as methods of every scheduler.
///
/// Lengths are in updates; the configuration types take other units.
///
/// ```
/// use firecraft_schedule::*;
/// let cosine = Pure::updates(CosineConfig::new(0.1, 90.0).init()?);
/// let plateau = ReduceOnPlateauConfig::new(1.0).init()?;
/// let mut schedule = cosine.warmup(10.0)?.times(plateau)?.with_floor(1e-4)?;
/// assert_eq!(step_value(&mut schedule, &StepContext::at(0)), 1e-4);
/// assert_eq!(step_value(&mut schedule, &StepContext::at(10)), 0.1);
/// assert_eq!(step_value(&mut schedule, &StepContext::at(100)), 1e-4);
/// # Ok::<(), ScheduleError>(())
/// ```
pub trait SchedulerExt: Scheduler + Sized + 'static {
    /// A linear [warm-up](Warmup) from 0 over `length` updates in front.
    ///
    /// # Errors
    /// If the length is negative.
    fn warmup(self, length: f64) -> Result<Warmup<Self>, ScheduleError> {
        WarmupConfig::new(length).init(self)
    }

    /// Holds the first value for `length` updates, then begins.
    ///
    /// # Errors
    /// If the length is negative.
    fn delay(self, length: f64) -> Result<Warmup<Self>, ScheduleError> {
        WarmupConfig::new(length).with_start_factor(1.0).init(self)
    }

    /// This for `length` updates, then `next`: a [`Sequence`].
    ///
    /// # Errors
    /// If the length is not positive.
    fn then(self, length: f64, next: impl Scheduler + 'static) -> Result<Sequence, ScheduleError> {
        Sequence::new(Unit::Updates).then(self, length)?.last(next)
    }

    /// Starts over every `length` updates: a [`Repeat`].
    ///
    /// # Errors
    /// If the length is not positive.
    fn repeat(self, length: f64) -> Result<Repeat<Self>, ScheduleError> {
        RepeatConfig::new(length).init(self)
    }

    /// The product of both.
    ///
    /// # Errors
    /// If the widths don't fit together.
    fn times(self, other: impl Scheduler + 'static) -> Result<Combined, ScheduleError> {
        Combined::new(Combine::Product, vec![Box::new(self), Box::new(other)])
    }

    /// The sum of both.
    ///
    /// # Errors
    /// If the widths don't fit together.
    fn plus(self, other: impl Scheduler + 'static) -> Result<Combined, ScheduleError> {
        Combined::new(Combine::Sum, vec![Box::new(self), Box::new(other)])
    }

    /// The lower of both.
    ///
    /// # Errors
    /// If the widths don't fit together.
    fn min(self, other: impl Scheduler + 'static) -> Result<Combined, ScheduleError> {
        Combined::new(Combine::Min, vec![Box::new(self), Box::new(other)])
    }

    /// The higher of both.
    ///
    /// # Errors
    /// If the widths don't fit together.
    fn max(self, other: impl Scheduler + 'static) -> Result<Combined, ScheduleError> {
        Combined::new(Combine::Max, vec![Box::new(self), Box::new(other)])
    }

    /// All values times `factor`.
    ///
    /// # Errors
    /// If the factor is not finite.
    fn scale(self, factor: f64) -> Result<Mapped<Self>, ScheduleError> {
        Mapped::new(self, Map::Scale { factor })
    }

    /// No value outside `[min, max]`.
    ///
    /// # Errors
    /// If `min > max`.
    fn clamp(self, min: f64, max: f64) -> Result<Mapped<Self>, ScheduleError> {
        Mapped::new(self, Map::Clamp { min, max })
    }

    /// No value below `floor`.
    ///
    /// # Errors
    /// If the floor is NaN.
    fn with_floor(self, floor: f64) -> Result<Mapped<Self>, ScheduleError> {
        self.clamp(floor, f64::INFINITY)
    }

    /// `low + high - v`, so that what rises falls.
    ///
    /// # Errors
    /// If `low > high`.
    fn invert(self, low: f64, high: f64) -> Result<Mapped<Self>, ScheduleError> {
        Mapped::new(self, Map::Invert { low, high })
    }

    /// Noise as configured, drawn from `key`.
    ///
    /// # Errors
    /// If the configuration is wrong.
    fn jitter(self, config: &JitterConfig, key: Key) -> Result<Jitter<Self>, ScheduleError> {
        config.init(self, key)
    }

    /// The same schedule for several parameter groups, each with a factor.
    ///
    /// # Errors
    /// If this has more than one value, or the groups are wrong.
    fn per_group<N: Into<String>>(
        self,
        groups: impl IntoIterator<Item = (N, f64)>,
    ) -> Result<PerGroup<Self>, ScheduleError> {
        PerGroup::new(self, groups)
    }

    /// This scheduler with its type erased.
    fn boxed(self) -> BoxScheduler {
        Box::new(self)
    }
}

impl<S: Scheduler + 'static> SchedulerExt for S {}
