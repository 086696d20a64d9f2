//! Kernels over plain slices: no tensors, no allocation per pixel, the same
//! bits for any number of threads.

mod batch;
mod between;
mod box_bytes;
mod bytes;
mod colour;
mod copy;
mod cubic;
mod displace;
mod filter;
mod fixed;
mod hue;
mod numbers;
mod outside;
mod pixels;
mod planes;
mod resize;
mod row;
mod scratch;
mod simd;
mod tones;
mod warp;

pub use batch::warp_batch;
pub(crate) use bytes::look_up;
pub(crate) use colour::{
    Counts, convert_channels, count_channels, look_up_channels, map_channels, map_colours,
    map_to_grey, map_values, ranges, sum_channels, sum_colours,
};
pub use displace::displace;
pub(crate) use displace::displace_with;
pub(crate) use filter::{box_mean, convolve, sharpen};
pub(crate) use hue::turn_hue;
pub use pixels::{Element, Layout, Pixels, PixelsMut};
pub(crate) use planes::to_planes;
pub use resize::{ResizeFilter, resize};
pub(crate) use resize::{ResizeStyle, resize_with};
pub use scratch::Scratch;
pub(crate) use simd::inlined;
pub(crate) use tones::{Colours, Tone, change_tones, tones_to_planes};
pub use warp::warp;
pub(crate) use warp::warp_with;
