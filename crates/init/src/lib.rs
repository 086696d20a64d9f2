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
//!   module; [`presets`] for architectures with a scheme of their own.
//! - [`Lsuv`]: gains measured on data.
//! - [`diagnose`]: what flows through a network at its start, with a verdict.
//!
//! What must not: layers (they live in burn and `firecraft-norm`), optimisers,
//! any source of randomness besides the key.
//!
//! A new initialiser is one file in `initializers/` that implements
//! [`Initializer`], and its lines in `initializers/mod.rs` and `register.rs`.

mod activation;
mod diagnose;
mod error;
mod fans;
pub mod fill;
mod initializer;
mod initializers;
mod kernel;
mod lsuv;
pub mod peers;
mod plan;
pub mod presets;
mod qr;
mod register;
mod width;

pub use activation::{Activation, gain_of};
pub use diagnose::{
    LayerSignal, Moments, Probe, Probed, SignalReport, Thresholds, Verdict, diagnose, diagnose_with,
};
pub use error::InitError;
pub use fans::{FanMode, FanSource, Fans, Layout};
pub use initializer::{Initializer, Target};
pub use initializers::{
    Bounds, ClassPrior, Constant, DeltaOrthogonal, Dirac, Distribution, FanUniform, Identity, Link,
    MatrixView, Normal, Orthogonal, Scaled, Scaling, Side, Sparse, Stft, TruncatedNormal, Uniform,
    VarianceScaling, Window,
};
pub use lsuv::{Lsuv, LsuvStep};
pub use plan::{
    Base, Glob, GroupsConfig, InitPlan, InitPlanConfig, InitRow, InitTable, Role, RuleConfig,
    Select, Unmatched,
};
pub use register::{Initializers, register};

/// The guide's code runs as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/init.md")]
struct Guide;
