//! One HTML file that needs nothing but itself.

use crate::number::escape;
use crate::palette::dark_rules;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1f2328;--dim:#59636e;--line:#d8dee4;--bg:#ffffff;--panel:#f6f8fa;--link:#0b61c4}\
body{margin:0 auto;max-width:1200px;padding:28px 20px 60px;background:var(--bg);color:var(--ink);\
font:15px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:36px 0 10px;padding-bottom:5px;border-bottom:1px solid var(--line)}\
.sub{color:var(--dim);margin:0 0 18px}p{max-width:72ch}a{color:var(--link)}\
figure{margin:14px 0;overflow-x:auto}figcaption{color:var(--dim);font-size:13px;margin-top:4px;max-width:80ch}\
svg{max-width:100%;height:auto}figure>svg{box-sizing:border-box;border:1px solid var(--line);border-radius:8px}\
figure>img{max-width:100%;image-rendering:pixelated;border-radius:4px}\
.row{display:flex;flex-wrap:wrap;gap:14px;align-items:flex-start}.row figure{flex:1 1 480px;max-width:660px;margin:0}\
.tiles{display:flex;flex-wrap:wrap;gap:16px;margin:14px 0}.tiles figure{margin:0;text-align:center}\
.tiles figcaption{font-size:12px;line-height:1.35;white-space:pre-line}.tiles img{image-rendering:pixelated;border-radius:4px}\
.scroll{overflow-x:auto;margin:12px 0}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:4px 12px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}\
th{color:var(--dim);font-weight:600}th:first-child,td:first-child{text-align:left}\
pre{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:10px 14px;overflow-x:auto;font-size:13px}\
details>summary{cursor:pointer;color:var(--dim)}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 18px;margin:12px 0}dt{color:var(--dim)}dd{margin:0}";

/// A self-contained HTML page: sections of text, charts, pictures and tables.
///
/// No script, no font, no file besides it; readable in light and dark. All text
/// is escaped; charts and pictures must come from this crate (or be as
/// trustworthy), they are included as they are.
///
/// ```
/// use firecraft_plot::{LineChart, Page};
/// let mut page = Page::new("digits, seed 1").subtitle("12 epochs on flex");
/// page.section("Curves")
///     .text("Validation loss stops falling at epoch 9.")
///     .chart(&LineChart::new("Loss").series("train", &[(0.0, 2.0), (1.0, 1.0)]).to_svg(), "")
///     .table(&["epoch", "loss"], &[vec!["0", "2.0"], vec!["1", "1.0"]]);
/// let html = page.to_html();
/// assert!(html.starts_with("<!doctype html>") && html.contains("<td>2.0</td>"));
/// ```
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    subtitle: String,
    body: String,
}

impl Page {
    /// A page with a title and nothing else.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            subtitle: String::new(),
            body: String::new(),
        }
    }

    /// A line under the title.
    #[must_use]
    pub fn subtitle(mut self, text: impl Into<String>) -> Self {
        self.subtitle = text.into();
        self
    }

    /// Starts a section; what follows belongs to it.
    pub fn section(&mut self, title: &str) -> &mut Self {
        self.push(&format!("<h2>{}</h2>", escape(title)))
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.push(&format!("<p>{}</p>", escape(text)))
    }

    /// An SVG from one of the charts, with a caption (none if empty).
    pub fn chart(&mut self, svg: &str, caption: &str) -> &mut Self {
        self.push(&figure(svg, caption))
    }

    /// Several SVGs beside each other where there is room.
    pub fn charts<S: AsRef<str>>(&mut self, svgs: &[S]) -> &mut Self {
        let figures: String = svgs.iter().map(|svg| figure(svg.as_ref(), "")).collect();
        self.push(&format!("<div class=\"row\">{figures}</div>"))
    }

    /// A picture from a `data:` URI, with its description for those who can't
    /// see it and a caption (none if empty).
    pub fn image(&mut self, data_uri: &str, description: &str, caption: &str) -> &mut Self {
        let image = format!(
            "<img src=\"{}\" alt=\"{}\">",
            escape(data_uri),
            escape(description)
        );
        self.push(&figure(&image, caption))
    }

    /// Small pictures beside each other: `data:` URI and caption of each. The
    /// captions also describe the pictures to those who can't see them.
    pub fn tiles<U: AsRef<str>, C: AsRef<str>>(&mut self, tiles: &[(U, C)]) -> &mut Self {
        let tile = |(uri, caption): &(U, C)| {
            let (uri, caption) = (escape(uri.as_ref()), escape(caption.as_ref()));
            format!(
                "<figure><img src=\"{uri}\" alt=\"{caption}\"><figcaption>{caption}</figcaption></figure>"
            )
        };
        let figures: String = tiles.iter().map(tile).collect();
        self.push(&format!("<div class=\"tiles\">{figures}</div>"))
    }

    /// A table; the first column is left-aligned, the others right-aligned.
    pub fn table<H: AsRef<str>, C: AsRef<str>>(
        &mut self,
        head: &[H],
        rows: &[Vec<C>],
    ) -> &mut Self {
        let mut html = String::from("<div class=\"scroll\"><table><thead><tr>");
        for cell in head {
            html.push_str(&format!("<th>{}</th>", escape(cell.as_ref())));
        }
        html.push_str("</tr></thead><tbody>\n");
        for row in rows {
            html.push_str("<tr>");
            for cell in row {
                html.push_str(&format!("<td>{}</td>", escape(cell.as_ref())));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody></table></div>");
        self.push(&html)
    }

    /// Names and their values, one pair per line.
    pub fn facts<K: AsRef<str>, V: AsRef<str>>(&mut self, facts: &[(K, V)]) -> &mut Self {
        let pairs = facts.iter().map(|(k, v)| {
            format!(
                "<dt>{}</dt><dd>{}</dd>",
                escape(k.as_ref()),
                escape(v.as_ref())
            )
        });
        let list: String = pairs.collect();
        self.push(&format!("<dl>{list}</dl>"))
    }

    /// Text in a fixed-width font, such as a recipe.
    pub fn code(&mut self, text: &str) -> &mut Self {
        self.push(&format!("<pre>{}</pre>", escape(text)))
    }

    /// Like [`code`](Self::code), folded away behind `summary`.
    pub fn folded_code(&mut self, summary: &str, text: &str) -> &mut Self {
        let (summary, text) = (escape(summary), escape(text));
        self.push(&format!(
            "<details><summary>{summary}</summary><pre>{text}</pre></details>"
        ))
    }

    /// The page as a complete HTML document.
    #[must_use]
    pub fn to_html(&self) -> String {
        let title = escape(&self.title);
        let subtitle = match self.subtitle.as_str() {
            "" => String::new(),
            text => format!("<p class=\"sub\">{}</p>\n", escape(text)),
        };
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{title}</title>\n\
             <style>{STYLE}\n@media (prefers-color-scheme:dark){{:root{{--ink:#e6edf3;--dim:#9aa5b1;--line:#2f3742;\
             --bg:#0d1117;--panel:#161b22;--link:#6cb2f7}}.fc-cell{{fill:#1c232c}}{}}}</style>\n</head>\n<body>\n\
             <h1>{title}</h1>\n{subtitle}{}</body>\n</html>\n",
            dark_rules(),
            self.body
        )
    }

    fn push(&mut self, html: &str) -> &mut Self {
        self.body.push_str(html);
        self.body.push('\n');
        self
    }
}

fn figure(content: &str, caption: &str) -> String {
    let caption = match caption {
        "" => String::new(),
        text => format!("<figcaption>{}</figcaption>", escape(text)),
    };
    format!("<figure>{}{caption}</figure>", content.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_everywhere() {
        let mut page = Page::new("<t>").subtitle("<s>");
        page.section("<a>")
            .text("<b>")
            .table(&["<c>"], &[vec!["<d>"]])
            .facts(&[("<e>", "<f>")]);
        page.code("<g>")
            .folded_code("<h>", "<i>")
            .image("data:\"<j>", "<k>", "<l>")
            .tiles(&[("<n>", "<o>")])
            .chart("", "<m>");
        let html = page.to_html();
        for c in [
            "t", "s", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o",
        ] {
            assert!(html.contains(&format!("&lt;{c}&gt;")), "{c}");
        }
        assert!(!html.contains("<k>"));
    }

    #[test]
    fn nothing_is_loaded_from_outside() {
        let html = Page::new("t").to_html();
        for forbidden in ["http:", "https:", "<script", "<link", "@import", "url("] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
    }
}
