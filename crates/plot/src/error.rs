//! What can go wrong when pictures are put together.

/// Errors of [`ImageGrid`](crate::ImageGrid); charts never fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// A tile does not have the number of bytes its size asks for.
    #[error(
        "tile {index} has {got} bytes, expected {expected} for {width}x{height} pixels of {channels} channel(s); \
         pass rows from top to bottom, channels last"
    )]
    TileSize {
        /// Which tile, counted from 0.
        index: usize,
        /// Width of a tile in pixels.
        width: usize,
        /// Height of a tile in pixels.
        height: usize,
        /// Number of channels of a tile.
        channels: usize,
        /// Bytes needed.
        expected: usize,
        /// Bytes passed.
        got: usize,
    },
    /// A tile has a number of channels that is neither grey nor colour.
    #[error("a tile has {got} channels, expected 1 (grey) or 3 (RGB); convert it before adding it")]
    Channels {
        /// Channels passed.
        got: usize,
    },
    /// The picture would be empty or too large.
    #[error(
        "a picture of {width}x{height} pixels, expected 1 to {limit} per side; use fewer tiles or a smaller scale"
    )]
    PictureSize {
        /// Width of the picture in pixels.
        width: usize,
        /// Height of the picture in pixels.
        height: usize,
        /// Largest side that is drawn.
        limit: usize,
    },
    /// The PNG encoder failed.
    #[error("encoding a PNG: {0}; this is a fault of the encoder or lack of memory")]
    Encode(String),
}
