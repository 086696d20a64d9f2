//! Numbers and text as they appear in charts: short, and always the same.

/// A number for people: about four significant digits, plain between 1e-3 and
/// 1e6, in powers of ten outside.
///
/// ```
/// use firecraft_plot::format_number;
/// assert_eq!(format_number(0.1 + 0.2), "0.3");
/// assert_eq!(format_number(98.7654), "98.77");
/// assert_eq!(format_number(20_000.0), "20000");
/// assert_eq!(format_number(0.000_25), "2.5e-4");
/// assert_eq!(format_number(f64::NAN), "nan");
/// ```
#[must_use]
pub fn format_number(value: f64) -> String {
    if !value.is_finite() {
        return non_finite(value).to_owned();
    }
    let size = value.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e6).contains(&size) {
        let whole_digits = if size >= 1.0 {
            size.log10() as usize + 1
        } else {
            1
        };
        trim(format!(
            "{value:.*}",
            4_usize
                .saturating_sub(whole_digits)
                .max(if size < 0.1 { 5 } else { 0 })
        ))
    } else {
        scientific(value, 3)
    }
}

/// The ticks of a linear axis with distance `step`, all in one form.
pub(crate) fn format_tick(value: f64, step: f64, largest: f64) -> String {
    if value.abs() < step * 1e-6 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&largest) {
        let digits = (value.abs() / step).log10().ceil().clamp(0.0, 8.0) as usize + 2;
        return scientific(value, digits);
    }
    // 0.25 needs one digit more than the power of ten of its size.
    let digits = (-step.log10().floor()).max(0.0) as usize;
    let exact = (step * 10_f64.powi(digits as i32)).fract().abs() < 1e-6;
    trim(format!(
        "{value:.*}",
        if exact { digits } else { digits + 1 }
    ))
}

/// A coordinate in an SVG: hundredths of a pixel.
pub(crate) fn coordinate(value: f64) -> String {
    let text = trim(format!("{value:.2}"));
    if text == "-0" { "0".to_owned() } else { text }
}

/// `text` with the five characters escaped that have a meaning in XML.
///
/// Control characters that XML forbids become U+FFFD.
///
/// ```
/// assert_eq!(firecraft_plot::escape("<a & 'b'>"), "&lt;a &amp; &#39;b&#39;&gt;");
/// ```
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

fn non_finite(value: f64) -> &'static str {
    match value {
        v if v.is_nan() => "nan",
        v if v > 0.0 => "inf",
        _ => "-inf",
    }
}

fn scientific(value: f64, digits: usize) -> String {
    let text = format!("{value:.*e}", digits.saturating_sub(1));
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{}e{exponent}", trim(mantissa.to_owned())),
        None => text,
    }
}

fn trim(mut text: String) -> String {
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_one_axis_share_their_precision() {
        let ticks: Vec<_> = [0.0, 0.25, 0.5].map(|t| format_tick(t, 0.25, 1.0)).into();
        assert_eq!(ticks, ["0", "0.25", "0.5"]);
        assert_eq!(format_tick(0.3, 0.1, 0.4), "0.3");
        assert_eq!(format_tick(15_000.0, 5_000.0, 20_000.0), "15000");
        assert_eq!(format_tick(1.5e-4, 5e-5, 2e-4), "1.5e-4");
        assert_eq!(format_tick(2.5e-5, 2.5e-5, 1e-4), "2.5e-5");
        assert_eq!(format_tick(2.5e6, 5e5, 3e6), "2.5e6");
    }

    #[test]
    fn coordinates_have_no_negative_zero() {
        assert_eq!(coordinate(-0.001), "0");
        assert_eq!(coordinate(12.346), "12.35");
    }

    #[test]
    fn small_and_large_numbers_keep_their_leading_digits() {
        assert_eq!(format_number(0.012_345), "0.01235");
        assert_eq!(format_number(-1234.56), "-1235");
        assert_eq!(format_number(0.123_46), "0.123");
        assert_eq!(format_number(f64::NEG_INFINITY), "-inf");
        assert_eq!(format_number(-3e-9), "-3e-9");
    }

    #[test]
    fn characters_forbidden_in_xml_are_replaced() {
        assert_eq!(escape("a\u{1}b\n"), "a\u{FFFD}b\n");
    }
}
