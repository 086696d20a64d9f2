//! Writing a plugin in Rust.

mod declare;
mod error;
pub mod glue;
mod image;
mod sample;
mod scheduler;
mod transform;
mod wire;

pub use error::Error;
pub use image::{Image, ImageMut, Pixels, PixelsMut};
pub use sample::{Destination, Rows, RowsMut, Source};
pub use scheduler::{Scheduler, Step};
pub use transform::Transform;
