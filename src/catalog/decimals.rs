//! Numbers with more decimals than `PostgreSQL` can keep.
//!
//! JSON has no limit, and a reader that makes floating-point numbers sees a zero in `1e-20000`. As `jsonb` it is a
//! `numeric`, which ends there: better to refuse the item than to fail when it is written.

/// Decimals of a `numeric` (`PostgreSQL`, 8.1.2, Arbitrary Precision Numbers).
const MOST: i64 = 16_383;

/// Digits that are looked at together: a number that is too long fills at least one such piece.
const PIECE: usize = 4096;

/// Tells whether a JSON text has a number with too many decimals.
pub(super) fn too_fine(json: &str) -> bool {
    // Nearly all texts end here.
    let exponents = json.contains("e-") || json.contains("E-");
    let mut pieces = json.as_bytes().chunks_exact(PIECE);
    let long = pieces.any(|piece| piece.iter().all(u8::is_ascii_digit));
    (exponents || long) && numbers(json).any(|number| decimals(number) > MOST)
}

/// Finds the numbers of a JSON text: what starts with a digit outside a string.
fn numbers(json: &str) -> impl Iterator<Item = &str> {
    let mut in_string = false;
    let mut rest = json;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find(|c: char| c == '"' || (in_string && c == '\\') || (!in_string && c.is_ascii_digit()))?;
            let found = rest.as_bytes()[at];
            if found.is_ascii_digit() {
                let number = &rest[at..];
                let end = number.find(|c: char| !matches!(c, '0'..='9' | '.' | 'e' | 'E' | '+' | '-'));
                let (number, after) = number.split_at(end.unwrap_or(number.len()));
                rest = after;
                return Some(number);
            }
            // What a backslash escapes is no end of a string. It starts with one ASCII letter, mark or quote.
            in_string ^= found == b'"';
            rest = rest.get(at + if found == b'\\' { 2 } else { 1 }..)?;
        }
    })
}

fn decimals(number: &str) -> i64 {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i64);
    // An exponent beyond this type has too many digits itself.
    let exponent = exponent.parse().unwrap_or(if exponent.starts_with('-') { -i64::from(u32::MAX) } else { 0 });
    fraction - exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_too_fine_are_found_wherever_they_are() {
        let digits = "1".repeat(16_384);
        let wrong = ["1e-20000", "0E-99999", "-1.5e-16383", "1e-99999999999999999999", &format!("0.{digits}")];
        for number in wrong {
            assert!(too_fine(&format!(r#"{{"e-\"1": [0, {number}]}}"#)), "{number:.30}");
        }
        let fine = ["1e-16383", "1e20", "0.5e-00012", r#""1e-20000""#, r#""\"1e-20000""#, r#""tile-20000\\""#];
        for value in fine {
            assert!(!too_fine(&format!(r#"{{"e-": {value}}}"#)), "{value}");
        }
        assert!(!too_fine(&format!("[{digits}0, \"0.{digits}\"]")));
    }
}
