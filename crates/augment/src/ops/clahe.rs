//! Contrast by neighbourhood: `clahe`.

use super::fixed_step;
use crate::color::is_colour;
use crate::kernel::Element;
use crate::lab::{lab_to_rgb, rgb_to_lab};
use crate::{Apply, AugmentError, Border, Sample, Size, Values};
use serde::{Deserialize, Serialize};

/// Whose arithmetic [`Clahe`] follows; the three agree in the idea and in no
/// detail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaheMethod {
    /// OpenCV's, on the L of CIE L*a*b* if there are colours; albumentations
    /// has the same. Images of numbers go through bytes.
    #[default]
    OpenCv,
    /// kornia's, channel by channel.
    Kornia,
    /// Keras', channel by channel.
    Keras,
}

/// Contrast-limited adaptive histogram equalisation: equalises each tile of a
/// grid by its own histogram, whose peaks are cut off, and blends between the
/// tiles. Zuiderveld, *Contrast Limited Adaptive Histogram Equalization*
/// (1994).
///
/// ```
/// use firecraft_augment::{Clahe, Image, Plan, Sample, Size};
/// let flat: Vec<u8> = (0..256).map(|i| 100 + (i % 16) as u8).collect();
/// let mut sample = Sample::new(Image::from_u8(flat, Size::new(16, 16), 1)?);
/// Plan::from(Clahe::new(40.0, (2, 2))).apply(&mut sample)?;
/// let out = sample.image.as_u8().unwrap();
/// assert!(out[15] - out[0] > 100, "the contrast of 15 levels has grown");
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clahe {
    /// How often a level may occur, in multiples of the mean; 0 sets no limit.
    /// In `[0, 1e6]`.
    pub clip_limit: f32,
    /// Number of tiles in each column and each row of tiles, in `1..=256`.
    pub grid: (usize, usize),
    /// Whose arithmetic.
    pub method: ClaheMethod,
}

impl Default for Clahe {
    fn default() -> Self {
        Self::new(4.0, (8, 8))
    }
}

impl Clahe {
    /// OpenCV's arithmetic with that limit and that many tiles down and
    /// across.
    #[must_use]
    pub const fn new(clip_limit: f32, grid: (usize, usize)) -> Self {
        Self {
            clip_limit,
            grid,
            method: ClaheMethod::OpenCv,
        }
    }

    /// Sets whose arithmetic.
    #[must_use]
    pub const fn with_method(mut self, method: ClaheMethod) -> Self {
        self.method = method;
        self
    }

    fn check(&self) -> Result<(), AugmentError> {
        if !(0.0..=1e6).contains(&self.clip_limit) {
            let expected = "a number in [0, 1e6]";
            let got = self.clip_limit;
            return Err(AugmentError::parameter(
                "clahe",
                "clip_limit",
                got,
                expected,
            ));
        }
        let valid = 1..=256;
        if !(valid.contains(&self.grid.0) && valid.contains(&self.grid.1)) {
            let got = format!("{:?}", self.grid);
            let expected = "two numbers in 1..=256";
            return Err(AugmentError::parameter("clahe", "grid", got, expected));
        }
        Ok(())
    }

    fn open_cv(&self, data: &mut [u8], size: Size, channels: usize) {
        if channels < 3 {
            let out = self.plane(
                &data.iter().map(|&v| Level::byte(v)).collect::<Vec<_>>(),
                size,
            );
            for (value, out) in data.iter_mut().zip(out) {
                *value = u8::from_f32(out);
            }
            return;
        }
        let mut lab: Vec<[u8; 3]> = data
            .chunks_exact(channels)
            .map(|p| rgb_to_lab([p[0], p[1], p[2]]))
            .collect();
        let levels: Vec<Level> = lab.iter().map(|p| Level::byte(p[0])).collect();
        for (pixel, out) in lab.iter_mut().zip(self.plane(&levels, size)) {
            pixel[0] = u8::from_f32(out);
        }
        for (pixel, lab) in data.chunks_exact_mut(channels).zip(lab) {
            pixel[..3].copy_from_slice(&lab_to_rgb(lab));
        }
    }

    /// Channel by channel: kornia and Keras.
    fn by_channel<T: Element>(&self, data: &mut [T], size: Size, channels: usize) {
        let colours = if channels == 4 { 3 } else { channels };
        for c in 0..colours {
            let levels: Vec<Level> = data
                .iter()
                .skip(c)
                .step_by(channels)
                .map(|v| self.level(v.to_f32() / T::MAX))
                .collect();
            let out = self.plane(&levels, size);
            for (value, out) in data.iter_mut().skip(c).step_by(channels).zip(out) {
                *value = T::from_f32(out * (T::MAX / 255.0));
            }
        }
    }

    /// kornia counts in bins that its tables don't use.
    fn level(&self, value: f32) -> Level {
        let read = u8::from_f32_truncated(value * 255.0);
        let counted = match self.method {
            ClaheMethod::Kornia => u8::from_f32_truncated(value * 256.0),
            _ => read,
        };
        Level { counted, read }
    }

    /// One channel, in `0..=255`.
    fn plane(&self, levels: &[Level], size: Size) -> Vec<f32> {
        let tiles = Tiles::new(self, size);
        let tables: Vec<[f32; 256]> = (0..self.grid.0 * self.grid.1)
            .map(|i| {
                let counts = tiles.counts(levels, i / self.grid.1, i % self.grid.1);
                self.table(counts, tiles.tile.area())
            })
            .collect();
        let down: Vec<_> = (0..size.height)
            .map(|y| self.between(y, tiles.tile.height, self.grid.0))
            .collect();
        let across: Vec<_> = (0..size.width)
            .map(|x| self.between(x, tiles.tile.width, self.grid.1))
            .collect();
        let mut out = Vec::with_capacity(levels.len());
        for (row, &(y0, y1, wy)) in levels.chunks_exact(size.width).zip(&down) {
            for (level, &(x0, x1, wx)) in row.iter().zip(&across) {
                let at = |y: usize, x: usize| tables[y * self.grid.1 + x][usize::from(level.read)];
                let line = |y: usize| at(y, x0) * (1.0 - wx) + at(y, x1) * wx;
                out.push(line(y0) * (1.0 - wy) + line(y1) * wy);
            }
        }
        out
    }

    /// The tiles before and after a pixel, and the weight of the second.
    fn between(&self, pixel: usize, tile: usize, tiles: usize) -> (usize, usize, f32) {
        let clamp = |i: i64| i.clamp(0, tiles as i64 - 1) as usize;
        let (at, of) = (pixel as f32, tile as f32);
        let place = match self.method {
            ClaheMethod::OpenCv => at / of - 0.5,
            ClaheMethod::Keras => (at - of / 2.0) / of,
            ClaheMethod::Kornia => (at + 0.5) / of - 0.5,
        };
        let first = place.floor();
        (clamp(first as i64), clamp(first as i64 + 1), place - first)
    }

    /// What becomes of each level in a tile.
    fn table(&self, counts: [usize; 256], area: usize) -> [f32; 256] {
        if self.method == ClaheMethod::Keras {
            return self.keras_table(counts, area);
        }
        let mut counts = counts;
        if self.clip_limit > 0.0 {
            let limit = ((f64::from(self.clip_limit) * area as f64 / 256.0) as usize).max(1);
            let over: usize = counts.iter().map(|n| n.saturating_sub(limit)).sum();
            let (each, rest) = (over / 256, over % 256);
            counts = counts.map(|n| n.min(limit) + each);
            let step = (256 / rest.max(1)).max(1);
            for n in counts.iter_mut().step_by(step).take(rest) {
                *n += 1;
            }
        }
        let scale = 255.0 / area as f32;
        let mut sum = 0;
        counts.map(|n| {
            sum += n;
            f32::from(u8::from_f32(sum as f32 * scale))
        })
    }

    /// Fractions of counts, and black for the lowest level.
    fn keras_table(&self, counts: [usize; 256], area: usize) -> [f32; 256] {
        let mut counts = counts.map(|n| n as f32);
        if self.clip_limit > 0.0 {
            let limit = self.clip_limit * area as f32 / 256.0;
            let over: f32 = counts.iter().map(|n| (n - limit).max(0.0)).sum();
            counts = counts.map(|n| n.min(limit) + over / 256.0);
        }
        let lowest = counts[0];
        let rest = area as f32 - lowest;
        let rest = if rest == 0.0 { 1.0 } else { rest };
        let mut sum = 0.0;
        counts.map(|n| {
            sum += n;
            ((sum - lowest) * 255.0 / rest).clamp(0.0, 255.0)
        })
    }
}

/// A value of a channel.
#[derive(Clone, Copy)]
struct Level {
    /// The bin it is counted in.
    counted: u8,
    /// The entry of the table it becomes.
    read: u8,
}

impl Level {
    const fn byte(value: u8) -> Self {
        Self {
            counted: value,
            read: value,
        }
    }
}

/// The grid laid over an image, which is mirrored where the grid is larger.
struct Tiles {
    image: Size,
    tile: Size,
    border: Border,
}

impl Tiles {
    fn new(clahe: &Clahe, image: Size) -> Self {
        let (rows, columns) = clahe.grid;
        let fits = image.height.is_multiple_of(rows) && image.width.is_multiple_of(columns);
        let side = |length: usize, tiles: usize| match clahe.method {
            ClaheMethod::OpenCv if fits => length / tiles,
            // A side that would fit by itself grows by a whole tile.
            ClaheMethod::OpenCv => length / tiles + 1,
            ClaheMethod::Kornia => length.div_ceil(tiles).next_multiple_of(2),
            ClaheMethod::Keras => length.div_ceil(tiles),
        };
        Self {
            image,
            tile: Size::new(side(image.height, rows), side(image.width, columns)),
            border: match clahe.method {
                ClaheMethod::Keras => Border::Symmetric,
                _ => Border::Reflect,
            },
        }
    }

    fn counts(&self, levels: &[Level], row: usize, column: usize) -> [usize; 256] {
        let Size { height, width } = self.tile;
        let at = |i: usize, n: usize| self.border.resolve(i as i64, n).unwrap_or(0);
        let mut counts = [0; 256];
        for y in row * height..(row + 1) * height {
            let start = at(y, self.image.height) * self.image.width;
            for x in column * width..(column + 1) * width {
                let level = levels[start + at(x, self.image.width)];
                counts[usize::from(level.counted)] += 1;
            }
        }
        counts
    }
}

impl Apply for Clahe {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        let image = &mut sample.image;
        is_colour("clahe", image)?;
        let (size, channels) = (image.size(), image.channels());
        if size.area() * channels == 0 {
            return Ok(());
        }
        match (self.method, image.values_mut()) {
            (ClaheMethod::OpenCv, Values::U8(data)) => self.open_cv(data, size, channels),
            (ClaheMethod::OpenCv, Values::F32(data)) => {
                super::through_bytes(data, |bytes| self.open_cv(bytes, size, channels));
            }
            (_, Values::U8(data)) => self.by_channel(data, size, channels),
            (_, Values::F32(data)) => self.by_channel(data, size, channels),
        }
        Ok(())
    }
}

fixed_step!(Clahe, "clahe");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Plan};

    const ALL: [ClaheMethod; 3] = [ClaheMethod::OpenCv, ClaheMethod::Kornia, ClaheMethod::Keras];

    #[test]
    fn sizes_that_the_grid_does_not_divide_are_mirrored() {
        for (height, width) in [(1, 1), (1, 20), (7, 13), (8, 9)] {
            let size = Size::new(height, width);
            let data: Vec<f32> = (0..size.area() * 3)
                .map(|i| (i % 97) as f32 / 96.0)
                .collect();
            for method in ALL {
                let mut sample = Sample::new(Image::from_f32(data.clone(), size, 3).unwrap());
                let clahe = Clahe::new(2.0, (4, 3)).with_method(method);
                Plan::from(clahe).apply(&mut sample).unwrap();
                let out = sample.image.as_f32().unwrap();
                assert!(
                    out.iter().all(|v| (0.0..=1.0).contains(v)),
                    "{method:?} {size}"
                );
            }
        }
    }

    #[test]
    fn one_tile_without_a_limit_equalises() {
        let levels: Vec<Level> = (0..256_u32).map(|i| Level::byte((i / 4) as u8)).collect();
        let clahe = Clahe::new(0.0, (1, 1));
        let out = clahe.plane(&levels, Size::new(16, 16));
        assert_eq!((out[0], out[255]), (4.0, 255.0));
        assert!(out.is_sorted());
    }

    #[test]
    fn grids_and_limits_are_checked() {
        assert!(Clahe::new(-1.0, (8, 8)).check().is_err());
        assert!(Clahe::new(1.0, (0, 8)).check().is_err());
    }
}
