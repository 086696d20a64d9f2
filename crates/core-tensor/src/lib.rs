//! What every technique on tensors shares: devices by name, the cells that
//! carry keys, modes and running statistics inside modules, and kernels.
//!
//! What lives here: [`device`] (parse, list, open), [`KeyCell`] and
//! [`set_step_key`] (randomness of layers), [`ModeCell`] (train or eval),
//! [`Buffer`] (running statistics that a clone never aliases), [`CountCell`]
//! (a counter that is saved with the model) and [`AllReduce`] (sums over the
//! workers of a run).
//! What must not: any technique (normalisation, augmentation, …), anything
//! that knows a trainer, and global state.
//!
//! Where things go: a new leaf of the module tree gets its own file here when
//! two technique crates need it, else it stays in its crate. A kernel behind
//! burn's backend extension goes to `kernels`, with a tensor-level fallback
//! for the backends it isn't written for.
//!
//! ```
//! use burn::{module::Module, tensor::Tensor};
//! use firecraft_core_tensor::{Buffer, KeyCell, Mode, ModeCell, device};
//!
//! #[derive(Module, Debug)]
//! struct Layer {
//!     mean: Buffer<1>,
//!     keys: KeyCell,
//!     mode: ModeCell,
//! }
//!
//! let device = device::open("flex")?;
//! let layer = Layer {
//!     mean: Buffer::new(Tensor::zeros([3], &device)),
//!     keys: KeyCell::new(0),
//!     mode: ModeCell::default(),
//! };
//! assert_eq!(layer.mode.get(), Mode::Train);
//! assert_eq!(layer.valid().mode.get(), Mode::Eval);
//! # Ok::<(), firecraft_core_tensor::TensorError>(())
//! ```

mod all_reduce;
mod buffer;
mod count_cell;
pub mod device;
mod error;
mod host_words;
pub mod kernels;
mod key_cell;
mod mode_cell;

/// For mappers that read or set the cells of layers themselves.
pub mod cells {
    pub use crate::count_cell::CONTAINER as COUNT_CELL;
    pub use crate::host_words::{reveal, to_tensor, to_words};
}

pub use all_reduce::{AllReduce, DeviceAllReduce, HostAllReduce};
pub use buffer::Buffer;
pub use count_cell::CountCell;
pub use error::TensorError;
pub use firecraft_key::{Key, Rng};
pub use key_cell::{KeyCell, StepKey, set_step_key};
pub use mode_cell::{Mode, ModeCell};
