//! What [`declare_plugin!`](crate::declare_plugin) puts between the tables and
//! the traits. Not for use by hand; it changes with any release.

mod guard;
mod plugin;
mod scheduler;
mod transform;

pub use plugin::{Plugin, self_test};
pub use scheduler::scheduler_class;
pub use transform::transform_class;
