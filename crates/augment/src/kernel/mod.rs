//! Kernels over plain slices: no tensors, no allocation per pixel, the same
//! bits for any number of threads.

mod batch;
mod cubic;
mod displace;
mod fixed;
mod pixels;
mod resize;
mod warp;

pub use batch::warp_batch;
pub use displace::displace;
pub use pixels::{Element, Layout, Pixels, PixelsMut};
pub use resize::{ResizeFilter, resize};
pub use warp::warp;
