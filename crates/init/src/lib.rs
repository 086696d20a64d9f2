//! Initialisation: values for the parameters of a network, so that signals and
//! gradients keep their variance through depth.
//!
//! What lives here:
//! - [`Fans`], [`Activation`] and its gains: the quantities that formulas need.
//! - [`Initializer`] and one file per scheme under `initializers/`.
//! - [`fill`]: bulk generation from a [`Key`](firecraft_key::Key), vectorised,
//!   parallel, and the same bits everywhere.
//! - [`peers`]: the same schemes as torch, Keras, JAX and timm define them.
//! - [`InitPlan`]: rules from layers and paths to initialisers, for any burn
//!   module.
//!
//! What must not: layers (they live in burn and `firecraft-norm`), optimisers,
//! any source of randomness besides the key.
//!
//! A new initialiser is one file in `initializers/` that implements
//! [`Initializer`], and its line in `initializers/mod.rs`.

mod activation;
mod error;
mod fans;
pub mod fill;
mod initializer;
mod initializers;
mod kernel;
pub mod peers;
mod plan;
mod qr;
mod width;

pub use activation::{Activation, gain_of};
pub use error::InitError;
pub use fans::{FanMode, FanSource, Fans, Layout};
pub use initializer::{Initializer, Target};
pub use initializers::{
    Bounds, Constant, DeltaOrthogonal, Dirac, Distribution, FanUniform, Identity, MatrixView,
    Normal, Orthogonal, Scaling, Side, Sparse, Stft, TruncatedNormal, Uniform, VarianceScaling,
    Window,
};
pub use plan::{Glob, InitPlan, InitRow, InitTable, Role, Select};
