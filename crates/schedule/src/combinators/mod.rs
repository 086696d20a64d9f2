//! Schedulers made of schedulers, one file each.

mod combined;
mod ext;
mod groups;
mod iterated;
mod jitter;
mod mapped;
mod multiplicative;
mod repeat;
mod sequence;
mod shared;
mod slots;
mod warmup;

pub use combined::{Combine, Combined};
pub use ext::SchedulerExt;
pub use groups::PerGroup;
pub use iterated::Iterated;
pub use jitter::{Jitter, JitterConfig, Noise};
pub use mapped::{Map, Mapped};
pub use multiplicative::Multiplicative;
pub use repeat::{Repeat, RepeatConfig};
pub use sequence::Sequence;
pub use shared::Shared;
pub use slots::Slots;
pub use warmup::{Warmup, WarmupConfig, WarmupMode};
