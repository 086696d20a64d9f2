//! Vertical lines with names.

use super::{Frame, LineChart};
use crate::canvas::{AXIS, Anchor, BACKGROUND, Canvas, DIM, FONT, text_width};

/// The height of a row of names.
const ROW: f64 = 15.0;

/// Where a name stands.
struct MarkerName<'a> {
    name: &'a str,
    /// Of its line.
    x: f64,
    /// Whether it stands to the left of its line, for want of room.
    left: bool,
    start: f64,
    end: f64,
    row: usize,
}

fn height(names: &[MarkerName<'_>]) -> f64 {
    let rows = names.iter().map(|name| name.row + 1).max();
    ROW * rows.unwrap_or(0) as f64
}

impl LineChart {
    /// What the names of the markers need above the plot.
    pub(super) fn marker_height(&self, frame: &Frame) -> f64 {
        height(&self.marker_names(frame))
    }

    /// Where the names of markers stand; those that would cross go into rows
    /// below each other.
    fn marker_names(&self, frame: &Frame) -> Vec<MarkerName<'_>> {
        let mut names: Vec<MarkerName<'_>> = Vec::new();
        let mut markers: Vec<&(String, f64)> = self.markers.iter().collect();
        markers.sort_by(|a, b| a.1.total_cmp(&b.1));
        for (name, value) in markers {
            let Some(position) = frame.x.position(*value).filter(|p| (0.0..=1.0).contains(p))
            else {
                continue;
            };
            let x = frame.across(position);
            let width = text_width(name, FONT) + 10.0;
            let left = x + width > frame.right;
            let start = if left { x - width } else { x };
            let end = start + width;
            let free = |row: &usize| {
                let mut others = names.iter().filter(|other| other.row == *row);
                others.all(|other| end < other.start || other.end < start)
            };
            let row = (0..).find(free).unwrap_or_default();
            names.push(MarkerName {
                name,
                x,
                left,
                start,
                end,
                row,
            });
        }
        names
    }

    pub(super) fn draw_markers(&self, canvas: &mut Canvas, frame: &Frame, above: bool) {
        let names = self.marker_names(frame);
        let head = if self.phases.is_empty() { 0.0 } else { 18.0 };
        let top = if above {
            frame.top - head - height(&names)
        } else {
            frame.top
        };
        for marker in &names {
            let from = top + ROW * marker.row as f64;
            let line = ((marker.x, from), (marker.x, frame.bottom));
            canvas.line(line.0, line.1, AXIS, 1.2, "3 3");
        }
        for marker in names {
            let y = top + 11.0 + ROW * marker.row as f64;
            // The lines of other markers end at a name.
            let (x, width) = (marker.start + 2.0, marker.end - marker.start - 4.0);
            canvas.rect(x, y - 11.0, width, 14.0, BACKGROUND, 0.85);
            let (x, anchor) = if marker.left {
                (marker.x - 5.0, Anchor::End)
            } else {
                (marker.x + 5.0, Anchor::Start)
            };
            canvas.text((x, y), marker.name, anchor, DIM);
        }
    }
}
