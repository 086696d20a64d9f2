//! The marks of compression: `jpeg`.

use super::plain_layer;
use crate::color::is_colour;
use crate::geometry::sin_cos;
use crate::kernel::Element;
use crate::{
    Apply, AugmentError, LayerTransform, Plan, Sample, SampleMeta, Size, Transform, Values,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The step that compresses and decompresses an image as JPEG would.
///
/// Only what loses information is done: the change to YCbCr with halved
/// chroma, the cosine transform of 8 x 8 blocks, and rounding to the standard
/// tables scaled as libjpeg scales them. The lossless coding behind it is left
/// out. Numbers go through bytes; opacity stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compress {
    /// From 1 (worst) to 100.
    pub quality: u8,
}

/// Compression of a random quality: torchvision's `JPEG`, albumentations'
/// `ImageCompression`, kornia's `RandomJPEG`.
///
/// ```
/// use firecraft_augment::{Image, Jpeg, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let stripes: Vec<u8> = (0..256).map(|i| if i % 2 == 0 { 80 } else { 170 }).collect();
/// let mut sample = Sample::new(Image::from_u8(stripes.clone(), Size::new(16, 16), 1)?);
/// Jpeg::new(10, 10).plan(&sample.meta(), Key::from_seed(0))?.apply(&mut sample)?;
/// assert_ne!(sample.image.as_u8(), Some(&stripes[..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jpeg {
    /// Range of the quality, both ends included, inside `[1, 100]`.
    pub quality: (u8, u8),
}

impl Jpeg {
    /// A quality between two, both included.
    #[must_use]
    pub const fn new(low: u8, high: u8) -> Self {
        Self {
            quality: (low, high),
        }
    }
}

impl Transform for Jpeg {
    plain_layer!("jpeg");

    fn validate(&self) -> Result<(), AugmentError> {
        let (low, high) = self.quality;
        if (1..=high).contains(&low) && high <= 100 {
            return Ok(());
        }
        let (got, expected) = (format!("({low}, {high})"), "an ordered pair in [1, 100]");
        Err(AugmentError::parameter(
            self.name(),
            "quality",
            got,
            expected,
        ))
    }

    fn plan(&self, _meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let (low, high) = self.quality;
        let quality = low + key.rng().below(u64::from(high - low) + 1) as u8;
        Ok(Plan::from(Compress { quality }))
    }
}

impl LayerTransform for Jpeg {}

/// Rounding of brightness, row by row, at quality 50.
const LUMA: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, //
    12, 12, 14, 19, 26, 58, 60, 55, //
    14, 13, 16, 24, 40, 57, 69, 56, //
    14, 17, 22, 29, 51, 87, 80, 62, //
    18, 22, 37, 56, 68, 109, 103, 77, //
    24, 35, 55, 64, 81, 104, 113, 92, //
    49, 64, 78, 87, 103, 121, 120, 101, //
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// Rounding of colour at quality 50: the upper left corner; 99 elsewhere.
const CHROMA: [[u16; 4]; 4] = [
    [17, 18, 24, 47],
    [18, 21, 26, 66],
    [24, 26, 56, 99],
    [47, 66, 99, 99],
];

/// Row `k` holds the `k`-th cosine.
static COSINES: LazyLock<[[f32; 8]; 8]> = LazyLock::new(|| {
    std::array::from_fn(|k| {
        std::array::from_fn(|n| {
            let scale = if k == 0 { 0.125_f64.sqrt() } else { 0.5 };
            let (_, cos) = sin_cos((2 * n + 1) as f64 * k as f64 / 32.0);
            (scale * cos) as f32
        })
    })
});

impl Compress {
    fn tables(&self) -> [[f32; 64]; 2] {
        let quality = u32::from(self.quality.clamp(1, 100));
        let percent = if quality < 50 {
            5000 / quality
        } else {
            200 - 2 * quality
        };
        let scaled = |entry: u16| ((u32::from(entry) * percent + 50) / 100).clamp(1, 255) as f32;
        let chroma = |i: usize| match (i / 8, i % 8) {
            (row @ 0..4, column @ 0..4) => CHROMA[row][column],
            _ => 99,
        };
        [LUMA.map(scaled), std::array::from_fn(|i| scaled(chroma(i)))]
    }

    fn run(&self, data: &mut [u8], size: Size, channels: usize) {
        let [luma, chroma] = self.tables();
        if channels < 3 {
            for c in 0..channels.min(1) {
                let mut plane = Plane::new(size, |i| f32::from(data[i * channels + c]));
                plane.round_blocks(&luma);
                for i in 0..size.area() {
                    data[i * channels + c] = plane.byte(i);
                }
            }
            return;
        }
        let rgb = |i: usize| [0, 1, 2].map(|c| f32::from(data[i * channels + c]));
        let mut y = Plane::new(size, |i| {
            let [r, g, b] = rgb(i);
            0.299 * r + 0.587 * g + 0.114 * b
        });
        let mut colours = [
            Plane::new(size, |i| {
                let [r, g, b] = rgb(i);
                128.0 - 0.168_735_9 * r - 0.331_264_1 * g + 0.5 * b
            }),
            Plane::new(size, |i| {
                let [r, g, b] = rgb(i);
                128.0 + 0.5 * r - 0.418_687_6 * g - 0.081_312_4 * b
            }),
        ]
        .map(|plane| plane.halved());
        y.round_blocks(&luma);
        for plane in &mut colours {
            plane.round_blocks(&chroma);
        }
        let [cb, cr] = colours.map(|plane| plane.doubled(size));
        for (i, pixel) in data.chunks_exact_mut(channels).enumerate() {
            let (y, cb, cr) = (y.values[i], cb[i] - 128.0, cr[i] - 128.0);
            pixel[0] = u8::from_f32(y + 1.402 * cr);
            pixel[1] = u8::from_f32(y - 0.344_136_3 * cb - 0.714_136_3 * cr);
            pixel[2] = u8::from_f32(y + 1.772 * cb);
        }
    }
}

/// One channel in `0..=255`.
struct Plane {
    size: Size,
    values: Vec<f32>,
}

impl Plane {
    fn new(size: Size, value: impl Fn(usize) -> f32) -> Self {
        // As bytes, as an encoder sees them.
        let byte = |i| f32::from(u8::from_f32(value(i)));
        Self {
            size,
            values: (0..size.area()).map(byte).collect(),
        }
    }

    fn byte(&self, i: usize) -> u8 {
        u8::from_f32(self.values[i])
    }

    fn at(&self, y: i64, x: i64) -> f32 {
        let Size { height, width } = self.size;
        let y = y.clamp(0, height as i64 - 1) as usize;
        let x = x.clamp(0, width as i64 - 1) as usize;
        self.values[y * width + x]
    }

    /// Means of two by two pixels, halves rounded down and up in turns as
    /// libjpeg does.
    fn halved(&self) -> Self {
        let size = Size::new(self.size.height.div_ceil(2), self.size.width.div_ceil(2));
        Self::new(size, |i| {
            let (y, x) = ((i / size.width * 2) as i64, (i % size.width * 2) as i64);
            let sum = self.at(y, x) + self.at(y, x + 1) + self.at(y + 1, x) + self.at(y + 1, x + 1);
            let bias = (i % size.width % 2 + 1) as f32;
            ((sum + bias) / 4.0).floor()
        })
    }

    /// The plane at twice the size, interpolated: three parts of the nearer
    /// pixel and one of the other in each direction.
    fn doubled(&self, size: Size) -> Vec<f32> {
        let near = |i: usize| {
            let half = i as i64 / 2;
            (
                half,
                if i.is_multiple_of(2) {
                    half - 1
                } else {
                    half + 1
                },
            )
        };
        (0..size.area())
            .map(|i| {
                let ((y0, y1), (x0, x1)) = (near(i / size.width), near(i % size.width));
                let row = |y| 0.75 * self.at(y, x0) + 0.25 * self.at(y, x1);
                (0.75 * row(y0) + 0.25 * row(y1) + 0.5).floor()
            })
            .collect()
    }

    /// Rounds the cosines of every block to multiples of the table.
    fn round_blocks(&mut self, table: &[f32; 64]) {
        let Size { height, width } = self.size;
        let mut out = self.values.clone();
        for top in (0..height).step_by(8) {
            for left in (0..width).step_by(8) {
                let block: [f32; 64] = std::array::from_fn(|i| {
                    self.at((top + i / 8) as i64, (left + i % 8) as i64) - 128.0
                });
                let mut cosines = cosine_transform(&block);
                for (value, step) in cosines.iter_mut().zip(table) {
                    *value = (*value / step).round() * step;
                }
                let block = inverse_transform(&cosines);
                for y in top..(top + 8).min(height) {
                    for x in left..(left + 8).min(width) {
                        let value = block[(y - top) * 8 + x - left] + 128.0;
                        out[y * width + x] = f32::from(u8::from_f32(value));
                    }
                }
            }
        }
        self.values = out;
    }
}

/// `C b C'`.
fn cosine_transform(block: &[f32; 64]) -> [f32; 64] {
    let c = &*COSINES;
    let sum = |f: &dyn Fn(usize) -> f32| (0..8).map(f).sum::<f32>();
    let rows: [f32; 64] = std::array::from_fn(|i| sum(&|n| c[i % 8][n] * block[i / 8 * 8 + n]));
    std::array::from_fn(|i| sum(&|n| c[i / 8][n] * rows[n * 8 + i % 8]))
}

/// `C' b C`.
fn inverse_transform(block: &[f32; 64]) -> [f32; 64] {
    let c = &*COSINES;
    let sum = |f: &dyn Fn(usize) -> f32| (0..8).map(f).sum::<f32>();
    let rows: [f32; 64] = std::array::from_fn(|i| sum(&|k| c[k][i % 8] * block[i / 8 * 8 + k]));
    std::array::from_fn(|i| sum(&|k| c[k][i / 8] * rows[k * 8 + i % 8]))
}

impl Apply for Compress {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let image = &mut sample.image;
        is_colour("jpeg", image)?;
        let (size, channels) = (image.size(), image.channels());
        if size.area() * channels == 0 {
            return Ok(());
        }
        match image.values_mut() {
            Values::U8(data) => self.run(data, size, channels),
            Values::F32(data) => {
                super::through_bytes(data, |bytes| self.run(bytes, size, channels));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_transform_has_an_inverse() {
        let block: [f32; 64] = std::array::from_fn(|i| (i * i * 37 % 251) as f32);
        let back = inverse_transform(&cosine_transform(&block));
        for (a, b) in block.iter().zip(back) {
            assert!((a - b).abs() < 1e-2, "{a} {b}");
        }
    }

    /// Two rows that Pillow 13 (libjpeg-turbo) gives for `slope()` at two
    /// qualities.
    const PILLOW: [(u8, usize, [u8; 48]); 2] = [
        (
            30,
            9,
            [
                86, 147, 106, 88, 145, 102, 90, 142, 94, 95, 138, 84, 103, 133, 73, 111, 126, 61,
                123, 120, 53, 133, 114, 48, 145, 106, 47, 157, 99, 51, 170, 91, 58, 181, 84, 65,
                191, 77, 76, 198, 72, 83, 202, 69, 90, 205, 67, 93,
            ],
        ),
        (
            75,
            0,
            [
                49, 198, 94, 53, 196, 90, 60, 190, 82, 70, 184, 71, 80, 177, 61, 91, 171, 50, 103,
                164, 43, 112, 160, 40, 123, 154, 37, 132, 148, 41, 142, 142, 46, 152, 134, 52, 165,
                127, 62, 174, 123, 70, 183, 118, 76, 186, 116, 80,
            ],
        ),
    ];

    fn slope() -> Vec<u8> {
        (0..256_i32)
            .flat_map(|i| {
                let (y, x) = (i / 16, i % 16);
                let blue = 30 + (x - 8).pow(2) + (y - 4).pow(2);
                [40 + 10 * x + 3 * y, 200 - 6 * x - 5 * y, blue].map(|v| v.clamp(0, 255) as u8)
            })
            .collect()
    }

    #[test]
    fn libjpeg_is_near() {
        for (quality, row, expected) in PILLOW {
            let mut data = slope();
            Compress { quality }.run(&mut data, Size::new(16, 16), 3);
            for (got, want) in data[row * 48..][..48].iter().zip(expected) {
                assert!(got.abs_diff(want) <= 3, "{quality}: {got} {want}");
            }
        }
    }

    #[test]
    fn better_quality_is_nearer_and_one_colour_stays() {
        let size = Size::new(19, 21);
        let picture: Vec<u8> = (0..size.area() * 3)
            .map(|i| (128.0 + 100.0 * (i as f32 / 40.0).sin()) as u8)
            .collect();
        let distance = |quality| {
            let mut data = picture.clone();
            Compress { quality }.run(&mut data, size, 3);
            let pairs = data.iter().zip(&picture);
            pairs
                .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2))
                .sum::<f64>()
        };
        assert!(distance(95) < distance(40) && distance(40) < distance(3));
        let mut flat = [[90_u8, 90, 90, 7]; 12].concat();
        Compress { quality: 50 }.run(&mut flat, Size::new(3, 4), 4);
        assert!(flat.chunks(4).all(|p| p[3] == 7));
        assert!(flat.chunks(4).all(|p| p[0].abs_diff(90) <= 2), "{flat:?}");
    }

    #[test]
    fn quality_is_a_range_of_per_cents() {
        assert!(Jpeg::new(0, 50).validate().is_err());
        assert!(Jpeg::new(60, 50).validate().is_err());
        assert!(Jpeg::new(50, 101).validate().is_err());
    }
}
