//! Changing the size of an image, one direction after the other.

mod bytes;
mod numbers;
mod taps;

pub(super) use bytes::separable as bytes;
pub(super) use numbers::separable as numbers;
pub(super) use taps::Taps;

use super::Scratch;
use super::pixels::{Element, Layout, Pixels, PixelsMut};
use crate::{AugmentError, Region};
use serde::{Deserialize, Serialize};
use taps::Weights;

/// How the pixels of a resized image are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeFilter {
    /// The pixel at `floor(i * scale)`: torch's and OpenCV's nearest.
    Nearest,
    /// The pixel at `floor((i + 1/2) * scale)`: Keras' nearest, torch's
    /// nearest-exact. Unlike [`ResizeFilter::Nearest`], it doesn't shift the
    /// content.
    NearestExact,
    /// The mean of the pixels whose centres a pixel covers (box filter):
    /// Pillow's box.
    Area,
    /// The mean of what a pixel covers, parts of pixels included; linear in
    /// between if a side grows: OpenCV's area.
    Coverage,
    /// Linear between neighbours (triangle filter).
    #[default]
    Bilinear,
    /// Cubic convolution (Keys 1981), with `a = -1/2` if smoothed and
    /// `a = -3/4` if not, as in torch.
    Bicubic,
    /// Windowed sinc with three lobes: Pillow, Keras.
    Lanczos3,
    /// Windowed sinc with four lobes: OpenCV.
    Lanczos4,
    /// Windowed sinc with five lobes: Keras.
    Lanczos5,
}

impl ResizeFilter {
    /// Reach to either side, in pixels of the coarser grid.
    const fn support(self) -> f64 {
        match self {
            Self::Nearest | Self::NearestExact | Self::Area | Self::Coverage => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos3 => 3.0,
            Self::Lanczos4 => 4.0,
            Self::Lanczos5 => 5.0,
        }
    }

    fn weight(self, x: f64, smooth: bool) -> f64 {
        let x = x.abs();
        match self {
            Self::Nearest | Self::NearestExact => 1.0,
            Self::Area if x <= 0.5 => 1.0,
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic => {
                let a = if smooth { -0.5 } else { -0.75 };
                if x < 1.0 {
                    ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * a
                } else {
                    0.0
                }
            }
            Self::Lanczos3 | Self::Lanczos4 | Self::Lanczos5 if x < self.support() => {
                sinc(x) * sinc(x / self.support())
            }
            _ => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let (sin, _) = crate::geometry::sin_cos(x / 2.0);
    sin / (x * std::f64::consts::PI)
}

/// Writes the `region` of `source` into `target`, resized to fit.
///
/// With `antialias` the filter is as wide as the output pixels where the image
/// shrinks (Pillow, torchvision); without, it always spans the neighbours in
/// the source (Keras, OpenCV), which is cheaper and shows patterns that are
/// not there. Nearest neighbours are never smoothed. Bytes are resized in whole
/// numbers, with weights of 15 bits, and rounded half up and clipped after each
/// direction, columns first, as in Pillow and torch.
///
/// # Errors
/// If the region is empty or reaches outside, or `target` has other channels
/// or another layout.
///
/// ```
/// use firecraft_augment::kernel::{Layout, Pixels, PixelsMut, ResizeFilter, resize};
/// use firecraft_augment::{Region, Size};
/// let row = [0.0, 1.0, 2.0, 9.0_f32];
/// let mut out = [0.0; 2];
/// resize(
///     Pixels::new(&row, Size::new(1, 4), 1, Layout::Chw)?,
///     Region::all(Size::new(1, 4)),
///     PixelsMut::new(&mut out, Size::new(1, 2), 1, Layout::Chw)?,
///     ResizeFilter::Area,
///     true,
/// )?;
/// assert_eq!(out, [0.5, 5.5]);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
pub fn resize<T: Element>(
    source: Pixels<'_, T>,
    region: Region,
    target: PixelsMut<'_, T>,
    filter: ResizeFilter,
    antialias: bool,
) -> Result<(), AugmentError> {
    let style = ResizeStyle {
        filter,
        antialias,
        flipped: (false, false),
    };
    resize_with(source, region, target, style, &mut Scratch::new())
}

/// How [`resize_with`] resizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResizeStyle {
    pub(crate) filter: ResizeFilter,
    pub(crate) antialias: bool,
    /// Whether left and right, and top and bottom, change places.
    pub(crate) flipped: (bool, bool),
}

/// [`resize`] with buffers from before.
pub(crate) fn resize_with<T: Element>(
    source: Pixels<'_, T>,
    region: Region,
    mut target: PixelsMut<'_, T>,
    style: ResizeStyle,
    scratch: &mut Scratch,
) -> Result<(), AugmentError> {
    if !region.is_inside(source.size()) {
        return Err(AugmentError::Image {
            operation: "resize",
            got: format!("an image of {}", source.size()),
            expected: format!("one that holds the region {region}"),
        });
    }
    if (target.channels(), target.layout()) != (source.channels(), source.layout()) {
        return Err(AugmentError::Image {
            operation: "resize",
            got: format!("{} channels, {:?}", target.channels(), target.layout()),
            expected: format!("{} channels, {:?}", source.channels(), source.layout()),
        });
    }
    let size = target.size();
    let (width, channels) = (source.size().width, source.channels());
    let mut taps = std::mem::take(&mut scratch.taps);
    let [columns, rows] = &mut taps;
    let (from, to) = (region.size, size);
    let weights = match style.filter {
        ResizeFilter::Coverage => Weights::Coverage {
            grows: to.width > from.width || to.height > from.height,
        },
        other => Weights::Filter(other),
    };
    columns.set(region.left, from.width, to.width, weights, style.antialias);
    rows.set(region.top, from.height, to.height, weights, style.antialias);
    if style.flipped.0 {
        columns.spans.reverse();
    }
    if style.flipped.1 {
        rows.spans.reverse();
    }
    let out = target.data();
    match source.layout() {
        Layout::Hwc => T::resize(
            (source.data(), width, channels),
            [columns, rows],
            out,
            scratch,
        ),
        Layout::Chw => {
            let (from, to) = (source.size().area(), size.area());
            for c in 0..channels {
                let plane = &source.data()[c * from..(c + 1) * from];
                let out = &mut out[c * to..(c + 1) * to];
                T::resize((plane, width, 1), [columns, rows], out, scratch);
            }
        }
    }
    scratch.taps = taps;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;
    use proptest::prelude::*;

    const ALL: [ResizeFilter; 6] = [
        ResizeFilter::Nearest,
        ResizeFilter::NearestExact,
        ResizeFilter::Area,
        ResizeFilter::Bilinear,
        ResizeFilter::Bicubic,
        ResizeFilter::Lanczos3,
    ];

    fn run(
        data: &[f32],
        size: Size,
        region: Region,
        to: Size,
        channels: usize,
        layout: Layout,
        filter: (ResizeFilter, bool),
    ) -> Vec<f32> {
        let mut out = vec![f32::NAN; to.area() * channels];
        resize(
            Pixels::new(data, size, channels, layout).unwrap(),
            region,
            PixelsMut::new(&mut out, to, channels, layout).unwrap(),
            filter.0,
            filter.1,
        )
        .unwrap();
        out
    }

    proptest! {
        #[test]
        fn one_colour_stays(
            height in 1_usize..20, width in 1_usize..20, to_h in 1_usize..20, to_w in 1_usize..20,
            antialias: bool,
        ) {
            let (size, to) = (Size::new(height, width), Size::new(to_h, to_w));
            for filter in ALL {
                let data = vec![0.7; size.area()];
                let filter = (filter, antialias);
                let out = run(&data, size, Region::all(size), to, 1, Layout::Hwc, filter);
                prop_assert!(out.iter().all(|v| (v - 0.7).abs() < 1e-5), "{filter:?} {out:?}");
            }
        }

        #[test]
        fn a_region_is_the_crop_resized(
            top in 0_usize..5, left in 0_usize..5, antialias: bool, channels in 1_usize..6,
        ) {
            let size = Size::new(11, 9);
            let region = Region { top, left, size: Size::new(6, 4) };
            let data: Vec<f32> =
                (0..size.area() * channels).map(|i| (i * 37 % 101) as f32).collect();
            let crop: Vec<f32> = (0..6)
                .flat_map(|y| ((top + y) * 9 + left) * channels..((top + y) * 9 + left + 4) * channels)
                .map(|i| data[i])
                .collect();
            for filter in ALL {
                let (filter, to) = ((filter, antialias), Size::new(5, 7));
                let whole = run(&data, size, region, to, channels, Layout::Hwc, filter);
                let all = Region::all(region.size);
                let part = run(&crop, region.size, all, to, channels, Layout::Hwc, filter);
                prop_assert_eq!(whole, part);
            }
        }
    }

    #[test]
    fn the_same_size_is_the_same_image() {
        let size = Size::new(5, 4);
        let data: Vec<f32> = (0..20).map(|i| i as f32).collect();
        for filter in ALL {
            for antialias in [false, true] {
                let all = Region::all(size);
                let out = run(&data, size, all, size, 1, Layout::Chw, (filter, antialias));
                for (a, b) in out.iter().zip(&data) {
                    assert!((a - b).abs() < 1e-4, "{filter:?}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn layouts_agree() {
        let (size, to) = (Size::new(6, 5), Size::new(4, 8));
        let planes: Vec<f32> = (0..90).map(|i| (i * 31 % 89) as f32).collect();
        let pixels: Vec<f32> = (0..90).map(|i| planes[i % 3 * 30 + i / 3]).collect();
        let filter = (ResizeFilter::Bicubic, true);
        let chw = run(&planes, size, Region::all(size), to, 3, Layout::Chw, filter);
        let hwc = run(&pixels, size, Region::all(size), to, 3, Layout::Hwc, filter);
        for i in 0..96 {
            assert_eq!(hwc[i], chw[i % 3 * 32 + i / 3]);
        }
    }

    #[test]
    fn a_region_outside_is_refused() {
        let mut out = [0_u8; 1];
        let error = resize(
            Pixels::new(&[0_u8; 4], Size::new(2, 2), 1, Layout::Hwc).unwrap(),
            Region {
                top: 1,
                left: 0,
                size: Size::new(2, 1),
            },
            PixelsMut::new(&mut out, Size::new(1, 1), 1, Layout::Hwc).unwrap(),
            ResizeFilter::Bilinear,
            true,
        )
        .unwrap_err();
        assert!(
            error.to_string().contains("2x1 (height x width) at row 1"),
            "{error}"
        );
    }
}
