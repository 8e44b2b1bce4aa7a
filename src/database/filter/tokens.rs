//! Cuts CQL2 text into tokens, in one pass from left to right.

use super::{FilterError, budget};

/// A token and where it begins, counted in characters from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub at: usize,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Without a sign.
    Number(String),
    Text(String),
    /// A name or a keyword.
    Word(String),
    /// A name in double quotes, which is no keyword.
    Quoted(String),
    Symbol(&'static str),
    End,
}

/// Longer symbols stand before their beginnings.
const SYMBOLS: [&str; 16] = ["<=", ">=", "<>", "!=", "(", ")", ",", "=", "<", ">", "+", "-", "*", "/", "%", "^"];

/// Cuts a text into tokens; the last is [`Kind::End`].
///
/// # Errors
/// [`FilterError::Syntax`] at a character that begins no token and at a quote that is not closed,
/// [`FilterError::TooLarge`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    if text.len() > budget::TEXT {
        return Err(FilterError::TooLarge { what: "bytes of text", limit: budget::TEXT });
    }
    let mut scanner = Scanner { rest: text, at: 1 };
    let mut found = Vec::new();
    loop {
        scanner.skip(char::is_whitespace);
        let at = scanner.at;
        let kind = scanner.token()?;
        let end = kind == Kind::End;
        found.push(Token { at, kind });
        if end {
            return Ok(found);
        }
    }
}

struct Scanner<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn token(&mut self) -> Result<Kind, FilterError> {
        let Some(first) = self.peek() else { return Ok(Kind::End) };
        let second = self.rest[first.len_utf8()..].chars().next();
        match first {
            '\'' => self.quoted('\'').map(Kind::Text),
            '"' => self.quoted('"').map(Kind::Quoted),
            '0'..='9' => Ok(Kind::Number(self.number())),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => Ok(Kind::Number(self.number())),
            c if begins_name(c) => Ok(Kind::Word(self.take(continues_name).to_owned())),
            c => {
                let symbol = SYMBOLS.into_iter().find(|symbol| self.rest.starts_with(symbol));
                let Some(symbol) = symbol else {
                    return Err(self.error("a name, a literal or an operator", c.to_string()));
                };
                self.rest = &self.rest[symbol.len()..];
                self.at += symbol.len();
                Ok(Kind::Symbol(symbol))
            }
        }
    }

    /// A decimal number, with an exponent if what follows is one.
    fn number(&mut self) -> String {
        let mut number = self.take(|c| c.is_ascii_digit()).to_owned();
        if self.peek() == Some('.') {
            number.extend(self.next());
            number.push_str(self.take(|c| c.is_ascii_digit()));
        }
        let exponent = self.rest.strip_prefix(['e', 'E']).map(|rest| rest.strip_prefix(['+', '-']).unwrap_or(rest));
        if exponent.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            number.extend(self.next());
            number.extend(self.next());
            number.push_str(self.take(|c| c.is_ascii_digit()));
        }
        number
    }

    /// What stands between two quotes. A doubled quote is one quote. In a string a backslash escapes a quote, itself
    /// and the letters of control characters (/req/cql2-text/escaping); before anything else, as in a pattern of
    /// LIKE, it stays.
    fn quoted(&mut self, quote: char) -> Result<String, FilterError> {
        let open = self.error("a closing quote", "the end".to_owned());
        self.next();
        let mut text = String::new();
        loop {
            match self.next().ok_or_else(|| open.clone())? {
                '\0' => return Err(self.error("a character other than U+0000", "U+0000".to_owned())),
                c if c == quote => {
                    if self.peek() != Some(quote) {
                        return Ok(text);
                    }
                    text.extend(self.next());
                }
                '\\' if quote == '\'' => match self.peek().map(|c| (c, escaped(c))) {
                    Some((_, Some(c))) => {
                        self.next();
                        text.push(c);
                    }
                    _ => text.push('\\'),
                },
                c => text.push(c),
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.at += 1;
        Some(c)
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) {
        self.take(wanted);
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.at += taken.chars().count();
        self.rest = rest;
        taken
    }

    fn error(&self, expected: &'static str, found: String) -> FilterError {
        FilterError::Syntax { at: self.at, expected, found }
    }
}

fn escaped(c: char) -> Option<char> {
    Some(match c {
        '\'' | '\\' => c,
        'a' => '\x07',
        'b' => '\x08',
        't' => '\t',
        'n' => '\n',
        'v' => '\x0b',
        'f' => '\x0c',
        'r' => '\r',
        _ => return None,
    })
}

fn begins_name(c: char) -> bool {
    c.is_alphabetic() || matches!(c, ':' | '_')
}

fn continues_name(c: char) -> bool {
    begins_name(c) || c.is_numeric() || matches!(c, '.' | '\u{300}'..='\u{36f}' | '\u{203f}' | '\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = tokens(text).unwrap().into_iter().map(|token| token.kind).collect();
        assert_eq!(kinds.pop(), Some(Kind::End));
        kinds
    }

    #[test]
    fn numbers_have_no_sign_and_may_begin_or_end_with_a_point() {
        for number in ["1", "1.", ".5", "1.5", "1e5", "1.E-5", ".5e+3"] {
            assert_eq!(kinds(number), [Kind::Number(number.to_owned())], "{number}");
        }
        assert_eq!(kinds("a-1").len(), 3);
        assert_eq!(kinds("2e"), [Kind::Number("2".to_owned()), Kind::Word("e".to_owned())]);
    }

    #[test]
    fn a_name_may_hold_colons_points_and_letters_of_any_script() {
        for name in ["proj:epsg", "a.b", "_x", ":x", "größe", "Οδος", "x1"] {
            assert_eq!(kinds(name), [Kind::Word(name.to_owned())], "{name}");
        }
        assert_eq!(kinds("\"a \"\"b\"\" c\""), [Kind::Quoted("a \"b\" c".to_owned())]);
    }

    #[test]
    fn a_string_decodes_its_escapes_once() {
        for (text, expected) in [
            (r"'it''s'", "it's"),
            (r"'it\'s'", "it's"),
            (r"'\a\b\t\n\v\f\r'", "\x07\x08\t\n\x0b\x0c\r"),
            (r"'50\%'", r"50\%"),
            (r"'\\n'", r"\n"),
        ] {
            assert_eq!(kinds(text), [Kind::Text(expected.to_owned())], "{text}");
        }
    }

    #[test]
    fn what_begins_no_token_is_pointed_at() {
        for (text, at) in [("a = ?", 5), ("é = 'x", 5), ("a = \"x", 5), ("a ; b", 3), ("'\0'", 3), ("a = 'x\\'", 5)] {
            let error = tokens(text).unwrap_err();
            assert!(matches!(error, FilterError::Syntax { at: found, .. } if found == at), "{text}: {error}");
        }
    }
}
