//! A matrix of numbers as coloured cells: confusion matrices above all.

use crate::canvas::{Anchor, Canvas, DIM, FONT, INK, Paint, fit_text, text_width};
use crate::number::format_number;
use crate::palette::shade;

const BLUE: [u8; 3] = [0, 84, 143];
const RED: [u8; 3] = [196, 71, 0];
const LIGHT_TEXT: Paint<'_> = Paint {
    class: "fc-on-dark",
    colour: "#ffffff",
};
const DARK_TEXT: Paint<'_> = Paint {
    class: "fc-on-light",
    colour: "#1f2328",
};

/// A matrix with its numbers written into coloured cells.
///
/// ```
/// use firecraft_plot::Heatmap;
/// let counts = [vec![18, 0], vec![1, 17]];
/// let svg = Heatmap::confusion("Test set", ["cat", "dog"], &counts).to_svg();
/// assert!(svg.contains("predicted") && svg.contains(">17<"));
/// ```
#[derive(Clone, Debug)]
pub struct Heatmap {
    title: String,
    row_label: String,
    column_label: String,
    rows: Vec<String>,
    columns: Vec<String>,
    cells: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug)]
struct Cell {
    text: String,
    share: f64,
    full: [u8; 3],
    bold: bool,
}

impl Heatmap {
    /// A matrix of `values`, row by row; colour runs from the smallest finite
    /// value (white) to the largest. Missing values are blank cells.
    #[must_use]
    pub fn new<R: Into<String>, C: Into<String>>(
        title: impl Into<String>,
        rows: impl IntoIterator<Item = R>,
        columns: impl IntoIterator<Item = C>,
        values: &[Vec<f64>],
    ) -> Self {
        let finite = || values.iter().flatten().copied().filter(|v| v.is_finite());
        let low = finite().fold(f64::INFINITY, f64::min);
        let range = finite().fold(f64::NEG_INFINITY, f64::max) - low;
        let cell = |&value: &f64| Cell {
            text: if value.is_nan() {
                String::new()
            } else {
                format_number(value)
            },
            share: if range > 0.0 && value.is_finite() {
                (value - low) / range
            } else {
                0.0
            },
            full: BLUE,
            bold: false,
        };
        Self {
            title: title.into(),
            row_label: String::new(),
            column_label: String::new(),
            rows: rows.into_iter().map(Into::into).collect(),
            columns: columns.into_iter().map(Into::into).collect(),
            cells: values
                .iter()
                .map(|row| row.iter().map(cell).collect())
                .collect(),
        }
    }

    /// A confusion matrix: `counts[truth][prediction]`.
    ///
    /// Right answers are blue and mistakes red, by their share of the row;
    /// mistakes on a square-root scale, so that a single one is seen. Zeros are
    /// blank.
    #[must_use]
    pub fn confusion<S: Into<String>>(
        title: impl Into<String>,
        classes: impl IntoIterator<Item = S>,
        counts: &[Vec<u64>],
    ) -> Self {
        let classes: Vec<String> = classes.into_iter().map(Into::into).collect();
        let cells = counts.iter().enumerate().map(|(truth, row)| {
            let total = row.iter().sum::<u64>().max(1) as f64;
            let cell = |(prediction, &count): (usize, &u64)| {
                let share = count as f64 / total;
                let right = prediction == truth;
                Cell {
                    text: if count == 0 {
                        String::new()
                    } else {
                        count.to_string()
                    },
                    share: if right { share } else { share.sqrt() },
                    full: if right { BLUE } else { RED },
                    bold: right,
                }
            };
            row.iter().enumerate().map(cell).collect()
        });
        Self {
            title: title.into(),
            row_label: "true class".to_owned(),
            column_label: "predicted class".to_owned(),
            rows: classes.clone(),
            cells: cells.collect(),
            columns: classes,
        }
    }

    /// Names what rows and columns are.
    #[must_use]
    pub fn labels(mut self, rows: impl Into<String>, columns: impl Into<String>) -> Self {
        self.row_label = rows.into();
        self.column_label = columns.into();
        self
    }

    /// The matrix as a complete SVG document.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let columns = self
            .cells
            .iter()
            .map(Vec::len)
            .max()
            .unwrap_or(0)
            .max(self.columns.len());
        let rows = self.cells.len().max(self.rows.len());
        let text = self
            .cells
            .iter()
            .flatten()
            .map(|c| text_width(&c.text, FONT))
            .fold(0.0, f64::max);
        let cell_height = 30.0;
        let cell_width = (text + 12.0).max(34.0);
        let name_width = self
            .rows
            .iter()
            .map(|r| text_width(r, FONT))
            .fold(0.0, f64::max)
            .min(170.0);
        let widest_column = self
            .columns
            .iter()
            .map(|c| text_width(c, FONT))
            .fold(0.0, f64::max);
        let slanted = widest_column > cell_width - 4.0;
        // sin 40° of the longest name, and room for the height of its letters.
        let head = if slanted {
            widest_column.min(150.0) * 0.643 + 14.0
        } else {
            18.0
        };
        let left = 14.0 + if self.row_label.is_empty() { 0.0 } else { 20.0 } + name_width + 8.0;
        let top =
            38.0 + if self.column_label.is_empty() {
                0.0
            } else {
                18.0
            } + head;
        let right = left + cell_width * columns as f64;
        let overhang = if slanted {
            widest_column.min(150.0) * 0.766 - cell_width / 2.0
        } else {
            0.0
        };
        let width = (right + overhang.max(0.0) + 18.0).max(text_width(&self.title, 15.0) + 28.0);
        let bottom = top + cell_height * rows as f64;
        let mut canvas = Canvas::new(&self.title, width, bottom + 16.0);
        canvas.title((14.0, 24.0), &self.title);
        canvas.text(
            ((left + right) / 2.0, 48.0),
            &self.column_label,
            Anchor::Middle,
            DIM,
        );
        if !self.row_label.is_empty() {
            canvas.vertical_text((20.0, (top + bottom) / 2.0), &self.row_label, DIM);
        }
        for (c, name) in self.columns.iter().enumerate() {
            let x = left + cell_width * (c as f64 + 0.5);
            if slanted {
                canvas.slanted_text((x - 2.0, top - 7.0), &fit_text(name, FONT, 150.0), INK);
            } else {
                canvas.text((x, top - 6.0), name, Anchor::Middle, INK);
            }
        }
        for (r, name) in self.rows.iter().enumerate() {
            let y = top + cell_height * (r as f64 + 0.5) + 4.0;
            canvas.text(
                (left - 8.0, y),
                &fit_text(name, FONT, name_width),
                Anchor::End,
                INK,
            );
        }
        for (r, row) in self.cells.iter().enumerate() {
            for (c, cell) in row.iter().enumerate() {
                let (colour, dark) = shade(cell.full, cell.share);
                let (x, y) = (left + cell_width * c as f64, top + cell_height * r as f64);
                let class = if cell.share == 0.0 {
                    "fc-cell"
                } else {
                    "fc-full"
                };
                let fill = Paint {
                    class,
                    colour: if cell.share == 0.0 {
                        "#f3f5f7"
                    } else {
                        &colour
                    },
                };
                canvas.rect(
                    x + 0.5,
                    y + 0.5,
                    cell_width - 1.0,
                    cell_height - 1.0,
                    fill,
                    1.0,
                );
                let paint = match (cell.share == 0.0, dark) {
                    (true, _) => INK,
                    (_, true) => LIGHT_TEXT,
                    (_, false) => DARK_TEXT,
                };
                let place = (x + cell_width / 2.0, y + cell_height / 2.0 + 4.0);
                if cell.bold {
                    canvas.bold_text(place, &cell.text, Anchor::Middle, paint);
                } else {
                    canvas.text(place, &cell.text, Anchor::Middle, paint);
                }
            }
        }
        canvas.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_mistake_is_coloured_and_zeros_are_blank() {
        let svg = Heatmap::confusion("t", ["a", "b"], &[vec![99, 1], vec![0, 100]]).to_svg();
        assert_eq!(svg.matches("fc-full").count(), 3);
        assert!(svg.contains(">99<") && svg.contains(">1<") && !svg.contains(">0<"));
    }

    #[test]
    fn ragged_and_missing_values_are_drawn() {
        let svg = Heatmap::new(
            "t",
            ["r"],
            ["c", "d", "e"],
            &[vec![1.0], vec![f64::NAN, 3.0]],
        )
        .to_svg();
        assert!(svg.contains(">3<") && !svg.contains("nan") && !svg.contains("NaN"));
    }
}
