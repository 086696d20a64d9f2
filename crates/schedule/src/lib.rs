//! Schedules of any hyper-parameter, closed-form and metric-driven, in one
//! algebra.
//!
//! What lives here: closed forms ([`Schedule`]) such as [`Cosine`], rules that
//! follow a metric such as [`ReduceOnPlateau`], and combinators such as
//! [`Warmup`], which all act through one trait, [`Scheduler`]. What must not:
//! optimisers, tensors, training loops, files. Randomness comes from keys,
//! time from the [`StepContext`].
//!
//! Where things go: a closed form is one file in `schedules/`, a metric-driven
//! rule one in `metric/`, a combinator one in `combinators/`; the conventions
//! of other libraries are in `peers/`; positions are converted in `unit` and
//! nowhere else.
//!
//! ```
//! use firecraft_schedule::*;
//! let cosine = Pure::updates(CosineConfig::new(0.1, 900.0).init()?);
//! let mut schedule = WarmupConfig::new(100.0).init(cosine)?;
//! assert_eq!(step_value(&mut schedule, &StepContext::at(50)), 0.05);
//! assert_eq!(step_value(&mut schedule, &StepContext::at(100)), 0.1);
//! assert_eq!(step_value(&mut schedule, &StepContext::at(1000)), 0.0);
//! # Ok::<(), ScheduleError>(())
//! ```

#[cfg(feature = "burn")]
mod burn_lr;
mod check;
mod combinators;
mod config;
mod context;
mod curve;
mod error;
mod finder;
mod math;
mod metric;
pub mod peers;
mod preview;
mod pure;
mod registry;
mod scheduler;
mod schedules;
mod slot;
mod state;
mod unit;

#[cfg(feature = "burn-train")]
pub use burn_lr::MetricStrategy;
#[cfg(feature = "burn")]
pub use burn_lr::{BurnLr, MetricHandle};
pub use combinators::*;
pub use config::ScheduleConfig;
pub use context::{Horizon, StepContext};
pub use curve::Curve;
pub use error::ScheduleError;
pub use finder::{Growth, LrFinder, LrFinderConfig, Suggestion, Suggestions};
pub use metric::*;
pub use preview::{Preview, sparkline};
pub use pure::Pure;
pub use registry::{Schedulers, register};
pub use scheduler::{BoxScheduler, Phase, Schedule, Scheduler, step_value};
pub use schedules::*;
pub use slot::Slot;
pub use state::{State, StateReader};
pub use unit::Unit;

/// Runs the code of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/schedule.md")]
struct Guide;
