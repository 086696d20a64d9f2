//! The tables that cross between host and plugin, version 1.0.
//!
//! Rules that hold for every function here:
//! - Whoever calls owns every buffer. Output of unknown length is written to a
//!   [`Sink`] of the caller. Nothing allocated on one side is freed on the other.
//! - Pointers that are passed in are valid for the duration of the call, and no
//!   longer; tables and [`Str`]s inside tables live as long as the process.
//! - A [`Status`] other than [`Status::OK`] means that outputs are to be
//!   ignored; the reason is in the error sink, as UTF-8 for people.
//! - No panic and no foreign exception leaves a function.
//! - Structs that may grow begin with their size: a field beyond it is absent.

mod class;
mod entry;
mod head;
mod sample;
mod scheduler;
mod self_test;
mod status;
mod text;
mod transform;
mod view;

pub use class::{Class, ClassFlags, ClassKind, CreateFn, DestroyFn, Targets};
pub use entry::{ENTRY_SYMBOL, Entry, EntryFn, ExtensionFn, Host};
pub use head::{Head, MAGIC, MAJOR, MINOR, Mismatch};
pub use sample::Sample;
pub use scheduler::{LoadFn, SaveFn, SchedulerTable, StepContext, StepFlags, StepFn};
pub use self_test::{SELF_TEST, SelfTest, SelfTestFn};
pub use status::{Sink, Status, WriteFn};
pub use text::{Bytes, Str};
pub use transform::{ApplyFn, PlanFn, SampleMeta, Shape, TransformTable};
pub use view::{DType, View};

/// Asserts where the fields of a table lie; a change that moves one does not
/// build. `word` is the size of a pointer.
macro_rules! layout {
    ($type:ty, size $size:expr, $($field:ident $offset:expr),+ $(,)?) => {
        const _: () = {
            assert!(core::mem::size_of::<$type>() == $size);
            $(assert!(core::mem::offset_of!($type, $field) == $offset);)+
        };
    };
}
pub(crate) use layout;

/// The size of a pointer, which offsets are counted in.
pub(crate) const WORD: usize = size_of::<usize>();
