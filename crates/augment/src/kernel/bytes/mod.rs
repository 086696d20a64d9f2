//! Bytes, with the instructions that loops don't become by themselves.

mod bilinear;
mod shuffle;
mod table;

pub(crate) use bilinear::{between, bilinear_plane, bilinear_rgb};
pub(crate) use shuffle::{
    deinterleave_rgb, interleave_rgb, permute, permute_rgb, reverse, reverse_rgb,
};
pub(crate) use table::look_up;
