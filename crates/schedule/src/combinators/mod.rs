//! Schedulers made of schedulers, one file each.

mod warmup;

pub use warmup::{Warmup, WarmupConfig, WarmupMode};
