//! The writer of SVG elements that all charts share.

use crate::number::{coordinate, escape};
use crate::palette;

/// Height of small text in pixels; titles are larger.
pub(crate) const FONT: f64 = 12.5;
pub(crate) const TITLE_FONT: f64 = 15.0;
const FAMILY: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

/// Where a text stands relative to its point.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// Class (for dark pages) and colour (for light ones) of one element.
#[derive(Clone, Copy)]
pub(crate) struct Paint<'a> {
    pub(crate) class: &'a str,
    pub(crate) colour: &'a str,
}

pub(crate) const BACKGROUND: Paint<'_> = Paint {
    class: "fc-bg",
    colour: palette::BACKGROUND,
};
pub(crate) const INK: Paint<'_> = Paint {
    class: "fc-ink",
    colour: palette::INK,
};
pub(crate) const DIM: Paint<'_> = Paint {
    class: "fc-dim",
    colour: palette::DIM,
};
pub(crate) const GRID: Paint<'_> = Paint {
    class: "fc-grid",
    colour: palette::GRID,
};
pub(crate) const AXIS: Paint<'_> = Paint {
    class: "fc-axis",
    colour: palette::AXIS,
};

/// The ink as a stroke.
pub(crate) const PEN: Paint<'_> = Paint {
    class: "fc-pen",
    colour: palette::INK,
};

pub(crate) struct Canvas {
    out: String,
}

impl Canvas {
    pub(crate) fn new(title: &str, width: f64, height: f64) -> Self {
        let (w, h, label) = (coordinate(width), coordinate(height), escape(title));
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
             role=\"img\" aria-label=\"{label}\" font-family=\"{FAMILY}\" font-size=\"{FONT}\">\n\
             <title>{label}</title>\n"
        );
        out.push_str(&format!(
            "<rect class=\"fc-bg\" width=\"{w}\" height=\"{h}\" fill=\"{}\"/>\n",
            palette::BACKGROUND
        ));
        Self { out }
    }

    pub(crate) fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }

    /// Starts a part whose content is cut at its border. Coordinates inside
    /// remain those of the whole picture.
    pub(crate) fn open_clip(&mut self, x: f64, y: f64, width: f64, height: f64) {
        let [x, y, w, h] = [x, y, width, height].map(coordinate);
        self.out.push_str(&format!(
            "<svg x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" viewBox=\"{x} {y} {w} {h}\" overflow=\"hidden\">\n"
        ));
    }

    pub(crate) fn close_clip(&mut self) {
        self.out.push_str("</svg>\n");
    }

    pub(crate) fn rect(
        &mut self,
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        fill: Paint<'_>,
        opacity: f64,
    ) {
        let [x, y, w, h] = [x, y, width.max(0.0), height.max(0.0)].map(coordinate);
        self.out.push_str(&format!(
            "<rect class=\"{}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{}\"{}/>\n",
            fill.class,
            fill.colour,
            optional("fill-opacity", opacity, 1.0),
        ));
    }

    pub(crate) fn line(
        &mut self,
        from: (f64, f64),
        to: (f64, f64),
        stroke: Paint<'_>,
        width: f64,
        dash: &str,
    ) {
        self.path(&[from, to], stroke, width, dash);
    }

    /// An open polyline; nothing for fewer than two points.
    pub(crate) fn path(
        &mut self,
        points: &[(f64, f64)],
        stroke: Paint<'_>,
        width: f64,
        dash: &str,
    ) {
        if points.len() < 2 {
            return;
        }
        let dash = if dash.is_empty() {
            String::new()
        } else {
            format!(" stroke-dasharray=\"{dash}\"")
        };
        self.out.push_str(&format!(
            "<path class=\"{}\" d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" \
             stroke-linejoin=\"round\"{dash}/>\n",
            stroke.class,
            path_data(points),
            stroke.colour,
            coordinate(width),
        ));
    }

    pub(crate) fn polygon(&mut self, points: &[(f64, f64)], fill: Paint<'_>, opacity: f64) {
        if points.len() < 3 {
            return;
        }
        self.out.push_str(&format!(
            "<path class=\"{}\" d=\"{}Z\" fill=\"{}\"{}/>\n",
            fill.class,
            path_data(points),
            fill.colour,
            optional("fill-opacity", opacity, 1.0),
        ));
    }

    pub(crate) fn dot(&mut self, centre: (f64, f64), radius: f64, fill: Paint<'_>) {
        self.out.push_str(&format!(
            "<circle class=\"{}\" cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\"/>\n",
            fill.class,
            coordinate(centre.0),
            coordinate(centre.1),
            coordinate(radius),
            fill.colour,
        ));
    }

    pub(crate) fn text(&mut self, at: (f64, f64), text: &str, anchor: Anchor, fill: Paint<'_>) {
        self.styled_text(at, text, anchor, fill, "");
    }

    pub(crate) fn title(&mut self, at: (f64, f64), text: &str) {
        let style = format!(" font-size=\"{TITLE_FONT}\" font-weight=\"600\"");
        self.styled_text(at, text, Anchor::Start, INK, &style);
    }

    /// Text that reads from bottom to top, centred on its point.
    pub(crate) fn vertical_text(&mut self, at: (f64, f64), text: &str, fill: Paint<'_>) {
        let [x, y] = [at.0, at.1].map(coordinate);
        let style = format!(" transform=\"rotate(-90 {x} {y})\"");
        self.styled_text(at, text, Anchor::Middle, fill, &style);
    }

    pub(crate) fn slanted_text(&mut self, at: (f64, f64), text: &str, fill: Paint<'_>) {
        let [x, y] = [at.0, at.1].map(coordinate);
        let style = format!(" transform=\"rotate(-40 {x} {y})\"");
        self.styled_text(at, text, Anchor::Start, fill, &style);
    }

    pub(crate) fn bold_text(
        &mut self,
        at: (f64, f64),
        text: &str,
        anchor: Anchor,
        fill: Paint<'_>,
    ) {
        self.styled_text(at, text, anchor, fill, " font-weight=\"600\"");
    }

    fn styled_text(
        &mut self,
        at: (f64, f64),
        text: &str,
        anchor: Anchor,
        fill: Paint<'_>,
        style: &str,
    ) {
        if text.is_empty() {
            return;
        }
        self.out.push_str(&format!(
            "<text class=\"{}\" x=\"{}\" y=\"{}\" text-anchor=\"{}\" fill=\"{}\"{style}>{}</text>\n",
            fill.class,
            coordinate(at.0),
            coordinate(at.1),
            anchor.name(),
            fill.colour,
            escape(text),
        ));
    }
}

/// An upper estimate of the width of `text` in common sans-serif fonts.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    let ems: f64 =
        text.chars()
            .map(|c| match c {
                'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' | ' ' | '('
                | ')' => 0.36,
                'f' | 't' | 'r' | '-' | '/' => 0.42,
                'm' | 'w' | 'M' | 'W' | '%' | '@' | '—' => 0.95,
                c if c.is_ascii_uppercase() => 0.70,
                c if c.is_ascii() => 0.63,
                _ => 1.0,
            })
            .sum();
    ems * size
}

/// `text`, or its start with an ellipsis if it is wider than `width`.
pub(crate) fn fit_text(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if text_width(&kept, size) + 0.7 * size > width {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    kept
}

/// `text` in lines no wider than `width`, broken at its spaces.
pub(crate) fn wrap_text(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line)
                if text_width(line, size) + text_width(word, size) + 0.36 * size <= width =>
            {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fit_text(word, size, width)),
        }
    }
    lines
}

fn path_data(points: &[(f64, f64)]) -> String {
    let mut data = String::with_capacity(points.len() * 12);
    for (i, &(x, y)) in points.iter().enumerate() {
        data.push(if i == 0 { 'M' } else { 'L' });
        data.push_str(&coordinate(x));
        data.push(' ');
        data.push_str(&coordinate(y));
    }
    data
}

fn optional(name: &str, value: f64, default: f64) -> String {
    if value == default {
        String::new()
    } else {
        format!(" {name}=\"{}\"", coordinate(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_labels_are_shortened_to_fit() {
        let short = fit_text("a very long label of a layer", FONT, 60.0);
        assert!(
            short.ends_with('…') && text_width(&short, FONT) <= 65.0,
            "{short}"
        );
        assert_eq!(fit_text("conv1", FONT, 60.0), "conv1");
    }

    #[test]
    fn long_text_is_broken_between_words() {
        let text = "lower the gain, or normalise before the activation";
        let lines = wrap_text(text, 12.0, 150.0);
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| text_width(line, 12.0) <= 150.0));
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrap_text(" ", 12.0, 150.0), Vec::<String>::new());
    }

    #[test]
    fn titles_are_escaped() {
        assert!(
            Canvas::new("a<b", 10.0, 10.0)
                .finish()
                .contains("<title>a&lt;b</title>")
        );
    }
}
