//! Pictures side by side.

use crate::PlotError;

const LIMIT: usize = 16_384;

/// Small grey or RGB pictures of one size in rows, enlarged without smoothing.
///
/// ```
/// use firecraft_plot::ImageGrid;
/// let mut grid = ImageGrid::new(2, 1).columns(2).scale(3).gap(1);
/// grid.push(&[0, 255], 1)?;
/// grid.push(&[255, 0, 0, 0, 0, 255], 3)?;
/// let (width, height, rgb) = grid.to_rgb()?;
/// assert_eq!((width, height), (2 * 6 + 3, 3 + 2));
/// assert_eq!(rgb.len(), width * height * 3);
/// # Ok::<(), firecraft_plot::PlotError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageGrid {
    width: usize,
    height: usize,
    columns: usize,
    scale: usize,
    gap: usize,
    background: [u8; 3],
    tiles: Vec<Vec<u8>>,
}

impl ImageGrid {
    /// A grid of tiles of `width` × `height` pixels: 10 columns, no scaling, a
    /// gap of 2 pixels in neutral grey.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            columns: 10,
            scale: 1,
            gap: 2,
            background: [128, 134, 142],
            tiles: Vec::new(),
        }
    }

    /// Tiles per row, at least 1.
    #[must_use]
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = columns.max(1);
        self
    }

    /// Every pixel becomes a square of `scale` × `scale`, at least 1.
    #[must_use]
    pub fn scale(mut self, scale: usize) -> Self {
        self.scale = scale.max(1);
        self
    }

    /// Pixels between tiles and around them.
    #[must_use]
    pub fn gap(mut self, gap: usize) -> Self {
        self.gap = gap;
        self
    }

    /// Colour of the gaps.
    #[must_use]
    pub fn background(mut self, rgb: [u8; 3]) -> Self {
        self.background = rgb;
        self
    }

    /// Appends a tile: rows from top to bottom, `channels` (1 or 3) last.
    ///
    /// # Errors
    /// [`PlotError::Channels`] or [`PlotError::TileSize`] if the bytes don't
    /// fit the grid.
    pub fn push(&mut self, pixels: &[u8], channels: usize) -> Result<(), PlotError> {
        if channels != 1 && channels != 3 {
            return Err(PlotError::Channels { got: channels });
        }
        let expected = self
            .width
            .saturating_mul(self.height)
            .saturating_mul(channels);
        if pixels.len() != expected {
            return Err(PlotError::TileSize {
                index: self.tiles.len(),
                width: self.width,
                height: self.height,
                channels,
                expected,
                got: pixels.len(),
            });
        }
        let rgb = if channels == 3 {
            pixels.to_vec()
        } else {
            pixels.iter().flat_map(|&v| [v; 3]).collect()
        };
        self.tiles.push(rgb);
        Ok(())
    }

    /// The picture: width, height and RGB bytes.
    ///
    /// # Errors
    /// [`PlotError::PictureSize`] for no tiles, or more than 16384 pixels on a
    /// side.
    pub fn to_rgb(&self) -> Result<(usize, usize, Vec<u8>), PlotError> {
        let columns = self.columns.min(self.tiles.len());
        let rows = self.tiles.len().div_ceil(self.columns);
        let side = |tile: usize, n: usize| {
            let step = tile.saturating_mul(self.scale).saturating_add(self.gap);
            step.saturating_mul(n).saturating_add(self.gap)
        };
        let (width, height) = (side(self.width, columns), side(self.height, rows));
        let empty = self.tiles.is_empty() || self.width == 0 || self.height == 0;
        if empty || width > LIMIT || height > LIMIT {
            return Err(PlotError::PictureSize {
                width,
                height,
                limit: LIMIT,
            });
        }
        let mut rgb = self.background.repeat(width * height);
        for (i, tile) in self.tiles.iter().enumerate() {
            let left = side(self.width, i % self.columns);
            let top = side(self.height, i / self.columns);
            for y in 0..self.height * self.scale {
                let line = &tile[y / self.scale * self.width * 3..][..self.width * 3];
                let start = ((top + y) * width + left) * 3;
                let row = &mut rgb[start..start + self.width * self.scale * 3];
                for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                    pixel.copy_from_slice(&line[x / self.scale * 3..][..3]);
                }
            }
        }
        Ok((width, height, rgb))
    }

    /// The picture as the bytes of a PNG file.
    ///
    /// # Errors
    /// As [`to_rgb`](Self::to_rgb), and [`PlotError::Encode`].
    #[cfg(feature = "png")]
    pub fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        let (width, height, rgb) = self.to_rgb()?;
        let failed = |error: png::EncodingError| PlotError::Encode(error.to_string());
        let mut bytes = Vec::new();
        // The sides are at most `LIMIT`.
        let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&rgb).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(bytes)
    }

    /// The picture as a `data:` URI for [`Page::image`](crate::Page::image).
    ///
    /// # Errors
    /// As [`to_png`](Self::to_png).
    #[cfg(feature = "png")]
    pub fn to_data_uri(&self) -> Result<String, PlotError> {
        Ok(data_uri("image/png", &self.to_png()?))
    }
}

/// `bytes` as a `data:` URI in base64 (RFC 2397, RFC 4648).
///
/// ```
/// assert_eq!(firecraft_plot::data_uri("text/plain", b"fire"), "data:text/plain;base64,ZmlyZQ==");
/// ```
#[must_use]
pub fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut uri = format!("data:{media_type};base64,");
    for group in bytes.chunks(3) {
        let at = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for (i, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = ALPHABET[(word >> shift & 63) as usize];
            uri.push(if i <= group.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_land_in_reading_order() {
        let mut grid = ImageGrid::new(1, 1).columns(2).gap(0);
        for v in [10, 20, 30] {
            grid.push(&[v], 1).unwrap();
        }
        let (width, height, rgb) = grid.to_rgb().unwrap();
        assert_eq!((width, height), (2, 2));
        assert_eq!(rgb, [10, 10, 10, 20, 20, 20, 30, 30, 30, 128, 134, 142]);
    }

    #[test]
    fn wrong_tiles_are_refused() {
        let mut grid = ImageGrid::new(2, 2);
        assert!(matches!(
            grid.push(&[0; 3], 1),
            Err(PlotError::TileSize {
                expected: 4,
                got: 3,
                ..
            })
        ));
        assert!(matches!(
            grid.push(&[0; 8], 2),
            Err(PlotError::Channels { got: 2 })
        ));
        assert!(matches!(grid.to_rgb(), Err(PlotError::PictureSize { .. })));
        let mut huge = ImageGrid::new(1, 1).scale(usize::MAX);
        huge.push(&[0], 1).unwrap();
        assert!(matches!(huge.to_rgb(), Err(PlotError::PictureSize { .. })));
    }

    #[test]
    fn base64_agrees_with_the_examples_of_rfc_4648() {
        for (text, code) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(
                data_uri("a/b", text.as_bytes()),
                format!("data:a/b;base64,{code}")
            );
        }
    }

    #[cfg(feature = "png")]
    #[test]
    fn a_png_decodes_to_the_same_pixels() {
        let mut grid = ImageGrid::new(2, 1).scale(2);
        grid.push(&[1, 2, 3, 200, 210, 220], 3).unwrap();
        let bytes = grid.to_png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let (width, height, rgb) = grid.to_rgb().unwrap();
        assert_eq!((info.width as usize, info.height as usize), (width, height));
        assert_eq!(&pixels[..info.buffer_size()], rgb);
    }
}
