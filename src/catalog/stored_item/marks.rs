//! The marks in the text of an item: characters that JSON text cannot contain, where readers differ.

use memchr::memchr2;

use super::Hrefs;

const FORK: char = '\u{1}';
const OR: char = '\u{2}';
const END: char = '\u{3}';
/// Stands for the address of polder.
pub(super) const BASE: char = '\u{4}';

/// Marks a place of three forms; one in which all readers agree needs no marks.
pub(super) fn fork(stored: &str, https: &str, s3: &str) -> String {
    if stored == https && https == s3 { stored.to_owned() } else { format!("{FORK}{stored}{OR}{https}{OR}{s3}{END}") }
}

/// Copies marked text, taking the form of each fork that the reader gets.
pub(super) fn splice(out: &mut String, marked: &str, base: &str, hrefs: Hrefs) {
    let wanted = match hrefs {
        Hrefs::Stored => 0,
        Hrefs::Https => 1,
        Hrefs::S3 => 2,
    };
    let mut rest = marked;
    while let Some(at) = memchr2(FORK as u8, BASE as u8, rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let is_fork = rest.as_bytes()[at] == FORK as u8;
        rest = &rest[at + 1..];
        if !is_fork {
            out.push_str(base);
            continue;
        }
        let (forms, after) = rest.split_once(END).unwrap_or((rest, ""));
        for (i, text) in forms.split(OR).nth(wanted).unwrap_or_default().split(BASE).enumerate() {
            out.push_str(if i == 0 { "" } else { base });
            out.push_str(text);
        }
        rest = after;
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_gets_its_form_and_the_address() {
        let marked = format!("[{},{}]", fork("a", &format!("{BASE}/a"), "s3:a"), fork("b", "b", "b"));
        for (hrefs, text) in [(Hrefs::Stored, "[a,b]"), (Hrefs::Https, "[https://x/a,b]"), (Hrefs::S3, "[s3:a,b]")] {
            let mut out = String::new();
            splice(&mut out, &marked, "https://x", hrefs);
            assert_eq!(out, text);
        }
    }
}
