//! Colours: the colour-blind-safe set of Okabe and Ito (2008), without its
//! yellow, which is unreadable on white, each with a variant for dark pages.

use crate::canvas::Paint;

/// Colours of series on a light page.
pub(crate) const SERIES: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#b5508c", "#3d9bd6", "#c98a00", "#5a5a5a",
];
/// The same on a dark page.
pub(crate) const SERIES_DARK: [&str; 7] = [
    "#4aa8e8", "#ff8a3c", "#2fc79a", "#e08bbb", "#8fd0f7", "#f0b93a", "#b0b0b0",
];
/// Dash patterns, one per round through the colours.
pub(crate) const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];

pub(crate) const BACKGROUND: &str = "#ffffff";
pub(crate) const INK: &str = "#1f2328";
pub(crate) const DIM: &str = "#59636e";
pub(crate) const GRID: &str = "#e3e7eb";
pub(crate) const AXIS: &str = "#8c959f";
/// Alternating fills of phases; the second is the darker one.
pub(crate) const PHASES: [&str; 2] = ["#f7f9fb", "#eff3f7"];

/// Class and colour of series number `index`.
pub(crate) struct SeriesPaint {
    class: String,
    colour: &'static str,
}

impl SeriesPaint {
    pub(crate) fn paint(&self) -> Paint<'_> {
        Paint {
            class: &self.class,
            colour: self.colour,
        }
    }
}

pub(crate) fn stroke_class(index: usize) -> SeriesPaint {
    let i = index % SERIES.len();
    SeriesPaint {
        class: format!("fc-s{i}"),
        colour: SERIES[i],
    }
}

pub(crate) fn fill_class(index: usize) -> SeriesPaint {
    let i = index % SERIES.len();
    SeriesPaint {
        class: format!("fc-f{i}"),
        colour: SERIES[i],
    }
}

/// Rules for dark readers, to be placed inside a `prefers-color-scheme` query.
pub(crate) fn dark_rules() -> String {
    let mut css = String::from(
        ".fc-bg{fill:#161b22}.fc-ink{fill:#e6edf3}.fc-dim{fill:#9aa5b1}\
         .fc-grid{stroke:#2a323c}.fc-axis{stroke:#6b7684}.fc-pen{stroke:#e6edf3}\
         .fc-p0{fill:#1c232c}.fc-p1{fill:#232c37}",
    );
    for (i, colour) in SERIES_DARK.iter().enumerate() {
        css.push_str(&format!(
            ".fc-s{i}{{stroke:{colour}}}.fc-f{i}{{fill:{colour}}}"
        ));
    }
    css
}

/// A colour between white (0) and `full` (1), and whether text on it should be
/// light.
pub(crate) fn shade(full: [u8; 3], share: f64) -> (String, bool) {
    let share = share.clamp(0.0, 1.0);
    let [r, g, b] = full.map(|c| (255.0 + (f64::from(c) - 255.0) * share).round() as u8);
    let luminance = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    // Equal contrast against black and white is at a luminance of 0.179 (WCAG).
    (format!("#{r:02x}{g:02x}{b:02x}"), luminance < 0.179)
}

fn linear(channel: u8) -> f64 {
    let c = f64::from(channel) / 255.0;
    if c <= 0.04045 {
        c / 12.92
    } else {
        ((c + 0.055) / 1.055).powf(2.4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_turns_light_on_dark_cells() {
        assert_eq!(shade([0, 80, 140], 0.0), ("#ffffff".to_owned(), false));
        assert_eq!(shade([0, 80, 140], 1.0), ("#00508c".to_owned(), true));
    }
}
