//! Training techniques for burn: normalisation, initialisation, schedules,
//! augmentation, and a trainer that joins them.
//!
//! What lives here: one name for every crate of the toolkit, the feature flags
//! that pick a backend, the [`prelude`], and [`registries`], filled with every
//! built-in. What must not: any technique; each has its own crate.

pub use firecraft_augment as augment;
pub use firecraft_core_tensor as core_tensor;
pub use firecraft_data as data;
pub use firecraft_init as init;
pub use firecraft_key as key;
pub use firecraft_norm as norm;
pub use firecraft_plot as plot;
pub use firecraft_schedule as schedule;
pub use firecraft_spec as spec;
pub use firecraft_trainer as trainer;
