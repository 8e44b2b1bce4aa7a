//! Texts and numbers as they stand on the page.

use std::fmt::{Display, Formatter, Result, Write as _};

/// A text from outside, escaped for content and for attributes in double quotes.
///
/// Controls and the marks that turn the direction of writing are replaced: a name must not write over its neighbours.
pub struct Text<T: AsRef<str>>(pub T);

impl<T: AsRef<str>> Display for Text<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for c in self.0.as_ref().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if is_hidden(c) => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffe}'..='\u{ffff}')
}

/// A length in the unit that needs no leading zeros: 12 mm, 34.5 cm, 5.67 m.
pub fn length(metres: f64) -> String {
    match metres.abs() {
        m if m < 0.1 => format!("{:.0} mm", metres * 1000.0),
        m if m < 1.0 => format!("{:.1} cm", metres * 100.0),
        m if m < 100.0 => format!("{metres:.2} m"),
        _ => format!("{metres:.0} m"),
    }
}

/// A number with its sign, and none when it rounds to zero.
pub fn signed(number: f64, decimals: usize) -> String {
    let digits = format!("{:.decimals$}", number.abs());
    let is_zero = digits.bytes().all(|b| matches!(b, b'0' | b'.'));
    let sign = if is_zero {
        ""
    } else if number < 0.0 {
        "−"
    } else {
        "+"
    };
    format!("{sign}{digits}")
}

/// An area in square metres or hectares.
pub fn area(square_metres: f64) -> String {
    if square_metres < 10_000.0 {
        format!("{square_metres:.0} m²")
    } else {
        format!("{:.2} ha", square_metres / 10_000.0)
    }
}

/// A whole number with thin spaces between its thousands.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// The largest of 1, 2 or 5 times a power of ten that is not above `most`.
pub fn round_below(most: f64) -> f64 {
    let power = 10f64.powf(most.max(1e-9).log10().floor());
    [5.0, 2.0, 1.0].map(|step| step * power).into_iter().find(|step| *step <= most * (1.0 + 1e-9)).unwrap_or(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_become_markup_or_turn_around_what_follows() {
        let name = "<img src=x onerror='a(1)'>\"&\u{202e}gpj.\u{0}\n";
        let written = Text(name).to_string();
        assert_eq!(written, "&lt;img src=x onerror=&#39;a(1)&#39;&gt;&quot;&amp;\u{fffd}gpj.\u{fffd}\u{fffd}");
        assert_eq!(Text("één dijk 😀 100%").to_string(), "één dijk 😀 100%");
    }

    #[test]
    fn lengths_have_their_unit() {
        assert_eq!([0.0042, 0.0999, 0.345, 1.5, 1200.0].map(length), ["4 mm", "100 mm", "34.5 cm", "1.50 m", "1200 m"]);
        assert_eq!([0.0126, -2.5, -0.0004].map(|v| signed(v, 3)), ["+0.013", "−2.500", "0.000"]);
        assert_eq!(thousands(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!([0.9, 1.0, 4.9, 730.0].map(round_below), [0.5, 1.0, 2.0, 500.0]);
    }
}
