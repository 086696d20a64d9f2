//! The operations that backends implement themselves, as extensions of burn's
//! backends.
//!
//! Only backends with a kernel of their own are listed; the functions on
//! tensors choose between these operations and their composites by the device
//! of the input, because calling an operation on another backend panics.

mod conv;
mod norm;

pub(super) use conv::ConvBackend;
pub(super) use norm::NormBackend;
