//! One training example as it crosses the boundary.

use super::{View, WORD};

/// An image with its targets. As a source it is read-only; as a destination its
/// arrays have been allocated by the host, in the sizes that planning announced.
///
/// Labels never cross: the host keeps them, and follows `box_src` and
/// `point_src`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// `[height, width, channels]`, bytes or floats.
    pub image: View,
    /// Label maps, `[height, width]` bytes each; null where there are none.
    pub masks: *mut View,
    /// How many masks there are.
    pub mask_count: usize,
    /// `[N, 4]` floats `x0, y0, x1, y1` in pixels from the corner of the image; no
    /// array where there are none.
    pub boxes: View,
    /// `[K, 2]` floats `x, y` in pixels from the centre of the top left pixel; no
    /// array where there are none.
    pub points: View,
    /// In a destination: for each row that survives, its row in the source.
    pub box_src: *mut u32,
    /// In a destination: as `box_src`, for points.
    pub point_src: *mut u32,
    /// In a destination: how many boxes survive, at most the rows of `boxes`.
    pub box_count: usize,
    /// In a destination: how many points survive.
    pub point_count: usize,
}

const VIEW: usize = size_of::<View>();

super::layout!(
    Sample, size 3 * VIEW + 6 * WORD,
    image 0, masks VIEW, mask_count VIEW + WORD, boxes VIEW + 2 * WORD,
    points 2 * VIEW + 2 * WORD, box_src 3 * VIEW + 2 * WORD, point_src 3 * VIEW + 3 * WORD,
    box_count 3 * VIEW + 4 * WORD, point_count 3 * VIEW + 5 * WORD,
);
