//! What can be wrong with a filter, and what would be right.

use super::operator::Operator;

/// Errors of reading a filter. Each message says what was found and what would have been right.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FilterError {
    #[error("cannot read the filter at character {at}: expected {expected}, found {found}")]
    Syntax { at: usize, expected: &'static str, found: String },
    #[error("cannot read the filter at {pointer:?}: expected {expected}, found {found}")]
    Json { pointer: String, expected: &'static str, found: String },
    #[error("unknown function {0:?}; known are {known}", known = Operator::functions().join(", "))]
    UnknownFunction(String),
    #[error("{function} takes {expected}, not {found}")]
    Arguments { function: &'static str, expected: String, found: usize },
    #[error("{function} needs {expected}, not {found}")]
    Operand { function: &'static str, expected: &'static str, found: String },
    #[error("{value:?} is no {kind}: {rule}")]
    Literal { kind: &'static str, value: String, rule: String },
    #[error("the filter is too large: at most {limit} {what} are allowed")]
    TooLarge { what: &'static str, limit: usize },
}

impl FilterError {
    pub(super) fn operand(function: &'static str, expected: &'static str, found: impl Into<String>) -> Self {
        Self::Operand { function, expected, found: found.into() }
    }

    /// Says that a literal is not what it stands for. A long one is shown by its beginning.
    pub(super) fn literal(kind: &'static str, value: &str, rule: impl Into<String>) -> Self {
        const SHOWN: usize = 80;
        let mut shown: String = value.chars().take(SHOWN).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self::Literal { kind, value: shown, rule: rule.into() }
    }
}
