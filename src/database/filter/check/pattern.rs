//! Checks the pattern of LIKE.

use super::Checked;
use crate::database::filter::{FilterError, expression::Expr, operator::Operator, predicate::Text};

/// Checks a pattern: a string, perhaps folded.
pub(super) fn pattern(expr: &Expr) -> Checked<Text> {
    match expr {
        Expr::Text(pattern) => plain(pattern).map(Text::Literal),
        Expr::Operation { operator: Operator::Casei, arguments } => Ok(Text::Casei(Box::new(pattern(&arguments[0])?))),
        Expr::Operation { operator: Operator::Accenti, arguments } => {
            Ok(Text::Accenti(Box::new(pattern(&arguments[0])?)))
        }
        other => Err(FilterError::operand("like", "a pattern, which is a string", other.described())),
    }
}

/// Leaves a pattern's escapes only where they change something: whatever folding does to the rest, none comes to
/// stand at the end, where PostgreSQL refuses it.
fn plain(written: &str) -> Checked<String> {
    let mut plain = String::with_capacity(written.len());
    let mut chars = written.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some(special @ ('%' | '_' | '\\'))) => plain.extend(['\\', special]),
            ('\\', Some(plain_char)) => plain.push(plain_char),
            ('\\', None) => return Err(FilterError::literal("pattern", written, "it must not end with one backslash")),
            (c, _) => plain.push(c),
        }
    }
    Ok(plain)
}
