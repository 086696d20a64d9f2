//! Plans for architectures that have a scheme of their own.
//!
//! Each returns an [`InitPlan`](crate::InitPlan) whose rules name burn's own
//! layers; add rules of yours for parameters with other names. Their own rules
//! need not match anything.

mod fixup;
mod mup;
mod resnet;
mod transformer;

pub use fixup::{Fixup, t_fixup};
pub use mup::{MuP, MuPGroup, Optimizer, WidthRole};
pub use resnet::resnet;
pub use transformer::{gpt2, vit, vit_jax};

use crate::InitError;

fn at_least_one(of: &'static str, field: &'static str, n: usize) -> Result<f64, InitError> {
    match n {
        0 => Err(InitError::setting(of, field, n, "a number >= 1")),
        n => Ok(n as f64),
    }
}
