//! Small SVG charts for schedules, signals and training curves.
//!
//! Everything here turns plain numbers into text: a chart is built, then
//! rendered by `to_svg()`. Rendering never fails and never panics: values that
//! are not finite are gaps, a chart without data says so. The output depends on
//! nothing but the input (no clock, no ids, fixed number formatting), so it can
//! be compared byte for byte.
//!
//! | want | use |
//! |---|---|
//! | curves over updates or epochs, phases, mean ± spread | [`LineChart`] |
//! | one value or interval per layer, run, class | [`BarChart`] |
//! | a confusion matrix, any small matrix of numbers | [`Heatmap`] |
//! | pictures side by side as PNG or data URI | [`ImageGrid`] |
//! | one self-contained HTML file of all of these | [`Page`] |
//! | a curve in one line of a terminal | [`sparkline()`] |
//!
//! Charts carry class names beside their light colours, so that [`Page`] can
//! recolour them for readers who prefer a dark scheme.
//!
//! What must not be here: burn, file access, knowledge of trainers or
//! schedules. A new kind of chart is one file and one line below; what two
//! charts share lives in `axis`, `canvas` and `palette`.
//!
//! ```
//! use firecraft_plot::LineChart;
//! let svg = LineChart::new("Loss")
//!     .x_label("epoch")
//!     .y_label("loss")
//!     .series("train", &[(0.0, 2.3), (1.0, 0.6), (2.0, 0.2)])
//!     .series("validation", &[(0.0, 2.1), (1.0, 0.7), (2.0, f64::NAN)])
//!     .to_svg();
//! assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
//! ```

mod axis;
mod bar;
mod canvas;
mod error;
mod heatmap;
mod image_grid;
mod line;
mod number;
mod page;
mod palette;
mod series;
mod sparkline;

pub use axis::Scale;
pub use bar::BarChart;
pub use error::PlotError;
pub use heatmap::Heatmap;
pub use image_grid::{ImageGrid, data_uri};
pub use line::LineChart;
pub use number::{escape, format_number};
pub use page::Page;
pub use series::Series;
pub use sparkline::sparkline;
