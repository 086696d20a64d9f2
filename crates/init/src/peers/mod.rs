//! Initialisers as other libraries define them, under the names they use there.
//!
//! Each constructor returns one of this crate's initialisers with the peer's
//! way of counting fans, cutting distributions and flattening weights, so that
//! a recipe can be carried over with its statistics intact. The numbers drawn
//! are ours. New code had better use the semantic ones.

pub mod jax;
pub mod keras;
pub mod timm;
pub mod torch;
